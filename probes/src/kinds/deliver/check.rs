//! What is wrong with a `deliver:` as it is written, before anything is contacted.

use std::net::IpAddr;

use postrider_wire::address::{HostName, Mailbox};

use super::retry::MOST_RETRIES;
use super::settings::{
    Approach, AuthenticationResults, Deliver, Expect, MessageDefaults, Retry, Route, TlsPolicy,
    TrustSettings,
};
use crate::account::parse_pin;
use crate::kind::Names;
use crate::setting::{Period, Place, Problem, Spanned, Template};

/// Reports references, contradictions and values that the types cannot refuse; `at` is the verb.
pub(super) fn check(deliver: &Deliver, names: &Names<'_>, at: Place, problems: &mut Vec<Problem>) {
    accounts(deliver, names, at, problems);
    if let (Some(to), Some(arrives)) = (
        deliver.to.as_ref().or(names.message.to.as_ref()),
        deliver.expected_arrival(),
    ) {
        names.readable(to, arrives.within.at, problems);
    }
    destination(deliver, names, at, problems);
    if let Some(envelope_to) = &deliver.envelope_to {
        parse::<Mailbox>("bad-address", "a mail address", envelope_to, problems);
    }
    if let Some(server_name) = &deliver.server_name {
        parse::<HostName>("bad-host", "a host name", server_name, problems);
    }
    subject(deliver.subject.as_ref(), problems);
    let retry = deliver.retry.or(names.message.retry);
    retry_after(retry, deliver.retry_after.as_deref(), problems);
    if let (Some(stop), Some(Retry::AsMta)) = (deliver.stop_after, deliver.retry) {
        let stop = format!("{stop:?}").to_lowercase();
        problems.push(
            Problem::error(
                "conflicting-keys",
                names.place("retry", at),
                format!("with `stop_after: {stop}` nothing is sent, so nothing is sent again"),
            )
            .help("remove `stop_after` or `retry`"),
        );
    }
    if let Some(trust) = &deliver.trust {
        trust.check(problems);
    }
    if deliver.port == Some(0) {
        problems.push(Problem::error(
            "bad-value",
            names.place("port", at),
            "a port is a whole number from 1 to 65535",
        ));
    }
    for (name, expect) in [("expect", &deliver.expect), ("prefer", &deliver.prefer)] {
        if let Some(expect) = expect {
            let place = |key: &str| names.place(&format!("{name}.{key}"), at);
            contradictions(deliver, name, expect, &place, problems);
            values(expect, &place, problems);
        }
    }
}

impl MessageDefaults {
    /// Reports references and values of the scenario's `message:` section that are wrong.
    pub fn check(&self, names: &Names<'_>, problems: &mut Vec<Problem>) {
        if let Some(from) = &self.from {
            names.sender(from, problems);
        }
        if let Some(to) = &self.to {
            names.mailbox(to, problems);
        }
        subject(self.subject.as_ref(), problems);
        retry_after(self.retry, self.retry_after.as_deref(), problems);
        if let Some(route) = &self.route {
            check_route(route, problems);
        }
    }
}

impl TrustSettings {
    /// Reports a fingerprint that is none, and settings that exclude each other.
    pub fn check(&self, problems: &mut Vec<Problem>) {
        if let Some(pin) = &self.pin
            && parse_pin(pin).is_none()
        {
            problems.push(
                Problem::error(
                    "bad-value",
                    pin.at,
                    "`pin` is the SHA-256 of a certificate: 64 hexadecimal digits",
                )
                .help("see `openssl x509 -noout -fingerprint -sha256 -in FILE`"),
            );
        }
        let other = self.pin.as_ref().map(|pin| pin.at);
        if let (true, Some(at)) = (
            self.insecure,
            other.or(self.ca_file.as_ref().map(|file| file.at)),
        ) {
            problems.push(
                Problem::error(
                    "conflicting-keys",
                    at,
                    "with `insecure: true` this is never looked at",
                )
                .help("remove one of the two"),
            );
        }
    }
}

fn accounts(deliver: &Deliver, names: &Names<'_>, at: Place, problems: &mut Vec<Problem>) {
    match (&deliver.from, &names.message.from) {
        (Some(from), _) => names.sender(from, problems),
        (None, Some(_)) => {}
        (None, None) => problems.push(
            Problem::error("missing-key", at, "nobody sends this mail").help(
                "add `from:` with the name of a sender, here or in the scenario's `message:`",
            ),
        ),
    }
    match (&deliver.to, &names.message.to) {
        (Some(to), _) => names.mailbox(to, problems),
        (None, Some(_)) => {}
        (None, None) => problems.push(
            Problem::error("missing-key", at, "nobody gets this mail")
                .help("add `to:` with the name of a mailbox, here or in the scenario's `message:`"),
        ),
    }
}

