//! The three Postfix instances: which addresses each has, and what it does with mail.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::Path;

use super::postfix::Postfix;
use super::{ALICE, BOB, DOMAIN, FALLBACK, Options, PRIMARY, SENDER, dovecot};

/// A Postfix instance of the platform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// Takes mail on the first address of each MX.
    Filter1,
    /// Takes mail on the second address of each MX.
    Filter2,
    /// Takes mail from the filters and hands it to Dovecot.
    Store,
}

impl Node {
    /// All nodes, in the order of their declaration.
    pub const ALL: [Self; 3] = [Self::Filter1, Self::Filter2, Self::Store];

    /// `filter1`, `filter2`, `store`: its host name is this under `cluster.test`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Filter1 => "filter1",
            Self::Filter2 => "filter2",
            Self::Store => "store",
        }
    }
}

/// Every address of every MX, primary before fallback, IPv6 last.
pub(super) fn smtp_addresses(options: Options) -> Vec<IpAddr> {
    let mut addresses: Vec<IpAddr> = PRIMARY
        .into_iter()
        .chain(FALLBACK)
        .map(IpAddr::V4)
        .collect();
    if options.ipv6 {
        addresses.push(Ipv6Addr::LOCALHOST.into());
    }
    addresses
}

/// The nodes, prepared and not started, in the order of [`Node::ALL`].
pub(super) fn make_nodes(
    directory: &Path,
    options: Options,
    smtp_port: u16,
    store: SocketAddr,
) -> io::Result<[Postfix; 3]> {
    let filter = |node: Node| {
        let index = node as usize;
        let mut listeners = vec![
            SocketAddr::from((PRIMARY[index], smtp_port)),
            SocketAddr::from((FALLBACK[index], smtp_port)),
        ];
        if options.ipv6 && node == Node::Filter1 {
            listeners.push((Ipv6Addr::LOCALHOST, smtp_port).into());
        }
        let home = directory.join(node.name());
        let role = filter_role(&home, store);
        Postfix::new(node.name(), home, listeners, role)
    };
    let lmtp = dovecot::lmtp_socket(&directory.join("dovecot"));
    Ok([
        filter(Node::Filter1)?,
        filter(Node::Filter2)?,
        Postfix::new(
            Node::Store.name(),
            directory.join(Node::Store.name()),
            vec![store],
            store_role(&lmtp),
        )?,
    ])
}

/// A filter takes mail for the domain's mailboxes from anyone, and passes it to the store.
fn filter_role(home: &Path, store: SocketAddr) -> BTreeMap<String, String> {
    let home = home.display();
    let to_store = format!("smtp:[{}]:{}", store.ip(), store.port());
    settings([
        // Nobody is at home here: also a client on loopback is a stranger.
        ("mynetworks", String::new()),
        ("relay_domains", DOMAIN.to_owned()),
        ("relay_transport", to_store.clone()),
        (
            "relay_recipient_maps",
            format!("inline:{{ {{{ALICE} = ok}}, {{{BOB} = ok}} }}"),
        ),
        // Bounces to the sender.
        (
            "transport_maps",
            format!("inline:{{ {{outside.test = {to_store}}} }}"),
        ),
        ("smtpd_tls_security_level", "may".to_owned()),
        (
            "smtpd_tls_chain_files",
            format!("{home}/etc/tls.key, {home}/etc/tls.pem"),
        ),
        ("smtpd_tls_loglevel", "1".to_owned()),
        ("smtpd_tls_received_header", "yes".to_owned()),
    ])
}

/// The store takes mail from the cluster only, and delivers it to Dovecot.
fn store_role(lmtp: &Path) -> BTreeMap<String, String> {
    settings([
        ("mynetworks", "127.0.0.0/8".to_owned()),
        ("virtual_mailbox_domains", format!("{DOMAIN}, outside.test")),
        (
            "virtual_mailbox_maps",
            format!("inline:{{ {{{ALICE} = ok}}, {{{BOB} = ok}}, {{{SENDER} = ok}} }}"),
        ),
        ("virtual_transport", format!("lmtp:unix:{}", lmtp.display())),
    ])
}

/// Postfix parameters by name.
pub(super) fn settings<const N: usize>(pairs: [(&str, String); N]) -> BTreeMap<String, String> {
    BTreeMap::from(pairs.map(|(name, value)| (name.to_owned(), value)))
}
