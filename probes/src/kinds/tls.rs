//! `tls`: what a server shows and offers before anybody logs in: its certificate, its chain, its versions and ciphers.

mod check;
mod endpoints;
mod inspect;
mod judge;
mod offers;
mod settings;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use settings::{Addresses, Certificate, Enumerate, Expect, KeyType, Starttls, Tls, TlsVersion};

use crate::context::Context;
use crate::kind::{Kind, Names, Preview};
use crate::kinds::deliver::MessageDefaults;
use crate::outcome::{Failure, Finding, Mark, TlsFacts};
use crate::reason::Reason;
use crate::setting::{Place, Problem, Template};
use crate::target::Target;

use self::endpoints::MOST_ADDRESSES;
use self::judge::Wanted;

impl Kind for Tls {
    const NAME: &'static str = "tls";

    fn check(&self, names: &Names<'_>, at: Place, problems: &mut Vec<Problem>) {
        check::check(self, names, at, problems);
    }

    fn longest(&self, _: &MessageDefaults) -> Duration {
        let addresses = match self.to_address {
            Some(_) => 1,
            None => MOST_ADDRESSES,
        };
        endpoints::DNS_WITHIN + self.per_address() * addresses + Duration::from_secs(1)
    }

    fn patience(&self, message: &MessageDefaults) -> Duration {
        (endpoints::DNS_WITHIN + self.per_address()).min(self.longest(message))
    }

    fn port(&self) -> Option<u16> {
        self.port
    }

    fn contacts(&self) -> Vec<&Template> {
        let named = [&self.host, &self.to_address, &self.server_name];
        named
            .into_iter()
            .flatten()
            .map(|name| &name.value)
            .collect()
    }

    fn preview(&self, _: &MessageDefaults, target: Option<&Target>) -> Preview {
        let host = match (&self.host, target) {
            (Some(host), _) => host.source().to_owned(),
            (None, Some(target)) => target.mx.clone(),
            (None, None) => String::new(),
        };
        let address = match (&self.to_address, target) {
            (Some(address), _) => format!(" [{}]", address.source()),
            (None, Some(target)) if self.host.is_none() => format!(" [{}]", target.address),
            _ => String::new(),
        };
        let port = match self.given_port() {
            Some(port) => format!(" port {port}"),
            None => String::new(),
        };
        let how = match self.starttls {
            Some(protocol) => format!(", {} with STARTTLS", protocol.name()),
            None => String::new(),
        };
        Preview::reads(format!(
            "look at the certificate of {host}{address}{port}{how}"
        ))
    }

    async fn run(&self, cx: &Context<'_>) -> Result<(), Failure> {
        let (endpoints, too_many) = endpoints::of(self, cx).await?;
        let asked = inspect::Asked::new(self, cx)?;
        let rules: Vec<(Wanted, bool)> =
            [(self.expect.as_ref(), false), (self.prefer.as_ref(), true)]
                .into_iter()
                .filter_map(|(rules, is_preference)| Some((rules?, is_preference)))
                .map(|(rules, is_preference)| {
                    Ok((judge::wanted(rules, is_preference, cx)?, is_preference))
                })
                .collect::<Result<_, Failure>>()?;
        let several = endpoints.len() > 1;
        let mut shown = Vec::new();
        for endpoint in &endpoints {
            let slot = inspect::slot(cx, endpoint).await;
            let seen = inspect::look(cx, &asked, endpoint).await;
            drop(slot);
            let is_shown = seen.facts.is_some();
            let mut findings = seen.findings;
            if let Some(facts) = seen.facts {
                findings.extend(judged(&rules, &facts, cx));
                cx.observe_tls(endpoint.address, &facts);
                shown.push(facts);
            }
            for mut finding in findings {
                cx.say(Mark::Unexpected, &finding.line());
                if several {
                    finding.message = format!("{}: {}", endpoint.address.ip(), finding.message);
                }
                cx.find(finding);
            }
            if is_shown && self.addresses == Addresses::Any {
                break;
            }
        }
        // Where one address is enough, the others do not matter once there is one.
        if let Some(finding) = too_many
            && (self.addresses == Addresses::Every || shown.is_empty())
        {
            cx.find(finding);
        }
        tell(cx, shown);
        Ok(())
    }
}

/// Everything that does not hold of one address. What is expected of every certificate unless a rule says otherwise stands
/// in an empty `expect`.
fn judged(rules: &[(Wanted, bool)], facts: &TlsFacts, cx: &Context<'_>) -> Vec<Finding> {
    let now = (cx.around.now)();
    let mut findings = Vec::new();
    if rules.iter().all(|(_, is_preference)| *is_preference) {
        findings.extend(judge::judge(&Wanted::default(), facts, now));
    }
    for (wanted, is_preference) in rules {
        for finding in judge::judge(wanted, facts, now) {
            // What `expect` says of it already is not said twice.
            let told = |known: &Finding| {
                let expiring = Reason::CertificateExpiring;
                *known == finding || (known.reason == expiring && finding.reason == expiring)
            };
            match is_preference {
                false => findings.push(finding),
                true if findings.iter().any(told) => {}
                true => findings.push(finding.as_preference()),
            }
        }
    }
    findings
}

/// Leaves the facts as evidence: the first address's where a single one is shown.
fn tell(cx: &Context<'_>, shown: Vec<TlsFacts>) {
    let Some(first) = shown.first() else { return };
    if first.insecure {
        cx.note("insecure: certificate not checked");
    }
    if !first.version.is_empty() {
        cx.note(first.version.clone());
    }
    if let Some(not_after) = first.not_after {
        cx.note(format!("until {}", not_after.strftime("%Y-%m-%d")));
    }
    cx.evidence(|evidence| {
        let mut shown = shown.into_iter();
        evidence.tls = shown.next();
        evidence.more_tls = shown.collect();
    });
}

impl Tls {
    fn within(&self) -> Duration {
        self.within.map_or(settings::WITHIN, |within| within.0)
    }

    /// Connection, greeting, two commands, handshake; then what is enumerated.
    fn per_address(&self) -> Duration {
        let enumeration = match self.enumerated() {
            Enumerate::Nothing => Duration::ZERO,
            Enumerate::Versions | Enumerate::Ciphers => offers::WITHIN,
        };
        self.within() * 6 + enumeration
    }

    /// What is asked for, by itself or because a rule needs it.
    fn enumerated(&self) -> Enumerate {
        let rules = [&self.expect, &self.prefer];
        let needed = rules
            .into_iter()
            .flatten()
            .map(Expect::needs)
            .max()
            .unwrap_or_default();
        self.enumerate.unwrap_or_default().max(needed)
    }

    /// The port where it is known without the platform.
    fn given_port(&self) -> Option<u16> {
        self.port
            .or_else(|| self.starttls.and_then(Starttls::usual_port))
    }
}

fn filled(cx: &Context<'_>, template: Option<&Template>) -> Result<Option<String>, Failure> {
    template.map(|template| cx.fill(template)).transpose()
}
