//! The main file: platform, senders, mailboxes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use postrider_probes::account::{
    DkimKey, ImapEndpoint, MailboxAccount, SecretSource, Security, Sender, Trust,
};
use postrider_probes::canary::Canary;
use postrider_probes::context::PlatformDefaults;
use postrider_probes::kinds::deliver::TrustSettings;
use postrider_probes::net::TrustAnchors;
use postrider_probes::setting::{Place, Spanned};
use postrider_probes::slots::{MOST_PER_ADDRESS, PER_ADDRESS};
use postrider_wire::address::{EhloName, HostName, Mailbox};

use super::Scope;
use crate::baseline::rules::Rules;
use crate::config::plan::{Inventory, Node, UpdateWindow};
use crate::config::raw::{
    RawDkim, RawImap, RawMailbox, RawMain, RawPlatform, RawSender, RawTls, RawWindow,
};

/// What the main file says, for [`Plan`](crate::config::plan::Plan).
#[derive(Debug)]
pub(in crate::config) struct MainFile {
    pub(in crate::config) vantage: String,
    pub(in crate::config) include: Vec<Spanned<String>>,
    pub(in crate::config) inventory: Inventory,
    pub(in crate::config) platform: PlatformDefaults,
    pub(in crate::config) changes: Rules,
    pub(in crate::config) resolver: Option<SocketAddr>,
    pub(in crate::config) trust_anchors: TrustAnchors,
    pub(in crate::config) senders: BTreeMap<String, Sender>,
    pub(in crate::config) mailboxes: BTreeMap<String, MailboxAccount>,
    pub(in crate::config) lost_after: Duration,
    pub(in crate::config) canaries: Vec<Canary>,
    pub(in crate::config) connections_per_address: usize,
    /// Where each secret is named.
    pub(in crate::config) secret_places: HashMap<SecretSource, Place>,
}

/// When a mail is given up: longer than most senders try (RFC 5321 §4.5.4.1 asks for 4 to 5 days).
const LOST_AFTER: Duration = Duration::from_secs(5 * 86_400);

impl Default for MainFile {
    /// What holds when nothing is written.
    fn default() -> Self {
        Self {
            vantage: "local".to_owned(),
            include: Vec::new(),
            inventory: Inventory::default(),
            platform: PlatformDefaults::default(),
            changes: Rules::default(),
            resolver: None,
            trust_anchors: TrustAnchors::default(),
            senders: BTreeMap::new(),
            mailboxes: BTreeMap::new(),
            lost_after: LOST_AFTER,
            canaries: Vec::new(),
            connections_per_address: PER_ADDRESS,
            secret_places: HashMap::new(),
        }
    }
}

/// Resolves the main file; `root` is the place of its first key, `cuts` is what was wrong and left out.
pub(in crate::config) fn main_file(
    raw: &RawMain,
    root: Place,
    cuts: &BTreeSet<(Place, String)>,
    scope: &mut Scope<'_>,
) -> MainFile {
    scope.version(raw.version, root, "the main file");
    if let Some(vantage) = &raw.vantage {
        scope.name("the name of a vantage", vantage);
    }
    let (inventory, platform) = raw
        .platform
        .as_ref()
        .map(|platform| scope.platform(platform))
        .unwrap_or_default();
    let changes = raw
        .platform
        .as_ref()
        .map(|platform| scope.changes(platform, &inventory))
        .unwrap_or_default();
    let mut main = MainFile {
        include: raw.include.clone(),
        inventory,
        changes,
        platform,
        resolver: raw.resolver.as_ref().and_then(|text| scope.resolver(text)),
        trust_anchors: raw
            .dnssec
            .as_ref()
            .and_then(|dnssec| scope.trust_anchors(&dnssec.trust_anchor_file))
            .unwrap_or_default(),
        canaries: raw
            .canaries
            .iter()
            .filter_map(|canary| scope.canary(canary))
            .collect(),
        ..MainFile::default()
    };
    if let Some(number) = raw
        .platform
        .as_ref()
        .and_then(|platform| platform.connections_per_address)
    {
        main.connections_per_address = scope.connections(number);
    }
    if let Some(vantage) = &raw.vantage {
        main.vantage.clone_from(&vantage.value);
    }
    if let Some(period) = raw.lost_after {
        main.lost_after = period.0;
        if period.0.is_zero() {
            scope.error(
                "bad-value",
                period.at,
                "`lost_after` is longer than nothing",
            );
        }
    }
    for (name, sender) in &raw.senders.0 {
        scope.name("the name of a sender", name);
        if let Some(dkim) = &sender.dkim {
            let source = SecretSource::File(dkim.key_file.value.clone());
            main.secret_places.insert(source, dkim.key_file.at);
        }
        if let Some(sender) = scope.sender(name, sender) {
            main.senders.insert(name.value.clone(), sender);
        }
    }
    for (name, mailbox) in &raw.mailboxes.0 {
        scope.name("the name of a mailbox", name);
        let written = mailbox.password_file.as_ref().map(|file| file.at);
        let named = written.or(mailbox.password_env.as_ref().map(|variable| variable.at));
        let has_mistake = cuts.iter().any(|(place, _)| *place == mailbox.at);
        if let Some(mailbox) = scope.mailbox(name, mailbox, has_mistake) {
            if let Some(source) = &mailbox.password {
                main.secret_places
                    .insert(source.clone(), named.unwrap_or(name.at));
            }
            main.mailboxes.insert(name.value.clone(), mailbox);
        }
    }
    main
}

