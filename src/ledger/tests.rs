use std::time::Duration;

use postrider_probes::post::{Attempt, EntryState};
use postrider_wire::message::bounce::Action;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::subsequence;
use tokio::time::Instant;

use super::deadline::{Deadlines, GRACE};
use super::entry::Entry;
use super::fact::{CopyKey, Fact, Latency, LedgerEvent, Noted, Sighting};
use super::sample::{
    accepted, at, bounced, copy, deferred, id, lost, planned, refused, retried, sighted, story,
    uncertain,
};
use super::*;
use EntryState::*;

fn not_sent() -> Attempt {
    Attempt::NotSent {
        why: "connection refused".to_owned(),
    }
}

fn entry_of(facts: Vec<Fact>) -> Entry {
    let mut entry = Entry::default();
    for noted in story(facts) {
        entry.learn(noted.at, &noted.what);
    }
    entry
}

#[test]
fn state_follows_from_the_facts() {
    let inbox = || sighted(copy("INBOX", 7));
    let junk = || sighted(copy("Junk", 3));
    let bobs = || {
        sighted(CopyKey {
            mailbox: "bob".to_owned(),
            ..copy("INBOX", 7)
        })
    };
    let attempted = Fact::Attempted;
    let table: Vec<(Vec<Fact>, EntryState)> = vec![
        (vec![], Planned),
        (vec![attempted(not_sent())], NotSent),
        (vec![attempted(refused())], Refused),
        (vec![attempted(deferred())], Deferred),
        (vec![attempted(uncertain())], Uncertain),
        (vec![attempted(accepted())], Accepted),
        (vec![attempted(uncertain()), attempted(not_sent())], NotSent),
        (
            vec![attempted(accepted()), attempted(uncertain())],
            Accepted,
        ),
        (vec![attempted(accepted()), inbox()], Delivered),
        (vec![inbox(), attempted(accepted())], Delivered),
        (vec![attempted(accepted()), junk()], Junked),
        (vec![attempted(accepted()), junk(), inbox()], Delivered),
        (vec![attempted(uncertain()), inbox()], Delivered),
        (vec![attempted(not_sent()), inbox()], Delivered),
        (vec![attempted(refused()), inbox()], Delivered),
        (vec![attempted(accepted()), bobs()], Accepted),
        (vec![attempted(accepted()), Fact::Overdue], Overdue),
        (vec![attempted(accepted()), Fact::Overdue, lost()], Lost),
        (
            vec![attempted(accepted()), Fact::Unverifiable],
            Unverifiable,
        ),
        (
            vec![attempted(accepted()), Fact::Unverifiable, lost()],
            Lost,
        ),
        (vec![attempted(accepted()), lost(), inbox()], Delivered),
        (vec![attempted(uncertain()), lost()], Uncertain),
        (
            vec![
                attempted(accepted()),
                inbox(),
                Fact::Removed(copy("INBOX", 7)),
            ],
            Delivered,
        ),
    ];
    for (mut facts, expected) in table {
        facts.insert(0, planned(1));
        let described = format!("{facts:?}");
        assert_eq!(entry_of(facts).state(), expected, "{described}");
    }
}

#[test]
fn proven_bounce_decides_unless_the_mail_was_seen() {
    let failed = || bounced(1, Action::Failed, true);
    let inbox = || sighted(copy("INBOX", 7));
    let attempted = || Fact::Attempted(accepted());
    let table: Vec<(Vec<Fact>, EntryState)> = vec![
        (vec![attempted(), failed()], Bounced),
        (vec![failed()], Bounced),
        (vec![Fact::Attempted(uncertain()), failed()], Bounced),
        (vec![attempted(), Fact::Overdue, lost(), failed()], Bounced),
        (vec![attempted(), failed(), inbox()], Delivered),
        (vec![attempted(), inbox(), failed()], Delivered),
        (
            vec![attempted(), bounced(1, Action::Delayed, true)],
            Accepted,
        ),
        (
            vec![attempted(), bounced(1, Action::Relayed, true)],
            Accepted,
        ),
        (
            vec![attempted(), bounced(1, Action::Failed, false)],
            Accepted,
        ),
        (
            vec![
                attempted(),
                bounced(1, Action::Delayed, true),
                bounced(2, Action::Failed, true),
            ],
            Bounced,
        ),
    ];
    for (mut facts, expected) in table {
        facts.insert(0, planned(1));
        assert_eq!(entry_of(facts.clone()).state(), expected, "{facts:?}");
    }
}

