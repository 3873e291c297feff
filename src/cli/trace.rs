//! `trace`: one mail's whole life on one page.

use jiff::Timestamp;
use postrider_probes::post::{Attempt, Draft};
use postrider_probes::span::duration;
use postrider_wire::message::tag::{EntryId, Tag};

use super::output::Output;
use super::{Exit, Global, Problem, ledger};
use crate::ledger::Ledger;
use crate::ledger::entry::Entry;
use crate::ledger::fact::{Fact, Latency, LedgerEvent};
use crate::report::trace::{self, Event, Trace};
use crate::result::{ArrivalResult, CheckResult, RunResult};
use crate::store::{Reader, RunSearch};

/// Arguments of `trace`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// The mail: its tag as it stands in the header, its entry, or its Message-ID
    #[arg(value_name = "TAG|ENTRY|MESSAGE-ID")]
    mail: String,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Form::Human)]
    format: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// For people.
    Human,
    /// One document.
    Json,
}

pub(super) fn main(global: &Global, args: &Args, output: &Output) -> Result<Exit, Problem> {
    let store = ledger::open(global)?;
    let id = entry_of(&args.mail).ok_or_else(|| {
        Problem::usage(anyhow::anyhow!(
            "`{}` is neither a tag nor an entry nor a Message-ID of ours",
            postrider_wire::text::visible(&args.mail)
        ))
    })?;
    let events = store.events_of(id).map_err(Problem::not_tested)?;
    let life = Life::of(id, &events)
        .ok_or_else(|| Problem::usage(anyhow::anyhow!("no mail {id} is in the ledger")))?;
    let check = check_of(&store, &life).map_err(Problem::not_tested)?;
    let document = life.document(check.as_ref());
    let text = match args.format {
        Form::Json => trace::document(&document).map_err(Problem::not_tested)?,
        Form::Human => output.style.text(&trace::page(&document)),
    };
    output.print(&text)?;
    Ok(Exit::Ok)
}

/// The entry that a text names.
fn entry_of(text: &str) -> Option<EntryId> {
    let text = text.trim();
    let value = text
        .split_once(':')
        .filter(|(name, _)| name.eq_ignore_ascii_case(postrider_wire::message::tag::HEADER_NAME))
        .map_or(text, |(_, value)| value.trim());
    if let Ok(tag) = value.parse::<Tag>() {
        return Some(tag.id);
    }
    let bare = value.trim_start_matches('<').trim_end_matches('>');
    let local = bare.split_once('@').map_or(bare, |(local, _)| local);
    local.to_ascii_uppercase().parse().ok()
}

/// The events of one mail, and what they add up to.
struct Life<'e> {
    id: EntryId,
    events: &'e [LedgerEvent],
    entry: Entry,
    draft: &'e Draft,
    run: &'e str,
    scenario: &'e str,
    step: &'e str,
}

impl<'e> Life<'e> {
    fn of(id: EntryId, events: &'e [LedgerEvent]) -> Option<Self> {
        let mut entry = Entry::default();
        for event in events {
            entry.learn(event.noted.at, &event.noted.what);
        }
        let planned = events.iter().find_map(|event| match &event.noted.what {
            Fact::Planned(planned) => Some(planned),
            _ => None,
        })?;
        Some(Self {
            id,
            events,
            entry,
            draft: &planned.draft,
            run: &planned.run,
            scenario: &planned.scenario,
            step: &planned.step,
        })
    }

    fn document(&self, check: Option<&(u32, Vec<ArrivalResult>)>) -> Trace {
        let mut ledger = Ledger::default();
        let began = self.events.first().map(|event| event.noted.at);
        let events = self.events.iter().map(|event| {
            let change = ledger.apply(&event.noted);
            let since = began.map(|began| event.noted.at.duration_since(began).as_secs_f64());
            Event {
                number: event.seq,
                at: event.noted.at.to_string(),
                after_seconds: since.unwrap_or_default(),
                what: event.noted.what.name(),
                text: words(&event.noted.what),
                state: change.after.name(),
                corrected: change
                    .corrected
                    .then(|| change.before.map(|before| before.name()))
                    .flatten(),
            }
        });
        let events = events.collect();
        Trace {
            schema_version: "1",
            entry: self.id.to_string(),
            state: self.entry.state().name(),
            message_id: self.draft.message_id.clone(),
            sender: self.draft.sender.clone(),
            recipient: self.draft.recipient.clone(),
            route: self.draft.route.clone(),
            mailbox: self.draft.mailbox.clone(),
            folder: self.draft.folder.clone(),
            run: self.run.to_owned(),
            check: check.map(|(number, _)| *number),
            scenario: self.scenario.to_owned(),
            step: self.step.to_owned(),
            attempts: self.entry.tries().count(),
            deferred_seconds: self.entry.deferred_for().map(|time| time.as_secs_f64()),
            latency_seconds: self
                .entry
                .latency()
                .map(|latency| latency.after.as_secs_f64()),
            latency_on_wall_clock: self
                .entry
                .latency()
                .is_some_and(|latency| latency.on_wall_clock),
            copies: self.entry.copies(),
            events,
            arrivals: check
                .map(|(_, arrivals)| arrivals.clone())
                .unwrap_or_default(),
        }
    }
}

