//! A table row for each fault of a server, and everything that must hold of the check that meets it.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;

use futures_util::FutureExt as _;

use postrider::demo::platform::misbehaviour::{Faults, Misbehaviour};
use postrider::result::{CheckResult, RunResult, StatusWord};
use postrider_probes::outcome::Mark;
use postrider_probes::phase::Phase;
use postrider_probes::reason::Reason;
use serde_json::Value;

use super::{Lab, Ran, line};

/// Time limits of the dialogue in every row that has none of its own. Long for a server in good order on a busy
/// machine, short for whoever waits for one that is not.
const TIMEOUTS: &str =
    "timeouts: { connect: 1s, banner: 1s, command: 1s, handshake: 1s, data: 1s, final_reply: 1s }";
/// What a server may make the program hold, beside the pages of the program itself: those of a build for tests say nothing.
const MEMORY_KIB: u64 = 48 * 1024;

/// A server that does something wrong, and what is said of it.
#[derive(Debug)]
pub(crate) struct Fault {
    /// The step's id: a name for the row.
    pub(crate) step: &'static str,
    pub(crate) server: Misbehaviour,
    /// Further keys of the `deliver` step.
    pub(crate) deliver: &'static str,
    pub(crate) status: StatusWord,
    /// The reason line; empty when there is none. `{address}` and `{port}` are filled in, and `…` stands for any
    /// text.
    pub(crate) line: &'static str,
    /// The last phase of the dialogue, the one that failed: all before it are timed too, and none after it.
    pub(crate) until: Phase,
    /// How the mail stands in the ledger, when one was planned.
    pub(crate) state: &'static str,
    /// DATA commands that the server saw.
    pub(crate) data: u64,
    /// Seconds that the check may take.
    pub(crate) within: f64,
    /// In the transcript.
    pub(crate) said: &'static str,
}

impl Fault {
    /// A failure before DATA: nothing was sent.
    pub(crate) fn new(step: &'static str, server: Misbehaviour) -> Self {
        Self {
            step,
            server,
            deliver: "tls: required",
            status: StatusWord::Fail,
            line: "",
            until: Phase::Data,
            state: "not-sent",
            data: 0,
            within: 3.0,
            said: "",
        }
    }
}

/// Runs the rows, three at a time on the addresses of one platform. The fourth address is in good order: its check
/// passes beside them.
pub(crate) async fn run_each(rows: Vec<Fault>) {
    let mut rows = rows.into_iter().peekable();
    let mut runs = Vec::new();
    while rows.peek().is_some() {
        runs.push(run_some(rows.by_ref().take(3).collect()));
    }
    let failed = futures_util::future::join_all(runs).await.concat();
    assert_eq!(failed, [""; 0], "the reasons are above");
}

/// Gives the rows that do not hold, so that one does not hide the others.
async fn run_some(rows: Vec<Fault>) -> Vec<&'static str> {
    let [good, bad @ ..] = Lab::addresses();
    let rows: Vec<(IpAddr, Fault)> = bad.into_iter().zip(rows).collect();
    let smtp: BTreeMap<IpAddr, Misbehaviour> = rows
        .iter()
        .map(|(address, row)| (*address, row.server.clone()))
        .collect();
    let lab = Lab::with(Faults {
        smtp,
        ..Faults::default()
    })
    .await;
    let mut steps = Lab::deliver("good", good, "expect: { arrives: { within: 10s } }");
    for (address, row) in &rows {
        let timeouts = match row.deliver.contains("timeouts:") {
            true => "",
            false => TIMEOUTS,
        };
        let keys = [row.deliver, timeouts].join(", ");
        steps.push_str(&Lab::deliver(
            row.step,
            *address,
            keys.trim_end_matches([',', ' ']),
        ));
    }
    let ran = lab.run(&steps).end().await;
    let mut failed = Vec::new();
    let of_all = async {
        judge(&lab, &ran).await;
        let good = ran.check("good");
        assert_eq!(line(&good), "", "the program goes on");
        assert_eq!(good.notes, ["250", "INBOX"]);
    };
    if AssertUnwindSafe(of_all).catch_unwind().await.is_err() {
        failed.push("the run");
    }
    for (address, row) in &rows {
        let judged = judge_row(&lab, *address, row, &ran);
        if AssertUnwindSafe(judged).catch_unwind().await.is_err() {
            failed.push(row.step);
        }
    }
    failed
}

