use std::collections::BTreeMap;

use jiff::Timestamp;
use postrider_probes::observation::{Observation, What};
use proptest::prelude::*;

use super::rules::{Rules, Severity, Window};
use super::*;

const SUBJECT: &str = "192.0.2.1:25";

fn at(hour: i64) -> Timestamp {
    let start: Timestamp = "2026-11-01T00:00:00Z".parse().unwrap();
    Timestamp::from_second(start.as_second() + hour * 3600).unwrap()
}

fn by(run: &str) -> SeenBy {
    SeenBy {
        run: run.to_owned(),
        scenario: "mx".to_owned(),
        step: "deliver".to_owned(),
    }
}

fn banner(text: &str) -> Observation {
    Observation::new(What::Banner, SUBJECT, [text])
}

fn window(from: i64, until: i64) -> Window {
    Window {
        from: at(from),
        until: at(until),
        what: [].into(),
        hosts: None,
        expect: [].into(),
        note: Some("new version".to_owned()),
    }
}

fn with(windows: Vec<Window>) -> Rules {
    Rules {
        windows,
        ..Rules::default()
    }
}

/// Looks one after the other; what each gave as one word or line.
fn looks(rules: &Rules, looks: &[(i64, &str)]) -> Vec<String> {
    let mut known: Option<Baseline> = None;
    looks
        .iter()
        .map(|(hour, text)| {
            let judged = look(known.as_ref(), &banner(text), &by("R"), at(*hour), rules);
            if judged.remember.is_some() {
                known = judged.remember;
            }
            let how = judged.change.map_or("", |change| change.how.name());
            let stands = match judged.verdict {
                Verdict::AllRight => "right",
                Verdict::Noted(_) => "noted",
                Verdict::Changed { finding, .. } => finding.status.name(),
            };
            format!("{how} {stands}").trim().to_owned()
        })
        .collect()
}

#[test]
fn a_change_is_told_once_and_found_until_the_old_value_is_back() {
    let none = Rules::default();
    for (looked, wanted) in [
        (
            &[(0, "a"), (1, "a"), (2, "a")][..],
            &["right", "right", "right"][..],
        ),
        (
            &[(0, "a"), (1, "b"), (2, "b")],
            &["right", "changed degraded", "degraded"],
        ),
        (
            &[(0, "a"), (1, "b"), (2, "a"), (3, "a"), (4, "b")],
            &[
                "right",
                "changed degraded",
                "returned right",
                "right",
                "changed degraded",
            ],
        ),
        (
            &[(0, "a"), (1, "b"), (2, "c"), (3, "c")],
            &["right", "changed degraded", "changed degraded", "degraded"],
        ),
        (&[(0, "a"), (1, "")], &["right", "changed degraded"]),
        // Nothing is no first sighting, and no baseline.
        (
            &[(0, ""), (1, ""), (2, "a"), (3, "b")],
            &["right", "right", "right", "changed degraded"],
        ),
    ] {
        assert_eq!(looks(&none, looked), wanted, "{looked:?}");
    }
}

#[test]
fn a_window_lets_old_and_new_in_and_the_last_one_stays() {
    let rules = with(vec![window(10, 20)]);
    for (looked, wanted) in [
        // New and old side by side; afterwards the new one.
        (
            &[
                (0, "a"),
                (10, "b"),
                (11, "a"),
                (12, "b"),
                (20, "b"),
                (21, "a"),
            ][..],
            &[
                "right",
                "expected noted",
                "right",
                "right",
                "right",
                "changed degraded",
            ][..],
        ),
        // Taken back in time: the old one.
        (
            &[(0, "a"), (12, "b"), (13, "a"), (20, "a"), (21, "b")],
            &[
                "right",
                "expected noted",
                "right",
                "right",
                "changed degraded",
            ],
        ),
        // Too early, too late, and then let in when it opens.
        (
            &[(0, "a"), (9, "b"), (10, "b"), (22, "b")],
            &["right", "changed degraded", "expected noted", "right"],
        ),
        (&[(0, "a"), (20, "b")], &["right", "changed degraded"]),
        // Nobody looked between the last change and the end.
        (
            &[(0, "a"), (15, "b"), (16, "c"), (30, "b")],
            &[
                "right",
                "expected noted",
                "expected noted",
                "changed degraded",
            ],
        ),
    ] {
        assert_eq!(looks(&rules, looked), wanted, "{looked:?}");
    }
}