#[test]
fn bounce_is_removed_only_when_it_is_proven() {
    let removed = |uid| {
        Fact::Removed(CopyKey {
            mailbox: "returns".to_owned(),
            ..copy("INBOX", uid)
        })
    };
    let attempted = || Fact::Attempted(accepted());
    let table = [
        (vec![bounced(1, Action::Failed, true)], 1, true),
        (vec![bounced(1, Action::Failed, true), removed(1)], 0, false),
        // A delay does not end the wait for the mail.
        (vec![bounced(1, Action::Delayed, true), removed(1)], 0, true),
        (vec![bounced(1, Action::Failed, false)], 0, true),
    ];
    for (more, to_remove, open) in table {
        let facts = [vec![planned(1), attempted()], more].concat();
        let entry = entry_of(facts.clone());
        assert_eq!(entry.to_remove().count(), to_remove, "{facts:?}");
        assert_eq!(entry.open(), open, "{facts:?}");
    }
}

#[test]
fn mail_that_bounced_and_turns_up_all_the_same_is_corrected() {
    let mut ledger = Ledger::default();
    let facts = [
        planned(1),
        Fact::Attempted(accepted()),
        bounced(1, Action::Failed, true),
        sighted(copy("INBOX", 7)),
    ];
    let corrected: Vec<bool> = story(facts)
        .iter()
        .map(|noted| ledger.apply(noted).corrected)
        .collect();
    assert_eq!(corrected, [false, false, false, true]);
    let entry = ledger.entry(id(1)).expect("it was planned");
    assert_eq!(entry.failed().map(|(at, _)| at), Some(at(2)));
}

#[test]
fn attempts_are_joined_by_their_number() {
    let first = || Fact::Attempted(deferred());
    let table: Vec<(Vec<Fact>, EntryState, bool)> = vec![
        (vec![first()], Deferred, false),
        (vec![first(), retried(2, None)], Deferred, true),
        (
            vec![first(), retried(2, None), retried(2, Some(accepted()))],
            Accepted,
            true,
        ),
        (
            vec![first(), retried(2, None), retried(2, Some(uncertain()))],
            Uncertain,
            true,
        ),
        // The outcome of an attempt, once it is known, outweighs that nobody knew.
        (
            vec![
                first(),
                retried(2, Some(uncertain())),
                retried(2, Some(deferred())),
            ],
            Deferred,
            false,
        ),
        (vec![first(), retried(2, Some(not_sent()))], Deferred, false),
        (vec![first(), retried(2, Some(refused()))], Refused, false),
    ];
    for (mut facts, state, open) in table {
        facts.insert(0, planned(1));
        let entry = entry_of(facts.clone());
        assert_eq!((entry.state(), entry.open()), (state, open), "{facts:?}");
    }
}

#[test]
fn deferral_lasts_from_the_first_refusal_to_the_acceptance() {
    let entry = entry_of(vec![
        planned(1),
        Fact::Attempted(deferred()),
        retried(2, None),
        retried(2, Some(deferred())),
        retried(3, None),
        retried(3, Some(accepted())),
    ]);
    assert_eq!(entry.deferred_for(), Some(Duration::from_secs(4)));
    assert_eq!(entry.last_try(), 3);
    assert_eq!(entry.attempt().map(|(at, _)| at), Some(at(5)));
    let only_one = entry_of(vec![planned(1), Fact::Attempted(accepted())]);
    assert_eq!(only_one.deferred_for(), None);
}

#[test]
fn second_copy_is_told_once() {
    let mut ledger = Ledger::default();
    let copies = (1..=4).map(|uid| sighted(copy("INBOX", uid)));
    let duplicated: Vec<bool> = story(std::iter::once(planned(1)).chain(copies))
        .iter()
        .map(|noted| ledger.apply(noted).duplicated)
        .collect();
    assert_eq!(duplicated, [false, false, true, false, false]);
}

#[test]
fn copy_in_the_junk_folder_is_delivered_when_it_is_expected_there() {
    let mut draft = super::sample::draft(1);
    draft.folder = "Junk".to_owned();
    let planned = Fact::Planned(Box::new(super::fact::Planned {
        draft,
        run: String::new(),
        scenario: String::new(),
        step: String::new(),
    }));
    let entry = entry_of(vec![planned, sighted(copy("Junk", 3))]);
    assert_eq!(entry.state(), Delivered);
}

