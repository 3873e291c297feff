//! Durable commits of the ledger: each is on the disk before the next begins.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use postrider::ledger::Ledger;
use postrider::ledger::fact::{Fact, Noted, Planned};
use postrider::store::{Batch, EntryRow, Store};
use postrider_probes::post::{Attempt, Draft};
use postrider_wire::message::tag::EntryId;
use tokio::time::Instant;

const COMMITS: u64 = 500;

pub(crate) fn measure() -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        for mails in [1, 16, 256] {
            let directory = tempfile::tempdir()?;
            let store = Store::open(directory.path()).await?;
            let mut ledger = Ledger::default();
            let began = Instant::now();
            for commit in 0..COMMITS {
                let batch = batch(&mut ledger, commit, mails)?;
                store.commit(Arc::new(batch)).await?;
            }
            let per_second = COMMITS as f64 / began.elapsed().as_secs_f64();
            println!(
                "  {mails:>3} mails a commit: {per_second:>7.0} commits/s, {:>7.0} mails/s, {:>7.0} facts/s",
                per_second * mails as f64,
                per_second * mails as f64 * 2.0,
            );
            store.close().await;
        }
        Ok(())
    })
}

/// So many mails, planned and accepted.
fn batch(ledger: &mut Ledger, commit: u64, mails: u64) -> anyhow::Result<Batch> {
    let mut batch = Batch::default();
    for n in 0..mails {
        let id = EntryId::from_parts(1_790_000_000_000 + commit, n);
        let at = postrider::clock::now();
        for what in [planned(id), accepted()] {
            let noted = Noted {
                at,
                entry: id,
                what,
            };
            ledger.apply(&noted);
            batch.facts.push(noted);
        }
        let entry = ledger.entry(id).context("it was just applied")?;
        batch.entries.push(EntryRow::of(id, entry));
        ledger.release(id);
    }
    Ok(batch)
}

pub(crate) fn planned(id: EntryId) -> Fact {
    Fact::Planned(Box::new(Planned {
        draft: Draft {
            id,
            retry_of: None,
            sender: "probe@outside.example.org".to_owned(),
            recipient: "alice@example.net".to_owned(),
            message_id: format!("{id}@outside.example.org").to_ascii_lowercase(),
            route: "mx1.example.net [192.0.2.10]:25".to_owned(),
            mx: None,
            address: None,
            bounces_to: None,
            mailbox: Some("alice".to_owned()),
            folder: "INBOX".to_owned(),
            within: Duration::from_secs(120),
        },
        run: "1QF82JJP4K".to_owned(),
        scenario: "mx-delivery".to_owned(),
        step: "primary".to_owned(),
    }))
}

pub(crate) fn accepted() -> Fact {
    Fact::Attempted(Attempt::Accepted {
        reply: "250 2.0.0 Ok: queued as 4F2A91C0B2".to_owned(),
        queue_id: Some("4F2A91C0B2".to_owned()),
    })
}
