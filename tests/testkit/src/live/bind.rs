//! BIND: the zones of the laboratory, and nothing beyond it.
//!
//! The server is authoritative for the root as well, so that no question leaves the machine:
//! a name that is not in a zone here does not exist.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use super::process::{Daemon, Group, Guard};
use super::{FALLBACK, PRIMARY, STORE};

const NAMED: &str = "/usr/sbin/named";
/// What it says when all zones are loaded.
pub(super) const READY: &str = " all zones loaded";

/// Starts `named` on `address` with the zones of the laboratory.
pub(super) fn start(
    directory: &Path,
    address: SocketAddr,
    zones: &[(String, String)],
    guard: &Guard,
) -> io::Result<Daemon> {
    fs::create_dir_all(directory)?;
    for (origin, text) in zones {
        fs::write(directory.join(zone_file(origin)), text)?;
    }
    let origins: Vec<&str> = zones.iter().map(|(origin, _)| origin.as_str()).collect();
    start_named(
        directory,
        &named_conf(directory, address, &origins, zone_file),
        guard,
    )
}

/// Replaces words of a zone file.
pub(super) fn change_zone(directory: &Path, origin: &str, from: &str, to: &str) -> io::Result<()> {
    let file = directory.join(zone_file(origin));
    let text = fs::read_to_string(&file)?;
    if !text.contains(from) {
        return Err(io::Error::other(format!("{origin} does not hold {from:?}")));
    }
    fs::write(file, text.replacen(from, to, 1))
}

/// Starts `named` in `directory` with this configuration.
pub(super) fn start_named(
    directory: &Path,
    configuration: &str,
    guard: &Guard,
) -> io::Result<Daemon> {
    fs::write(directory.join("named.conf"), configuration)?;
    launch(directory, guard)
}

/// Starts `named` on what was written before.
pub(super) fn launch(directory: &Path, guard: &Guard) -> io::Result<Daemon> {
    let file = directory.join("named.conf");
    let log = directory.join("named.log");
    // What an earlier one said is not said by this one.
    if log.exists() {
        fs::remove_file(&log)?;
    }
    // Where AppArmor confines /usr/sbin/named to the system's own directories, a copy is free.
    let program = directory.join("named");
    fs::copy(NAMED, &program)
        .map_err(|error| io::Error::other(format!("{NAMED}: {error}: run tests/run once")))?;
    Daemon::start(
        "named",
        Command::new(program)
            .arg("-g")
            .args(["-n", "1", "-c"])
            .arg(file),
        Group::Given,
        &log,
        guard,
    )
}

/// The text of `named.conf`. `broken.test` has no zone file, hence every question about it
/// is answered SERVFAIL.
fn named_conf(
    directory: &Path,
    address: SocketAddr,
    origins: &[&str],
    file: fn(&str) -> String,
) -> String {
    let directory = directory.display();
    let (ip, port) = (address.ip(), address.port());
    let mut text = format!(
        r#"options {{
    directory "{directory}";
    listen-on port {port} {{ {ip}; }};
    listen-on-v6 {{ none; }};
    pid-file none;
    session-keyfile "{directory}/session.key";
    managed-keys-directory "{directory}";
    recursion yes;
    allow-query {{ 127.0.0.0/8; }};
    dnssec-validation no;
    empty-zones-enable no;
    trust-anchor-telemetry no;
    notify no;
    minimal-responses no;
}};
controls {{ }};
zone "broken.test" {{ type primary; file "missing.zone"; }};
"#
    );
    for origin in origins {
        let _infallible = writeln!(
            text,
            r#"zone "{origin}" {{ type primary; file "{}"; }};"#,
            file(origin)
        );
    }
    text
}

fn zone_file(origin: &str) -> String {
    match origin {
        "." => "root.zone".to_owned(),
        origin => format!("{origin}.zone"),
    }
}

