//! `tlsa`: DANE for SMTP (RFC 7672): what a signed zone says of a server's certificate, and what the server presents.

mod inspect;
mod judge;
mod published;
mod settings;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

pub use settings::{Begin, Dane, Expect, Tlsa};

use crate::context::Context;
use crate::kind::{Kind, Names, Preview};
use crate::kinds::deliver::MessageDefaults;
use crate::names::{MOST_LINES, mistake, name_mistake};
use crate::outcome::{Failure, Finding};
use crate::phase::Phase;
use crate::reason::Reason;
use crate::setting::{Place, Problem, Spanned, Template};
use crate::target::Target;

use self::published::Published;

/// MX, addresses, and the records at one or two names.
const DNS_ROUNDS: u32 = 4;
/// Connection, greeting, two commands, handshake, goodbye.
const DIALOGUE_ROUNDS: u32 = 6;
/// More addresses of one name are not looked at.
const MOST_ADDRESSES: u32 = 8;

/// One check with everything filled in.
#[derive(Debug)]
struct Asked {
    host: String,
    domain: Option<String>,
    to_address: Option<IpAddr>,
    port: u16,
    begin: Begin,
    resolver: Option<SocketAddr>,
    source: Option<IpAddr>,
    helo: Option<String>,
    within: Duration,
}

impl Kind for Tlsa {
    const NAME: &'static str = "tlsa";

    fn check(&self, names: &Names<'_>, at: Place, problems: &mut Vec<Problem>) {
        if self.host.is_none() && !names.for_each {
            problems.push(
                Problem::error("missing-key", at, "`tlsa` does not say which server")
                    .help("add `host: mx1.example.net`, or `for_each` to the step"),
            );
        }
        problems.extend(self.host.as_ref().and_then(name_mistake));
        problems.extend(self.domain.as_ref().and_then(name_mistake));
        if let Some(address) = &self.to_address
            && let Some(text) = address.literal()
            && text.parse::<IpAddr>().is_err()
        {
            let text = format!("`{}` is not an IP address", text.escape_debug());
            problems.push(Problem::error("bad-address", address.at, text));
        }
        if let Some(port) = self.port.filter(|port| port.value == 0) {
            problems.push(mistake(port.at, "a port is a whole number from 1 to 65535"));
        }
        if let Some(helo) = self.helo.as_ref().filter(|_| self.starttls != Begin::Smtp) {
            problems.push(
                Problem::error(
                    "conflicting-keys",
                    helo.at,
                    "nobody says `helo` without `starttls: smtp`",
                )
                .help("remove `helo`"),
            );
        }
        if self.port.is_none() && self.starttls == Begin::None {
            problems.push(
                Problem::error("missing-key", at, "`tlsa` does not say which port")
                    .help("add `port:`, such as 465, 993 or 443"),
            );
        }
        if self.within.is_some_and(|within| within.0.is_zero()) {
            problems.push(Problem::error(
                "bad-value",
                names.place("within", at),
                "`within` is zero",
            ));
        }
    }

    fn longest(&self, _: &MessageDefaults) -> Duration {
        let addresses = match (&self.to_address, &self.host) {
            (Some(_), _) | (None, None) => 1,
            (None, Some(_)) => MOST_ADDRESSES,
        };
        self.within() * (DNS_ROUNDS + DIALOGUE_ROUNDS * addresses) + Duration::from_secs(1)
    }

    fn patience(&self, message: &MessageDefaults) -> Duration {
        (self.within() * (DNS_ROUNDS + DIALOGUE_ROUNDS)).min(self.longest(message))
    }

    fn port(&self) -> Option<u16> {
        self.port.map(|port| port.value)
    }

    fn contacts(&self) -> Vec<&Template> {
        let named = [&self.host, &self.domain, &self.to_address];
        named
            .into_iter()
            .flatten()
            .map(|name| &name.value)
            .collect()
    }

    fn preview(&self, _: &MessageDefaults, target: Option<&Target>) -> Preview {
        let host = match (&self.host, target) {
            (Some(host), _) => host.source().to_owned(),
            (None, Some(target)) => format!("{} [{}]", target.mx, target.address),
            (None, None) => String::new(),
        };
        Preview::reads(format!(
            "hold the certificate of {host} against its TLSA records"
        ))
    }