#[test]
fn severity_decides_what_a_check_gets() {
    for (severity, wanted) in [
        (Severity::Ignore, ["right", "right", "right"]),
        (Severity::Pass, ["right", "listed noted", "right"]),
        (
            Severity::Degraded,
            ["right", "changed degraded", "degraded"],
        ),
        (Severity::Fail, ["right", "changed fail", "fail"]),
    ] {
        let rules = Rules {
            severity: BTreeMap::from([(What::Banner, severity)]),
            windows: Vec::new(),
        };
        assert_eq!(looks(&rules, &[(0, "a"), (1, "b"), (2, "b")]), wanted);
    }
}

#[test]
fn a_window_is_about_what_whom_and_which_values() {
    let seen = Observation::new(What::Addresses, "mx1.example.net", ["192.0.2.1"]);
    let known = look(None, &seen, &by("R"), at(0), &Rules::default())
        .remember
        .unwrap();
    let moved = Observation::new(What::Addresses, "mx1.example.net", ["192.0.2.9"]);
    let base = window(1, 9);
    let hosts = |names: &[&str]| Some(names.iter().map(ToString::to_string).collect());
    for (case, wanted) in [
        (base.clone(), true),
        (
            Window {
                what: [What::Addresses, What::Ptr].into(),
                ..base.clone()
            },
            true,
        ),
        (
            Window {
                what: [What::Ptr].into(),
                ..base.clone()
            },
            false,
        ),
        (
            Window {
                hosts: hosts(&["mx1.example.net"]),
                ..base.clone()
            },
            true,
        ),
        (
            Window {
                hosts: hosts(&["192.0.2.9"]),
                ..base.clone()
            },
            true,
        ),
        (
            Window {
                hosts: hosts(&["192.0.2.1"]),
                ..base.clone()
            },
            true,
        ),
        (
            Window {
                hosts: hosts(&["mx2.example.net", "192.0.2.2"]),
                ..base.clone()
            },
            false,
        ),
        (
            Window {
                hosts: hosts(&[]),
                ..base.clone()
            },
            false,
        ),
        (
            Window {
                expect: ["192.0.2.9".to_owned()].into(),
                ..base.clone()
            },
            true,
        ),
        (
            Window {
                expect: ["192.0.2.8".to_owned()].into(),
                ..base.clone()
            },
            false,
        ),
        (
            Window {
                until: at(5),
                ..base.clone()
            },
            false,
        ),
    ] {
        let rules = with(vec![case.clone()]);
        let judged = look(Some(&known), &moved, &by("R"), at(5), &rules);
        let let_in = matches!(judged.verdict, Verdict::Noted(_));
        assert_eq!(let_in, wanted, "{case:?}");
    }
}

#[test]
fn a_window_that_expects_values_lets_no_other_come_and_not_all_go() {
    let seen = |values: &[&str]| Observation::new(What::Addresses, "mx1.example.net", values);
    let known = look(
        None,
        &seen(&["192.0.2.1", "192.0.2.2"]),
        &by("R"),
        at(0),
        &Rules::default(),
    )
    .remember
    .unwrap();
    for (after, of_expected, of_any) in [
        (&[][..], false, true),
        (&["192.0.2.1"], true, true),
        (&["192.0.2.9"], true, true),
        (&["192.0.2.1", "192.0.2.9"], true, true),
        (&["192.0.2.8"], false, true),
        (&["192.0.2.8", "192.0.2.9"], false, true),
        (&["192.0.2.1", "192.0.2.8"], false, true),
    ] {
        for (expect, wanted) in [(&["192.0.2.9".to_owned()][..], of_expected), (&[], of_any)] {
            let rules = with(vec![Window {
                expect: expect.iter().cloned().collect(),
                ..window(1, 9)
            }]);
            let judged = look(Some(&known), &seen(after), &by("R"), at(5), &rules);
            let let_in = matches!(judged.verdict, Verdict::Noted(_));
            assert_eq!(let_in, wanted, "{after:?}, expected {expect:?}");
        }
    }
}

