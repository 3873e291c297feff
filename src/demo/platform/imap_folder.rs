//! A selected folder, as one IMAP session sees it, and the commands on folders.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;

use imap_codec::imap_types::command::CommandBody;
use imap_codec::imap_types::core::Text;
use imap_codec::imap_types::fetch::{MacroOrMessageDataItemNames, MessageDataItem};
use imap_codec::imap_types::flag::{Flag, FlagPerm, StoreResponse, StoreType};
use imap_codec::imap_types::mailbox::Mailbox;
use imap_codec::imap_types::response::{Code, Data, Response, Status, StatusBody, StatusKind};
use imap_codec::imap_types::search::SearchKey;
use imap_codec::imap_types::sequence::{SeqOrUid, Sequence, SequenceSet};

use super::imap::ImapServer;
use super::imap_fetch::{self, fetch_flags};
use super::imap_reply::{Done, Next};
use super::imap_search;
use super::misbehaviour::{FetchFault, ImapMisbehaviour};
use super::record::{Change, keep};
use super::store::{Folder, Store, canonical};

/// The folder and the messages that the client knows of, in the order of their numbers.
pub(super) struct Selected {
    folder: &'static str,
    read_only: bool,
    uid_validity: u32,
    known: Vec<u32>,
}

impl Selected {
    /// SELECT or EXAMINE. A failed SELECT leaves no folder selected (RFC 3501 §6.3.1).
    pub(super) fn open(
        server: &ImapServer,
        mailbox: &Mailbox<'_>,
        read_only: bool,
    ) -> (Option<Self>, Done) {
        let Some(folder) = canonical(&name_of(mailbox)) else {
            return (None, Done::no("No such folder"));
        };
        let opened = server.store.read(folder, |content| {
            let selected = Self {
                folder,
                read_only,
                uid_validity: content.uid_validity,
                known: content.messages.iter().map(|m| m.uid).collect(),
            };
            let responses = select_responses(content, read_only);
            (Some(selected), responses)
        });
        let (selected, responses) = opened.unwrap_or_default();
        let done = Done {
            code: Some(if read_only {
                Code::ReadOnly
            } else {
                Code::ReadWrite
            }),
            ..Done::ok(responses, "Selected")
        };
        (selected, done)
    }

    pub(super) fn is_current(&self, store: &Store) -> bool {
        store.read(self.folder, |folder| folder.uid_validity) == Some(self.uid_validity)
    }