impl Scope<'_> {
    fn platform(&mut self, raw: &RawPlatform) -> (Inventory, PlatformDefaults) {
        let mut inventory = Inventory {
            update_window: raw.update_window.as_ref().map(|raw| self.window(raw)),
            ..Inventory::default()
        };
        for domain in &raw.domains {
            if let Some(name) = self.parse::<HostName>("bad-host", "a domain", domain) {
                inventory.domains.push(name.to_string());
            }
        }
        let mut owners: BTreeMap<IpAddr, Place> = BTreeMap::new();
        for (name, node) in &raw.nodes.0 {
            self.name("the name of a node", name);
            let server_name = node
                .name
                .as_ref()
                .and_then(|name| self.parse::<HostName>("bad-host", "a host name", name));
            if let Some(site) = &node.site {
                self.line("`site`", site);
            }
            inventory.nodes.push(Node {
                name: name.value.clone(),
                server_name: server_name.map(|name| name.to_string()),
                primary: self.addresses(&node.primary, &mut owners),
                fallback: self.addresses(&node.fallback, &mut owners),
                site: node.site.as_ref().map(|site| site.value.clone()),
            });
        }
        let platform = PlatformDefaults {
            smtp_port: self.port(raw.smtp_port),
            trust: self.trust(raw.trust.as_ref()),
            source_address: raw.source_address.as_ref().and_then(|text| self.ip(text)),
            domains: inventory.domains.clone(),
            nodes: inventory.nodes.clone(),
        };
        (inventory, platform)
    }

    /// Addresses of a node; each belongs to one node, in one role.
    fn addresses(
        &mut self,
        written: &[Spanned<String>],
        owners: &mut BTreeMap<IpAddr, Place>,
    ) -> Vec<IpAddr> {
        let mut addresses = Vec::new();
        for text in written {
            let Some(address) = self.ip(text) else {
                continue;
            };
            if let Some(first) = owners.insert(address, text.at) {
                let problem = self.error(
                    "duplicate-address",
                    text.at,
                    format!("{address} stands here a second time"),
                );
                problem.help = Some("an address belongs to one node and has one role".to_owned());
                problem.related = Some((first, "the first one".to_owned()));
            }
            addresses.push(address);
        }
        addresses
    }

    fn connections(&mut self, number: Spanned<u32>) -> usize {
        let wanted = usize::try_from(number.value).unwrap_or(usize::MAX);
        if !(1..=MOST_PER_ADDRESS).contains(&wanted) {
            self.error(
                "bad-value",
                number.at,
                format!("`connections_per_address` is a whole number from 1 to {MOST_PER_ADDRESS}"),
            )
            .note = Some("filters refuse more connections from one address".to_owned());
        }
        wanted
    }

    fn window(&mut self, raw: &RawWindow) -> UpdateWindow {
        let zone = self.timezone(&raw.timezone);
        self.cron(&raw.cron, zone.as_ref());
        if raw.lasts.0.is_zero() {
            self.error("bad-value", raw.lasts.at, "`lasts` is longer than nothing");
        }
        UpdateWindow {
            pattern: raw.cron.value.clone(),
            timezone: raw.timezone.value.clone(),
            lasts: raw.lasts.0,
        }
    }

    fn resolver(&mut self, text: &Spanned<String>) -> Option<SocketAddr> {
        let socket = postrider_probes::setting::socket_address(text, 53);
        if socket.is_none() {
            self.error(
                "bad-address",
                text.at,
                format!("`{}` is not the address of a resolver", text.value),
            )
            .help =
                Some("write `192.0.2.53`, `192.0.2.53:5353` or `[2001:db8::53]:5353`".to_owned());
        }
        socket
    }

    fn trust_anchors(&mut self, path: &Spanned<PathBuf>) -> Option<TrustAnchors> {
        // One that is missing was reported when it was named.
        if !path.value.is_file() {
            return None;
        }
        TrustAnchors::read(&path.value)
            .map_err(|problem| {
                self.error("bad-value", path.at, format!("the file {problem}")).help =
                    Some("`dig . DNSKEY` shows the keys of the root zone; the ones with 257 belong into it".to_owned());
            })
            .ok()
    }

    fn trust(&mut self, raw: Option<&Spanned<TrustSettings>>) -> Trust {
        raw.map_or_else(Trust::default, |raw| {
            raw.check(&mut self.problems);
            raw.trust()
        })
    }

    fn sender(&mut self, name: &Spanned<String>, raw: &RawSender) -> Option<Sender> {
        let address = self.parse::<Mailbox>("bad-address", "a mail address", &raw.address);
        let helo = self.parse::<EhloName>("bad-host", "an EHLO name", &raw.helo);
        if let Some(contact) = &raw.contact {
            self.line("`contact`", contact);
        }
        let dkim = raw.dkim.as_ref().map(|dkim| self.dkim(dkim, &raw.address));
        Some(Sender {
            name: name.value.clone(),
            address: address?,
            helo: helo?,
            contact: raw.contact.as_ref().unwrap_or(&raw.address).value.clone(),
            dkim,
            bounces_to: raw.bounces_to.as_ref().map(|name| name.value.clone()),
        })
    }

    fn dkim(&mut self, raw: &RawDkim, address: &Spanned<String>) -> DkimKey {
        // A selector is one or more labels of a host name (RFC 6376 §3.1).
        self.parse::<HostName>("bad-value", "a DKIM selector", &raw.selector);
        if let Some(domain) = &raw.domain {
            self.parse::<HostName>("bad-host", "a domain", domain);
        }
        let senders_domain = address.rsplit('@').next().unwrap_or_default();
        DkimKey {
            selector: raw.selector.value.clone(),
            domain: raw
                .domain
                .as_ref()
                .map_or(senders_domain, |domain| domain.value.as_str())
                .to_owned(),
            key: SecretSource::File(raw.key_file.value.clone()),
        }
    }

    fn mailbox(
        &mut self,
        name: &Spanned<String>,
        raw: &RawMailbox,
        has_mistake: bool,
    ) -> Option<MailboxAccount> {
        let address = self.parse::<Mailbox>("bad-address", "a mail address", &raw.address);
        if let Some(username) = &raw.username {
            self.line("`username`", username);
        }
        if let (Some(_), Some(variable)) = (&raw.password_file, &raw.password_env) {
            self.error(
                "conflicting-keys",
                variable.at,
                "a mailbox has `password_file` or `password_env`, not both",
            );
        }
        if let Some(variable) = &raw.password_env {
            let bytes = variable.as_bytes();
            let fits = !bytes.is_empty()
                && !bytes[0].is_ascii_digit()
                && bytes
                    .iter()
                    .all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
            if !fits {
                self.error(
                    "bad-value",
                    variable.at,
                    "`password_env` is the name of an environment variable",
                )
                .help = Some("write the name alone, as `ALICE_PASSWORD`".to_owned());
            }
        }
        let override_name = password_file_variable(name);
        let password = match (
            self.environment.get(&override_name),
            &raw.password_file,
            &raw.password_env,
        ) {
            (Some(path), ..) => Some(SecretSource::File(path.into())),
            (None, Some(path), _) => Some(SecretSource::File(path.value.clone())),
            (None, None, Some(variable)) => Some(SecretSource::Env(variable.value.clone())),
            (None, None, None) => None,
        };
        // A mistake of its own may be the password.
        if let (None, Some(imap), false) = (&password, &raw.imap, has_mistake) {
            self.error(
                "missing-key",
                imap.at,
                format!("`{}` has `imap` but no password", name.value),
            )
            .help = Some("add `password_file` or `password_env`".to_owned());
        }
        let imap = raw.imap.as_ref().and_then(|imap| self.imap(imap));
        Some(MailboxAccount {
            name: name.value.clone(),
            address: address?,
            imap,
            username: raw.username.as_ref().unwrap_or(&raw.address).value.clone(),
            password,
            takes_bounces: false,
        })
    }

    fn imap(&mut self, raw: &RawImap) -> Option<ImapEndpoint> {
        let port = self.port(raw.port);
        let trust = self.trust(raw.trust.as_ref());
        if raw.server.parse::<IpAddr>().is_err() {
            self.parse::<HostName>("bad-host", "a host name or address", &raw.server)?;
        }
        let (security, usual_port) = match raw.tls {
            RawTls::Implicit => (Security::Implicit, 993),
            RawTls::Starttls => (Security::Starttls, 143),
            RawTls::None => (Security::None, 143),
        };
        Some(ImapEndpoint {
            server: raw.server.value.clone(),
            port: port.unwrap_or(usual_port),
            security,
            trust,
        })
    }
}

/// `POSTRIDER_MAILBOX_<NAME>_PASSWORD_FILE`: where another file for the password is named.
pub(in crate::config) fn password_file_variable(mailbox: &str) -> String {
    let name: String = mailbox
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() {
                c.to_ascii_uppercase()
            } else {
                '_'
            }
        })
        .collect();
    format!("POSTRIDER_MAILBOX_{name}_PASSWORD_FILE")
}
