//! Follows a mail into the mailbox: waits for the ledger, never on a connection of its own.

use std::time::Duration;

use postrider_wire::message::authentication_results::AuthenticationResults as Recorded;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use super::prepare::Prepared;
use super::settings::{Arrives, AuthenticationResults, Deliver};
use super::transaction::End;
use crate::context::Context;
use crate::outcome::{ArrivalFacts, Finding};
use crate::phase::Phase;
use crate::post::{Account, Attempt, Bounce, Draft, EntryState};
use crate::reason::Reason;
use crate::span::{duration, share};

/// After the limit, one more look may still be under way: its result tells late from lost.
const GRACE: Duration = Duration::from_secs(2);
/// How long further copies are looked for by default; most duplicates come at once.
const COPIES: Duration = Duration::from_millis(500);

/// Waits for the mail as `expect.arrives` (or `prefer.arrives`) says, and judges what came.
pub(super) async fn follow(
    settings: &Deliver,
    cx: &Context<'_>,
    prepared: &Prepared<'_>,
    draft: &Draft,
    end: &End,
    replied: Instant,
) {
    let Some(arrives) = settings.expected_arrival() else {
        return;
    };
    let is_expect = settings
        .expect
        .as_ref()
        .is_some_and(|expect| expect.arrives.is_some());
    let add = |finding: Finding| {
        cx.find(if is_expect {
            finding
        } else {
            finding.as_preference()
        })
    };
    if prepared.account.imap.is_none() {
        return add(Finding::new(
            Reason::CannotObserve,
            format!(
                "mailbox `{}` has no `imap:` section, so nobody can look",
                prepared.account.name
            ),
        ));
    }
    let transit = cx.enter(Phase::Transit, replied);
    let account = wait(cx.around.post.follow(draft.id), draft, arrives, replied).await;
    let expected: Vec<&ArrivalFacts> = account
        .arrivals
        .iter()
        .filter(|arrival| arrival.folder.eq_ignore_ascii_case(&draft.folder))
        .collect();
    cx.evidence(|evidence| evidence.arrivals.clone_from(&account.arrivals));
    match expected.first().or(account.arrivals.first().as_ref()) {
        Some(first) => {
            cx.note(first.folder.clone());
            transit.end_with(first.after);
        }
        None => drop(transit),
    }
    for finding in judge(arrives, draft, end, &account, &expected) {
        add(finding);
    }
    let results = [(&settings.expect, true), (&settings.prefer, false)];
    for (expect, is_expect) in results {
        let wanted = expect
            .as_ref()
            .and_then(|expect| expect.authentication_results.as_ref());
        if let (Some(wanted), Some(first)) = (wanted, expected.first()) {
            for finding in judge_results(wanted, first) {
                cx.find(if is_expect {
                    finding
                } else {
                    finding.as_preference()
                });
            }
        }
    }
}

/// Waits until the mail is where it belongs, or somewhere else, or its time is over.
async fn wait(
    mut account: watch::Receiver<Account>,
    draft: &Draft,
    arrives: &Arrives,
    replied: Instant,
) -> Account {
    let copies = arrives.copies.unwrap_or(1).max(1) as usize;
    let limit = replied + arrives.within.0;
    let grace = limit + GRACE + arrives.within.0.mul_f64(0.02);
    let found = async {
        account
            .wait_for(|account| {
                let here = account
                    .arrivals
                    .iter()
                    .filter(|arrival| arrival.folder.eq_ignore_ascii_case(&draft.folder))
                    .count();
                let is_over = account.state == EntryState::Bounced;
                is_over || here >= copies || (here == 0 && !account.arrivals.is_empty())
            })
            .await
            .is_ok_and(|account| account.state != EntryState::Bounced)
    };
    if timeout_at(grace, found).await == Ok(true) {
        let more = arrives.watch_copies_for.map_or(COPIES, |more| more.0);
        let excess = account.wait_for(|account| account.arrivals.len() > copies);
        // Copies that come later still are counted by the ledger.
        let _ = timeout_at(Instant::now() + more, excess).await;
    }
    account.borrow().clone()
}