fn destination(deliver: &Deliver, names: &Names<'_>, at: Place, problems: &mut Vec<Problem>) {
    if let Some(route) = &deliver.route {
        check_route(route, problems);
    }
    match (&deliver.to_address, &deliver.route) {
        (Some(address), Some(_)) => problems.push(
            Problem::error(
                "conflicting-keys",
                address.at,
                "a mail goes `to_address` or by `route`, not both",
            )
            .help("remove one of the two"),
        ),
        (None, None) if names.message.route.is_none() => problems.push(
            Problem::error("missing-key", at, "`deliver` does not say where to connect").help(
                "add `to_address: ${item.address}` with `for_each`, or `route: {mx_of: DOMAIN}`",
            ),
        ),
        _ => {}
    }
    if let Some(address) = &deliver.to_address
        && let Some(text) = address.literal()
        && text.parse::<IpAddr>().is_err()
    {
        problems.push(
            Problem::error(
                "bad-address",
                address.at,
                format!("`{text}` is not an IP address"),
            )
            .help("write an address, or use `route` or `for_each` to reach a host by its name"),
        );
    }
    if deliver.approach == Some(Approach::PrimaryFirst) && !names.for_each {
        problems.push(
            Problem::error(
                "missing-key",
                names.place("approach", at),
                "`approach: primary-first` needs `for_each`, which knows the primary addresses",
            )
            .help("add `for_each` to the step, or remove `approach`"),
        );
    }
}

fn check_route(route: &Route, problems: &mut Vec<Problem>) {
    parse::<HostName>("bad-host", "a domain", &route.mx_of, problems);
    for dead in &route.pretend_unreachable {
        let is_address = dead
            .literal()
            .is_some_and(|text| text.parse::<IpAddr>().is_ok());
        if !is_address {
            parse::<HostName>("bad-host", "a host name or an address", dead, problems);
        }
    }
}

fn retry_after(
    retry: Option<Retry>,
    after: Option<&[Spanned<Period>]>,
    problems: &mut Vec<Problem>,
) {
    let Some(after) = after else { return };
    let Some(first) = after.first() else {
        // An empty list is no attempt at all: the same as `none`, and nothing to point at.
        return;
    };
    if retry != Some(Retry::AsMta) {
        problems.push(
            Problem::error(
                "conflicting-keys",
                first.at,
                "`retry_after` means nothing without `retry: as-mta`",
            )
            .help("add `retry: as-mta`, or remove `retry_after`"),
        );
    }
    if let Some(over) = after.get(MOST_RETRIES) {
        problems.push(Problem::error(
            "bad-value",
            over.at,
            format!("no mail is sent more than {MOST_RETRIES} times again"),
        ));
    }
    for wait in after.iter().filter(|wait| wait.0.is_zero()) {
        problems.push(
            Problem::error(
                "bad-value",
                wait.at,
                "a mail server waits before it tries again",
            )
            .help("write a time such as `5m`"),
        );
    }
}

fn subject(subject: Option<&Spanned<Template>>, problems: &mut Vec<Problem>) {
    if let Some(subject) = subject
        && subject.source().contains(['\r', '\n'])
    {
        problems.push(line_break("the subject", subject.at));
    }
}

fn line_break(what: &str, at: Place) -> Problem {
    Problem::error("line-break", at, format!("{what} holds a line break"))
        .help("write it on one line")
}

/// Checks a text whose value is known now.
fn parse<T: std::str::FromStr>(
    code: &'static str,
    what: &str,
    text: &Spanned<Template>,
    problems: &mut Vec<Problem>,
) where
    T::Err: std::fmt::Display,
{
    if text.source().contains(['\r', '\n']) {
        problems.push(line_break(what, text.at));
        return;
    }
    let Some(value) = text.literal() else {
        return;
    };
    if let Err(error) = value.parse::<T>() {
        problems.push(
            Problem::error(code, text.at, format!("`{value}` is not {what}"))
                .note(error.to_string()),
        );
    }
}

