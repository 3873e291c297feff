//! What is wanted of each mailbox's watches, and when they last looked.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use jiff::Timestamp;
use postrider_probes::outcome::Failure;
use postrider_wire::message::tag::EntryId;
use tokio::time::Instant;

use crate::ledger::fact::CopyKey;
use crate::ledger::recognise::Proof;
use crate::mailbox::news::{Interest, MessageKey, Wish};

/// Messages of one folder that its watch is asked to remove at a time; the others follow when these are gone.
const REMOVED_AT_A_TIME: usize = 500;

/// Every mailbox that anything is expected in.
#[derive(Debug, Default)]
pub(super) struct Mailboxes {
    mailboxes: HashMap<String, Mailbox>,
    stakes: HashMap<EntryId, Stake>,
    changed: BTreeSet<String>,
}

/// What one mail wants of its mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stake {
    pub(super) mailbox: String,
    pub(super) folder: String,
    /// Somebody waits for it now.
    pub(super) awaited: bool,
    /// It was seen already; whoever waits now waits for further copies.
    pub(super) seen: bool,
    /// When the final reply was read, or the hope of one was given up.
    pub(super) replied: Option<Instant>,
    /// Whoever waits has to be told of a look that began then or later.
    pub(super) unlooked: Option<Instant>,
}

#[derive(Debug, Default)]
struct Mailbox {
    /// How many mails are expected in each folder.
    folders: BTreeMap<String, usize>,
    /// Every folder that ever had one. A folder heard of that is not among them is watched always: the junk folder.
    expected: HashSet<String>,
    awaited: BTreeSet<(Option<Instant>, EntryId)>,
    /// Those of them that were not seen yet.
    unseen: HashSet<EntryId>,
    unlooked: BTreeSet<(Instant, EntryId)>,
    remove: BTreeMap<MessageKey, Arc<Proof>>,
    looks: HashMap<String, Look>,
}

#[derive(Debug, Default)]
struct Look {
    last: Option<(Instant, Timestamp)>,
    blind: Option<Failure>,
}

impl Mailboxes {
    /// Says what a mail wants from now on; `None`: nothing.
    pub(super) fn stake(&mut self, id: EntryId, stake: Option<Stake>) {
        if self.stakes.get(&id) == stake.as_ref() {
            return;
        }
        if let Some(old) = self.stakes.remove(&id) {
            let mailbox = self.mailbox(&old.mailbox);
            mailbox.awaited.remove(&(old.replied, id));
            mailbox.unseen.remove(&id);
            if let Some(due) = old.unlooked {
                mailbox.unlooked.remove(&(due, id));
            }
            if let Some(count) = mailbox.folders.get_mut(&old.folder) {
                *count -= 1;
                if *count == 0 {
                    mailbox.folders.remove(&old.folder);
                }
            }
        }
        if let Some(new) = stake {
            let mailbox = self.mailbox(&new.mailbox);
            *mailbox.folders.entry(new.folder.clone()).or_default() += 1;
            mailbox.expected.insert(new.folder.clone());
            if new.awaited {
                mailbox.awaited.insert((new.replied, id));
                if !new.seen {
                    mailbox.unseen.insert(id);
                }
            }
            if let Some(due) = new.unlooked {
                mailbox.unlooked.insert((due, id));
            }
            self.stakes.insert(id, new);
        }
    }

    /// Asks for the removal of an own message whose entry is closed.
    pub(super) fn remove(&mut self, copy: &CopyKey, proof: &Arc<Proof>) {
        let mailbox = self.mailboxes.entry(copy.mailbox.clone()).or_default();
        let asked_for = mailbox.remove.get(&copy.message);
        if asked_for != Some(proof) {
            mailbox
                .remove
                .insert(copy.message.clone(), Arc::clone(proof));
            self.changed.insert(copy.mailbox.clone());
        }
    }

    /// A folder has this UIDVALIDITY: what was to be removed under another one is not there under that name any
    /// more (RFC 9051 §2.3.1.1). Gives those messages.
    pub(super) fn numbered(
        &mut self,
        name: &str,
        folder: &str,
        uid_validity: u32,
    ) -> Vec<MessageKey> {
        let Some(mailbox) = self.mailboxes.get(name) else {
            return Vec::new();
        };
        let stale = mailbox
            .remove
            .keys()
            .filter(|message| message.folder == folder && message.uid_validity != uid_validity);
        stale.cloned().collect()
    }

    /// The entry of a message that was asked to be removed, and now is.
    pub(super) fn removed(&mut self, mailbox: &str, message: &MessageKey) -> Option<EntryId> {
        let proof = self.mailbox(mailbox).remove.remove(message)?;
        Some(proof.entry())
    }

