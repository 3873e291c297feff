//! Which mail a bounce tells of, and what it says of it.

use postrider_probes::post::{Bounce as Told, Draft};
use postrider_wire::message::bounce::Bounce;
use postrider_wire::message::tag::{EntryId, TagKey};

use crate::ledger::entry::Entry;
use crate::ledger::fact::{Bounced, CopyKey};
use crate::mailbox::news::Returned;

/// The entry that a bounce names, by the tag that it returns, else by the `Message-ID`.
pub(super) fn named(bounce: &Bounce) -> Option<EntryId> {
    if let Some(tag) = &bounce.tag {
        return Some(tag.id);
    }
    let (local, _) = bounce.message_id.as_ref()?.split_once('@')?;
    local.to_ascii_uppercase().parse().ok()
}

/// What a bounce says of a mail; `None` when it is not about that mail.
pub(super) fn bounced(returned: &Returned, draft: &Draft, key: &TagKey) -> Option<Bounced> {
    let bounce = &returned.bounce;
    let is_proven = match &bounce.tag {
        // A tag that was not made for this mail proves that somebody made it up, whatever else stands there.
        Some(tag) if tag.verify(key, &draft.sender, &draft.recipient) => true,
        Some(_) => return None,
        None if bounce.message_id.as_ref() == Some(&draft.message_id) => false,
        None => return None,
    };
    let report = bounce.about(&draft.recipient)?.clone();
    Some(Bounced {
        message: CopyKey {
            mailbox: returned.mailbox.clone(),
            message: returned.key.clone(),
        },
        is_proven,
        action: report.action,
        recipient: report.recipient,
        status: report.status,
        diagnostic: report.diagnostic,
        remote_mta: report.remote_mta,
        reporting_mta: bounce.reporting_mta.clone(),
    })
}

/// What the proven bounces of a mail say, for whoever waits for it.
pub(super) fn told(entry: &Entry) -> Option<Told> {
    let failed = entry
        .failed()
        .map(|(_, bounced)| Told::Failed(bounced.words()));
    failed.or_else(|| {
        let (_, bounced) = entry.delayed()?;
        Some(Told::Delayed(bounced.words()))
    })
}
