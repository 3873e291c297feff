//! The modules: what each of them looks at, and the probe kind that does it.

use std::net::IpAddr;
use std::time::Duration;

use postrider_probes::account::{MailboxAccount, Security};
use postrider_probes::kinds::Probe;
use postrider_probes::kinds::deliver::{Deliver, Family, StopAfter, TlsPolicy, TrustSettings};
use postrider_probes::kinds::dns::{Ask, Dns};
use postrider_probes::kinds::imap::{Imap, Read};
use postrider_probes::kinds::tls::{Addresses, Starttls, Tls};
use postrider_probes::net::addresses;
use postrider_probes::outcome::Failure;
use postrider_probes::reason::Reason;
use postrider_probes::setting::{FolderName, Spanned, Template};
use postrider_wire::address::HostName;

use super::meaningless;
use super::named::{Place, plain};
use crate::run::Engine;
use crate::web::ProbeRefused;

const SMTP: u16 = 25;
const SUBMISSION: u16 = 587;
const IMAP: u16 = 143;
const IMAPS: u16 = 993;
/// For a name's addresses.
const LOOKUP: Duration = Duration::from_secs(10);

/// What can be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Module {
    SmtpStarttls,
    SmtpRcpt,
    ImapLogin,
    ImapTls,
    DnsMx,
}

/// By their names.
pub(super) const MODULES: [(&str, Module); 5] = [
    ("smtp_starttls", Module::SmtpStarttls),
    ("smtp_rcpt", Module::SmtpRcpt),
    ("imap_login", Module::ImapLogin),
    ("imap_tls", Module::ImapTls),
    ("dns_mx", Module::DnsMx),
];

/// What is to be run, or why it cannot.
#[derive(Debug)]
pub(super) enum Prepared {
    Ready(Probe),
    Failed(Failure),
}

impl Module {
    pub(super) fn named(name: &str) -> Option<Self> {
        let found = MODULES.into_iter().find(|(known, _)| *known == name);
        found.map(|(_, module)| module)
    }

    pub(super) fn name(self) -> &'static str {
        let found = MODULES.into_iter().find(|(_, module)| *module == self);
        found.map_or("", |(name, _)| name)
    }

    /// Whether SMTP is spoken.
    pub(super) fn is_smtp(self) -> bool {
        matches!(self, Self::SmtpStarttls | Self::SmtpRcpt)
    }

    /// Whether the target's name is resolved before the probe runs.
    pub(super) fn resolves(self) -> bool {
        matches!(self, Self::SmtpStarttls | Self::SmtpRcpt | Self::ImapTls)
    }

    /// Ports that may be contacted whatever the configuration says of them.
    pub(super) fn usual_ports(self) -> &'static [u16] {
        match self {
            Self::SmtpStarttls | Self::SmtpRcpt => &[SMTP, SUBMISSION],
            Self::ImapLogin | Self::ImapTls => &[IMAP, IMAPS],
            Self::DnsMx => &[],
        }
    }

    /// Reads a target.
    pub(super) fn place(self, target: &str, engine: &Engine) -> Result<Place, ProbeRefused> {
        let no_target = || {
            let target = target.escape_debug();
            meaningless(format!("`{target}` is no target for {}", self.name()))
        };
        let plan = &engine.plan;
        if self == Self::DnsMx {
            let domain = target.parse::<HostName>().map_err(|_| no_target())?;
            return Ok(Place::Domain(plain(&domain.to_string())));
        }
        if self == Self::ImapLogin && plan.mailboxes.contains_key(target) {
            return Ok(Place::Mailbox(target.to_owned()));
        }
        let (host, port) = split(target).ok_or_else(no_target)?;
        let default_port = || match self {
            Self::SmtpStarttls | Self::SmtpRcpt => plan.platform.smtp_port.unwrap_or(SMTP),
            _ => endpoint(engine, &host, None)
                .and_then(|mailbox| mailbox.imap.as_ref())
                .map_or(IMAPS, |imap| imap.port),
        };
        let port = port.unwrap_or_else(default_port);
        if self == Self::ImapLogin {
            // Whose password would be sent elsewhere?
            let mailbox = endpoint(engine, &host, Some(port)).ok_or_else(|| {
                let target = target.escape_debug();
                meaningless(format!("no mailbox is read at `{target}`"))
            })?;
            return Ok(Place::Mailbox(mailbox.name.clone()));
        }
        if let Ok(address) = host.parse() {
            return Ok(Place::Address(address, port));
        }
        let name = HostName::parse_relaxed(&host).map_err(|_| no_target())?;
        Ok(Place::Host(plain(&name.to_string()), port))
    }

    /// What is to be run.
    pub(super) async fn prepare(
        self,
        place: &Place,
        engine: &Engine,
    ) -> Result<Prepared, ProbeRefused> {
        let probe = match place {
            Place::Domain(domain) => Probe::Dns(Box::new(Dns {
                query: written(domain),
                r#type: Spanned::unplaced("MX".to_owned()),
                ask: Ask::Resolver,
                resolver: None,
                port: None,
                within: None,
                expect: None,
                prefer: None,
            })),
            Place::Mailbox(name) => Probe::Imap(Box::new(Imap {
                r#in: Spanned::unplaced(name.clone()),
                folder: FolderName::inbox(),
                read: Read::Nothing,
                command_timeout: None,
                expect: None,
                prefer: None,
            })),
            Place::Address(address, port) => {
                self.towards(engine, &address.to_string(), *address, *port)?
            }
            Place::Host(name, port) => match resolve(engine, name).await {
                Ok(address) => self.towards(engine, name, address, *port)?,
                Err(failure) => return Ok(Prepared::Failed(failure)),
            },
        };
        Ok(Prepared::Ready(probe))
    }

    fn towards(
        self,
        engine: &Engine,
        host: &str,
        address: IpAddr,
        port: u16,
    ) -> Result<Probe, ProbeRefused> {
        let to_address = Some(written(&address.to_string()));
        if self == Self::SmtpRcpt {
            let (from, to) = envelope(engine).ok_or_else(|| {
                meaningless("smtp_rcpt needs a sender and a mailbox in the configuration")
            })?;
            return Ok(Probe::Deliver(Box::new(Deliver {
                from: Some(Spanned::unplaced(from)),
                to: Some(Spanned::unplaced(to)),
                to_address,
                server_name: host.parse::<IpAddr>().is_err().then(|| written(host)),
                port: Some(port),
                tls: Some(TlsPolicy::Opportunistic),
                stop_after: Some(StopAfter::Rcpt),
                ..Deliver::default()
            })));
        }
        let mailbox = endpoint(engine, host, Some(port)).and_then(|mailbox| mailbox.imap.as_ref());
        let starttls = match (self, mailbox.map(|imap| imap.security)) {
            (Self::SmtpStarttls, _) => Some(Starttls::Smtp),
            (_, Some(Security::Implicit)) => None,
            (_, Some(Security::Starttls | Security::None)) => Some(Starttls::Imap),
            (_, None) => (port != IMAPS).then_some(Starttls::Imap),
        };
        Ok(Probe::Tls(Box::new(Tls {
            host: Some(written(host)),
            to_address,
            port: Some(port),
            starttls,
            addresses: Addresses::Any,
            trust: mailbox.map(|imap| TrustSettings {
                ca_file: imap.trust.ca_file.clone().map(Spanned::unplaced),
                pin: imap.trust.pin.map(|pin| {
                    let digits = pin.iter().map(|byte| format!("{byte:02x}"));
                    Spanned::unplaced(digits.collect())
                }),
                insecure: imap.trust.insecure,
            }),
            ..Tls::default()
        })))
    }
}

