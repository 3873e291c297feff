//! `canaries:` of the main file.

use std::net::IpAddr;

use postrider_probes::canary::Canary;
use postrider_probes::kinds::deliver::Family;
use postrider_probes::setting::Spanned;
use postrider_wire::address::HostName;

use super::Scope;
use crate::config::raw::RawCanary;

impl Scope<'_> {
    pub(super) fn canary(&mut self, raw: &RawCanary) -> Option<Canary> {
        Some(match raw {
            RawCanary::Tcp(raw) => Canary::Tcp {
                host: self.reachable(&raw.host, raw.family)?,
                port: self.port(Some(raw.port))?,
                family: raw.family,
            },
            RawCanary::Smtp(raw) => Canary::Smtp {
                host: self.reachable(&raw.host, raw.family)?,
                port: self.port(raw.port).unwrap_or(25),
                family: raw.family,
            },
            RawCanary::Ntp(raw) => Canary::Ntp {
                host: self.host(&raw.host)?,
                port: self.port(raw.port).unwrap_or(123),
            },
            RawCanary::Dns(raw) => {
                let query = self.parse::<HostName>("bad-host", "a name to ask for", &raw.query);
                Canary::Dns {
                    record_type: self.record_type(&raw.r#type)?,
                    query: query?.to_string(),
                }
            }
        })
    }

    /// A host name, or an address of that family.
    fn reachable(&mut self, text: &Spanned<String>, family: Family) -> Option<String> {
        if let Ok(address) = text.parse::<IpAddr>()
            && !family.holds(address)
        {
            self.error(
                "conflicting-keys",
                text.at,
                format!("{address} is no address of the other family"),
            )
            .help = Some("leave out `family`: an address says it".to_owned());
            return None;
        }
        self.host(text)
    }

    /// A host name or an address.
    fn host(&mut self, text: &Spanned<String>) -> Option<String> {
        if text.parse::<IpAddr>().is_err() {
            self.parse::<HostName>("bad-host", "a host name or address", text)?;
        }
        Some(text.value.clone())
    }

    fn record_type(&mut self, text: &Spanned<String>) -> Option<String> {
        if let Some(problem) = postrider_probes::kinds::dns::check_record_type(text) {
            self.problems.push(problem);
            return None;
        }
        Some(text.value.clone())
    }
}
