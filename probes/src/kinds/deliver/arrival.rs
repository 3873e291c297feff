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
        .filter(|arrival| arrival.folder == draft.folder)
        .collect();
    cx.evidence(|evidence| evidence.arrivals.clone_from(&account.arrivals));
    match expected.first().or(account.arrivals.first().as_ref()) {
        Some(first) => {
            cx.note(first.folder.clone());
            transit.end_with(first.after);
        }
        None => drop(transit),
    }
    if let Some(failure) = &account.unsaved {
        // What was seen and cannot be written may be more than this: nothing is judged by half of the facts.
        return cx.find(failure.clone());
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
                    .filter(|arrival| arrival.folder == draft.folder)
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
    found.extend(judge_copies(arrives, draft, account, expected.len()));
    found
}

/// Counts the copies. Only those in the expected folder are what was asked for; the others are told with their place.
fn judge_copies(
    arrives: &Arrives,
    draft: &Draft,
    account: &Account,
    here: usize,
) -> Option<Finding> {
    let copies = arrives.copies.unwrap_or(1) as usize;
    let all = account.arrivals.len();
    let folders: Vec<&str> = account
        .arrivals
        .iter()
        .map(|arrival| arrival.folder.as_str())
        .collect();
    let folders = folders.join(", ");
    let limit = duration(arrives.within.0);
    if here >= copies {
        let text = format!("{all} copies (in {folders}), {copies} expected");
        return (all > copies).then(|| Finding::new(Reason::DeliveredTwice, text));
    }
    if all > here {
        let expected = &draft.folder;
        let text =
            format!("{here} of {copies} copies in {expected} within {limit} (found in {folders})");
        return Some(Finding::new(Reason::DeliveredElsewhere, text));
    }
    Some(unobserved(account).unwrap_or_else(|| {
        let text = format!("{here} of {copies} copies within {limit}");
        Finding::new(Reason::NotDelivered, text)
    }))
}

/// Why an absence proves nothing: nobody could look into every folder after the time was over.
fn unobserved(account: &Account) -> Option<Finding> {
    let why = match (account.looked, &account.blind, &account.blind_junk) {
        (false, Some(blind), _) => format!("the mailbox could not be read: {}", blind.line()),
        (_, _, Some(blind)) => format!(
            "it may be in the junk folder, which could not be read: {}",
            blind.line()
        ),
        (true, _, None) => return None,
        (false, None, None) => "no look into the mailbox ended in time".to_owned(),
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

/// The share of a hop means something when so much longer than a second, which is all that its stamps tell.
const SHARE_FROM: Duration = Duration::from_secs(20);

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
            let part = match after >= SHARE_FROM {
                true => share(spent / after.as_secs_f64()),
                false => "most".to_owned(),
            };
            format!("; {part} of it between {from} and {}", hop.by)
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

#[cfg(test)]
mod tests {
    use postrider_wire::message::tag::EntryId;

    use super::*;
    use crate::post::EntryState;
    use crate::setting::{Period, Spanned};

    fn arrives(copies: u32) -> Arrives {
        Arrives {
            folder: None,
            within: Spanned::unplaced(Period(Duration::from_secs(10))),
            warn_after: None,
            copies: Some(copies),
            watch_copies_for: None,
        }
    }

    fn draft() -> Draft {
        Draft {
            id: EntryId::from_parts(1, 1),
            retry_of: None,
            sender: "probe@sender.example".to_owned(),
            recipient: "alice@example.net".to_owned(),
            message_id: "1@sender.example".to_owned(),
            route: String::new(),
            mailbox: Some("alice".to_owned()),
            bounces_to: None,
            mx: None,
            address: None,
            folder: "INBOX".to_owned(),
            within: Duration::from_secs(10),
        }
    }

    /// A mail with copies in these folders, after a good look into all of them.
    fn account(folders: &[&str]) -> Account {
        let copy = |folder: &&str| ArrivalFacts {
            mailbox: "alice".to_owned(),
            folder: (*folder).to_owned(),
            uid: 1,
            after: Some(Duration::from_secs(1)),
            pushed_after: None,
            internal_date: None,
            hops: Vec::new(),
            skew_seconds: None,
            authentication_results: Vec::new(),
        };
        Account {
            state: EntryState::Accepted,
            arrivals: folders.iter().map(copy).collect(),
            bounce: None,
            blind: None,
            looked: true,
            blind_junk: None,
            unsaved: None,
        }
    }

    fn lines(copies: u32, account: &Account) -> Vec<String> {
        let expected: Vec<&ArrivalFacts> = account
            .arrivals
            .iter()
            .filter(|arrival| arrival.folder == "INBOX")
            .collect();
        let end = End::Unknown(Finding::new(Reason::SmtpTimeout, "no reply"));
        judge(&arrives(copies), &draft(), &end, account, &expected)
            .iter()
            .map(Finding::line)
            .collect()
    }

    #[test]
    fn copies_are_counted_where_they_are_expected() {
        for (copies, folders, line) in [
            (1, &["INBOX"] as &[_], ""),
            (2, &["INBOX", "INBOX"], ""),
            (
                2,
                &["INBOX", "Junk"],
                "delivered-elsewhere: 1 of 2 copies in INBOX within 10 s (found in INBOX, Junk)",
            ),
            (
                2,
                &["Junk", "INBOX", "Junk"],
                "delivered-elsewhere: 1 of 2 copies in INBOX within 10 s (found in Junk, INBOX, Junk)",
            ),
            (
                1,
                &["INBOX", "Junk"],
                "delivered-twice: 2 copies (in INBOX, Junk), 1 expected",
            ),
            (2, &["INBOX"], "not-delivered: 1 of 2 copies within 10 s"),
            (
                1,
                &["Junk"],
                "delivered-elsewhere: delivered to Junk, not to INBOX",
            ),
        ] {
            let found = lines(copies, &account(folders)).join("; ");
            assert_eq!(found, line, "{copies} {folders:?}");
        }
    }

    #[test]
    fn absence_is_proven_only_by_a_look_into_the_junk_folder_too() {
        let blind = Finding::new(Reason::ImapProtocol, "NO no such right");
        for (folders, looked, mailbox_too, line) in [
            (
                &[] as &[_],
                true,
                false,
                "cannot-observe: it may be in the junk folder, which could not be read: imap-protocol: NO no such right",
            ),
            (
                &[],
                false,
                false,
                "cannot-observe: it may be in the junk folder, which could not be read: imap-protocol: NO no such right",
            ),
            (
                &[],
                false,
                true,
                "cannot-observe: the mailbox could not be read: imap-protocol: NO no such right",
            ),
            // Where it decides nothing it is not told.
            (&["INBOX", "INBOX"], false, true, ""),
        ] {
            let account = Account {
                looked,
                blind: mailbox_too.then(|| blind.clone()),
                blind_junk: Some(blind.clone()),
                ..account(folders)
            };
            let found = lines(2, &account).join("; ");
            assert_eq!(found, line, "{folders:?} {looked} {mailbox_too}");
        }
    }
}