/// Who would send, and to whom: the first sender, and the first mailbox of a domain of the platform.
fn envelope(engine: &Engine) -> Option<(String, String)> {
    let plan = &engine.plan;
    let is_ours = |mailbox: &&MailboxAccount| {
        let domain = plain(mailbox.address.domain());
        let ours = plan.inventory.domains.iter();
        ours.map(|known| plain(known)).any(|known| known == domain)
    };
    let mailboxes = || plan.mailboxes.values();
    let mailbox = mailboxes().find(is_ours).or_else(|| mailboxes().next())?;
    let sender = plan.senders.keys().next()?;
    Some((sender.clone(), mailbox.name.clone()))
}

/// The first mailbox that is read there.
fn endpoint<'e>(engine: &'e Engine, host: &str, port: Option<u16>) -> Option<&'e MailboxAccount> {
    engine.plan.mailboxes.values().find(|mailbox| {
        mailbox.password.is_some()
            && mailbox.imap.as_ref().is_some_and(|imap| {
                let bare = imap.server.trim_start_matches('[').trim_end_matches(']');
                plain(bare) == plain(host) && port.is_none_or(|port| port == imap.port)
            })
    })
}

/// The address that is contacted: the first with a way to it.
async fn resolve(engine: &Engine, name: &str) -> Result<IpAddr, Failure> {
    let net = engine.net.as_ref();
    let found = addresses(net, None, name, Family::Both, LOOKUP).await;
    let reachable = found
        .addresses
        .iter()
        .find(|address| net.has_route(**address));
    if let Some(address) = reachable.or(found.addresses.first()) {
        return Ok(*address);
    }
    Err(found
        .failure
        .unwrap_or_else(|| Failure::new(Reason::DnsNxdomain, format!("{name} has no address"))))
}

/// `host`, `host:port`, `[v6]:port`, `v6`.
pub(super) fn split(target: &str) -> Option<(String, Option<u16>)> {
    if let Some(rest) = target.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        let port = match rest.strip_prefix(':') {
            Some(port) => Some(number(port)?),
            None if rest.is_empty() => None,
            None => return None,
        };
        return Some((address.to_owned(), port));
    }
    match target.split_once(':') {
        Some((host, port)) if !port.contains(':') => Some((host.to_owned(), Some(number(port)?))),
        _ => Some((target.to_owned(), None)),
    }
}

fn number(port: &str) -> Option<u16> {
    port.parse().ok().filter(|port| *port > 0)
}

/// What a host name, an address or a domain is as a template: none of them holds a dollar sign.
fn written(text: &str) -> Spanned<Template> {
    Spanned::unplaced(Template::plain(text))
}
