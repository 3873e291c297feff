//! Reading what is new in one folder, and telling it.

use std::collections::BTreeMap;
use std::sync::Arc;

use postrider_probes::dialogue::imap::{Arrived, Changes, ImapError, Selected, Session};
use postrider_wire::message::tag::{self, HEADER_NAME, Tag};
use tokio::time::Instant;

use super::Shared;
use super::news::{Arrival, MessageKey, News, Position};
use super::watch::End;

/// Messages whose headers are held at a time.
const PAGE: usize = 200;
/// UIDs that are read again when the old ones mean nothing any more, or that a restart may have missed, one by one;
/// in what lies before them only messages with a tag are searched for.
const REREAD: u32 = 2_000;
/// Messages with a tag that are taken from before those, the newest first.
const FOUND: usize = 5_000;
/// Tags that are remembered, so that a removal can be checked against them.
const REMEMBERED: usize = 10_000;

/// What is known of a folder, over all sessions.
pub(super) struct Reader {
    shared: Arc<Shared>,
    mailbox: String,
    folder: String,
    junk: bool,
    uid_validity: u32,
    /// The first UID that was not looked at.
    next_uid: u32,
    /// Messages in the folder as far as the server has told in this session.
    exists: u32,
    /// Searching for older messages ended a session: it is not tried again.
    search_failed: bool,
    /// The tags that were told, by UID.
    tags: BTreeMap<u32, Tag>,
}

/// New messages that the server announced.
#[derive(Debug, Clone, Copy)]
struct Announced {
    count: u32,
    at: Instant,
    pushed: bool,
}

impl Reader {
    /// A folder that was not opened before.
    ///
    /// Reading begins at the position when there is one; else at the next message that comes, or from the first one
    /// when everything in the folder has come since the program runs.
    pub(super) async fn begin(
        shared: &Arc<Shared>,
        mailbox: &str,
        (folder, junk): (&str, bool),
        (position, from_the_start): (Option<&Position>, bool),
        session: &mut Session,
    ) -> Result<Self, End> {
        let (uid_validity, next_uid) = match position {
            Some(position) => (position.uid_validity, position.uid_next),
            None => {
                let selected = open(session, folder).await?;
                let next_uid = match from_the_start {
                    true => 1,
                    false => uid_next(session, &selected).await?,
                };
                (selected.uid_validity, next_uid)
            }
        };
        Ok(Self {
            shared: Arc::clone(shared),
            mailbox: mailbox.to_owned(),
            folder: folder.to_owned(),
            junk,
            uid_validity,
            next_uid,
            exists: 0,
            search_failed: false,
            tags: BTreeMap::new(),
        })
    }

    /// Opens the folder and reads what has come since it was read last.
    pub(super) async fn resume(&mut self, session: &mut Session) -> Result<(), End> {
        let selected = open(session, &self.folder).await?;
        let at = Instant::now();
        let uid_next = uid_next(session, &selected).await?;
        self.exists = selected.exists;
        // A UIDNEXT that goes back breaks RFC 9051 §2.3.1.1: a mailbox restored from a backup does it all the same.
        let renumbered = selected.uid_validity != self.uid_validity;
        if renumbered || uid_next < self.next_uid {
            tracing::info!(
                mailbox = self.mailbox,
                folder = self.folder,
                "the messages have new UIDs: the folder is read again"
            );
            if !renumbered {
                let set_back = self.position(uid_next);
                self.shared.tell(News::SetBack(set_back)).await?;
            }
            self.uid_validity = selected.uid_validity;
            self.next_uid = 1;
            self.tags.clear();
        }
        if uid_next.saturating_sub(self.next_uid) > REREAD {
            let newest = uid_next - REREAD;
            self.search_before(session, newest, at).await?;
            self.next_uid = newest;
        }
        if self.next_uid < uid_next {
            let backlog = Announced {
                count: u32::MAX,
                at,
                pushed: false,
            };
            self.read(session, backlog).await?;
        }
        // Messages that are gone already have used up their UIDs.
        self.next_uid = self.next_uid.max(uid_next);
        self.tell_position().await
    }