#[test]
fn copies_are_counted_once_for_each_message() {
    let renumbered = |uid| {
        let mut copy = copy("INBOX", uid);
        copy.message.uid_validity = 2;
        copy
    };
    let table = [
        (vec![copy("INBOX", 1)], 1),
        (vec![copy("INBOX", 1), copy("INBOX", 1)], 1),
        (vec![copy("INBOX", 1), copy("INBOX", 2)], 2),
        (vec![copy("INBOX", 1), copy("Junk", 1)], 2),
        // The folder was numbered anew: the same message again.
        (vec![copy("INBOX", 1), renumbered(1)], 1),
        (vec![copy("INBOX", 1), renumbered(1), renumbered(2)], 2),
    ];
    for (copies, expected) in table {
        let facts = std::iter::once(planned(1)).chain(copies.into_iter().map(sighted));
        assert_eq!(entry_of(facts.collect()).copies(), expected);
    }
}

#[test]
fn copies_under_an_older_numbering_are_not_to_be_removed() {
    let mut renumbered = copy("INBOX", 1);
    renumbered.message.uid_validity = 2;
    let seen = [copy("INBOX", 9), renumbered.clone(), copy("Junk", 4)].map(sighted);
    let entry = entry_of(std::iter::once(planned(1)).chain(seen).collect());
    let to_remove: Vec<&CopyKey> = entry.to_remove().collect();
    assert_eq!(to_remove, [&copy("Junk", 4), &renumbered]);
}

#[test]
fn entry_is_open_until_its_mail_is_removed_or_given_up() {
    let attempted = Fact::Attempted;
    let inbox = || sighted(copy("INBOX", 7));
    let removed = || Fact::Removed(copy("INBOX", 7));
    let table = [
        (vec![], true),
        (vec![attempted(not_sent())], false),
        (vec![attempted(accepted())], true),
        (vec![attempted(uncertain())], true),
        (vec![attempted(uncertain()), lost()], false),
        (vec![attempted(accepted()), Fact::Unverifiable], true),
        (vec![attempted(accepted()), lost()], false),
        (vec![attempted(accepted()), lost(), inbox()], true),
        (vec![attempted(accepted()), inbox(), removed()], false),
        (vec![attempted(refused()), inbox()], true),
    ];
    for (mut facts, open) in table {
        facts.insert(0, planned(1));
        assert_eq!(entry_of(facts.clone()).open(), open, "{facts:?}");
    }
}

#[test]
fn measured_latency_beats_one_of_the_wall_clock() {
    let timed = |on_wall_clock, millis| {
        Fact::Sighted(Box::new(Sighting {
            copy: copy("INBOX", 7),
            junk: false,
            latency: Some(Latency {
                on_wall_clock,
                after: Duration::from_millis(millis),
                pushed_after: None,
            }),
            internal_date: None,
        }))
    };
    let entry = entry_of(vec![planned(1), timed(true, 3), timed(false, 900)]);
    let latency = entry.latency().expect("it was seen");
    assert_eq!(latency.after, Duration::from_millis(900));
    assert!(!latency.on_wall_clock);
}

#[test]
fn late_find_corrects_the_verdict_once() {
    for wrong in [Fact::Overdue, lost(), Fact::Unverifiable] {
        let facts = [
            planned(1),
            Fact::Attempted(accepted()),
            wrong.clone(),
            sighted(copy("INBOX", 7)),
            sighted(copy("INBOX", 7)),
            sighted(copy("INBOX", 8)),
            wrong,
        ];
        let mut ledger = Ledger::default();
        let corrections: Vec<bool> = story(facts)
            .iter()
            .map(|noted| ledger.apply(noted).corrected)
            .collect();
        assert_eq!(
            corrections,
            [false, false, false, true, false, false, false]
        );
        assert_eq!(ledger.balance().of(Delivered), 1);
        assert_eq!(ledger.balance().extra_copies, 1);
        assert_eq!(ledger.balance().corrected, 1);
    }
}

#[test]
fn lost_time_stays_when_the_mail_turns_up() {
    let entry = entry_of(vec![
        planned(1),
        Fact::Attempted(accepted()),
        lost(),
        sighted(copy("INBOX", 7)),
    ]);
    assert_eq!(
        (entry.lost(), entry.first_seen()),
        (Some(at(2)), Some(at(3)))
    );
}

#[test]
fn retracted_plan_leaves_no_trace() {
    let mut ledger = Ledger::default();
    for noted in story([planned(1)]) {
        ledger.apply(&noted);
    }
    ledger.retract(id(1));
    assert_eq!(ledger.balance().planned(), 0);
    assert!(ledger.entry(id(1)).is_none());
}

