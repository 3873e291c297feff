//! Finding and reading messages of the selected folder (RFC 9051 sections 6.4.4 and 6.4.5). Always by
//! UID, always with PEEK, so that no message becomes "seen" by being looked at.

use std::collections::BTreeMap;

use imap_codec::imap_types::command::CommandBody;
use imap_codec::imap_types::core::{AString, Vec1};
use imap_codec::imap_types::fetch::{MessageDataItem, Section};
use imap_codec::imap_types::response::Data;
use imap_codec::imap_types::search::SearchKey;
use jiff::Timestamp;

use super::command::Untagged;
use super::error::{ImapError, Result};
use super::remove::uid_set;
use super::session::Session;

/// Octets of a header block that are read; the rest of a longer one is left out.
const HEADER: usize = 128 * 1024;
/// Messages whose headers are read with one command.
const AT_ONCE: usize = 32;

/// Messages whose UIDs are asked for with one command, so that the answer fits into a line.
const WINDOW: u32 = 4000;
/// Commands for the UIDs of a folder: a million messages.
const WINDOWS: usize = 250;

/// A message in the folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// Its UID.
    pub uid: u32,
    /// INTERNALDATE: when it arrived, by the server's clock, in whole seconds.
    pub internal_date: Option<Timestamp>,
    /// RFC822.SIZE in octets.
    pub size: Option<u32>,
    /// The header block, at most 128 KiB of it.
    pub header: Vec<u8>,
}

impl Session {
    /// The headers of the messages with UID `first_uid` and up, the oldest `max` of them, in order.
    /// May take several commands, each with its own time limit.
    ///
    /// # Errors
    /// `BadArgument` if `first_uid` is 0; any of a command.
    pub async fn headers_from(&mut self, first_uid: u32, max: usize) -> Result<Vec<Arrived>> {
        if first_uid == 0 {
            return Err(ImapError::BadArgument { what: "UID 0" });
        }
        let mut found = BTreeMap::new();
        if usize::try_from(self.folder.exists).is_ok_and(|exists| exists <= AT_ONCE) {
            self.headers(&format!("{first_uid}:*"), first_uid, AT_ONCE, &mut found)
                .await?;
        } else {
            // In a full folder the range alone could mean any amount of data.
            let mut uids = self.uids_from(first_uid).await?;
            uids.truncate(max);
            for some in uids.chunks(AT_ONCE) {
                self.headers(&uid_set(some), first_uid, some.len(), &mut found)
                    .await?;
            }
        }
        Ok(found.into_values().take(max).collect())
    }

    /// The headers of exactly these messages, in order; those that are gone are left out.
    /// May take several commands, each with its own time limit.
    ///
    /// # Errors
    /// `BadArgument` if a UID is 0; any of a command.
    pub async fn headers_of(&mut self, uids: &[u32]) -> Result<Vec<Arrived>> {
        if uids.contains(&0) {
            return Err(ImapError::BadArgument { what: "UID 0" });
        }
        let mut found = BTreeMap::new();
        for some in uids.chunks(AT_ONCE) {
            self.headers(&uid_set(some), 1, some.len(), &mut found)
                .await?;
        }
        found.retain(|uid, _| uids.contains(uid));
        Ok(found.into_values().collect())
    }

    /// The header of the newest message; `None` if the folder is empty.
    ///
    /// # Errors
    /// Any of a command.
    pub async fn newest(&mut self) -> Result<Option<Arrived>> {
        if self.folder.exists == 0 {
            return Ok(None);
        }
        let mut found = BTreeMap::new();
        self.headers("*", 1, 1, &mut found).await?;
        Ok(found.into_values().next_back())
    }

    /// The message, or its first `max_bytes` octets.
    ///
    /// # Errors
    /// `NoSuchMessage`; `Malformed` if the answer was not understood; `BadArgument` if `max_bytes` is 0;
    /// any of a command.
    pub async fn message(&mut self, uid: u32, max_bytes: usize) -> Result<Vec<u8>> {
        if uid == 0 || max_bytes == 0 {
            return Err(ImapError::BadArgument {
                what: "UID 0, or no octets at all",
            });
        }
        let octets = u32::try_from(max_bytes).unwrap_or(u32::MAX);
        let mut body = None;
        let not_understood = self
            .fetch(&format!("{uid} (UID BODY.PEEK[]<0.{octets}>)"), |message| {
                if message.uid == Some(uid) && message.body.is_some() {
                    body = message.body;
                }
            })
            .await?;
        match body {
            Some(mut body) => {
                body.truncate(max_bytes);
                Ok(body)
            }
            None if not_understood > 0 => Err(ImapError::Malformed {
                what: "a message",
                line: None,
            }),
            None => Err(ImapError::NoSuchMessage { uid }),
        }
    }