async fn judge_row(lab: &Lab, address: IpAddr, row: &Fault, ran: &Ran) {
    let check = &ran.check(row.step);
    let at = || format!("{}: {check:#?}", row.step);
    let port = lab.platform.smtp_port();
    let wanted = row
        .line
        .replace("{address}", &address.to_string())
        .replace("{port}", &port.to_string());
    let line = line(check);
    assert!(says(&line, &wanted), "{line}\nis not\n{wanted} {}", at());
    assert_eq!(check.status, row.status, "{}", at());
    let target = check.target.as_ref().unwrap();
    assert_eq!(target.address, address.to_string(), "{}", at());
    assert_eq!(target.port, Some(port), "{}", at());
    assert!(target.node.is_some(), "{}", at());

    let skipped = |phase: &Phase| {
        matches!(phase, Phase::Tls | Phase::Auth)
            || *phase == Phase::Starttls && !tls_was_tried(check)
    };
    let timed: Vec<&str> = Phase::ALL
        .iter()
        .filter(|phase| **phase <= row.until && !skipped(phase))
        .map(|phase| phase.name())
        .collect();
    let mut known: Vec<&str> = check.phases_seconds.keys().map(String::as_str).collect();
    known.sort_by_key(|name| Phase::ALL.iter().position(|phase| phase.name() == *name));
    assert_eq!(known, timed, "{}", at());
    assert!(check.duration_seconds <= row.within, "{}", at());

    let counters = lab.platform.smtp_counters(address);
    assert_eq!(counters.data_commands, row.data, "{}", at());
    let evidence = check.evidence.as_ref().unwrap();
    let state = match evidence.entries.as_slice() {
        [] => "",
        [id] => lab.entry(id).await.state().name(),
        _ => panic!("{}", at()),
    };
    assert_eq!(state, row.state, "{}", at());
    if row.status != StatusWord::Pass {
        let said = evidence
            .transcript
            .iter()
            .any(|line| line.contains(row.said));
        assert!(said, "{} is not in the transcript: {}", row.said, at());
    }
}

/// Whether a line is the wanted one, in which `…` stands for any text.
pub(crate) fn says(line: &str, wanted: &str) -> bool {
    let mut parts = wanted.split('…');
    let beginning = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(beginning) else {
        return false;
    };
    let Some(end) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(end)
}

fn tls_was_tried(check: &CheckResult) -> bool {
    check.phases_seconds.contains_key("starttls")
}

/// What holds of every run, whatever the servers do.
pub(crate) async fn judge(lab: &Lab, ran: &Ran) {
    let result = ran.result();
    assert_eq!(ran.code, exit_code(&result), "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.peak_kib > 0 && ran.peak_kib < MEMORY_KIB,
        "{} KiB",
        ran.peak_kib
    );
    let document = ran.json();
    no_verdict_is_a_boolean(&document);
    let published = jsonschema::validator_for(&postrider::schema::result()).unwrap();
    published.validate(&document).unwrap();
    for check in &result.checks {
        judge_check(check);
    }
    same_lines_for_people(lab, &result).await;
    manners(lab);
    let store = lab.store().await;
    let verification = store.verify().await.unwrap();
    store.close().await;
    assert_eq!(verification.differences, [""; 0]);
}

fn exit_code(result: &RunResult) -> i32 {
    let any = |status| result.checks.iter().any(|check| check.status == status);
    if any(StatusWord::Fail) {
        1
    } else if any(StatusWord::Error) {
        3
    } else if any(StatusWord::Pass) || any(StatusWord::Degraded) {
        0
    } else {
        4
    }
}

