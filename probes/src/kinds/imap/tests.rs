use std::collections::{BTreeMap, BTreeSet};

use postrider_wire::message::tag::EntryId;
use tempfile::NamedTempFile;
use tokio::sync::watch;
use tokio::time::Instant;

use super::*;
use crate::account::{MailboxAccount, Security};
use crate::context::{PlatformDefaults, Surroundings};
use crate::dialogue::open_imap::tests::{Laid, account};
use crate::kind::Places;
use crate::net::BoxFuture;
use crate::outcome::{Outcome, Status};
use crate::phase::Phase;
use crate::post::{Account, Attempt, Draft, Post};
use crate::setting::Variables;
use crate::slots::Slots;

/// An `imap` check sends nothing.
#[derive(Debug)]
struct NoPost;

impl Post for NoPost {
    fn new_id(&self) -> EntryId {
        unreachable!()
    }
    fn tag(&self, _: &Draft) -> String {
        unreachable!()
    }
    fn plan(&self, _: Draft) -> BoxFuture<'_, Result<(), Failure>> {
        unreachable!()
    }
    fn completing(&self, _: EntryId) {
        unreachable!()
    }
    fn retry(&self, _: EntryId) -> BoxFuture<'_, Result<(), Failure>> {
        unreachable!()
    }
    fn refused(&self, _: EntryId) {
        unreachable!()
    }
    fn record(&self, _: EntryId, _: Attempt, _: Instant) -> BoxFuture<'_, Result<(), Failure>> {
        unreachable!()
    }
    fn follow(&self, _: EntryId) -> watch::Receiver<Account> {
        unreachable!()
    }
}

fn settings() -> Imap {
    Imap {
        r#in: Spanned::unplaced("alice".to_owned()),
        folder: FolderName::inbox(),
        read: Read::Newest,
        command_timeout: None,
        expect: None,
        prefer: None,
    }
}

/// What the check gives on a server that follows the script.
async fn outcome(imap: &Imap, script: &str) -> Outcome {
    let net = Laid::default();
    let peer = net.server(script);
    let (alice, _password): (MailboxAccount, NamedTempFile) = account("127.0.0.1", Security::None);
    let mailboxes = BTreeMap::from([("alice".to_owned(), alice)]);
    let around = Surroundings {
        net: &net,
        post: &NoPost,
        senders: &BTreeMap::new(),
        mailboxes: &mailboxes,
        platform: &PlatformDefaults::default(),
        slots: &Slots::default(),
        now: || jiff::Timestamp::UNIX_EPOCH,
    };
    let message = MessageDefaults::default();
    let variables = Variables::default();
    let cx = Context::new(&around, &message, None, &variables, "run", "scenario/step");
    if let Err(failure) = imap.run(&cx).await {
        cx.find(failure);
    }
    let outcome = cx.finish();
    peer.done().await;
    outcome
}

const OPENED: &str = "S: * OK [CAPABILITY IMAP4rev1] ready
    C: P1 LOGIN alice secret
    wait 0.5
    S: P1 OK [CAPABILITY IMAP4rev1 IDLE] in
    C: P2 EXAMINE INBOX
    wait 0.2
    S: * 2 EXISTS
    S: * OK [UIDVALIDITY 7] ok
    S: * OK [UIDNEXT 9] ok
    S: P2 OK [READ-ONLY] open";

const READ: &str = "C: P3 UID FETCH * (UID INTERNALDATE RFC822.SIZE BODY.PEEK[HEADER]<0.131072>)
    S: * 2 FETCH (UID 8 INTERNALDATE \"21-Nov-2026 10:00:00 +0000\" RFC822.SIZE 20 BODY[HEADER]<0> {14}
    S- Subject: x\\r\\n\\r\\n)\\r\\n
    S: P3 OK done
    C: P4 UID FETCH 8 (UID BODY.PEEK[]<0.262144>)
    wait 0.1
    S: * 2 FETCH (UID 8 BODY[]<0> {20}
    S- Subject: x\\r\\n\\r\\nhello\\r)\\r\\n
    S: P4 OK done";