fn any_copy() -> impl Strategy<Value = CopyKey> {
    let mailbox = prop_oneof![3 => Just("alice"), 1 => Just("bob")];
    let folder = prop_oneof![Just("INBOX"), Just("Junk")];
    (mailbox, folder, 1..3u32, 1..4u32).prop_map(|(mailbox, folder, uid_validity, uid)| {
        let mut copy = copy(folder, uid);
        copy.mailbox = mailbox.to_owned();
        copy.message.uid_validity = uid_validity;
        copy
    })
}

fn any_fact() -> impl Strategy<Value = Fact> {
    let attempt = prop_oneof![
        Just(not_sent()),
        Just(refused()),
        Just(deferred()),
        Just(uncertain()),
        Just(accepted()),
    ];
    let latency = (any::<bool>(), 0..5u64).prop_map(|(on_wall_clock, seconds)| Latency {
        on_wall_clock,
        after: Duration::from_secs(seconds),
        pushed_after: None,
    });
    let sighting = (any_copy(), any::<bool>(), proptest::option::of(latency)).prop_map(
        |(copy, junk, latency)| {
            Fact::Sighted(Box::new(Sighting {
                copy,
                junk,
                latency,
                internal_date: None,
            }))
        },
    );
    let action = subsequence(Action::ALL.to_vec(), 1).prop_map(|actions| actions[0]);
    let bounce = (1..4u32, action, any::<bool>())
        .prop_map(|(uid, action, is_proven)| bounced(uid, action, is_proven));
    let retry = (1..5u32, proptest::option::of(attempt.clone()))
        .prop_map(|(number, outcome)| retried(number, outcome));
    prop_oneof![
        1 => Just(planned(1)),
        3 => attempt.prop_map(Fact::Attempted),
        2 => retry,
        2 => bounce,
        4 => sighting,
        1 => Just(Fact::Overdue),
        1 => (0..9i64).prop_map(|second| Fact::Lost { looked_at: at(second) }),
        1 => Just(Fact::Unverifiable),
        2 => any_copy().prop_map(Fact::Removed),
    ]
}

fn any_noted() -> impl Strategy<Value = Noted> {
    (0..20i64, 1..4u64, any_fact()).prop_map(|(second, n, what)| Noted {
        at: at(second),
        entry: id(n),
        what,
    })
}

/// Some events, and the same ones in another order with some of them repeated.
fn told_twice() -> impl Strategy<Value = (Vec<Noted>, Vec<Noted>)> {
    vec(any_noted(), 0..25).prop_flat_map(|events| {
        let length = events.len();
        let repeated = subsequence(events.clone(), 0..=length);
        let other = (Just(events.clone()), repeated)
            .prop_map(|(events, repeated)| [events, repeated].concat())
            .prop_shuffle();
        (Just(events), other)
    })
}

fn fold(events: &[Noted]) -> Ledger {
    let numbered: Vec<LedgerEvent> = (1..)
        .zip(events)
        .map(|(seq, noted)| LedgerEvent {
            seq,
            noted: noted.clone(),
        })
        .collect();
    Ledger::fold(&numbered)
}

/// Bounces of few messages, more than one mail keeps.
fn many_bounces() -> impl Strategy<Value = Vec<Noted>> {
    let noted = (0..9i64, 0..30u32, any::<bool>()).prop_map(|(second, uid, is_proven)| Noted {
        at: at(second),
        entry: id(1),
        what: bounced(uid, Action::Failed, is_proven),
    });
    vec(noted, 15..90)
}

/// The bounces that are kept: their UIDs, and whether they are proven.
fn kept_bounces(entry: &Entry) -> Vec<(u32, bool)> {
    let bounces = entry.bounces();
    bounces
        .map(|(_, bounced)| (bounced.message.message.uid, bounced.is_proven))
        .collect()
}

#[test]
fn forged_bounces_never_displace_a_proven_one() {
    let forged = (1..=20).map(|uid| bounced(uid, Action::Failed, false));
    let mut facts = vec![planned(1), Fact::Attempted(accepted())];
    facts.extend(forged);
    let full = entry_of(facts.clone());
    let taken = |uid, is_proven| match bounced(uid, Action::Failed, is_proven) {
        Fact::Bounced(bounced) => full.takes_bounce(&bounced),
        other => panic!("{other:?}"),
    };
    assert!(!taken(0, false) && !taken(99, false) && taken(99, true));
    facts.push(bounced(99, Action::Failed, true));
    let entry = entry_of(facts);
    assert_eq!(entry.state(), Bounced);
    let kept = kept_bounces(&entry);
    assert_eq!((kept.len(), kept.last()), (20, Some(&(99, true))));
}