/// Wishes that the rest of the step makes impossible.
fn contradictions(
    deliver: &Deliver,
    name: &str,
    expect: &Expect,
    place: &dyn Fn(&str) -> Place,
    problems: &mut Vec<Problem>,
) {
    let mut conflict = |at: Place, title: String, help: &str| {
        problems.push(Problem::error("conflicting-keys", at, title).help(help));
    };
    let arrives = expect.arrives.as_ref().map(|arrives| arrives.within.at);
    let refused = deliver
        .expect
        .as_ref()
        .and_then(|expect| expect.reply)
        .filter(|reply| reply.is_refusal());
    if let Some(arrives) = arrives {
        if deliver.stop_after.is_some() {
            conflict(
                arrives,
                format!("nothing is sent with `stop_after`, so nothing `{name}`s to arrive"),
                "remove `stop_after` or `arrives`",
            );
        } else if let Some(reply) = refused {
            conflict(
                arrives,
                format!(
                    "with `reply: {}` the mail is refused, and cannot arrive",
                    reply.value
                ),
                "remove `arrives`, or expect another reply",
            );
        }
    }
    if let (Some(stop), Some(_)) = (deliver.stop_after, expect.accepted) {
        let stop = format!("{stop:?}").to_lowercase();
        conflict(
            place("accepted"),
            format!(
                "with `stop_after: {stop}` no mail is accepted, and `{name}.accepted` never holds"
            ),
            "remove `stop_after` or `accepted`",
        );
    }
    if deliver.tls == Some(TlsPolicy::None) && expect.certificate.is_some() {
        conflict(
            place("certificate"),
            format!("with `tls: none` there is no certificate for `{name}.certificate`"),
            "remove `certificate`, or use TLS",
        );
    }
    let anywhere = |part: &Option<Expect>| part.as_ref().is_some_and(|part| part.arrives.is_some());
    if expect.authentication_results.is_some()
        && !anywhere(&deliver.expect)
        && !anywhere(&deliver.prefer)
    {
        problems.push(
            Problem::error(
                "missing-key",
                place("authentication_results"),
                "`authentication_results` are read from the mail that arrived, and `arrives` is missing",
            )
            .help("add `arrives: {within: 2m}`"),
        );
    }
}

/// Values that the types cannot refuse.
fn values(expect: &Expect, place: &dyn Fn(&str) -> Place, problems: &mut Vec<Problem>) {
    if let Some(arrives) = &expect.arrives {
        if let Some(warn) = arrives.warn_after {
            warn_after(warn.at, warn.value, arrives.within.value, problems);
        }
        match &arrives.folder {
            Some(folder) if folder.contains(['\r', '\n']) => {
                problems.push(line_break("`folder`", place("arrives.folder")));
            }
            Some(folder) if folder.is_empty() => problems.push(Problem::error(
                "bad-value",
                place("arrives.folder"),
                "`folder` is empty",
            )),
            _ => {}
        }
        if arrives.copies == Some(0) {
            problems.push(Problem::error(
                "bad-value",
                place("arrives.copies"),
                "`copies` is at least 1: a mail that arrives is there",
            ));
        }
    }
    if let Some(accepted) = expect.accepted
        && let (Some(within), Some(warn)) = (accepted.within, accepted.warn_after)
    {
        warn_after(place("accepted.warn_after"), warn, within, problems);
    }
    if let Some(status) = &expect.enhanced_status
        && !is_enhanced_status(status)
    {
        problems.push(
            Problem::error(
                "bad-value",
                status.at,
                format!("`{}` is not an enhanced status code", status.value),
            )
            .help("write three numbers, the first 2, 4 or 5, as `5.1.1`"),
        );
    }
    if let Some(host) = &expect.accepted_by {
        parse::<HostName>("bad-host", "a host name", host, problems);
    }
    if let Some(results) = &expect.authentication_results {
        authentication_words(results, place, problems);
    }
}

fn warn_after(at: Place, warn: Period, within: Period, problems: &mut Vec<Problem>) {
    if warn >= within {
        problems.push(
            Problem::error(
                "warn-after-within",
                at,
                format!("`warn_after: {warn}` never comes before `within: {within}`"),
            )
            .help("make `warn_after` the shorter one"),
        );
    }
}

/// `class.subject.detail` (RFC 3463 §2).
fn is_enhanced_status(text: &str) -> bool {
    let parts: Vec<&str> = text.split('.').collect();
    let number = |part: &str| {
        (1..=3).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    matches!(parts.as_slice(), ["2" | "4" | "5", subject, detail] if number(subject) && number(detail))
}

/// Results of RFC 8601 §2.7.
fn authentication_words(
    results: &AuthenticationResults,
    place: &dyn Fn(&str) -> Place,
    problems: &mut Vec<Problem>,
) {
    const SPF: &[&str] = &[
        "none",
        "pass",
        "fail",
        "softfail",
        "policy",
        "neutral",
        "temperror",
        "permerror",
    ];
    const DKIM: &[&str] = &[
        "none",
        "pass",
        "fail",
        "policy",
        "neutral",
        "temperror",
        "permerror",
    ];
    // RFC 7489 §11.2
    const DMARC: &[&str] = &["none", "pass", "fail", "temperror", "permerror"];
    for (method, word, known) in [
        ("spf", &results.spf, SPF),
        ("dkim", &results.dkim, DKIM),
        ("dmarc", &results.dmarc, DMARC),
    ] {
        if let Some(word) = word
            && !known.contains(&word.as_str())
        {
            problems.push(
                Problem::error(
                    "bad-value",
                    place(&format!("authentication_results.{method}")),
                    format!("`{word}` is not a result of `{method}`"),
                )
                .note(format!("results are {}", known.join(", "))),
            );
        }
    }
}