fn lines(outcome: &Outcome) -> Vec<String> {
    outcome
        .findings
        .iter()
        .map(|finding| format!("{} {}", finding.status, finding.line()))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn login_select_and_fetch_are_timed_each() {
    let script = format!("{OPENED}\n{READ}\nC: P5 LOGOUT\nS: * BYE\nS: P5 OK");
    let outcome = outcome(&settings(), &script).await;
    assert_eq!(lines(&outcome), [""; 0]);
    assert_eq!(outcome.status(), Status::Pass);
    let millis = |phase| outcome.phases.get(phase).map(|spent| spent.as_millis());
    assert_eq!(millis(Phase::ImapLogin), Some(500));
    assert_eq!(millis(Phase::ImapSelect), Some(200));
    assert_eq!(millis(Phase::ImapFetch), Some(100));
    assert_eq!(outcome.notes, ["insecure: no TLS", "INBOX, 2 messages"]);
    let transcript: Vec<String> = outcome
        .evidence
        .transcript
        .iter()
        .map(|line| format!("{} {}", line.mark.glyph(), line.text))
        .collect();
    assert_eq!(transcript[0], "<-  * OK [CAPABILITY IMAP4rev1] ready");
    assert!(
        transcript.contains(&" -> P2 EXAMINE INBOX".to_owned()),
        "{transcript:?}"
    );
    assert!(!transcript.concat().contains("secret"), "{transcript:?}");
}

#[tokio::test(start_paused = true)]
async fn an_empty_folder_and_read_nothing_fetch_nothing() {
    let empty = OPENED.replace("* 2 EXISTS", "* 0 EXISTS");
    let given = outcome(&settings(), &format!("{empty}\nC: P3 LOGOUT\nS: P3 OK")).await;
    assert_eq!(given.status(), Status::Pass);
    let imap = Imap {
        read: Read::Nothing,
        ..settings()
    };
    let given = outcome(&imap, &format!("{OPENED}\nC: P3 LOGOUT\nS: P3 OK")).await;
    assert_eq!(given.status(), Status::Pass);
    assert_eq!(given.phases.get(Phase::ImapFetch), None);
}

fn limit(within: Option<u64>, warn_after: Option<u64>) -> Option<Limit> {
    let period = |millis| Period(Duration::from_millis(millis));
    Some(Limit {
        within: within.map(period),
        warn_after: warn_after.map(period),
    })
}

#[tokio::test(start_paused = true)]
async fn a_part_over_its_limit_is_slow() {
    let allowed = "fail slow: login took 500 ms, allowed 400 ms";
    let warned = "degraded slow: login took 500 ms, warned after 400 ms";
    let preferred = "degraded slow: login took 500 ms, allowed 400 ms";
    for (expected, wished, told) in [
        (limit(Some(400), None), None, vec![allowed]),
        (limit(Some(600), Some(400)), None, vec![warned]),
        (limit(Some(600), Some(550)), None, vec![]),
        (None, limit(Some(400), None), vec![preferred]),
        // One finding for one fact.
        (
            limit(Some(400), None),
            limit(Some(300), None),
            vec![allowed],
        ),
    ] {
        let with = |login| {
            Some(Expect {
                login,
                ..Expect::default()
            })
        };
        let imap = Imap {
            read: Read::Nothing,
            expect: with(expected),
            prefer: with(wished),
            ..settings()
        };
        let given = outcome(&imap, &format!("{OPENED}\nC: P3 LOGOUT\nS: P3 OK")).await;
        assert_eq!(lines(&given), told);
    }
    let imap = Imap {
        expect: Some(Expect {
            select: limit(Some(100), None),
            fetch: limit(None, Some(50)),
            ..Expect::default()
        }),
        ..settings()
    };
    let given = outcome(&imap, &format!("{OPENED}\n{READ}\nC: P5 LOGOUT\nS: P5 OK")).await;
    assert_eq!(
        lines(&given),
        [
            "fail slow: opening the folder took 200 ms, allowed 100 ms",
            "degraded slow: reading the newest message took 100 ms, warned after 50 ms",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_missing_capability_is_named() {
    let wants = |names: &[&str]| {
        Some(Expect {
            capabilities: Some(names.iter().map(|name| (*name).to_owned()).collect()),
            ..Expect::default()
        })
    };
    let imap = Imap {
        read: Read::Nothing,
        expect: wants(&["idle", "UIDPLUS", "MOVE"]),
        prefer: wants(&["NOTIFY"]),
        ..settings()
    };
    let given = outcome(&imap, &format!("{OPENED}\nC: P3 LOGOUT\nS: P3 OK")).await;
    assert_eq!(
        lines(&given),
        [
            "fail extension-missing: after login the server does not offer UIDPLUS, MOVE",
            "degraded extension-missing: after login the server does not offer NOTIFY",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_has_its_reason_and_keeps_its_transcript() {
    for (script, line) in [
        (
            "S: * OK [CAPABILITY IMAP4rev1] ready\nC: P1 LOGIN alice secret\nS: P1 NO wrong\nC: P2 LOGOUT\nS: P2 OK",
            "fail imap-login: the login was refused: wrong",
        ),
        (
            "S: * OK [CAPABILITY IMAP4rev1] ready\nC: P1 LOGIN alice secret\nS: P1 OK [CAPABILITY IMAP4rev1] in
             C: P2 EXAMINE INBOX\nS: P2 NO [NONEXISTENT] no such folder\nC: P3 LOGOUT\nS: P3 OK",
            "fail imap-unavailable: folder `INBOX`: EXAMINE was refused: [NONEXISTENT] no such folder",
        ),
        (
            "S: * OK [CAPABILITY IMAP4rev1] ready\nC: P1 LOGIN alice secret\nS: P1 OK [CAPABILITY IMAP4rev1] in
             C: P2 EXAMINE INBOX\nS: * BYE shutting down\nclose",
            "fail imap-unavailable: folder `INBOX`: the server said goodbye: shutting down",
        ),
    ] {
        let given = outcome(&settings(), script).await;
        assert_eq!(lines(&given), [line]);
        assert!(given.evidence.transcript.len() >= 4, "{given:?}");
    }
}

#[test]
fn mistakes_in_the_settings_are_found() {
    type Change = fn(&mut Imap);
    let cases: [(Change, &str); 8] = [
        (|_| {}, ""),
        (
            |imap| imap.r#in.value = "alcie".to_owned(),
            "unknown-reference",
        ),
        (|imap| imap.folder = "".into(), "bad-value"),
        (|imap| imap.folder = "IN\r\nBOX".into(), "line-break"),
        (
            |imap| imap.command_timeout = Some(Period(Duration::ZERO)),
            "bad-value",
        ),
        (
            |imap| {
                imap.prefer = Some(Expect {
                    login: limit(Some(100), Some(100)),
                    ..Expect::default()
                });
            },
            "warn-after-within",
        ),
        (
            |imap| {
                imap.read = Read::Nothing;
                imap.expect = Some(Expect {
                    fetch: limit(Some(100), None),
                    ..Expect::default()
                });
            },
            "conflicting-keys",
        ),
        (
            |imap| {
                imap.expect = Some(Expect {
                    capabilities: Some(vec!["ID LE".to_owned()]),
                    ..Expect::default()
                });
            },
            "bad-value",
        ),
    ];
    for (change, code) in cases {
        let mut imap = settings();
        change(&mut imap);
        let mailboxes = BTreeMap::from([("alice".to_owned(), Place::default())]);
        let readable = BTreeSet::from(["alice".to_owned()]);
        let used = std::cell::RefCell::default();
        let names = Names {
            senders: &BTreeMap::new(),
            mailboxes: &mailboxes,
            message: &MessageDefaults::default(),
            for_each: false,
            places: Places(&|_| None),
            readable_mailboxes: &readable,
            nodes: &BTreeMap::new(),
            has_domains: false,
            used_mailboxes: &used,
        };
        let mut problems = Vec::new();
        imap.check(&names, Place::default(), &mut problems);
        let codes: Vec<&str> = problems.iter().map(|problem| problem.code).collect();
        assert_eq!(codes.join(" "), code, "{problems:?}");
    }
}

#[test]
fn what_it_waits_for_at_most_follows_from_its_limits() {
    let defaults = MessageDefaults::default();
    let mut imap = settings();
    assert_eq!(imap.patience(&defaults), PART * 3);
    imap.expect = Some(Expect {
        login: limit(Some(2_000), None),
        ..Expect::default()
    });
    assert_eq!(imap.patience(&defaults), PART * 2 + Duration::from_secs(2));
    imap.command_timeout = Some(Period(Duration::from_secs(1)));
    assert!(imap.longest(&defaults) < Duration::from_secs(60));
}
