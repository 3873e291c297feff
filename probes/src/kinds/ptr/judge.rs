//! What is wrong with the names of an address. Pure.

use crate::dialogue::introduction::Introduction;
use crate::kinds::ptr::Banner;
use crate::names::line;
use crate::names::lookback::{Forward, MOST_NAMES, ReverseName, ReverseNames, all};
use crate::names::subject::Owned;
use crate::outcome::{Failure, Finding};
use crate::reason::Reason;
use crate::target::Role;

/// What the names must be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// In small letters, without a dot at the end.
    pub(super) name: Option<String>,
    pub(super) server_name: bool,
    pub(super) banner: Option<Banner>,
}

/// What an address shows of itself.
#[derive(Debug)]
pub(super) struct Face {
    pub(super) of: Owned,
    pub(super) reverse: ReverseNames,
    /// How the SMTP server there introduces itself, when it was asked.
    pub(super) greeting: Option<Result<Introduction, Failure>>,
}

impl Face {
    /// For the result line.
    pub(super) fn note(&self) -> String {
        match &self.reverse.names {
            Ok(names) => match (names.first(), self.reverse.count) {
                (Some(name), 0..=1) => line(&name.name),
                (Some(name), count) => format!("{} and {} more names", line(&name.name), count - 1),
                (None, _) => "no name".to_owned(),
            },
            Err(_) => "name unknown".to_owned(),
        }
    }
}

/// Everything that does not hold; of the rules the ones with `true` are preferences.
pub(super) fn judge(face: &Face, rules: &[(Wanted, bool)]) -> Vec<Finding> {
    let label = face.of.label();
    let names = match &face.reverse.names {
        Ok(names) => names,
        Err(failure) => {
            return vec![Failure {
                message: format!("the reverse name of {label}: {}", failure.message),
                ..failure.clone()
            }];
        }
    };
    let mut findings = Vec::new();
    if names.is_empty() {
        findings.push(mismatch(format!("{label} has no reverse name")));
    }
    if face.reverse.count > MOST_NAMES {
        findings.push(
            mismatch(format!(
                "{label} has {} reverse names; only {MOST_NAMES} are looked at",
                face.reverse.count
            ))
            .as_preference(),
        );
    }
    // One name that leads back is enough (RFC 8601 §3); one beside it that does not is a leftover.
    let is_confirmed = names.iter().any(|name| name.forward == Forward::Confirmed);
    findings.extend(names.iter().filter_map(|name| {
        let finding = name.unconfirmed(&label)?;
        Some(match is_confirmed {
            true => finding.as_preference(),
            false => finding,
        })
    }));
    for (wanted, is_preference) in rules {
        let broken = [
            wanted
                .name
                .as_ref()
                .and_then(|name| other_name(&label, names, name, "")),
            server_name(face, names, wanted),
        ];
        let broken = broken
            .into_iter()
            .flatten()
            .chain(banner(face, names, wanted));
        findings.extend(broken.map(|finding| match is_preference {
            true => finding.as_preference(),
            false => finding,
        }));
    }
    findings
}

fn mismatch(message: String) -> Finding {
    Finding::new(Reason::PtrMismatch, message)
}

/// None of the names is the wanted one. Without names that has been said.
fn other_name(label: &str, names: &[ReverseName], wanted: &str, whose: &str) -> Option<Finding> {
    if names.is_empty() || names.iter().any(|name| name.name == wanted) {
        return None;
    }
    Some(mismatch(format!(
        "{label} is {}, not {wanted}{whose}",
        all(names)
    )))
}

fn server_name(face: &Face, names: &[ReverseName], wanted: &Wanted) -> Option<Finding> {
    if !wanted.server_name {
        return None;
    }
    let of = &face.of;
    match (&of.server_name, of.role) {
        (Some(server_name), Some(Role::Primary)) => {
            other_name(&of.label(), names, server_name, ", its server name")
        }
        (None, Some(Role::Primary)) => Some(nothing_to_compare(of)),
        (_, None) => Some(nothing_to_compare(of)),
        // The others have names of their own.
        (_, Some(Role::Fallback)) => None,
    }
}

fn nothing_to_compare(of: &Owned) -> Finding {
    let what = match &of.node {
        Some(node) => format!("node {node} has no server name in the inventory"),
        None => "it belongs to no node of the inventory".to_owned(),
    };
    Finding::new(
        Reason::InventoryMismatch,
        format!("nothing to compare {} with: {what}", of.address),
    )
}

fn banner(face: &Face, names: &[ReverseName], wanted: &Wanted) -> Vec<Finding> {
    let (Some(banner), Some(greeting)) = (wanted.banner, &face.greeting) else {
        return Vec::new();
    };
    let label = face.of.label();
    let introduction = match greeting {
        Ok(introduction) => introduction,
        Err(failure) => {
            return vec![Failure {
                message: format!("{label}: {}", failure.message),
                ..failure.clone()
            }];
        }
    };
    let (right, whose): (Vec<&str>, String) = match (banner, &face.of.server_name) {
        (Banner::ReverseName, _) => (
            names.iter().map(|name| name.name.as_str()).collect(),
            format!("its reverse name is {}", all(names)),
        ),
        (Banner::ServerName, Some(name)) => {
            (vec![name.as_str()], format!("its server name is {name}"))
        }
        (Banner::ServerName, None) => return vec![nothing_to_compare(&face.of)],
    };
    let said = [
        Some(("greets as", introduction.banner.as_str())),
        introduction
            .ehlo
            .as_deref()
            .map(|name| ("answers EHLO as", name)),
    ];
    if right.is_empty() {
        return Vec::new();
    }
    said.into_iter()
        .flatten()
        .filter(|(_, name)| !right.contains(name))
        .map(|(does, name)| mismatch(format!("{label} {does} {name}, and {whose}")))
        .collect()
}

#[cfg(test)]
mod tests;
