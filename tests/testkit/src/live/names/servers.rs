//! The configurations of the name servers.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;

use super::zone::Zone;

/// `named.conf` of a server that is authoritative for `zones` and asks nobody.
pub(super) fn authoritative(directory: &Path, addresses: &[SocketAddr], zones: &[&Zone]) -> String {
    // A laboratory has names that no host may have, too.
    let more = "recursion no;\n    check-names primary ignore;";
    let mut text = named_options(directory, addresses, more);
    for zone in zones {
        let file = match zone.loads {
            true => zone.file(),
            false => "missing.zone".to_owned(),
        };
        let _infallible = writeln!(
            text,
            r#"zone "{}" {{ type primary; file "{file}"; }};"#,
            zone.absolute()
        );
    }
    text
}

/// `nsd.conf` of another server that is authoritative for `zones`.
pub(super) fn other_authoritative(
    directory: &Path,
    address: SocketAddr,
    zones: &[&Zone],
) -> String {
    let directory = directory.display();
    let mut text = format!(
        r#"server:
    ip-address: {}
    username: ""
    chroot: ""
    zonesdir: "{directory}"
    zonelistfile: "{directory}/zone.list"
    xfrdir: "{directory}"
    database: ""
    xfrdfile: ""
    pidfile: ""
    cookie-secret-file: ""
    server-count: 1
    rrl-ratelimit: 0
remote-control:
    control-enable: no
"#,
        at(address)
    );
    for zone in zones {
        let _infallible = write!(
            text,
            "zone:\n    name: \"{}\"\n    zonefile: \"{}\"\n",
            zone.absolute(),
            zone.file()
        );
    }
    text
}

/// `named.conf` of a resolver that knows what the authoritative server says, and believes all of it.
pub(super) fn resolver(directory: &Path, address: SocketAddr, upstream: SocketAddr) -> String {
    let (ip, port) = (upstream.ip(), upstream.port());
    let more =
        format!("recursion yes;\n    forward only;\n    forwarders {{ {ip} port {port}; }};");
    named_options(directory, &[address], &more)
}

fn named_options(directory: &Path, addresses: &[SocketAddr], more: &str) -> String {
    let directory = directory.display();
    let listen: String = addresses
        .iter()
        .map(|address| {
            let family = if address.is_ipv6() { "-v6" } else { "" };
            let (ip, port) = (address.ip(), address.port());
            format!("    listen-on{family} port {port} {{ {ip}; }};\n")
        })
        .collect();
    let off6 = match addresses.iter().any(SocketAddr::is_ipv6) {
        true => "",
        false => "    listen-on-v6 { none; };\n",
    };
    format!(
        r#"options {{
    directory "{directory}";
{listen}{off6}    pid-file none;
    session-keyfile "{directory}/session.key";
    managed-keys-directory "{directory}";
    {more}
    allow-query {{ 127.0.0.0/8; ::1; }};
    dnssec-validation no;
    empty-zones-enable no;
    trust-anchor-telemetry no;
    notify no;
    max-cache-size 16M;
}};
controls {{ }};
"#
    )
}

/// `unbound.conf` of a resolver that validates, beginning with the laboratory's root key.
pub(super) fn validating(
    anchor: &Path,
    address: SocketAddr,
    upstream: SocketAddr,
    zones: &[&Zone],
) -> String {
    // Unbound answers for these itself unless told otherwise.
    let defaults = ["test", "invalid", "onion", "localhost", "127.in-addr.arpa"];
    let of_loopback6 = format!("1.{}ip6.arpa", "0.".repeat(31));
    let names = defaults
        .into_iter()
        .chain([of_loopback6.as_str()])
        .chain(zones.iter().map(|zone| zone.origin.as_str()))
        .filter(|name| !name.is_empty());
    let mut local_zones: Vec<String> = names
        .map(|name| format!("    local-zone: \"{name}.\" nodefault\n"))
        .collect();
    local_zones.sort();
    local_zones.dedup();
    format!(
        r#"server:
    interface: {interface}
    access-control: 127.0.0.0/8 allow
    do-daemonize: no
    username: ""
    chroot: ""
    pidfile: ""
    use-syslog: no
    logfile: ""
    verbosity: 1
    val-log-level: 2
    num-threads: 1
    do-ip6: no
    do-not-query-localhost: no
    module-config: "validator iterator"
    trust-anchor-file: "{anchor}"
    unblock-lan-zones: yes
    qname-minimisation: no
{local_zones}forward-zone:
    name: "."
    forward-addr: {upstream}
remote-control:
    control-enable: no
"#,
        interface = at(address),
        anchor = anchor.display(),
        local_zones = local_zones.concat(),
        upstream = at(upstream),
    )
}

/// An address as the programs of NLnet Labs write it.
fn at(address: SocketAddr) -> String {
    format!("{}@{}", address.ip(), address.port())
}