#[test]
fn sentences_give_before_and_after() {
    let says = |what, subject, before: &[&str], after: &[&str]| {
        let seen = Observation::new(what, subject, before);
        let known = look(None, &seen, &by("R"), at(0), &Rules::default())
            .remember
            .unwrap();
        let seen = Observation::new(what, subject, after);
        let judged = look(Some(&known), &seen, &by("S"), at(100), &Rules::default());
        let Verdict::Changed { finding, .. } = judged.verdict else {
            panic!("{:?}", judged.verdict);
        };
        assert_eq!(judged.change.unwrap().sentence(), finding.message);
        finding.line()
    };
    assert_eq!(
        says(
            What::Banner,
            SUBJECT,
            &["mx ESMTP Postfix 3.9"],
            &["mx ESMTP Postfix 3.10"]
        ),
        "changed: banner of 192.0.2.1:25 was \"mx ESMTP Postfix 3.9\" since 2026-11-01, now \"mx ESMTP Postfix 3.10\""
    );
    assert_eq!(
        says(
            What::Ehlo,
            SUBJECT,
            &["PIPELINING", "STARTTLS"],
            &["PIPELINING"]
        ),
        "changed: EHLO keywords of 192.0.2.1:25: gone STARTTLS (before, since 2026-11-01: PIPELINING, STARTTLS)"
    );
    assert_eq!(
        says(
            What::Mx,
            "example.net",
            &["10 mx1.test", "20 mx2.test"],
            &["10 mx1.test", "30 mx2.test"]
        ),
        "changed: MX records of example.net: gone 20 mx2.test; new 30 mx2.test (before, since 2026-11-01: 10 mx1.test, 20 mx2.test)"
    );
    assert_eq!(
        says(What::Ptr, "192.0.2.1", &["mx1.test"], &[]),
        "changed: reverse names of 192.0.2.1 were \"mx1.test\" since 2026-11-01, now nothing"
    );
}

#[test]
fn a_sentence_is_not_longer_than_a_paragraph() {
    let many = |last: &str| {
        let names = (0..60).map(|number| format!("10 {number}{}.test", "x".repeat(200)));
        Observation::new(What::Mx, "example.net", names.chain([last.to_owned()]))
    };
    let known = look(None, &many("a"), &by("R"), at(0), &Rules::default())
        .remember
        .unwrap();
    let judged = look(Some(&known), &many("b"), &by("R"), at(1), &Rules::default());
    let sentence = judged.change.unwrap().sentence();
    assert!(
        sentence.starts_with(
            "MX records of example.net: gone a; new b (before, since 2026-11-01: 10 0x"
        )
    );
    assert!(sentence.chars().count() < 700, "{sentence}");
}