    /// EXPUNGE for what is gone, from the last on, so that no number shifts; EXISTS for what is new.
    pub(super) fn news(&mut self, store: &Store) -> Vec<Response<'static>> {
        let now = store.read(self.folder, |folder| {
            folder.messages.iter().map(|m| m.uid).collect::<Vec<u32>>()
        });
        let now = now.unwrap_or_default();
        let mut responses = Vec::new();
        for (at, uid) in self.known.iter().enumerate().rev() {
            if now.binary_search(uid).is_err()
                && let Some(number) = number(at)
            {
                responses.push(Response::Data(Data::Expunge(number)));
            }
        }
        let left = self.known.len() - responses.len();
        if now.len() != left {
            responses.push(exists(now.len()));
        }
        self.known = now;
        responses
    }

    /// The commands of the selected state.
    pub(super) fn execute(
        &mut self,
        server: &ImapServer,
        body: CommandBody<'static>,
        name: &str,
    ) -> Done {
        match body {
            CommandBody::Check => Done::ok(self.news(&server.store), "CHECK completed"),
            CommandBody::Expunge => self.expunge(server, None, name),
            CommandBody::ExpungeUid { sequence_set } => {
                let uids = self.chosen(&sequence_set, true);
                let uids = uids.into_iter().map(|(_, uid)| uid).collect();
                self.expunge(server, Some(uids), name)
            }
            CommandBody::Search { criteria, uid, .. } => {
                self.search(server, criteria.as_ref(), uid)
            }
            CommandBody::Fetch {
                sequence_set,
                macro_or_item_names,
                uid,
                ..
            } => self.fetch(server, &sequence_set, &macro_or_item_names, uid, name),
            CommandBody::Store {
                sequence_set,
                kind,
                response,
                flags,
                uid,
                ..
            } => {
                if self.read_only {
                    return Done::no("The folder is read-only");
                }
                let chosen = self.chosen(&sequence_set, uid);
                let flags: Vec<String> = flags.iter().map(Flag::to_string).collect();
                let silent = response == StoreResponse::Silent;
                self.store(server, &chosen, kind, &flags, (uid, silent), name)
            }
            _ => Done::no("Not here"),
        }
    }

    /// The scripted fault of a FETCH that asks for content.
    pub(super) fn flood(
        &self,
        store: &Store,
        misbehaviour: &ImapMisbehaviour,
        body: &CommandBody<'_>,
    ) -> Option<Next> {
        let endless = match misbehaviour.fetch {
            FetchFault::None => return None,
            FetchFault::HugeLiteral => false,
            FetchFault::EndlessLiteral => true,
        };
        let CommandBody::Fetch {
            sequence_set,
            macro_or_item_names,
            uid,
            ..
        } = body
        else {
            return None;
        };
        let (number, uid) = self.chosen(sequence_set, *uid).into_iter().next()?;
        let section = imap_fetch::content_section(macro_or_item_names)?;
        let begins = store.read(self.folder, |folder| {
            let message = folder.find(uid)?;
            Some(message.raw.iter().copied().take(64).collect::<Vec<u8>>())
        });
        let announced = u32::MAX;
        let head = format!("* {number} FETCH (UID {uid} BODY[{section}] {{{announced}}}\r\n");
        let mut head = head.into_bytes();
        head.extend(begins.flatten().unwrap_or_default());
        Some(Next::Flood { head, endless })
    }

    /// CLOSE removes deleted messages without a word (RFC 3501 §6.4.2).
    pub(super) fn close(mut self, server: &ImapServer) -> Done {
        if !self.read_only {
            self.expunge(server, None, "CLOSE");
        }
        Done::ok(Vec::new(), "CLOSE completed")
    }

    /// Number and UID of the messages that the set names and the client knows of.
    fn chosen(&self, set: &SequenceSet, by_uid: bool) -> Vec<(NonZeroU32, u32)> {
        let ranges = self.ranges(set, by_uid);
        self.numbered()
            .filter(|(number, uid)| {
                let value = if by_uid { *uid } else { number.get() };
                ranges.iter().any(|range| range.contains(&value))
            })
            .collect()
    }

    fn numbered(&self) -> impl Iterator<Item = (NonZeroU32, u32)> {
        let known = self.known.iter().enumerate();
        known.filter_map(|(at, uid)| Some((number(at)?, *uid)))
    }

    /// `*` is the last message, whichever that is (RFC 3501 §9, `seq-range`).
    fn ranges(&self, set: &SequenceSet, by_uid: bool) -> Vec<RangeInclusive<u32>> {
        let largest = if by_uid {
            self.known.last().copied().unwrap_or(0)
        } else {
            count(self.known.len())
        };
        let value = |of: &SeqOrUid| match of.to_non_zero_u32().get() {
            u32::MAX => largest,
            value => value,
        };
        let sequences = set.0.as_ref().iter();
        sequences
            .map(|sequence| match sequence {
                Sequence::Single(one) => value(one)..=value(one),
                Sequence::Range(a, b) => value(a).min(value(b))..=value(a).max(value(b)),
            })
            .collect()
    }

    fn expunge(&mut self, server: &ImapServer, only: Option<Vec<u32>>, name: &str) -> Done {
        if self.read_only {
            return Done::no("The folder is read-only");
        }
        let gone = server.store.write(self.folder, |folder| {
            let goes = |uid: u32, deleted: bool| {
                deleted && only.as_ref().is_none_or(|only| only.contains(&uid))
            };
            let gone: Vec<u32> = folder
                .messages
                .iter()
                .filter(|m| goes(m.uid, m.flags.contains("\\Deleted")))
                .map(|m| m.uid)
                .collect();
            folder
                .messages
                .retain(|m| gone.binary_search(&m.uid).is_err());
            gone
        });
        self.note(server, name, gone.unwrap_or_default());
        Done::ok(self.news(&server.store), "EXPUNGE completed")
    }

    fn note(&self, server: &ImapServer, command: &str, uids: impl IntoIterator<Item = u32>) {
        let mut seen = server.record.lock();
        for uid in uids {
            let change = Change {
                command: command.into(),
                folder: self.folder.into(),
                uid,
            };
            keep(&mut seen.changes, change);
        }
    }

    fn search(&mut self, server: &ImapServer, criteria: &[SearchKey<'_>], uid: bool) -> Done {
        // The client learns of new mail before it reads numbers of it.
        let mut responses = if uid {
            self.news(&server.store)
        } else {
            Vec::new()
        };
        let found = server.store.read(self.folder, |folder| {
            let mut found = Vec::new();
            for (number, known) in self.numbered() {
                let Some(message) = folder.find(known) else {
                    continue;
                };
                let place = |set: &SequenceSet, by_uid: bool| {
                    let value = if by_uid { known } else { number.get() };
                    let ranges = self.ranges(set, by_uid);
                    ranges.iter().any(|range| range.contains(&value))
                };
                if imap_search::matches(criteria, message, &place)? {
                    found.push(if uid {
                        NonZeroU32::new(message.uid)?
                    } else {
                        number
                    });
                }
            }
            Some(found)
        });
        let Some(Some(found)) = found else {
            return Done::no("This search key is not served here");
        };
        responses.push(Response::Data(Data::Search(found)));
        Done::ok(responses, "SEARCH completed")
    }

    fn fetch(
        &mut self,
        server: &ImapServer,
        set: &SequenceSet,
        items: &MacroOrMessageDataItemNames<'_>,
        by_uid: bool,
        name: &str,
    ) -> Done {
        let mut responses = if by_uid {
            self.news(&server.store)
        } else {
            Vec::new()
        };
        let chosen = self.chosen(set, by_uid);
        let Some(wanted) = imap_fetch::Wanted::new(items, by_uid) else {
            return Done::no("This item is not served here");
        };
        let mut seen = Vec::new();
        let look = |folder: &mut Folder| {
            for (number, uid) in chosen {
                let Some(message) = folder.find_mut(uid) else {
                    continue;
                };
                let reading = wanted.sets_seen() && !self.read_only;
                if reading && message.flags.insert("\\Seen".into()) {
                    seen.push(uid);
                }
                let items = wanted.of(message, seen.last() == Some(&uid));
                if let Ok(items) = items.try_into() {
                    responses.push(Response::Data(Data::Fetch { seq: number, items }));
                }
            }
        };
        if wanted.sets_seen() && !self.read_only {
            server.store.write(self.folder, look);
        } else {
            server.store.peek(self.folder, look);
        }
        self.note(server, name, seen);
        Done::ok(responses, "FETCH completed")
    }

    fn store(
        &mut self,
        server: &ImapServer,
        chosen: &[(NonZeroU32, u32)],
        kind: StoreType,
        flags: &[String],
        (by_uid, silent): (bool, bool),
        name: &str,
    ) -> Done {
        let mut responses = Vec::new();
        server.store.write(self.folder, |folder| {
            for (number, uid) in chosen {
                let Some(message) = folder.find_mut(*uid) else {
                    continue;
                };
                match kind {
                    StoreType::Add => message.flags.extend(flags.iter().cloned()),
                    StoreType::Remove => message.flags.retain(|flag| !flags.contains(flag)),
                    StoreType::Replace => message.flags = flags.iter().cloned().collect(),
                }
                let uid = NonZeroU32::new(*uid).filter(|_| by_uid);
                let uid = uid.map(MessageDataItem::Uid);
                let items = [fetch_flags(message)].into_iter().chain(uid);
                if !silent && let Ok(items) = items.collect::<Vec<_>>().try_into() {
                    responses.push(Response::Data(Data::Fetch {
                        seq: *number,
                        items,
                    }));
                }
            }
        });
        self.note(server, name, chosen.iter().map(|(_, uid)| *uid));
        Done::ok(responses, "STORE completed")
    }
}

