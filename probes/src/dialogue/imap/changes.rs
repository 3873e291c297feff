//! What the server says about the selected folder without being asked (RFC 9051 section 7.4).

use postrider_wire::text::RemoteText;
use tokio::time::Instant;

/// Changes in the selected folder since they were last taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changes {
    /// Number of messages in the folder, from the newest EXISTS; `None` if there was none.
    pub exists: Option<u32>,
    /// Messages that were expunged, our own removals included.
    pub expunged: u32,
    /// When the first EXISTS was read; without one, when the command ended.
    pub at: Instant,
    /// The words with which the server announced that it is about to close the connection.
    pub bye: Option<RemoteText>,
}

/// The selected folder as the server has described it so far.
#[derive(Debug, Default)]
pub(super) struct Folder {
    /// Messages in the folder.
    pub(super) exists: u32,
    first_exists: Option<Instant>,
    newest_exists: Option<u32>,
    expunged: u32,
    grown: bool,
    pub(super) bye: Option<RemoteText>,
}

impl Folder {
    pub(super) fn has(&mut self, count: u32) {
        self.first_exists.get_or_insert_with(Instant::now);
        self.newest_exists = Some(count);
        // Some servers repeat the number after every EXPUNGE; that is no news.
        self.grown |= count != self.exists;
        self.exists = count;
    }

    pub(super) fn lost_one(&mut self) {
        self.expunged = self.expunged.saturating_add(1);
        self.exists = self.exists.saturating_sub(1);
    }

    /// Whether there is news that should end an IDLE: another number of messages, or a goodbye.
    /// Removals alone are not.
    pub(super) fn has_news(&self) -> bool {
        self.grown || self.bye.is_some()
    }

    /// The changes since the last call.
    pub(super) fn take(&mut self) -> Changes {
        self.grown = false;
        Changes {
            exists: self.newest_exists.take(),
            expunged: std::mem::take(&mut self.expunged),
            at: self.first_exists.take().unwrap_or_else(Instant::now),
            bye: self.bye.clone(),
        }
    }

    /// Another folder is being selected.
    pub(super) fn forget(&mut self) {
        let bye = self.bye.take();
        *self = Self {
            bye,
            ..Self::default()
        };
    }
}

#[cfg(test)]
mod tests {
    use super::Folder;

    #[test]
    fn the_same_number_after_a_removal_is_no_news() {
        let mut folder = Folder::default();
        folder.has(5);
        folder.take();
        folder.lost_one();
        folder.has(4);
        assert!(!folder.has_news());
        let changes = folder.take();
        assert_eq!((changes.exists, changes.expunged), (Some(4), 1));
        assert_eq!(folder.take().exists, None);
    }
}