#[test]
fn an_operator_accepts_the_new_value_alone_or_beside_the_old_one() {
    let none = Rules::default();
    let known = look(None, &banner("a"), &by("R"), at(0), &none)
        .remember
        .unwrap();
    let key = Key::of(&banner("a"));
    assert_eq!(accept(&key, &known, false, "cli", at(1)), None);
    assert_eq!(accept(&key, &known, true, "cli", at(1)), None);
    let changed = look(Some(&known), &banner("b"), &by("S"), at(1), &none)
        .remember
        .unwrap();
    for (also, old_is_right) in [(false, false), (true, true)] {
        let (accepted, change) = accept(&key, &changed, also, "cli alice@host", at(2)).unwrap();
        assert_eq!(
            (change.how, change.before, change.after, change.seen_by),
            (
                Move::Accepted,
                banner("a").values,
                banner("b").values,
                by("S")
            )
        );
        assert_eq!(accepted.accepted_by, "cli alice@host");
        assert_eq!(accept(&key, &accepted, also, "cli", at(3)), None);
        let again = look(Some(&accepted), &banner("b"), &by("T"), at(2), &none);
        assert_eq!((again.verdict, again.change), (Verdict::AllRight, None));
        let back = look(Some(&accepted), &banner("a"), &by("T"), at(2), &none);
        assert_eq!(back.verdict == Verdict::AllRight, old_is_right, "{also}");
    }
    // One value alone again.
    let (both, _) = accept(&key, &changed, true, "cli", at(2)).unwrap();
    let (one, _) = accept(&key, &both, false, "cli", at(3)).unwrap();
    assert_eq!(one.accepted, [banner("b").values]);
}

#[test]
fn who_looked_before_it_became_another_one_does_not_mean_it() {
    let none = Rules::default();
    let key = Key::of(&banner("a"));
    let known = look(None, &banner("a"), &by("R"), at(0), &none)
        .remember
        .unwrap();
    let later = at(5)
        .saturating_add(std::time::Duration::from_nanos(1_500))
        .unwrap();
    let changed = look(Some(&known), &banner("b"), &by("S"), later, &none)
        .remember
        .unwrap();
    for (looked, wanted) in [
        (None, true),
        (Some(at(4)), false),
        (Some(at(5)), false),
        // As it is shown.
        (
            Some(Timestamp::from_microsecond(later.as_microsecond()).unwrap()),
            true,
        ),
        (Some(at(6)), true),
    ] {
        let selection = Selection {
            unchanged_since: looked,
            ..Selection::default()
        };
        assert_eq!(selection.takes(&key, &changed), wanted, "{looked:?}");
    }
}

/// What stands after looks and acceptances with `--also`, one after the other; `+` is such an acceptance.
fn stands(rules: &Rules, done: &[(i64, &str)]) -> (Vec<String>, Vec<Move>) {
    let key = Key::of(&banner("a"));
    let mut known: Option<Baseline> = None;
    let mut moves = Vec::new();
    for (hour, text) in done {
        let change = if *text == "+" {
            let accepted = accept(&key, known.as_ref().unwrap(), true, "cli", at(*hour));
            accepted.map(|(baseline, change)| {
                known = Some(baseline);
                change
            })
        } else {
            let judged = look(known.as_ref(), &banner(text), &by("R"), at(*hour), rules);
            known = judged.remember.or(known);
            judged.change
        };
        moves.extend(change.map(|change| change.how));
    }
    let accepted = known.unwrap().accepted;
    (accepted.iter().map(Values::to_string).collect(), moves)
}

#[test]
fn what_was_right_for_good_is_so_after_a_window() {
    use Move::{Accepted, Changed, Expected};
    let rules = with(vec![window(10, 20)]);
    let both = [(0, "a"), (1, "b"), (2, "+")];
    for (then, wanted) in [
        // What the window let in and is gone by its end.
        (&[(10, "c"), (11, "a"), (20, "a")][..], &["b", "a"][..]),
        // What it let in stays when it is there at the end.
        (&[(10, "c"), (11, "d"), (20, "d")], &["d", "b", "a"]),
        (&[(10, "a"), (20, "b")], &["b", "a"]),
    ] {
        let (accepted, moves) = stands(&rules, &[&both[..], then].concat());
        let accepted: Vec<&str> = accepted.iter().map(|text| text.trim_matches('"')).collect();
        assert_eq!(accepted, wanted, "{then:?}");
        assert_eq!(moves[..2], [Changed, Accepted], "{then:?}");
    }
    // Accepted while it is open: beside the others, for good, once.
    let (accepted, moves) = stands(
        &rules,
        &[
            (0, "a"),
            (10, "b"),
            (11, "+"),
            (12, "+"),
            (13, "a"),
            (20, "a"),
        ],
    );
    assert_eq!(
        (accepted, moves),
        (
            vec!["\"b\"".to_owned(), "\"a\"".to_owned()],
            vec![Expected, Accepted]
        )
    );
    // And what else the window let in goes all the same.
    let (accepted, _) = stands(
        &rules,
        &[
            (0, "a"),
            (10, "b"),
            (11, "c"),
            (12, "+"),
            (13, "a"),
            (20, "a"),
        ],
    );
    assert_eq!(accepted, ["\"c\"", "\"a\""]);
}