    /// A watch looked at every new message of a folder. Gives the mails for which that may be news.
    pub(super) fn looked(
        &mut self,
        name: &str,
        folder: &str,
        began: Instant,
        began_at: Timestamp,
    ) -> Vec<EntryId> {
        let mailbox = self.mailboxes.entry(name.to_owned()).or_default();
        let look = mailbox.looks.entry(folder.to_owned()).or_default();
        let later = look.last.is_none_or(|(known, _)| known < began);
        if later {
            look.last = Some((began, began_at));
        }
        if look.blind.take().is_some() {
            return mailbox.awaited.iter().map(|(_, id)| *id).collect();
        }
        let until = mailbox.unlooked.iter().take_while(|(at, _)| *at <= began);
        until.map(|(_, id)| *id).collect()
    }

    /// A watch cannot read a folder. Gives the mails for which that is news.
    pub(super) fn blind(&mut self, name: &str, folder: &str, failure: Failure) -> Vec<EntryId> {
        let mailbox = self.mailboxes.entry(name.to_owned()).or_default();
        mailbox.looks.entry(folder.to_owned()).or_default().blind = Some(failure);
        mailbox.awaited.iter().map(|(_, id)| *id).collect()
    }

    /// Why a folder cannot be read now.
    pub(super) fn blindness(&self, mailbox: &str, folder: &str) -> Option<&Failure> {
        self.mailboxes
            .get(mailbox)?
            .looks
            .get(folder)?
            .blind
            .as_ref()
    }

    /// Why the junk folder beside this one cannot be read now.
    pub(super) fn blindness_beside(&self, mailbox: &str, folder: &str) -> Option<&Failure> {
        let mailbox = self.mailboxes.get(mailbox)?;
        let beside = |name: &str| name != folder && !mailbox.expected.contains(name);
        let mut looks = mailbox.looks.iter().filter(|(name, _)| beside(name));
        looks.find_map(|(_, look)| look.blind.as_ref())
    }

    /// The wall time of the earliest of the last looks into every folder where a mail can be, when all of them began
    /// at `since` or later. A junk folder that was never read (there may be none) does not count.
    pub(super) fn looked_since(
        &self,
        mailbox: &str,
        folder: &str,
        since: Instant,
    ) -> Option<Timestamp> {
        let mailbox = self.mailboxes.get(mailbox)?;
        mailbox.looks.get(folder)?.last?;
        let here = |name: &str| name == folder || !mailbox.expected.contains(name);
        let looks = mailbox.looks.iter().filter(|(name, _)| here(name));
        let last: Vec<(Instant, Timestamp)> = looks.filter_map(|(_, look)| look.last).collect();
        let all_since = last.iter().all(|(began, _)| *began >= since);
        let earliest = last.iter().map(|(_, began_at)| *began_at).min();
        earliest.filter(|_| all_since)
    }

    /// The mailboxes of which something else is wanted than before.
    pub(super) fn take_changed(&mut self) -> Vec<(String, Interest)> {
        std::mem::take(&mut self.changed)
            .into_iter()
            .filter_map(|name| {
                let interest = self.mailboxes.get(&name)?.interest();
                Some((name, interest))
            })
            .collect()
    }

    fn mailbox(&mut self, name: &str) -> &mut Mailbox {
        self.changed.insert(name.to_owned());
        self.mailboxes.entry(name.to_owned()).or_default()
    }
}

impl Mailbox {
    fn interest(&self) -> Interest {
        let mut by_folder: BTreeMap<&str, usize> = BTreeMap::new();
        let asked_now = self.remove.iter().filter(|(message, _)| {
            let count = by_folder.entry(&message.folder).or_default();
            *count += 1;
            *count <= REMOVED_AT_A_TIME
        });
        let remove: Vec<Wish> = asked_now
            .map(|(message, proof)| Wish {
                message: message.clone(),
                proof: Arc::clone(proof),
            })
            .collect();
        // Who is to remove something must watch there.
        let folders: BTreeSet<&String> = self
            .folders
            .keys()
            .chain(remove.iter().map(|wish| &wish.message.folder))
            .collect();
        Interest {
            folders: folders.into_iter().cloned().collect(),
            awaited: self.awaited.len(),
            only_copies: !self.awaited.is_empty() && self.unseen.is_empty(),
            latest: self.awaited.last().and_then(|(replied, _)| *replied),
            remove,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::sample::{copy, draft};
    use postrider_wire::message::tag::TagKey;

    fn proof(n: u64) -> Arc<Proof> {
        let key = TagKey::new(&[7; 32]).expect("long enough");
        Arc::new(Proof::of(&draft(n), &key))
    }

    #[test]
    fn folder_that_cannot_be_cleared_does_not_hold_up_another() {
        let mut mailboxes = Mailboxes::default();
        for uid in 1..=2000 {
            mailboxes.remove(&copy("Archive", uid), &proof(1));
        }
        mailboxes.remove(&copy("INBOX", 7), &proof(2));
        let changed = mailboxes.take_changed();
        let [(_, interest)] = changed.as_slice() else {
            panic!("one mailbox, not {changed:?}");
        };
        assert_eq!(interest.remove.len(), REMOVED_AT_A_TIME + 1);
        assert_eq!(interest.folders, ["Archive", "INBOX"]);
        assert_eq!(mailboxes.take_changed(), []);
    }
}
