//! What is said of changes: how bad they are, and when they are expected.

use std::collections::BTreeSet;

use jiff::{Timestamp, Zoned};
use postrider_probes::observation::{Observation, What};
use postrider_probes::setting::Spanned;

use super::{Scope, did_you_mean};
use crate::baseline::rules::{Rules, Severity, Window};
use crate::config::plan::{Inventory, Node};
use crate::config::raw::{RawChangeWindow, RawChanged, RawPlatform, RawSeverity};

/// Nobody plans more than that.
const MOST_WINDOWS: usize = 200;

impl Scope<'_> {
    pub(super) fn changes(&mut self, raw: &RawPlatform, inventory: &Inventory) -> Rules {
        if let Some(window) = raw.change_windows.get(MOST_WINDOWS) {
            self.error(
                "bad-value",
                window.from.at,
                format!("more than {MOST_WINDOWS} change windows"),
            )
            .help = Some("remove those that are over".to_owned());
        }
        Rules {
            severity: severities(&raw.changed).collect(),
            windows: raw
                .change_windows
                .iter()
                .take(MOST_WINDOWS)
                .filter_map(|window| self.change_window(window, inventory))
                .collect(),
        }
    }

    fn change_window(&mut self, raw: &RawChangeWindow, inventory: &Inventory) -> Option<Window> {
        let from = self.moment(&raw.from);
        let until = self.moment(&raw.until);
        if let (Some(from), Some(until)) = (from, until)
            && until <= from
        {
            self.error(
                "bad-value",
                raw.until.at,
                "the change window does not end after its beginning",
            )
            .help = Some("`until` comes after `from`".to_owned());
        }
        let mut hosts = BTreeSet::new();
        for subject in &raw.subjects {
            if subject.is_empty() || subject.contains(char::is_whitespace) {
                self.error(
                    "bad-value",
                    subject.at,
                    format!(
                        "`{}` is neither a name nor an address",
                        subject.escape_debug()
                    ),
                )
                .help = Some("write `mx1.example.net`, `192.0.2.10` or `192.0.2.10:25`".to_owned());
            }
            hosts.insert(subject.trim_end_matches('.').to_ascii_lowercase());
        }
        for name in &raw.nodes {
            match inventory.nodes.iter().find(|node| node.name == name.value) {
                Some(node) => hosts.extend(hosts_of(node)),
                None => {
                    let known = inventory.nodes.iter().map(|node| node.name.as_str());
                    let problem = self.error(
                        "unknown-reference",
                        name.at,
                        format!("no node is called `{}`", name.value),
                    );
                    did_you_mean(problem, name, known);
                }
            }
        }
        if let Some(note) = &raw.note {
            self.line("`note`", note);
        }
        let narrows = !raw.subjects.is_empty() || !raw.nodes.is_empty();
        Some(Window {
            from: from?,
            until: until?,
            what: raw.what.iter().copied().collect(),
            hosts: narrows.then_some(hosts),
            expect: expected(&raw.what, &raw.expect),
            note: raw.note.as_ref().map(|note| note.value.clone()),
        })
    }

    /// A date and a time that mean one moment.
    fn moment(&mut self, text: &Spanned<String>) -> Option<Timestamp> {
        let moment = text.parse::<Timestamp>().ok();
        let moment = moment.or_else(|| Some(text.parse::<Zoned>().ok()?.timestamp()));
        if moment.is_none() {
            let problem = self.error(
                "bad-value",
                text.at,
                format!("`{}` is not a date and a time with its zone", text.value),
            );
            problem.help = Some(
                r#"write "2026-11-24T03:00:00Z", "2026-11-24T03:00+01:00" or "2026-11-24T03:00[Europe/Amsterdam]""#
                    .to_owned(),
            );
        }
        moment
    }
}

fn hosts_of(node: &Node) -> impl Iterator<Item = String> + '_ {
    let addresses = node.primary.iter().chain(&node.fallback);
    let name = node
        .server_name
        .as_ref()
        .map(|name| name.to_ascii_lowercase());
    addresses.map(ToString::to_string).chain(name)
}

/// In the form that is compared; that depends on what it is a value of.
fn expected(what: &[What], values: &[Spanned<String>]) -> BTreeSet<String> {
    let what = if what.is_empty() { What::ALL } else { what };
    what.iter()
        .flat_map(|what| {
            let texts = values.iter().map(|value| value.value.as_str());
            let values = Observation::new(*what, "", texts).values;
            values.iter().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
}

fn severities(raw: &RawChanged) -> impl Iterator<Item = (What, Severity)> + use<> {
    [
        (What::Addresses, raw.addresses),
        (What::Ptr, raw.ptr),
        (What::Mx, raw.mx),
        (What::Ns, raw.ns),
        (What::Certificate, raw.certificate),
        (What::Banner, raw.banner),
        (What::Ehlo, raw.ehlo),
        (What::TlsVersion, raw.tls_version),
    ]
    .into_iter()
    .filter_map(|(what, severity)| Some((what, severity?)))
    .map(|(what, severity)| {
        let severity = match severity {
            RawSeverity::Ignore => Severity::Ignore,
            RawSeverity::Pass => Severity::Pass,
            RawSeverity::Degraded => Severity::Degraded,
            RawSeverity::Fail => Severity::Fail,
        };
        (what, severity)
    })
}
