//! What is wrong with a `tls:` as it is written, before anything is contacted.

use std::net::IpAddr;
use std::str::FromStr;

use postrider_wire::address::HostName;
use postrider_wire::tls::{Version, of_version, suite_name};

use super::judge::matches;
use super::{Expect, Starttls, Tls};
use crate::account::parse_pin;
use crate::kind::Names;
use crate::setting::{Place, Problem, Spanned, Template};
use crate::tls::signature_names;

/// Reports contradictions and values that the types cannot refuse; `at` is the verb.
pub(super) fn check(tls: &Tls, names: &Names<'_>, at: Place, problems: &mut Vec<Problem>) {
    whereto(tls, names, at, problems);
    if let Some(trust) = &tls.trust {
        trust.check(problems);
    }
    if let Some(helo) = tls
        .helo
        .as_ref()
        .filter(|_| tls.starttls != Some(Starttls::Smtp))
    {
        problems.push(
            Problem::error(
                "conflicting-keys",
                helo.at,
                "nobody says `helo` without `starttls: smtp`",
            )
            .help("remove `helo`"),
        );
    }
    if tls.within.is_some_and(|within| within.0.is_zero()) {
        problems.push(Problem::error(
            "bad-value",
            names.place("within", at),
            "`within` is zero",
        ));
    }
    for (key, expect) in [("expect", &tls.expect), ("prefer", &tls.prefer)] {
        if let Some(expect) = expect {
            let place = |name: &str| names.place(&format!("{key}.{name}"), at);
            rules(expect, &place, problems);
        }
    }
}

fn whereto(tls: &Tls, names: &Names<'_>, at: Place, problems: &mut Vec<Problem>) {
    if tls.host.is_none() && tls.to_address.is_none() && !names.for_each {
        problems.push(
            Problem::error("missing-key", at, "`tls` does not say where to look")
                .help("add `host: imap.example.net`, or `for_each` to the step"),
        );
    }
    if let Some(host) = &tls.host {
        let is_address = host.literal().is_some_and(|text| {
            let bare = text.trim_start_matches('[').trim_end_matches(']');
            bare.parse::<IpAddr>().is_ok()
        });
        if !is_address {
            parse::<HostName>("bad-host", "a host name or an address", host, problems);
        }
    }
    if let Some(address) = &tls.to_address {
        parse::<IpAddr>("bad-address", "an IP address", address, problems);
    }
    if let Some(name) = &tls.server_name {
        parse::<HostName>("bad-host", "a host name", name, problems);
    }
    if tls.port == Some(0) {
        problems.push(Problem::error(
            "bad-value",
            names.place("port", at),
            "a port is a whole number from 1 to 65535",
        ));
    }
    if tls.port.is_none() && tls.starttls.is_none() {
        problems.push(
            Problem::error("missing-key", at, "`tls` does not say which port")
                .help("add `port:`, such as 465, 993 or 443, or `starttls:` with a protocol"),
        );
    }
}

fn parse<T: FromStr>(
    code: &'static str,
    what: &str,
    template: &Spanned<Template>,
    problems: &mut Vec<Problem>,
) {
    if let Some(text) = template.literal()
        && text.parse::<T>().is_err()
    {
        let title = format!("`{}` is not {what}", text.escape_debug());
        problems.push(Problem::error(code, template.at, title));
    }
}

fn rules(expect: &Expect, place: &dyn Fn(&str) -> Place, problems: &mut Vec<Problem>) {
    for name in expect.names.iter().flatten() {
        let is_address = name
            .literal()
            .is_some_and(|text| text.parse::<IpAddr>().is_ok());
        if !is_address {
            parse::<HostName>("bad-host", "a host name or an address", name, problems);
        }
    }
    if let Some(pin) = &expect.fingerprint
        && parse_pin(pin).is_none()
    {
        problems.push(
            Problem::error(
                "bad-value",
                pin.at,
                "`fingerprint` is the SHA-256 of a certificate: 64 hexadecimal digits",
            )
            .help("see `openssl x509 -noout -fingerprint -sha256 -in FILE`"),
        );
    }
    for name in expect.signatures.iter().flatten() {
        if !signature_names().any(|known| known == name.value) {
            let known: Vec<String> = signature_names().map(|name| format!("`{name}`")).collect();
            let title = format!("`{}` is no signature algorithm", name.value.escape_debug());
            problems.push(
                Problem::error("bad-value", name.at, title)
                    .help(format!("there are {}", known.join(", "))),
            );
        }
    }
    if let (Some(offered), Some(refused)) = (&expect.versions, &expect.not_versions)
        && let Some(both) = offered.iter().find(|version| refused.contains(version))
    {
        let title = format!("{} cannot be offered and refused", both.version());
        problems.push(
            Problem::error("conflicting-keys", place("not_versions"), title)
                .help("leave it out of one of the two"),
        );
    }
    let ciphers = [&expect.ciphers, &expect.not_ciphers];
    for pattern in ciphers.into_iter().flatten().flatten() {
        let known = |version| of_version(version).into_iter().map(suite_name);
        if !known(Version::Tls13)
            .chain(known(Version::Tls12))
            .any(|name| matches(pattern, &name))
        {
            let title = format!(
                "no cipher suite that can be asked for is called `{}`",
                pattern.value.escape_debug()
            );
            problems.push(
                Problem::error("bad-value", pattern.at, title)
                    .help("write an IANA name, as `TLS_RSA_WITH_AES_128_CBC_SHA`, or `*_CBC_*`"),
            );
        }
    }
}
