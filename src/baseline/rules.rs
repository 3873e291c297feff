//! What the operator says of changes: how bad they are, and when they are expected.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use postrider_probes::observation::{Values, What};

use super::Key;

/// How bad a change is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Severity {
    /// It is not looked at.
    Ignore,
    /// It is listed, and what is new is all right.
    Pass,
    /// The check that sees it is degraded.
    #[default]
    Degraded,
    /// The check that sees it fails.
    Fail,
}

/// Everything that the operator says of changes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rules {
    /// What is not in here is [`Severity::Degraded`].
    pub severity: BTreeMap<What, Severity>,
    /// When new values are expected.
    pub windows: Vec<Window>,
}

/// A time in which new values are expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end, which is no part of it.
    pub until: Timestamp,
    /// Of what; of everything when empty.
    pub what: BTreeSet<What>,
    /// Of whom: names and addresses, in small letters; of everyone when `None`.
    pub hosts: Option<BTreeSet<String>>,
    /// The only values that may come; any when empty. With them, something must be left of the old and the new ones.
    pub expect: BTreeSet<String>,
    /// Why.
    pub note: Option<String>,
}

impl Rules {
    /// How bad a change of this is.
    #[must_use]
    pub fn severity(&self, what: What) -> Severity {
        self.severity.get(&what).copied().unwrap_or_default()
    }

    /// The window that lets a new value in; of several the one that ends last.
    pub(super) fn window(
        &self,
        now: Timestamp,
        key: &Key,
        before: &Values,
        after: &Values,
    ) -> Option<&Window> {
        self.windows
            .iter()
            .filter(|window| window.lets_in(now, key, before, after))
            .max_by_key(|window| window.until)
    }
}

impl Window {
    /// As it stands for who accepted something: `change window (moving filter1)`.
    pub(super) fn name(&self) -> String {
        match &self.note {
            Some(note) => format!("change window ({note})"),
            None => "change window".to_owned(),
        }
    }

    fn lets_in(&self, now: Timestamp, key: &Key, before: &Values, after: &Values) -> bool {
        let is_open = self.from <= now && now < self.until;
        let is_meant = self.what.is_empty() || self.what.contains(&key.what);
        let comes = |value: &str| self.expect.contains(value);
        let is_expected =
            self.expect.is_empty() || (!after.is_empty() && after.without(before).all(comes));
        is_open && is_meant && is_expected && self.is_about(key, before, after)
    }

    /// The host of the subject, or an address that comes or goes: `mx1.example.net` moves from one node to another.
    fn is_about(&self, key: &Key, before: &Values, after: &Values) -> bool {
        let Some(hosts) = &self.hosts else {
            return true;
        };
        let differs = before.without(after).chain(after.without(before));
        let mut names = [key.subject.as_str(), host(&key.subject)]
            .into_iter()
            // `10 mx1.example.net`
            .chain(differs.filter_map(|value| value.rsplit(' ').next()));
        names.any(|name| hosts.contains(name))
    }
}

/// `192.0.2.1` of `192.0.2.1:25`, `2001:db8::1` of `[2001:db8::1]:25`, `example.net` of `example.net at 192.0.2.53`.
pub(super) fn host(subject: &str) -> &str {
    let name = subject.split(' ').next().unwrap_or(subject);
    if let Some(rest) = name.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    match name.rsplit_once(':') {
        Some((host, _)) if !host.contains(':') => host,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::host;

    #[test]
    fn the_host_of_a_subject_is_without_port_and_server() {
        for (subject, wanted) in [
            ("192.0.2.1:25", "192.0.2.1"),
            ("[2001:db8::1]:25", "2001:db8::1"),
            ("2001:db8::1", "2001:db8::1"),
            ("192.0.2.1:25 after STARTTLS", "192.0.2.1"),
            ("mx1.example.net", "mx1.example.net"),
            ("example.net at 192.0.2.53", "example.net"),
            ("", ""),
        ] {
            assert_eq!(host(subject), wanted, "{subject}");
        }
    }
}