/// Product checklist 25: a reason from the list and one line for everything that did not pass.
fn judge_check(check: &CheckResult) {
    assert_eq!(
        check.status == StatusWord::Pass,
        check.reason.is_none(),
        "{check:#?}"
    );
    for finding in &check.findings {
        let known = Reason::from_code(&finding.reason);
        assert!(
            known.is_some_and(|reason| reason != Reason::Internal),
            "{check:#?}"
        );
        let text = &finding.message;
        assert!(
            !text.is_empty() && !text.contains(char::is_control),
            "{check:#?}"
        );
    }
    let transcript = check
        .evidence
        .iter()
        .flat_map(|evidence| &evidence.transcript);
    let mut lines = 0;
    for line in transcript {
        lines += 1;
        assert!(!line.contains(char::is_control), "{line:?}");
        assert!(line.starts_with('+'), "{line:?}");
        let rest = line.trim_start_matches(|c: char| c == '+' || c == '.' || c.is_ascii_digit());
        let rest = rest.strip_prefix(' ').unwrap();
        let marks = [
            Mark::Info,
            Mark::Unexpected,
            Mark::Sent,
            Mark::Received,
            Mark::SentTls,
            Mark::ReceivedTls,
        ];
        assert!(
            marks
                .iter()
                .any(|mark| rest.starts_with(mark.glyph().trim())),
            "{line:?}"
        );
    }
    assert!(lines <= 400, "{lines} lines");
    let dialogue = ["banner", "imap-select"];
    let talked = dialogue
        .iter()
        .any(|phase| check.phases_seconds.contains_key(*phase));
    let failed = matches!(check.status, StatusWord::Fail | StatusWord::Error);
    if check.status == StatusWord::Pass {
        assert_eq!(lines, 0, "kept for failures only: {check:#?}");
    } else if failed && talked {
        assert!(lines > 0, "{check:#?}");
    }
}

/// Product checklist 26: the human output says each line word for word.
async fn same_lines_for_people(lab: &Lab, result: &RunResult) {
    let shown = lab.again().args(["show", &result.run.id]).end().await;
    assert_eq!(shown.code, 0, "{}", shown.stderr);
    for check in &result.checks {
        for finding in check.causes() {
            let line = format!("{}: {}", finding.reason, finding.message);
            assert!(shown.stdout.contains(&line), "{line}\n{}", shown.stdout);
        }
    }
}

/// Product checklist 27. What is a fact and no verdict may be true or false.
fn no_verdict_is_a_boolean(value: &Value) {
    const FACTS: [&str; 3] = ["insecure", "self_signed", "skewed"];
    match value {
        Value::Object(keys) => {
            for (key, value) in keys {
                assert!(
                    !value.is_boolean() || FACTS.contains(&key.as_str()),
                    "{key}"
                );
                no_verdict_is_a_boolean(value);
            }
        }
        Value::Array(items) => items.iter().for_each(no_verdict_is_a_boolean),
        _ => {}
    }
}

/// Two connections an address at most; nobody else's mail is touched, and our own is gone when we leave.
fn manners(lab: &Lab) {
    let platform = &lab.platform;
    for address in platform.addresses() {
        let counters = platform.smtp_counters(address.ip);
        assert!(counters.most_open <= 2, "{} {counters:?}", address.ip);
        assert_eq!(counters.turned_away, 0, "{} {counters:?}", address.ip);
        assert_eq!(counters.unknown, 0, "{} {counters:?}", address.ip);
    }
    let own: Vec<(String, u32)> = platform
        .deliveries()
        .into_iter()
        .filter(|delivered| !delivered.queue_id.is_empty())
        .map(|delivered| (delivered.folder, delivered.uid))
        .collect();
    for change in platform.imap_changes() {
        let is_own = own.contains(&(change.folder.clone(), change.uid));
        assert!(is_own, "{change:?} is not ours: {own:?}");
    }
}