fn judge(
    arrives: &Arrives,
    draft: &Draft,
    end: &End,
    account: &Account,
    expected: &[&ArrivalFacts],
) -> Vec<Finding> {
    let mut found = Vec::new();
    let limit = arrives.within.0;
    let Some(first) = expected.first() else {
        found.push(match account.arrivals.first() {
            Some(elsewhere) => Finding::new(
                Reason::DeliveredElsewhere,
                format!("delivered to {}, not to {}", elsewhere.folder, draft.folder),
            ),
            None => absent(draft, end, account, limit),
        });
        return found;
    };
    if let Some(after) = first.after {
        if after > limit {
            found.push(Finding::new(
                Reason::DeliveredLate,
                format!(
                    "visible in {} after {}, allowed {}",
                    draft.folder,
                    duration(after),
                    duration(limit)
                ),
            ));
        } else if let Some(warn) = arrives.warn_after.filter(|warn| after > warn.0) {
            found.push(Finding::new(
                Reason::Slow,
                format!(
                    "transit {}, warned after {}{}",
                    duration(after),
                    duration(warn.0),
                    slowest_hop(first, after)
                ),
            ));
        }
    }
    let copies = arrives.copies.unwrap_or(1) as usize;
    if account.arrivals.len() > copies {
        let folders: Vec<&str> = account
            .arrivals
            .iter()
            .map(|arrival| arrival.folder.as_str())
            .collect();
        found.push(Finding::new(
            Reason::DeliveredTwice,
            format!(
                "{} copies (in {}), {copies} expected",
                account.arrivals.len(),
                folders.join(", ")
            ),
        ));
    } else if account.arrivals.len() < copies {
        found.push(unobserved(account).unwrap_or_else(|| {
            Finding::new(
                Reason::NotDelivered,
                format!(
                    "{} of {copies} copies within {}",
                    account.arrivals.len(),
                    duration(limit)
                ),
            )
        }));
    }
    found
}

/// Why an absence proves nothing: nobody could look after the time was over.
fn unobserved(account: &Account) -> Option<Finding> {
    if account.looked {
        return None;
    }
    let why = match &account.blind {
        Some(blind) => format!("the mailbox could not be read: {}", blind.line()),
        None => "no look into the mailbox ended in time".to_owned(),
    };
    Some(Finding::new(Reason::CannotObserve, why))
}

/// Nothing was seen: lost for the platform's fault, or we could not look.
fn absent(draft: &Draft, end: &End, account: &Account, limit: Duration) -> Finding {
    // Its own words are proof enough, whether the mailbox could be read or not.
    if let Some(Bounce::Failed(words)) = &account.bounce {
        return Finding::new(Reason::NotDelivered, format!("bounced by {words}"));
    }
    if let Some(unknown) = unobserved(account) {
        return unknown;
    }
    let how = match end.attempt() {
        Attempt::Accepted {
            queue_id: Some(id), ..
        } => format!("accepted as {id}"),
        Attempt::Accepted { reply, .. } => format!("accepted ({reply})"),
        _ => "perhaps accepted".to_owned(),
    };
    let folders = if draft.folder.eq_ignore_ascii_case("INBOX") {
        "INBOX or the junk folder".to_owned()
    } else {
        format!("{} or the junk folder", draft.folder)
    };
    let late = match &account.bounce {
        Some(Bounce::Delayed(words)) => format!("; delayed by {words}"),
        _ => String::new(),
    };
    Finding::new(
        Reason::NotDelivered,
        format!("{how}, not in {folders} after {}{late}", duration(limit)),
    )
}

/// `; 96 % of it between filter1 and store1`, when one hop took most of the time.
fn slowest_hop(arrival: &ArrivalFacts, after: Duration) -> String {
    let slowest = arrival
        .hops
        .iter()
        .filter_map(|hop| Some((hop.seconds?, hop)))
        .max_by(|(a, _), (b, _)| a.total_cmp(b));
    match slowest {
        Some((spent, hop)) if spent >= 1.0 && spent >= after.as_secs_f64() / 2.0 => {
            let from = hop.from.as_deref().unwrap_or("the hop before");
            format!(
                "; {} of it between {from} and {}",
                share(spent / after.as_secs_f64()),
                hop.by
            )
        }
        _ => String::new(),
    }
}

fn judge_results(wanted: &AuthenticationResults, arrival: &ArrivalFacts) -> Vec<Finding> {
    let methods = [
        ("spf", &wanted.spf),
        ("dkim", &wanted.dkim),
        ("dmarc", &wanted.dmarc),
    ];
    let recorded: Vec<Recorded> = arrival
        .authentication_results
        .iter()
        .map(|body| Recorded::parse(body))
        .collect();
    let mut found = Vec::new();
    for (method, wanted) in methods {
        let Some(wanted) = wanted else { continue };
        let got = recorded
            .iter()
            .find_map(|results| results.result_of(method))
            .map(ToString::to_string);
        if !got
            .as_ref()
            .is_some_and(|got| got.eq_ignore_ascii_case(wanted))
        {
            let got = got.map_or_else(|| "no result".to_owned(), |got| format!("{method}={got}"));
            found.push(Finding::new(
                Reason::AuthResults,
                format!("{got} recorded for {method}, expected {wanted}"),
            ));
        }
    }
    found
}