    /// Reads what the server announced; `pushed`: by IDLE.
    pub(super) async fn take_in(
        &mut self,
        session: &mut Session,
        changes: &Changes,
        pushed: bool,
    ) -> Result<(), End> {
        let before = self.exists.saturating_sub(changes.expunged);
        self.exists = changes.exists.unwrap_or(before);
        let count = self.exists.saturating_sub(before);
        if count == 0 {
            return Ok(());
        }
        let announced = Announced {
            count,
            at: changes.at,
            pushed,
        };
        self.read(session, announced).await
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(super) fn folder(&self) -> &str {
        &self.folder
    }

    pub(super) fn mailbox(&self) -> &str {
        &self.mailbox
    }

    /// The message, if its UID means it now.
    pub(super) fn uid_of(&self, key: &MessageKey) -> Option<u32> {
        let here = key.folder == self.folder && key.uid_validity == self.uid_validity;
        here.then_some(key.uid)
    }

    pub(super) fn uid_validity(&self) -> u32 {
        self.uid_validity
    }

    /// The tag that was told of this message.
    pub(super) fn tag_of(&self, uid: u32) -> Option<&Tag> {
        self.tags.get(&uid)
    }

    /// Reads page by page until nothing new is left, or all that was announced has come.
    async fn read(&mut self, session: &mut Session, announced: Announced) -> Result<(), End> {
        let mut left = announced.count;
        loop {
            let began = Instant::now();
            let page = session.headers_from(self.next_uid, PAGE).await?;
            if page.is_empty() {
                return Ok(());
            }
            for message in page {
                // What came while we were reading was not there when the server announced the others.
                let seen = if left > 0 { announced.at } else { began };
                left = left.saturating_sub(1);
                self.next_uid = message.uid.saturating_add(1);
                let pushed = announced.pushed.then_some(seen);
                self.arrived(message, seen, pushed).await?;
            }
            self.tell_position().await?;
            if left == 0 {
                return Ok(());
            }
        }
    }

    /// Finds the messages with a tag in what is too much to be read one by one.
    async fn search_before(
        &mut self,
        session: &mut Session,
        end: u32,
        seen: Instant,
    ) -> Result<(), End> {
        if self.search_failed {
            tracing::warn!(
                mailbox = self.mailbox,
                folder = self.folder,
                "older messages are left out: the server could not search for them"
            );
            return Ok(());
        }
        // Only until it has come to its end: a server that dies of the search would die of it each time.
        self.search_failed = true;
        let mut found = match session.search_header(HEADER_NAME, "v1").await {
            Ok(found) => found,
            Err(error) if error.leaves_session_usable() => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        self.search_failed = false;
        found.retain(|uid| (self.next_uid..end).contains(uid));
        let newest = found.split_off(found.len().saturating_sub(FOUND));
        for some in newest.rchunks(PAGE) {
            for message in session.headers_of(some).await? {
                self.arrived(message, seen, None).await?;
            }
        }
        Ok(())
    }

    async fn arrived(
        &mut self,
        message: Arrived,
        seen: Instant,
        pushed: Option<Instant>,
    ) -> Result<(), End> {
        let Some(tag) = tag::find_in_headers(&message.header) else {
            return Ok(());
        };
        self.tags.insert(message.uid, tag);
        if self.tags.len() > REMEMBERED {
            self.tags.pop_first();
        }
        let key = MessageKey {
            folder: self.folder.clone(),
            uid_validity: self.uid_validity,
            uid: message.uid,
        };
        self.shared
            .tell(News::Arrived(Box::new(Arrival {
                mailbox: self.mailbox.clone(),
                key,
                junk: self.junk,
                seen,
                seen_at: self.shared.wall(seen),
                pushed,
                internal_date: message.internal_date,
                header: message.header,
            })))
            .await
    }

    async fn tell_position(&self) -> Result<(), End> {
        let position = self.position(self.next_uid);
        self.shared.tell(News::Position(position)).await
    }

    fn position(&self, uid_next: u32) -> Position {
        Position {
            mailbox: self.mailbox.clone(),
            folder: self.folder.clone(),
            uid_validity: self.uid_validity,
            uid_next,
        }
    }
}

/// EXAMINE: a look leaves no trace, not even on `\Recent`.
async fn open(session: &mut Session, folder: &str) -> Result<Selected, End> {
    use postrider_probes::dialogue::imap::Access;

    match session.select(folder, Access::ReadOnly).await {
        Ok(selected) => Ok(selected),
        Err(error) => Err(End::in_folder(folder, error)),
    }
}

/// UIDNEXT, also of a server that does not say it (RFC 3501 §2.3.1.1 made it a must).
async fn uid_next(session: &mut Session, selected: &Selected) -> Result<u32, ImapError> {
    if let Some(uid_next) = selected.uid_next {
        return Ok(uid_next);
    }
    let newest = session.newest().await?;
    Ok(newest.map_or(1, |message| message.uid.saturating_add(1)))
}
