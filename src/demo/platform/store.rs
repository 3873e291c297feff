//! The mailboxes: folders of messages with UIDs, flags and dates, in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::watch;

use super::clock::WallClock;
use super::record::{Delivered, Record, keep};

/// The folders that every mailbox has, with the attribute LIST gives them (RFC 6154).
pub(super) const FOLDERS: [(&str, Option<&str>); 4] = [
    ("INBOX", None),
    ("Junk", Some("Junk")),
    ("Sent", Some("Sent")),
    ("Trash", Some("Trash")),
];

/// A message in a folder.
#[derive(Debug, Clone)]
pub struct StoredMessage {
    /// RFC 3501 §2.3.1.1.
    pub uid: u32,
    /// As written in IMAP: `\Seen`, `\Deleted`, keywords.
    pub flags: BTreeSet<String>,
    /// When it was put into the folder, by the platform's wall clock.
    pub internal_date: Timestamp,
    /// The whole message, trace fields included.
    pub raw: Arc<[u8]>,
}

/// One folder. Messages are in the order of their UIDs.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    pub(super) uid_validity: u32,
    pub(super) uid_next: u32,
    pub(super) messages: Vec<StoredMessage>,
}

impl Folder {
    pub(super) fn find(&self, uid: u32) -> Option<&StoredMessage> {
        let at = self.messages.binary_search_by_key(&uid, |m| m.uid).ok()?;
        self.messages.get(at)
    }

    pub(super) fn find_mut(&mut self, uid: u32) -> Option<&mut StoredMessage> {
        let at = self.messages.binary_search_by_key(&uid, |m| m.uid).ok()?;
        self.messages.get_mut(at)
    }
}

/// All folders of the one mailbox, and news of every change.
#[derive(Debug)]
pub(super) struct Store {
    folders: Mutex<BTreeMap<&'static str, Folder>>,
    /// Counts changes; what changed is found by looking.
    changed: watch::Sender<u64>,
    clock: WallClock,
    record: Arc<Record>,
}

impl Store {
    pub(super) fn new(clock: WallClock, record: Arc<Record>) -> Self {
        // Like most servers, the creation time serves as the first UIDVALIDITY.
        let born = u32::try_from(clock.now().as_second()).unwrap_or(1);
        let folder = |offset: u32| Folder {
            uid_validity: born.saturating_add(offset),
            uid_next: 1,
            messages: Vec::new(),
        };
        let folders = FOLDERS
            .iter()
            .zip(0..)
            .map(|((name, _), n)| (*name, folder(n)));
        Self {
            folders: Mutex::new(folders.collect()),
            changed: watch::Sender::new(0),
            clock,
            record,
        }
    }

    /// Puts a message into a folder and gives its UID; `None` if there is no such folder.
    pub(super) fn put(&self, folder: &str, queue_id: &str, raw: Arc<[u8]>) -> Option<u32> {
        let folder = canonical(folder)?;
        let now = self.clock.now();
        let mut folders = self.lock();
        let into = folders.get_mut(folder)?;
        let uid = into.uid_next;
        into.uid_next = uid.checked_add(1)?;
        into.messages.push(StoredMessage {
            uid,
            flags: BTreeSet::new(),
            internal_date: now,
            raw,
        });
        // Noted before the folder is unlocked, so that whoever sees the mail finds the note.
        let delivered = Delivered {
            queue_id: queue_id.into(),
            folder: folder.into(),
            uid,
            at: now,
            instant: tokio::time::Instant::now(),
        };
        keep(&mut self.record.lock().delivered, delivered);
        drop(folders);
        self.announce();
        Some(uid)
    }

    /// Looks into a folder; `None` if there is no such folder.
    pub(super) fn read<T>(&self, folder: &str, look: impl FnOnce(&Folder) -> T) -> Option<T> {
        let folders = self.lock();
        folders.get(canonical(folder)?).map(look)
    }

    /// Changes flags or the like; `None` if there is no such folder.
    pub(super) fn write<T>(&self, folder: &str, work: impl FnOnce(&mut Folder) -> T) -> Option<T> {
        let mut folders = self.lock();
        let done = folders.get_mut(canonical(folder)?).map(work);
        drop(folders);
        self.announce();
        done
    }

    /// As [`Self::write`], for what turns out to change nothing.
    pub(super) fn peek<T>(&self, folder: &str, look: impl FnOnce(&mut Folder) -> T) -> Option<T> {
        let mut folders = self.lock();
        folders.get_mut(canonical(folder)?).map(look)
    }

    /// Another UIDVALIDITY: every message gets a new UID, from 1 on.
    pub(super) fn change_uid_validity(&self, folder: &str) -> Option<u32> {
        self.write(folder, |folder| {
            folder.uid_validity = folder.uid_validity.wrapping_add(1).max(1);
            folder.uid_next = 1;
            for message in &mut folder.messages {
                message.uid = folder.uid_next;
                folder.uid_next += 1;
            }
            folder.uid_validity
        })
    }

    /// Wakes at every change from now on.
    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    fn announce(&self) {
        self.changed
            .send_modify(|count| *count = count.wrapping_add(1));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, Folder>> {
        self.folders.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The folder's own spelling. Only INBOX is found in any case (RFC 3501 §5.1).
pub(super) fn canonical(name: &str) -> Option<&'static str> {
    if name.eq_ignore_ascii_case("INBOX") {
        return Some("INBOX");
    }
    let known = FOLDERS.iter().find(|(folder, _)| *folder == name);
    known.map(|(folder, _)| *folder)
}