    /// UIDs of the messages whose header field `name` contains `value`, case ignored, in order.
    ///
    /// # Errors
    /// `BadArgument` if `name` is no field name or `value` is not printable ASCII; any of a command.
    pub async fn search_header(&mut self, name: &str, value: &str) -> Result<Vec<u32>> {
        let is_field_name = !name.is_empty()
            && name
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b':');
        if !is_field_name || !value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
            return Err(ImapError::BadArgument {
                what: "a header field that is not printable ASCII",
            });
        }
        let word = |word: &str| {
            AString::try_from(word.to_owned()).map_err(|_| ImapError::BadArgument {
                what: "a header field",
            })
        };
        let body = CommandBody::Search {
            charset: None,
            criteria: Vec1::from(SearchKey::Header(word(name)?, word(value)?)),
            uid: true,
        };
        let mut uids = Vec::new();
        self.command("UID SEARCH", body, |untagged| hits(untagged, &mut uids))
            .await?;
        Ok(in_order(uids))
    }

    /// The UIDs from `first_uid` up. A folder of any size: in windows of [`WINDOW`] messages from the
    /// newest back, until a window holds an older message (UIDs rise with the place in the folder).
    async fn uids_from(&mut self, first_uid: u32) -> Result<Vec<u32>> {
        let mut found = Vec::new();
        let mut upper = self.folder.exists;
        let mut until = "*".to_owned();
        for _ in 0..WINDOWS {
            let lower = upper.saturating_sub(WINDOW - 1).max(1);
            let mut uids = Vec::new();
            let arguments = format!("{lower}:{until} UID {first_uid}:*");
            self.line("UID SEARCH", &arguments, |untagged| {
                hits(untagged, &mut uids)
            })
            .await?;
            // `*` is the newest message even if its UID is below the start of the range.
            uids.retain(|&uid| uid >= first_uid);
            let uids = in_order(uids);
            let all = uids.len() > usize::try_from(upper - lower).unwrap_or(usize::MAX);
            found.extend(uids);
            if !all || lower == 1 {
                return Ok(in_order(found));
            }
            upper = lower - 1;
            until = upper.to_string();
        }
        Err(ImapError::TooManyResponses {
            command: "UID SEARCH",
            limit: WINDOWS,
        })
    }

    async fn headers(
        &mut self,
        set: &str,
        first_uid: u32,
        at_most: usize,
        found: &mut BTreeMap<u32, Arrived>,
    ) -> Result<()> {
        let facts = format!("{set} (UID INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER]<0.{HEADER}>)");
        match self.collect(&facts, first_uid, at_most, found).await {
            Ok(0) => Ok(()),
            // One date that is not quite one makes the parser refuse the whole message, and some
            // servers know no partial headers. No message may stay unseen for that.
            Ok(_) | Err(ImapError::Refused { .. }) => {
                let bare = format!("{set} (UID BODY.PEEK[HEADER])");
                self.collect(&bare, first_uid, at_most, found)
                    .await
                    .map(drop)
            }
            Err(error) => Err(error),
        }
    }

    /// Adds what is fetched to `found`; gives the number of responses that were not understood.
    async fn collect(
        &mut self,
        arguments: &str,
        first_uid: u32,
        at_most: usize,
        found: &mut BTreeMap<u32, Arrived>,
    ) -> Result<usize> {
        let room = found.len() + at_most;
        self.fetch(arguments, |message| {
            let (Some(uid), Some(mut header)) = (message.uid, message.header) else {
                return;
            };
            if uid < first_uid || found.len() >= room {
                return;
            }
            header.truncate(HEADER);
            let Message {
                internal_date,
                size,
                ..
            } = message;
            found.entry(uid).or_insert(Arrived {
                uid,
                internal_date,
                size,
                header,
            });
        })
        .await
    }

    /// Runs UID FETCH; gives the number of responses that were not understood.
    async fn fetch(
        &mut self,
        arguments: &str,
        mut each: impl FnMut(Message) + Send,
    ) -> Result<usize> {
        let completed = self
            .line("UID FETCH", arguments, |untagged| {
                if let Untagged::Data(Data::Fetch { items, .. }) = untagged {
                    each(Message::from_items(items.into_inner()));
                }
            })
            .await?;
        Ok(completed.not_understood)
    }
}

/// What one FETCH response says of a message.
#[derive(Default)]
struct Message {
    uid: Option<u32>,
    internal_date: Option<Timestamp>,
    size: Option<u32>,
    /// A header that the server has none of (NIL) is empty: the message is there.
    header: Option<Vec<u8>>,
    body: Option<Vec<u8>>,
}

impl Message {
    fn from_items(items: Vec<MessageDataItem<'static>>) -> Self {
        let mut message = Self::default();
        for item in items {
            match item {
                MessageDataItem::Uid(uid) => message.uid = Some(uid.get()),
                MessageDataItem::InternalDate(date) => {
                    message.internal_date = Timestamp::from_second(date.as_ref().timestamp()).ok();
                }
                MessageDataItem::Rfc822Size(size) => message.size = Some(size),
                MessageDataItem::BodyExt {
                    section: Some(Section::Header(None)),
                    data,
                    ..
                } => {
                    message.header = Some(data.into_option().map(Into::into).unwrap_or_default());
                }
                MessageDataItem::BodyExt {
                    section: None,
                    data,
                    ..
                } => {
                    message.body = data.into_option().map(Into::into);
                }
                _ => {}
            }
        }
        message
    }
}

fn hits(untagged: Untagged, uids: &mut Vec<u32>) {
    if let Untagged::Data(Data::Search(found)) = untagged {
        uids.extend(found.into_iter().map(std::num::NonZeroU32::get));
    }
}

fn in_order(mut uids: Vec<u32>) -> Vec<u32> {
    uids.sort_unstable();
    uids.dedup();
    uids
}