fn select_responses(content: &Folder, read_only: bool) -> Vec<Response<'static>> {
    let system = || {
        [
            Flag::Answered,
            Flag::Flagged,
            Flag::Deleted,
            Flag::Seen,
            Flag::Draft,
        ]
    };
    let permanent = if read_only {
        Vec::new()
    } else {
        let system = system().into_iter().map(FlagPerm::Flag);
        system.chain([FlagPerm::Asterisk]).collect()
    };
    let untagged = |code: Code<'static>, text: &'static str| {
        Response::Status(Status::Untagged(StatusBody {
            kind: StatusKind::Ok,
            code: Some(code),
            text: Text::unvalidated(text),
        }))
    };
    let validity = NonZeroU32::new(content.uid_validity).unwrap_or(NonZeroU32::MIN);
    let next = NonZeroU32::new(content.uid_next).unwrap_or(NonZeroU32::MIN);
    vec![
        Response::Data(Data::Flags(system().into())),
        untagged(Code::PermanentFlags(permanent), "Flags permitted"),
        exists(content.messages.len()),
        Response::Data(Data::Recent(0)),
        untagged(Code::UidValidity(validity), "UIDs valid"),
        untagged(Code::UidNext(next), "Predicted next UID"),
    ]
}

/// The folder's name as the client wrote it.
pub(super) fn name_of(mailbox: &Mailbox<'_>) -> String {
    match mailbox {
        Mailbox::Inbox => "INBOX".into(),
        Mailbox::Other(other) => String::from_utf8_lossy(other.as_ref()).into_owned(),
    }
}

fn exists(messages: usize) -> Response<'static> {
    Response::Data(Data::Exists(count(messages)))
}

/// As IMAP counts.
pub(super) fn count(items: usize) -> u32 {
    u32::try_from(items).unwrap_or(u32::MAX)
}

/// The message number of a place in the list.
fn number(at: usize) -> Option<NonZeroU32> {
    NonZeroU32::new(count(at).saturating_add(1))
}