/// All zones: `(origin, text)`.
pub(super) fn zones(ipv6: bool, dkim_record: &str) -> Vec<(String, String)> {
    let head = "$TTL 60\n\
        @ IN SOA ns1.example.test. hostmaster.example.test. 1 3600 600 86400 60\n\
        @ IN NS ns1.example.test.\n";
    let [primary1, primary2] = PRIMARY;
    let [fallback1, fallback2] = FALLBACK;
    let mx1_ipv6 = if ipv6 { "mx1 AAAA ::1\n" } else { "" };
    let filter1_ipv6 = if ipv6 { "filter1 AAAA ::1\n" } else { "" };
    let example = format!(
        "ns1 A 127.0.0.1\n\
         @ MX 10 mx1\n\
         @ MX 20 mx2\n\
         @ TXT \"v=spf1 mx -all\"\n\
         _dmarc TXT \"v=DMARC1; p=reject\"\n\
         mx1 A {primary1}\n\
         mx1 A {primary2}\n\
         {mx1_ipv6}\
         mx2 A {fallback1}\n\
         mx2 A {fallback2}\n\
         imap A {STORE}\n"
    );
    let cluster = format!(
        "filter1 A {primary1}\n\
         {filter1_ipv6}\
         filter2 A {primary2}\n\
         out1 A {fallback1}\n\
         out2 A {fallback2}\n\
         store A {STORE}\n"
    );
    let outside = format!(
        "@ MX 10 mx\n\
         mx A {STORE}\n\
         probe A 127.0.0.1\n\
         @ TXT \"v=spf1 ip4:127.0.0.0/8 ip6:::1 -all\"\n\
         _dmarc TXT \"v=DMARC1; p=reject; adkim=s; aspf=s\"\n\
         lab._domainkey TXT \"{dkim_record}\"\n"
    );
    let reverse = "1.21.0 PTR filter1.cluster.test.\n\
         2.21.0 PTR out1.cluster.test.\n\
         1.22.0 PTR filter2.cluster.test.\n\
         2.22.0 PTR out2.cluster.test.\n\
         1.23.0 PTR store.cluster.test.\n\
         1.0.0 PTR probe.outside.test.\n";
    let reverse_of_loopback6 = format!("1.{}ip6.arpa", "0.".repeat(31));
    let texts = [
        (".", "ns1.example.test. A 127.0.0.1\n".to_owned()),
        ("example.test", example),
        ("cluster.test", cluster),
        ("outside.test", outside),
        ("odd.test", odd_names()),
        ("127.in-addr.arpa", reverse.to_owned()),
        (
            reverse_of_loopback6.as_str(),
            "@ PTR filter1.cluster.test.\n".to_owned(),
        ),
    ];
    texts
        .into_iter()
        .map(|(origin, text)| (origin.to_owned(), format!("{head}{text}")))
        .collect()
}

/// The names that a resolver must get right, each under its own label of `odd.test`.
fn odd_names() -> String {
    let mut text = format!(
        "; RFC 7505: the domain takes no mail\n\
         null-mx MX 0 .\n\
         ; RFC 5321 §5.1: an MX must not point to an alias\n\
         cname-mx MX 10 alias\n\
         alias CNAME mx1.example.test.\n\
         ; the whole domain is an alias\n\
         cname-domain CNAME example.test.\n\
         ; no MX, hence an implicit one\n\
         implicit-mx A {}\n\
         ; neither MX nor address\n\
         no-mail TXT \"nothing here\"\n\
         ; the MX has no entry at all\n\
         missing-mx MX 10 nowhere\n\
         ; the MX exists and has no address\n\
         addressless-mx MX 10 no-mail\n\
         ; the MX cannot be resolved now\n\
         servfail-mx MX 10 mx.broken.test.\n\
         ; one MX good, one missing\n\
         half-mx MX 10 nowhere\n\
         half-mx MX 20 mx2.example.test.\n\
         ; equal preferences\n\
         equal-mx MX 10 mx1.example.test.\n\
         equal-mx MX 10 mx2.example.test.\n\
         ; two names share their addresses\n\
         shared-mx MX 10 mx1.example.test.\n\
         shared-mx MX 20 mx2.example.test.\n\
         shared-mx MX 30 mx3\n\
         mx3 A {}\n\
         mx3 A {}\n\
         ; an MX with IPv6 only\n\
         ipv6-mx MX 10 mx6\n\
         mx6 AAAA ::1\n\
         ; one text in two strings, and two texts\n\
         split-text TXT \"first half, \" \"second half\"\n\
         two-texts TXT \"v=spf1 -all\"\n\
         two-texts TXT \"v=spf1 mx -all\"\n",
        PRIMARY[0], FALLBACK[0], FALLBACK[1],
    );
    // Too long for UDP: the answer comes truncated, the whole one over TCP.
    // A hundred is the most that BIND takes under one name.
    for host in 1..=100 {
        let _infallible = writeln!(text, "many-addresses A 127.0.99.{host}");
    }
    text
}
