use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::kinds::dnsbl::WhenListed;
use crate::net::Record;
use crate::setting::Spanned;

const NAME: &str = "10.2.0.192.bl.test";

fn answer(rcode: &str, codes: &[&str]) -> Result<Answer, AskError> {
    Ok(Answer {
        rcode: rcode.to_owned(),
        records: codes
            .iter()
            .map(|code| Record {
                name: NAME.to_owned(),
                record_type: "A".to_owned(),
                ttl: 60,
                data: RecordData::Address(code.parse().unwrap()),
            })
            .collect(),
        authoritative: false,
        server: ([192, 0, 2, 53], 53).into(),
        took: Duration::ZERO,
    })
}

fn of(reply: &Result<Answer, AskError>) -> Verdict {
    let question = Question::new(NAME, "A", Duration::from_secs(5));
    verdict(reply, &question, true)
}

fn shown(verdict: &Verdict) -> String {
    match verdict {
        Verdict::NotListed => "not listed".to_owned(),
        Verdict::Listed(codes) => format!("listed {codes:?}"),
        Verdict::Unclear(failure) => failure.line(),
    }
}

#[test]
fn only_a_verdict_is_a_verdict() {
    let silent = Err(AskError::TimedOut {
        server: "192.0.2.53".to_owned(),
        waited: Duration::from_secs(5),
    });
    let dead = Err(AskError::Unreachable {
        server: "192.0.2.53".to_owned(),
        problem: "Connection refused".to_owned(),
    });
    for (reply, wanted) in [
        (answer("NXDOMAIN", &[]), "not listed"),
        (answer("NOERROR", &[]), "not listed"),
        (
            answer("NOERROR", &["127.0.0.4", "127.0.0.2", "127.0.0.2"]),
            "listed [127.0.0.2, 127.0.0.4]",
        ),
        (answer("NOERROR", &["127.1.2.3"]), "listed [127.1.2.3]"),
        (
            answer("NOERROR", &["127.255.255.254"]),
            "cannot-ask: it refuses with 127.255.255.254: it is asked through a public resolver",
        ),
        (
            answer("NOERROR", &["127.255.255.255"]),
            "cannot-ask: it refuses with 127.255.255.255: it is asked too often",
        ),
        (
            answer("NOERROR", &["127.255.255.252"]),
            "cannot-ask: it refuses with 127.255.255.252: its name is mistyped",
        ),
        (
            answer("NOERROR", &["127.255.255.7"]),
            "cannot-ask: it refuses with 127.255.255.7: it gives no reason",
        ),
        (
            answer("NOERROR", &["127.0.0.1"]),
            "cannot-ask: it refuses with 127.0.0.1: it answers 127.0.0.1 to everybody it does not serve",
        ),
        // A verdict beside it does not heal it.
        (
            answer("NOERROR", &["127.0.0.2", "203.0.113.5"]),
            "cannot-ask: it answered 203.0.113.5, which is not in 127.0.0.0/8: the answer is rewritten on the way, or the list is gone",
        ),
        (
            answer("SERVFAIL", &[]),
            "cannot-ask: 192.0.2.53 answered SERVFAIL for 10.2.0.192.bl.test A",
        ),
        (
            answer("REFUSED", &[]),
            "cannot-ask: 192.0.2.53 answered REFUSED for 10.2.0.192.bl.test A",
        ),
        (
            silent,
            "cannot-ask: no answer from 192.0.2.53 for 10.2.0.192.bl.test A within 5 s",
        ),
        (
            dead,
            "vantage-dns: the resolver 192.0.2.53 cannot be asked: Connection refused",
        ),
    ] {
        assert_eq!(shown(&of(&reply)), wanted);
    }
}

#[test]
fn a_list_is_believed_only_after_its_test_entries() {
    let yes = Verdict::Listed(vec![Ipv4Addr::new(127, 0, 0, 2)]);
    let no = Verdict::NotListed;
    let odd = Verdict::Unclear(cannot_ask("it refuses".to_owned()));
    for (present, absent, wanted) in [
        (&yes, &no, ""),
        (
            &no,
            &no,
            "cannot-ask: bl.test cannot be asked: its test entry 127.0.0.2 is not listed",
        ),
        (
            &yes,
            &yes,
            "cannot-ask: bl.test cannot be asked: it lists 127.0.0.1, which no list may: it lists everything",
        ),
        (&odd, &no, "cannot-ask: bl.test cannot be asked: it refuses"),
        (
            &yes,
            &odd,
            "cannot-ask: bl.test cannot be asked: it refuses",
        ),
    ] {
        let told = test(
            "bl.test",
            ("127.0.0.2".parse().unwrap(), present),
            ("127.0.0.1".parse().unwrap(), absent),
        );
        assert_eq!(told.err().map_or(String::new(), |f| f.line()), wanted);
    }
}

#[test]
fn a_listing_names_list_code_meaning_and_words() {
    let list = List {
        zone: Spanned::unplaced("bl.test".parse().unwrap()),
        family: crate::kinds::deliver::Family::Both,
        meanings: BTreeMap::from([(
            Parsed("127.0.0.2".parse().unwrap()),
            "sends spam".to_owned(),
        )]),
        when_listed: WhenListed::Fail,
    };
    let codes: Vec<Ipv4Addr> = ["127.0.0.2", "127.0.0.9"]
        .map(|code| code.parse().unwrap())
        .into();
    assert_eq!(
        listed(
            "192.0.2.10",
            "bl.test",
            &codes,
            &list,
            Some("see bl.test/why")
        )
        .line(),
        "dnsbl-listed: 192.0.2.10 is on bl.test: 127.0.0.2 (sends spam), 127.0.0.9; it says: see bl.test/why"
    );
}

#[test]
fn many_addresses_without_an_answer_are_one_finding() {
    let finding = |reason, text: &str| Finding::new(reason, text);
    let mut findings = vec![
        finding(Reason::CannotAsk, "a"),
        finding(Reason::DnsblListed, "b"),
        finding(Reason::CannotAsk, "c"),
        finding(Reason::CannotAsk, "d"),
        finding(Reason::CannotAsk, "e"),
    ];
    joined(&mut findings);
    let lines: Vec<String> = findings.iter().map(Finding::line).collect();
    assert_eq!(
        lines,
        ["cannot-ask: a (and so for 3 more)", "dnsbl-listed: b"]
    );
}