/// The check that sent the mail: its number, and what it saw arrive, with the hops.
fn check_of(
    store: &Reader,
    life: &Life<'_>,
) -> Result<Option<(u32, Vec<ArrivalResult>)>, crate::store::StoreError> {
    let RunSearch::One(run) = store.run_by_prefix(life.run)? else {
        return Ok(None);
    };
    let RunResult { checks, .. } = *run;
    let id = life.id.to_string();
    let sent = |check: &CheckResult| {
        let evidence = check.evidence.as_ref();
        evidence.is_some_and(|evidence| evidence.entries.contains(&id))
    };
    Ok(checks.into_iter().find(sent).map(|check| {
        let arrivals = check.evidence.map(|evidence| evidence.arrivals);
        (check.number, arrivals.unwrap_or_default())
    }))
}

fn words(fact: &Fact) -> String {
    match fact {
        Fact::Planned(planned) => planned.draft.route.clone(),
        Fact::Attempted(attempt) => format!("attempt 1: {}", outcome(attempt)),
        Fact::Retried {
            number,
            outcome: None,
        } => format!("attempt {number} begins"),
        Fact::Retried {
            number,
            outcome: Some(attempt),
        } => format!("attempt {number}: {}", outcome(attempt)),
        Fact::Sighted(sighting) => {
            let place = &sighting.copy;
            let after = sighting.latency.map(time).unwrap_or_default();
            format!(
                "in {} {} (uid {}){after}",
                place.mailbox, place.message.folder, place.message.uid
            )
        }
        Fact::Bounced(bounced) => {
            let proof = match bounced.is_proven {
                true => "",
                false => " (without our tag: it proves nothing)",
            };
            format!("{} by {}{proof}", bounced.action.name(), bounced.words())
        }
        Fact::Overdue => "not seen within its time".to_owned(),
        Fact::Lost { looked_at } => format!("not there in a look of {}", moment(*looked_at)),
        Fact::Unverifiable => "nobody could look".to_owned(),
        Fact::Removed(copy) => format!(
            "from {} {} (uid {})",
            copy.mailbox, copy.message.folder, copy.message.uid
        ),
    }
}

fn outcome(attempt: &Attempt) -> String {
    match attempt {
        Attempt::NotSent { why } => format!("not sent: {why}"),
        Attempt::Refused { reply } => format!("refused: {reply}"),
        Attempt::Deferred { reply } => format!("refused for now: {reply}"),
        Attempt::Uncertain { why } => format!("uncertain: {why}"),
        Attempt::Accepted { reply, .. } => format!("accepted: {reply}"),
    }
}

fn time(latency: Latency) -> String {
    let clock = match latency.on_wall_clock {
        true => " by the wall clock",
        false => "",
    };
    format!(", {} after the final reply{clock}", duration(latency.after))
}

fn moment(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mail_is_named_by_tag_entry_or_message_id() {
        let id: EntryId = "1VWK5N000000001A".parse().unwrap();
        let mac = "0".repeat(64);
        for text in [
            "1VWK5N000000001A".to_owned(),
            "1vwk5n000000001a".to_owned(),
            "<1vwk5n000000001a@outside.test>".to_owned(),
            "1vwk5n000000001a@outside.test".to_owned(),
            format!("v1; id=1VWK5N000000001A; mac={mac}"),
            format!("Postrider-Tag: v1; id=1VWK5N000000001A; mac={mac}"),
        ] {
            assert_eq!(entry_of(&text), Some(id), "{text}");
        }
        for text in ["", "alice@example.test", "v1; id=x", "\u{1b}[31m"] {
            assert_eq!(entry_of(text), None, "{text}");
        }
    }
}