    async fn run(&self, cx: &Context<'_>) -> Result<(), Failure> {
        let asked = self.asked(cx)?;
        let published = cx.phase(Phase::Dns, published::of(&asked, cx)).await?;
        let (owner, base, names, records, addresses) = match published {
            Published::Nothing { why } => {
                self.without(cx, &why);
                return Ok(());
            }
            Published::Records {
                owner,
                base,
                names,
                records,
                addresses,
            } => (owner, base, names, records, addresses),
        };
        let (records, unusable) = judge::usable(&records);
        let lines = unusable
            .iter()
            .take(MOST_LINES)
            .map(|(record, why)| format!("{owner} TLSA {record} cannot be used: {why}"));
        cx.evidence(|evidence| evidence.answers.extend(lines));
        if records.is_empty() {
            return Err(judge::nothing_usable(&owner, &unusable));
        }
        if !unusable.is_empty() {
            let all = records.len() + unusable.len();
            cx.note(format!(
                "{} of {all} TLSA records cannot be used",
                unusable.len()
            ));
        }
        let several = addresses.len() > 1;
        let mut told = Vec::new();
        for address in addresses {
            let to = SocketAddr::new(address, asked.port);
            let found = match inspect::look(cx, &asked, &base, to).await {
                Ok(shown) => {
                    let verdicts = judge::verdicts(&records, &shown, &names);
                    let note = judge::note(&verdicts);
                    if !told.contains(&note) {
                        told.push(note);
                    }
                    judge::judge(&owner, to, &verdicts)
                }
                Err(failure) => Some(failure),
            };
            if let Some(mut finding) = found {
                if several && finding.reason != Reason::DaneMismatch {
                    finding.message = format!("{address}: {}", finding.message);
                }
                cx.find(finding);
            }
        }
        told.into_iter().flatten().for_each(|note| cx.note(note));
        Ok(())
    }
}

impl Tlsa {
    fn within(&self) -> Duration {
        self.within.map_or(settings::WITHIN, |within| within.0)
    }

    fn asked(&self, cx: &Context<'_>) -> Result<Asked, Failure> {
        let filled = |template: &Option<Spanned<Template>>| {
            template.as_ref().map(|text| cx.fill(text)).transpose()
        };
        let internal = |text: &str| Failure::new(Reason::Internal, text);
        let own_host = filled(&self.host)?;
        let target = cx.target.filter(|_| own_host.is_none());
        let platform = cx.around.platform;
        let to_address = match filled(&self.to_address)? {
            Some(text) => Some(
                text.parse()
                    .map_err(|_| internal("`to_address` is not an IP address"))?,
            ),
            None => target.map(|target| target.address),
        };
        let helo = self.helo.as_ref().map(|helo| &helo.value.0);
        let of_sender = || cx.around.senders.values().next().map(|sender| &sender.helo);
        let host = own_host
            .or_else(|| target.map(|target| target.mx.clone()))
            .ok_or_else(|| internal("neither a host nor a target is given"))?;
        let usual = match self.starttls {
            Begin::Smtp => Some(platform.smtp_port.unwrap_or(25)),
            other => other.usual_port(),
        };
        Ok(Asked {
            host: host.trim_end_matches('.').to_ascii_lowercase(),
            domain: filled(&self.domain)?
                .or_else(|| target.map(|target| target.domain.clone()))
                .map(|domain| domain.trim_end_matches('.').to_ascii_lowercase()),
            to_address,
            port: self
                .port
                .map(|port| port.value)
                .or(usual)
                .ok_or_else(|| internal("no port is given"))?,
            begin: self.starttls,
            resolver: self.resolver.map(|server| server.0.0),
            source: self
                .source_address
                .map(|address| address.0)
                .or(platform.source_address),
            helo: helo.or_else(of_sender).map(ToString::to_string),
            within: self.within(),
        })
    }

    /// There is nothing to hold the certificate against.
    fn without(&self, cx: &Context<'_>, why: &str) {
        let finding = Finding::new(
            Reason::DaneMismatch,
            format!("DANE is required, and {why} (dane-required)"),
        );
        let required = |rules: &Option<Expect>| {
            rules
                .as_ref()
                .is_some_and(|rules| rules.dane == Dane::Required)
        };
        let nothing_said = self.expect.is_none() && self.prefer.is_none();
        if nothing_said || required(&self.expect) {
            cx.find(finding);
        } else if required(&self.prefer) {
            cx.find(finding.as_preference());
        } else {
            cx.note(format!("no DANE: {why}"));
        }
    }
}