#[test]
fn what_a_window_lets_in_makes_room_before_what_is_right_for_good() {
    let rules = with(vec![window(10, 20)]);
    let many: Vec<String> = (0..20).map(|number| format!("mx{number}")).collect();
    let let_in = many.iter().map(|text| (12, text.as_str()));
    let done: Vec<_> = [(0, "a"), (1, "b"), (2, "+")]
        .into_iter()
        .chain(let_in)
        .chain([(13, "a"), (20, "a")])
        .collect();
    assert_eq!(stands(&rules, &done).0, ["\"b\"", "\"a\""]);
}

#[test]
fn so_many_values_can_be_right_at_once_and_no_more() {
    let key = Key::of(&banner("a"));
    let none = Rules::default();
    let mut known = look(None, &banner("a"), &by("R"), at(0), &none)
        .remember
        .unwrap();
    for number in 0..20 {
        let seen = banner(&format!("mx{number}"));
        known = look(Some(&known), &seen, &by("R"), at(0), &none)
            .remember
            .unwrap();
        (known, _) = accept(&key, &known, true, "cli", at(0)).unwrap();
    }
    assert_eq!(known.accepted.len(), MOST_ACCEPTED);
    assert!(known.is_all_right());
}

#[test]
fn that_nothing_changed_is_written_down_once_an_hour() {
    let none = Rules::default();
    let known = look(None, &banner("a"), &by("R"), at(0), &none)
        .remember
        .unwrap();
    assert_eq!(
        look(Some(&known), &banner("a"), &by("S"), at(0), &none).remember,
        None
    );
    let later = look(Some(&known), &banner("a"), &by("S"), at(1), &none);
    assert_eq!(later.remember.unwrap().last_seen_at, at(1));
}

proptest! {
    #[test]
    fn events_lead_from_value_to_value_and_looking_twice_adds_none(
        texts in prop::collection::vec("[abc]", 1..30),
        windowed: bool,
    ) {
        let rules = if windowed { with(vec![window(5, 15)]) } else { Rules::default() };
        let mut known: Option<Baseline> = None;
        let mut stood: Option<Values> = None;
        for (hour, text) in (0..).zip(&texts) {
            let seen = banner(text);
            let judged = look(known.as_ref(), &seen, &by("R"), at(hour), &rules);
            if let Some(change) = &judged.change {
                prop_assert_eq!(&change.after, &seen.values);
                if change.before != change.after && stood.as_ref() != Some(&seen.values) {
                    prop_assert_eq!(Some(&change.before), stood.as_ref());
                }
            }
            known = judged.remember.or(known);
            let now = known.clone().unwrap();
            prop_assert!(!now.accepted.is_empty() && now.accepted.len() <= MOST_ACCEPTED);
            prop_assert_eq!(now.several_until.is_some(), !now.windowed.is_empty());
            prop_assert!(now.windowed.iter().all(|values| now.accepted.contains(values)));
            prop_assert_eq!(&now.current, &seen.values);
            let again = look(Some(&now), &seen, &by("S"), at(hour), &rules);
            prop_assert_eq!(again.change, None);
            prop_assert_eq!(again.remember, None);
            prop_assert_eq!(again.verdict == Verdict::AllRight, now.is_all_right());
            stood = Some(seen.values);
        }
    }
}