proptest! {
    #[test]
    fn which_bounces_are_kept_does_not_depend_on_their_order(
        (one, other) in many_bounces().prop_flat_map(|one| (Just(one.clone()), Just(one).prop_shuffle()))
    ) {
        let (one, other) = (fold(&one), fold(&other));
        prop_assert_eq!(one.entry(id(1)), other.entry(id(1)));
    }

    #[test]
    fn order_and_repetition_change_nothing((events, other) in told_twice()) {
        let (one, two) = (fold(&events), fold(&other));
        for n in 1..4 {
            prop_assert_eq!(one.entry(id(n)), two.entry(id(n)));
        }
        for state in EntryState::ALL {
            prop_assert_eq!(one.balance().of(state), two.balance().of(state));
        }
        prop_assert_eq!(one.balance().extra_copies, two.balance().extra_copies);
    }

    #[test]
    fn balance_is_that_of_the_entries(events in vec(any_noted(), 0..40)) {
        let ledger = fold(&events);
        for state in EntryState::ALL {
            let counted = ledger.entries().filter(|(_, entry)| entry.state() == state).count();
            prop_assert_eq!(ledger.balance().of(state), counted as u64);
        }
        prop_assert_eq!(ledger.balance().planned(), ledger.entries().count() as u64);
    }

    #[test]
    fn second_copy_is_told_at_most_once((_, events) in told_twice()) {
        let mut ledger = Ledger::default();
        let mut duplicated = std::collections::BTreeSet::new();
        for noted in &events {
            if ledger.apply(noted).duplicated {
                prop_assert!(duplicated.insert(noted.entry));
            }
        }
    }

    #[test]
    fn entry_is_corrected_at_most_once((_, events) in told_twice()) {
        let mut ledger = Ledger::default();
        let mut corrected = std::collections::BTreeSet::new();
        for noted in &events {
            if ledger.apply(noted).corrected {
                prop_assert!(corrected.insert(noted.entry));
            }
        }
    }
}

#[test]
fn lost_needs_a_look_that_began_after_the_deadline() {
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    let mut deadlines = Deadlines::default();
    deadlines.wait(id(1), Some(after(60)), after(600));
    assert_eq!(deadlines.next(), Some(after(60)));

    let look_at = |look: Instant| move |_: EntryId, since: Instant| (look >= since).then(|| at(1));
    let mut due = |now, look| {
        let facts = deadlines.due(now, look_at(look));
        facts.into_iter().map(|(_, fact)| fact).collect::<Vec<_>>()
    };
    assert_eq!(due(after(59), after(59)), []);
    assert_eq!(due(after(60), after(60)), [Fact::Overdue]);
    // The last look began before the deadline: it proves nothing.
    assert_eq!(due(after(600), after(599)), []);
    assert_eq!(due(after(600) + GRACE, after(599)), [Fact::Unverifiable]);
    assert_eq!(due(after(9000), after(599)), []);
    // A look succeeds at last.
    assert_eq!(
        due(after(9001), after(9000)),
        [Fact::Lost { looked_at: at(1) }]
    );
    assert_eq!(due(after(9002), after(9001)), []);
}

#[test]
fn settled_mail_has_no_deadline() {
    let start = Instant::now();
    let mut deadlines = Deadlines::default();
    deadlines.wait(id(1), Some(start), start);
    deadlines.wait(id(2), None, start + Duration::from_secs(1));
    deadlines.settle(id(1));
    assert_eq!(deadlines.next(), Some(start + Duration::from_secs(1)));
    deadlines.settle(id(2));
    assert_eq!(deadlines.next(), None);
    assert_eq!(deadlines.due(start + GRACE * 9, |_, _| Some(at(1))), []);
}

#[test]
fn every_state_can_be_counted() {
    let mut balance = Balance::default();
    for state in EntryState::ALL {
        balance.add(state, 2, 0);
    }
    assert!(EntryState::ALL.iter().all(|state| balance.of(*state) == 2));
    assert_eq!(balance.planned(), 26);
}

#[test]
fn entry_is_small_enough_for_a_hundred_thousand_in_flight() {
    // Beside it: about 500 bytes of text, the deadline, the mailbox's stake and the account that somebody follows.
    assert!(size_of::<Entry>() <= 320, "{} bytes", size_of::<Entry>());
}
