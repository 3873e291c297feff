//! The mailboxes, looked at from behind: the Maildir's files and Dovecot's log.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use super::process::wait_until;
use super::smtp::send_plain;
use super::{Delivery, Node, Platform, dovecot};

/// How long the store may take for a mail.
const DELIVERY_LIMIT: Duration = Duration::from_secs(15);

/// A mail as it lies in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredMail {
    /// `INBOX`, `Junk`, …
    pub folder: String,
    /// The name of the file, which ends with the flags once the mail was seen by a client.
    pub file_name: String,
    /// The whole message, trace fields included.
    pub raw: String,
}

impl StoredMail {
    /// The Maildir flags: `S` seen, `T` deleted, `R` answered, `F` flagged, `D` draft, `P` passed.
    #[must_use]
    pub fn flags(&self) -> &str {
        self.file_name
            .split_once(":2,")
            .map_or("", |(_, flags)| flags)
    }

    /// The body of the first header field of this name, unfolded.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<String> {
        self.headers(name).into_iter().next()
    }

    /// The bodies of all header fields of this name, unfolded, from the top: of the trace
    /// fields, the last hop's first.
    #[must_use]
    pub fn headers(&self, name: &str) -> Vec<String> {
        let mut fields: Vec<String> = Vec::new();
        for line in self.raw.lines().take_while(|line| !line.is_empty()) {
            match fields.last_mut() {
                Some(field) if line.starts_with([' ', '\t']) => {
                    field.push(' ');
                    field.push_str(line.trim());
                }
                _ => fields.push(line.to_owned()),
            }
        }
        fields
            .iter()
            .filter_map(|field| field.split_once(':'))
            .filter(|(field, _)| field.eq_ignore_ascii_case(name))
            .map(|(_, body)| body.trim().to_owned())
            .collect()
    }
}

impl Platform {
    /// Every mail in every folder of a user, read from the files, sorted by folder and file name.
    ///
    /// # Errors
    /// A folder cannot be read. A user without a mailbox yet has no mail.
    pub fn list_mailbox(&self, user: &str) -> io::Result<Vec<StoredMail>> {
        let inbox = dovecot::maildir(&self.dovecot_directory(), user);
        let mut mails = Vec::new();
        if !inbox.exists() {
            return Ok(mails);
        }
        read_folder(&inbox, "INBOX", &mut mails)?;
        for entry in fs::read_dir(&inbox)? {
            let entry = entry?;
            if let Some(folder) = entry.file_name().to_string_lossy().strip_prefix('.') {
                read_folder(&entry.path(), folder, &mut mails)?;
            }
        }
        mails.sort_by(|a, b| (&a.folder, &a.file_name).cmp(&(&b.folder, &b.file_name)));
        Ok(mails)
    }

    /// What Dovecot has delivered so far, with the true times, oldest first.
    #[must_use]
    pub fn deliveries(&self) -> Vec<Delivery> {
        dovecot::deliveries(&self.imap_log())
    }

    /// The Message-IDs of [`Self::deliveries`], with their angle brackets.
    #[must_use]
    pub fn delivered_message_ids(&self) -> Vec<String> {
        self.deliveries()
            .into_iter()
            .map(|delivery| delivery.message_id)
            .collect()
    }

    /// Waits until a mail with this Message-ID (with angle brackets) is in the store.
    ///
    /// # Errors
    /// It was not delivered within 15 s.
    pub fn await_delivery(&self, message_id: &str) -> io::Result<Delivery> {
        wait_until(DELIVERY_LIMIT, || {
            self.deliveries()
                .into_iter()
                .find(|delivery| delivery.message_id == message_id)
        })
        .ok_or_else(|| io::Error::other(format!("{message_id} was not delivered")))
    }

    /// Puts somebody else's mail into a mailbox, through the store, and waits until it is there.
    ///
    /// # Errors
    /// The store refuses it or does not deliver it within 15 s.
    pub fn inject_foreign_mail(&self, recipient: &str, raw: &[u8]) -> io::Result<()> {
        let reply = send_plain(self.store, "stranger@outside.test", recipient, raw)?;
        let (_, queue_id) = reply
            .rsplit_once(' ')
            .ok_or_else(|| io::Error::other(format!("no queue id in {reply:?}")))?;
        let mark = format!(" {queue_id}: to=<{recipient}>");
        wait_until(DELIVERY_LIMIT, || {
            self.smtp_log(Node::Store)
                .lines()
                .any(|line| line.contains(&mark) && line.contains("status=sent"))
                .then_some(())
        })
        .ok_or_else(|| io::Error::other(format!("{queue_id} was not delivered")))
    }
}

fn read_folder(maildir: &Path, folder: &str, mails: &mut Vec<StoredMail>) -> io::Result<()> {
    for below in ["new", "cur"] {
        let Ok(entries) = fs::read_dir(maildir.join(below)) else {
            continue;
        };
        for entry in entries {
            let entry = entry?;
            // A client may rename or remove the file between the two looks.
            let Ok(raw) = fs::read(entry.path()) else {
                continue;
            };
            mails.push(StoredMail {
                folder: folder.to_owned(),
                file_name: entry.file_name().to_string_lossy().into_owned(),
                raw: String::from_utf8_lossy(&raw).into_owned(),
            });
        }
    }
    Ok(())
}
