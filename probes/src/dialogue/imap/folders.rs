//! The folders of an account and what they are for (RFC 9051 section 6.3.9, RFC 6154).

use imap_codec::imap_types::command::CommandBody;
use imap_codec::imap_types::core::QuotedChar;
use imap_codec::imap_types::flag::FlagNameAttribute;
use imap_codec::imap_types::mailbox::Mailbox;
use imap_codec::imap_types::response::Data;

use super::command::Untagged;
use super::error::{ImapError, Result};
use super::mailbox_name;
use super::session::Session;

/// Folders that are kept of one listing.
const FOLDERS: usize = 5_000;

/// A folder of the account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Its name in Unicode, for people and for [`Session::select`]. May hold any character.
    pub name: String,
    /// What it is for: by the server's word, else by its name.
    pub special_use: Option<SpecialUse>,
    /// Whether it can be opened.
    pub selectable: bool,
}

/// What a folder is for (RFC 6154 section 2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SpecialUse {
    /// All messages.
    All,
    /// Archived messages.
    Archive,
    /// Messages being written.
    Drafts,
    /// Messages marked by the user.
    Flagged,
    /// Messages held to be spam.
    Junk,
    /// Messages sent.
    Sent,
    /// Messages deleted.
    Trash,
}

impl Session {
    /// All folders of the account, in the server's order.
    ///
    /// # Errors
    /// Any of a command.
    pub async fn folders(&mut self) -> Result<Vec<Folder>> {
        let mut listing = Listing::default();
        if self.capabilities().await?.list_special_use() {
            let asked = self.line("LIST", "\"\" \"*\" RETURN (SPECIAL-USE)", |untagged| {
                listing.add(untagged)
            });
            match asked.await {
                Ok(_) => return Ok(self.know(listing)),
                Err(ImapError::Refused { .. }) => listing = Listing::default(),
                Err(error) => return Err(error),
            }
        }
        let body =
            CommandBody::list("", "*").map_err(|_| ImapError::BadArgument { what: "LIST" })?;
        self.command("LIST", body, |untagged| listing.add(untagged))
            .await?;
        Ok(self.know(listing))
    }

    /// Remembers how the server spelled the names, and names uses that it left open.
    fn know(&mut self, mut listing: Listing) -> Vec<Folder> {
        if listing.dropped > 0 {
            self.link
                .note(&format!("{} more folders are left out", listing.dropped));
        }
        for (folder, leaf) in listing.folders.iter_mut().zip(&listing.leaves) {
            if folder.special_use.is_none() {
                folder.special_use =
                    SpecialUse::by_name(leaf).filter(|by_name| !listing.told.contains(by_name));
            }
        }
        let names = listing.folders.iter().map(|folder| folder.name.clone());
        self.spellings = names.zip(listing.spellings).collect();
        listing.folders
    }
}

#[derive(Default)]
struct Listing {
    folders: Vec<Folder>,
    /// The last part of each folder's name.
    leaves: Vec<String>,
    /// Each folder's name as the server spelled it.
    spellings: Vec<Vec<u8>>,
    /// Uses that the server itself gave to a folder.
    told: Vec<SpecialUse>,
    dropped: usize,
}

impl Listing {
    fn add(&mut self, untagged: Untagged) {
        let Untagged::Data(Data::List {
            items,
            delimiter,
            mailbox,
        }) = untagged
        else {
            return;
        };
        if self.folders.len() == FOLDERS {
            self.dropped += 1;
            return;
        }
        let spelling = match mailbox {
            Mailbox::Inbox => b"INBOX".to_vec(),
            Mailbox::Other(other) => other.as_ref().to_vec(),
        };
        let text = String::from_utf8_lossy(&spelling).into_owned();
        // Servers that do not encode exist; then the name is what it looks like.
        let name = mailbox_name::decode(&text).unwrap_or(text);
        let special_use = items.iter().find_map(SpecialUse::by_attribute);
        self.told.extend(special_use);
        self.leaves.push(leaf(&name, delimiter).to_owned());
        self.folders.push(Folder {
            name,
            special_use,
            selectable: !items.iter().any(is_not_selectable),
        });
        self.spellings.push(spelling);
    }
}

impl SpecialUse {
    fn by_attribute(attribute: &FlagNameAttribute<'_>) -> Option<Self> {
        match attribute.to_string().to_ascii_lowercase().as_str() {
            "\\all" => Some(Self::All),
            "\\archive" => Some(Self::Archive),
            "\\drafts" => Some(Self::Drafts),
            "\\flagged" => Some(Self::Flagged),
            "\\junk" => Some(Self::Junk),
            "\\sent" => Some(Self::Sent),
            "\\trash" => Some(Self::Trash),
            _ => None,
        }
    }

    /// By the names that mail programs give.
    fn by_name(leaf: &str) -> Option<Self> {
        match leaf.to_lowercase().as_str() {
            "archive" | "archives" => Some(Self::Archive),
            "drafts" => Some(Self::Drafts),
            "junk" | "junk e-mail" | "junk email" | "junk mail" | "spam" | "bulk mail" => {
                Some(Self::Junk)
            }
            "sent" | "sent items" | "sent mail" | "sent messages" => Some(Self::Sent),
            "trash" | "deleted items" | "deleted messages" => Some(Self::Trash),
            _ => None,
        }
    }
}

fn is_not_selectable(attribute: &FlagNameAttribute<'_>) -> bool {
    matches!(attribute, FlagNameAttribute::Noselect)
        || attribute.to_string().eq_ignore_ascii_case("\\NonExistent")
}

fn leaf(name: &str, delimiter: Option<QuotedChar>) -> &str {
    match delimiter {
        Some(delimiter) => name.rsplit(delimiter.inner()).next().unwrap_or(name),
        None => name,
    }
}
