//! Removing our own messages once their entries are closed, and never anything else.
//!
//! A watch looks with EXAMINE. To remove, it opens the folder for writing for a moment: that clears `\Recent` of all
//! its messages for other clients, so it is not done on every start, only when there is something to remove. In that
//! same session the header of each message is read once more, under the same UIDVALIDITY, and must prove to be the mail
//! that was booked, as it did when it arrived; what was told of it in this life must still be so. Then `UID STORE` and `UID EXPUNGE` name these UIDs; EXPUNGE and CLOSE, which take
//! what anyone has marked, are never sent. Without UIDPLUS nothing is removed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use postrider_probes::dialogue::imap::{Access, Arrived, ImapError, Removed, Session};
use postrider_wire::message::tag::{self, EntryId};
use tokio::time::Instant;

use super::look::Reader;
use super::news::{Interest, MessageKey, News, Wish};
use super::watch::End;
use crate::ledger::recognise::Proof;

/// Messages of one round; between rounds the folder is looked at.
const ROUND: usize = 100;
/// While a mail was accepted so recently, looking comes first …
const FRESH: Duration = Duration::from_secs(2);
/// … unless so many messages wait.
const MANY: usize = 500;

/// Rounds that may end with their connection and are tried again.
const TRIES: u32 = 3;

/// Messages of one round, by UID, and what each must carry.
pub(super) type Doomed = BTreeMap<u32, Arc<Proof>>;

/// What a watch remembers about removals.
#[derive(Debug, Default)]
pub(super) struct Removal {
    /// The UIDVALIDITY that `settled` is about.
    uid_validity: u32,
    /// Removed, gone already, or not ours: not to be tried again.
    settled: BTreeSet<(u32, EntryId)>,
    /// Rounds that ended with their connection.
    broken: u32,
    /// The server cannot or will not remove chosen messages; said once.
    impossible: bool,
}

impl Removal {
    /// The messages to remove now, if it is time.
    pub(super) fn due(
        &mut self,
        interest: &Interest,
        reader: &Reader,
        now: Instant,
        ending: bool,
    ) -> Doomed {
        if self.impossible || interest.remove.is_empty() {
            return Doomed::new();
        }
        if self.uid_validity != reader.uid_validity() {
            self.uid_validity = reader.uid_validity();
            self.settled.clear();
        }
        let wanted: BTreeMap<(u32, EntryId), &Arc<Proof>> = interest
            .remove
            .iter()
            .filter_map(|Wish { message, proof }| {
                Some(((reader.uid_of(message)?, proof.entry()), proof))
            })
            .collect();
        self.settled.retain(|known| wanted.contains_key(known));
        let due: Vec<(u32, &Arc<Proof>)> = wanted
            .into_iter()
            .filter(|(known, _)| !self.settled.contains(known))
            .map(|((uid, _), proof)| (uid, proof))
            .collect();
        let fresh = interest.awaited > 0
            && interest
                .latest
                .is_none_or(|reply| now.saturating_duration_since(reply) < FRESH);
        if fresh && !ending && due.len() < MANY {
            return Doomed::new();
        }
        due.into_iter()
            .take(ROUND)
            .map(|(uid, proof)| (uid, Arc::clone(proof)))
            .collect()
    }

    /// Removes what is proven to be ours. Afterwards the folder has to be opened for looking again.
    pub(super) async fn carry_out(
        &mut self,
        session: &mut Session,
        reader: &Reader,
        doomed: &Doomed,
    ) -> Result<(), End> {
        let keys = || doomed.iter().map(|(uid, proof)| (*uid, proof.entry()));
        // Whatever comes of it, the same is not tried again as long as it is wished: a round always gets somewhere.
        self.settled.extend(keys());
        let outcome = self.round(session, reader, doomed).await;
        if matches!(outcome, Err(End::Failed(_))) && self.broken < TRIES {
            // Unless the connection ended over it; but looking must not suffer for ever from removing.
            self.broken += 1;
            for key in keys() {
                self.settled.remove(&key);
            }
        }
        outcome
    }

    async fn round(
        &mut self,
        session: &mut Session,
        reader: &Reader,
        doomed: &Doomed,
    ) -> Result<(), End> {
        let selected = match session.select(reader.folder(), Access::ReadWrite).await {
            Ok(selected) => selected,
            Err(error) => return self.give_up(reader, error),
        };
        if selected.uid_validity != reader.uid_validity() {
            // These numbers mean other messages now.
            return Ok(());
        }
        if selected.read_only {
            self.cannot(reader, "the folder can only be read");
            return Ok(());
        }
        let uids: Vec<u32> = doomed.keys().copied().collect();
        let headers = session.headers_of(&uids).await?;
        let mut ours = Vec::new();
        let mut gone: BTreeSet<u32> = uids.into_iter().collect();
        for message in headers {
            gone.remove(&message.uid);
            let proof = doomed.get(&message.uid);
            if proof.is_some_and(|proof| is_booked(&message, proof, reader)) {
                ours.push(message.uid);
            } else {
                tracing::warn!(
                    mailbox = reader.mailbox(),
                    folder = reader.folder(),
                    uid = message.uid,
                    "not removed: the message is not the one that was booked"
                );
            }
        }
        if !ours.is_empty() {
            match session.remove(&ours).await {
                Ok(Removed::Expunged) => {}
                Ok(Removed::NotSupported) => {
                    self.cannot(reader, "the server has no UID EXPUNGE (UIDPLUS, RFC 4315)");
                    return Ok(());
                }
                Err(error) => return self.give_up(reader, error),
            }
        }
        let messages: Vec<MessageKey> = ours
            .into_iter()
            .chain(gone)
            .map(|uid| MessageKey {
                folder: reader.folder().to_owned(),
                uid_validity: reader.uid_validity(),
                uid,
            })
            .collect();
        if messages.is_empty() {
            return Ok(());
        }
        reader
            .shared()
            .tell(News::Removed {
                mailbox: reader.mailbox().to_owned(),
                messages,
            })
            .await
    }

    /// The server said no: it will say so again.
    fn give_up(&mut self, reader: &Reader, error: ImapError) -> Result<(), End> {
        if !error.leaves_session_usable() {
            return Err(error.into());
        }
        self.cannot(reader, &error.to_string());
        Ok(())
    }

    fn cannot(&mut self, reader: &Reader, why: &str) {
        self.impossible = true;
        tracing::warn!(
            mailbox = reader.mailbox(),
            folder = reader.folder(),
            "own messages stay in the mailbox: {why}"
        );
    }
}

/// Whether a message, as it was read just now, is the mail that was booked, and what it was said to be before.
fn is_booked(message: &Arrived, proof: &Proof, reader: &Reader) -> bool {
    tag::find_in_headers(&message.header).is_some_and(|tag| {
        let as_told = reader.tag_of(message.uid).is_none_or(|told| *told == tag);
        as_told && proof.holds(&tag, &message.header)
    })
}
