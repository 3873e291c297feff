//! What every client can see becomes another one: each time it is named with before and after, and nothing else is red.

use std::fs;
use std::io;
use std::time::Duration;

use postrider::result::changes::{Acceptance, BaselineList, BaselinePages};
use postrider::result::{RunResult, StatusWord};
use postrider_testkit::live::{Certificate, Node, Platform, wait_until};
use rustix::process::Signal;

use super::lab::{FILTER1, Lab, Running};

/// Looks at everything, sends nothing.
const LOOK: &str = "
steps_run: together
steps:
  - id: smtp
    for_each: { mx_of: example.test, addresses: all }
    deliver: { to_address: \"${item.address}\", stop_after: ehlo }
  - id: imap
    imap: { in: alice, read: nothing }
  - id: mx
    dns: { query: example.test, type: MX }
  - id: ns
    dns: { query: odd.test, type: NS, ask: resolver }
  - id: addresses
    dns: { query: store.cluster.test, type: A }
  - id: ptr
    dns: { query: 1.21.0.127.in-addr.arpa, type: PTR }
";

fn lab() -> io::Result<Lab> {
    let lab = Lab::start()?;
    lab.scenario("look", LOOK)?;
    let result = lab.run(&[])?;
    assert_eq!(result.run.status, StatusWord::Pass, "{result:#?}");
    let again = lab.run(&[])?;
    assert_eq!(again.run.status, StatusWord::Pass, "{again:#?}");
    Ok(lab)
}

/// `step address: finding` of every check that did not pass.
fn red(result: &RunResult) -> Vec<String> {
    let mut lines = Vec::new();
    for check in &result.checks {
        let target = check.target.as_ref();
        let address = target.map_or_else(String::new, |target| format!(" {}", target.address));
        for finding in &check.findings {
            assert_eq!(finding.status, StatusWord::Degraded, "{finding:?}");
            lines.push(format!(
                "{}{address}: {}: {}",
                check.step, finding.reason, finding.message
            ));
        }
    }
    lines
}

/// Asserts that there is one line for each expected one, which it begins and ends with.
#[track_caller]
fn assert_red(result: &RunResult, expected: &[(String, String)]) {
    let mut lines = red(result);
    for (begin, end) in expected {
        let found = lines
            .iter()
            .position(|line| line.starts_with(begin) && line.ends_with(end));
        let found = found.unwrap_or_else(|| panic!("{begin} … {end} is not among {lines:#?}"));
        lines.remove(found);
    }
    assert_eq!(lines, Vec::<String>::new(), "nothing else is red");
}

type Fault = fn(&mut Platform) -> io::Result<()>;

#[test]
fn each_change_of_a_server_is_named_with_before_and_after_and_ends_when_it_is_undone()
-> io::Result<()> {
    let mut lab = lab()?;
    let faults: [(Fault, &[(&str, &str)]); 3] = [
        (
            |platform| {
                platform.set_parameter(Node::Filter1, "smtpd_banner", "$myhostname ESMTP new")
            },
            &[(
                "banner of ADDRESS was \"filter1.cluster.test ESMTP Postfix",
                ", now \"filter1.cluster.test ESMTP new\"",
            )],
        ),
        (
            |platform| platform.set_parameter(Node::Filter1, "smtpd_discard_ehlo_keywords", "dsn"),
            &[
                ("EHLO keywords of ADDRESS: gone DSN (before, since ", ")"),
                (
                    "EHLO keywords of ADDRESS after STARTTLS: gone DSN (before, since ",
                    ")",
                ),
            ],
        ),
        (
            |platform| {
                platform.set_parameter(Node::Filter1, "smtpd_tls_protocols", ">=TLSv1.2, <=TLSv1.2")
            },
            &[(
                "TLS version of ADDRESS was \"TLSv1.3\" since ",
                ", now \"TLSv1.2\"",
            )],
        ),
    ];
    for (fault, expected) in faults {
        fault(&mut lab.platform)?;
        let expected: Vec<(String, String)> = FILTER1
            .iter()
            .flat_map(|ip| {
                let address = format!("{ip}:{}", lab.platform.smtp_port());
                expected.iter().map(move |(begin, end)| {
                    let begin = begin.replace("ADDRESS", &address);
                    (format!("smtp {ip}: changed: {begin}"), (*end).to_owned())
                })
            })
            .collect();
        assert_red(&lab.run(&[])?, &expected);
        // It stays until it is undone.
        assert_red(&lab.run(&[])?, &expected);
        lab.platform.treat_normally(Node::Filter1)?;
        assert_red(&lab.run(&[])?, &[]);
    }
    let shown = lab.postrider(&[
        "baseline",
        "show",
        "127.0.21.1",
        "--what",
        "banner",
        "--format",
        "json",
    ])?;
    let pages: BaselinePages = serde_json::from_str(&shown.stdout)?;
    let hows: Vec<&str> = pages.pages[0]
        .events
        .iter()
        .map(|event| event.how.as_str())
        .collect();
    assert_eq!(
        hows,
        ["returned", "changed"],
        "one event for each, not one for each run"
    );
    Ok(())
}

#[test]
fn each_change_of_a_name_is_named_with_before_and_after() -> io::Result<()> {
    let mut lab = lab()?;
    let changes = [
        ("example.test", "@ MX 20 mx2\n", "@ MX 30 mx2\n"),
        (
            "odd.test",
            "@ IN NS ns1.example.test.\n",
            "@ IN NS ns2.example.test.\n",
        ),
        (
            "cluster.test",
            "store A 127.0.23.1\n",
            "store A 127.0.23.1\nstore A 127.0.23.9\n",
        ),
        (
            "127.in-addr.arpa",
            "1.21.0 PTR filter1.",
            "1.21.0 PTR moved.",
        ),
    ];
    for (origin, from, to) in changes {
        lab.platform.change_zone(origin, from, to)?;
    }
    let line = |begin: &str, end: &str| (begin.to_owned(), end.to_owned());
    let mx = "gone 20 mx2.example.test; new 30 mx2.example.test (before, since ";
    let before = ": 10 mx1.example.test, 20 mx2.example.test)";
    let mut expected = vec![
        // The first check of the step that looked the domain up.
        line(
            &format!("smtp 127.0.21.1: changed: MX records of example.test: {mx}"),
            before,
        ),
        line(
            &format!("mx: changed: MX records of example.test: {mx}"),
            before,
        ),
        line(
            "ns: changed: NS records of odd.test were \"ns1.example.test\" since ",
            ", now \"ns2.example.test\"",
        ),
        line(
            "addresses: changed: addresses of store.cluster.test (IPv4): new 127.0.23.9 (before, since ",
            ": \"127.0.23.1\")",
        ),
        line(
            "ptr: changed: reverse names of 127.0.21.1 were \"filter1.cluster.test\" since ",
            ", now \"moved.cluster.test\"",
        ),
    ];
    assert_red(&lab.run(&[])?, &expected);
    // An address that goes is a change as well, and not one of the other things.
    lab.platform
        .change_zone("cluster.test", "store A 127.0.23.1\n", "")?;
    expected[3] = line(
        "addresses: changed: addresses of store.cluster.test (IPv4) were \"127.0.23.1\" since ",
        ", now \"127.0.23.9\"",
    );
    assert_red(&lab.run(&[])?, &expected);
    for (origin, from, to) in changes
        .into_iter()
        .filter(|(origin, ..)| *origin != "cluster.test")
    {
        lab.platform.change_zone(origin, to, from)?;
    }
    lab.platform.change_zone(
        "cluster.test",
        "store A 127.0.23.9\n",
        "store A 127.0.23.1\n",
    )?;
    assert_red(&lab.run(&[])?, &[]);
    Ok(())
}

#[test]
fn what_an_operator_accepts_is_right_from_then_on() -> io::Result<()> {
    let mut lab = lab()?;
    lab.platform
        .present_certificate(Node::Filter1, Certificate::Valid)?;
    let renewed = [(FILTER1[0], "mx1"), (FILTER1[1], "mx2")].map(|(ip, mx)| {
        let address = format!("{ip}:{}", lab.platform.smtp_port());
        (
            format!("smtp {ip}: changed: certificate of {address} as {mx}.example.test was \"for mx1.example.test and "),
            "\"".to_owned(),
        )
    });
    assert_red(&lab.run(&[])?, &renewed);
    let listed = lab.postrider(&["baseline", "list", "--changed"])?;
    assert_eq!(listed.code(), Some(0), "{listed:?}");
    assert_eq!(listed.stdout.matches('▲').count(), 2, "{listed:?}");

    for (arguments, code, words) in [
        (
            &["baseline", "accept"][..],
            2,
            "say what to accept: a subject, --what, --scenario, or --all",
        ),
        (
            &["baseline", "accept", "192.0.2.1"],
            2,
            "nothing is remembered of `192.0.2.1`",
        ),
        (
            &["baseline", "show", "192.0.2.1"],
            2,
            "nothing is remembered of `192.0.2.1`",
        ),
        (
            &["baseline", "accept", "--what", "banner"],
            0,
            "nothing to accept: all 5 are as accepted before",
        ),
        (
            &["baseline", "accept", "127.0.21.1", "--what", "certificate"],
            0,
            "accepted: certificate of 127.0.21.1:",
        ),
    ] {
        let ended = lab.postrider(arguments)?;
        assert_eq!(ended.code(), Some(code), "{ended:?}");
        assert!(
            (ended.stdout.clone() + &ended.stderr).contains(words),
            "{ended:?}"
        );
    }
    assert_red(&lab.run(&[])?, &renewed[1..]);
    let ended = lab.postrider(&[
        "baseline",
        "accept",
        "--scenario",
        "look",
        "--also",
        "--format",
        "json",
    ])?;
    let done: Acceptance = serde_json::from_str(&ended.stdout)?;
    assert_eq!(
        (ended.code(), done.accepted.len()),
        (Some(0), 1),
        "{ended:?}"
    );
    assert!(
        done.accepted[0]
            .accepted_by
            .as_ref()
            .is_some_and(|by| by.starts_with("cli ")),
        "{done:?}"
    );
    assert_red(&lab.run(&[])?, &[]);
    let listed = lab.postrider(&[
        "baseline",
        "list",
        "--what",
        "certificate",
        "--format",
        "json",
    ])?;
    let list: BaselineList = serde_json::from_str(&listed.stdout)?;
    let accepted: Vec<usize> = list
        .baselines
        .iter()
        .map(|known| known.accepted.len())
        .collect();
    // Both filters, primary and fallback, and the IMAP server.
    assert_eq!(accepted.iter().sum::<usize>(), 6, "{list:#?}");
    Ok(())
}

/// Adds to `platform:` of the main file.
fn platform_says(lab: &Lab, text: &str) -> io::Result<()> {
    let file = lab.file("postrider.yaml");
    let before = fs::read_to_string(&file)?;
    let kept = match before.split_once("  change_windows:") {
        Some((head, rest)) => {
            let (_, tail) = rest.split_once("senders:\n").expect("senders follow");
            format!("{head}senders:\n{tail}")
        }
        None => before,
    };
    fs::write(
        file,
        kept.replace("senders:\n", &format!("{text}senders:\n")),
    )
}

#[test]
fn a_change_window_lets_old_and_new_in_and_the_last_one_stays() -> io::Result<()> {
    let mut lab = lab()?;
    let day = Duration::from_secs(86_400);
    let now = postrider::clock::now();
    let window = |from, until| {
        format!(
            "  change_windows:\n    - {{ from: \"{from}\", until: \"{until}\", what: [banner], nodes: [filter1], note: new version }}\n"
        )
    };
    platform_says(&lab, &window(now - day, now + day))?;
    lab.platform
        .set_parameter(Node::Filter1, "smtpd_banner", "$myhostname ESMTP new")?;
    let result = lab.run(&[])?;
    assert_red(&result, &[]);
    let noted: Vec<&String> = result
        .checks
        .iter()
        .flat_map(|check| &check.notes)
        .filter(|note| note.contains("banner"))
        .collect();
    assert_eq!(noted.len(), 2, "{result:#?}");
    assert!(
        noted[0].ends_with(
            "now \"filter1.cluster.test ESMTP new\" (accepted by change window (new version))"
        ),
        "{noted:?}"
    );
    // The old one, the new one again, and another node's.
    lab.platform.treat_normally(Node::Filter1)?;
    assert_red(&lab.run(&[])?, &[]);
    lab.platform
        .set_parameter(Node::Filter1, "smtpd_banner", "$myhostname ESMTP new")?;
    assert_red(&lab.run(&[])?, &[]);
    lab.platform
        .set_parameter(Node::Filter2, "smtpd_banner", "$myhostname ESMTP new")?;
    let result = lab.run(&[])?;
    assert_eq!(red(&result).len(), 2, "{:#?}", red(&result));
    lab.platform.treat_normally(Node::Filter2)?;
    // A window of the past lets nothing in; but what is remembered of this one lasts until tomorrow.
    platform_says(&lab, &window(now - day - day, now - day))?;
    assert_red(&lab.run(&[])?, &[]);
    Ok(())
}

/// A daemon that runs `look` each second, and where it listens.
fn serve(lab: &Lab) -> io::Result<(Running, String)> {
    let running = lab.spawn(&["serve", "--web.listen-address", "127.0.0.1:0"])?;
    let address = wait_until(Duration::from_secs(30), || {
        let told = running.told() + &running.printed();
        let (_, rest) = told.split_once("msg=listening")?;
        let (_, rest) = rest.lines().next()?.split_once("address=")?;
        told.contains("ready")
            .then(|| rest.split(' ').next().unwrap_or(rest).to_owned())
    });
    let address = address.ok_or_else(|| io::Error::other(running.told()))?;
    Ok((running, format!("http://{}", address.trim_matches('"'))))
}

fn await_event(lab: &Lab, how: &str) -> io::Result<()> {
    let seen = || events(lab).ok()?.contains(&how.to_owned()).then_some(());
    let seen = wait_until(Duration::from_secs(30), seen);
    seen.ok_or_else(|| io::Error::other(format!("never {how}: {:?}", events(lab))))
}

/// What happened with filter1's banner at its primary address, oldest first.
fn events(lab: &Lab) -> io::Result<Vec<String>> {
    let shown = lab.postrider(&[
        "baseline",
        "show",
        "127.0.21.1",
        "--what",
        "banner",
        "--format",
        "json",
    ])?;
    let pages: BaselinePages = serde_json::from_str(&shown.stdout)?;
    let events = pages.pages[0].events.iter().rev();
    Ok(events.map(|event| event.how.clone()).collect())
}

#[test]
fn a_daemon_tells_once_survives_its_death_and_takes_the_acceptance() -> io::Result<()> {
    let mut lab = lab()?;
    lab.scenario("look", &format!("schedule: {{ every: 1s }}\n{LOOK}"))?;
    lab.platform
        .set_parameter(Node::Filter1, "smtpd_banner", "$myhostname ESMTP new")?;
    let (running, _) = serve(&lab)?;
    await_event(&lab, "changed")?;
    running.signal(Signal::KILL)?;
    running.finish()?;
    assert_eq!(events(&lab)?, ["changed"]);

    let (running, url) = serve(&lab)?;
    // While it lives the store is its own: without its address the usual one is asked, where nobody is.
    let here = lab.postrider(&["baseline", "accept", "--all"])?;
    assert_eq!(here.code(), Some(3), "{here:?}");
    assert!(here.stderr.contains("is in use"), "{here:?}");
    let accepted = lab.postrider(&["baseline", "accept", "127.0.21.1", "--url", &url])?;
    assert_eq!(accepted.code(), Some(0), "{accepted:?}");
    assert!(
        accepted
            .stdout
            .starts_with("accepted: banner of 127.0.21.1:"),
        "{accepted:?}"
    );
    let nobody = lab.postrider(&["baseline", "accept", "nobody.test", "--url", &url])?;
    assert_eq!(nobody.code(), Some(2), "{nobody:?}");
    assert_eq!(events(&lab)?, ["changed", "accepted"]);
    lab.platform.treat_normally(Node::Filter1)?;
    let back = || (events(&lab).ok()? == ["changed", "accepted", "changed"]).then_some(());
    wait_until(Duration::from_secs(30), back).unwrap_or_else(|| panic!("{:?}", events(&lab)));
    running.signal(Signal::TERM)?;
    let ended = running.finish()?;
    let told = ended.stdout + &ended.stderr;
    let line = told
        .lines()
        .find(|line| line.contains("what clients see has changed"));
    let line = line.unwrap_or_else(|| panic!("{told}"));
    for part in ["what=banner", "how=accepted", "subject=127.0.21.1:"] {
        assert!(line.contains(part), "{part}: {line}");
    }
    Ok(())
}
