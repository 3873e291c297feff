//! What the servers call themselves.

use std::collections::BTreeSet;

use super::layout;
use crate::dialogue::introduction::Introduction;
use crate::inventory::Node;
use crate::kinds::cluster::look::Seen;
use crate::names::canonical::listed;
use crate::outcome::{Failure, Finding};

pub(super) fn same_identity(seen: &Seen) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (address, heard) in &seen.introductions {
        let Some(node) = seen.owner(*address) else {
            continue;
        };
        let label = format!("{address} ({})", node.name);
        let Some(server_name) = &node.server_name else {
            continue;
        };
        match heard {
            Err(failure) => findings.push(Failure {
                message: format!("{label}: {}", failure.message),
                ..failure.clone()
            }),
            Ok(introduction) => {
                findings.extend(said(&label, server_name, introduction));
                let mx_names: Vec<&str> = seen
                    .hosts()
                    .filter(|(_, host)| host.addresses.contains(address))
                    .map(|(_, host)| host.name.as_str())
                    .collect();
                findings.extend(certificate(&label, node, &mx_names, introduction));
            }
        }
    }
    findings
}

fn said(label: &str, server_name: &str, introduction: &Introduction) -> Vec<Finding> {
    [
        Some(("greets as", introduction.banner.as_str())),
        introduction
            .ehlo
            .as_deref()
            .map(|name| ("answers EHLO as", name)),
    ]
    .into_iter()
    .flatten()
    .filter(|(_, name)| *name != server_name)
    .map(|(does, name)| {
        layout(format!(
            "{label} {does} {name}, and its server name is {server_name}"
        ))
    })
    .collect()
}

/// A certificate may be for the server name, or for a name that senders use: an MX host's.
fn certificate(
    label: &str,
    node: &Node,
    mx_names: &[&str],
    introduction: &Introduction,
) -> Option<Finding> {
    let Some(tls) = &introduction.tls else {
        return Some(layout(format!(
            "{label} offers no STARTTLS: its certificate cannot be compared"
        )));
    };
    let names = &tls.names;
    let server_name = node.server_name.as_deref();
    let is_right = names.iter().any(|pattern| {
        server_name
            .iter()
            .chain(mx_names)
            .any(|name| covers(pattern, name))
    });
    (!is_right).then(|| {
        let names = match names.is_empty() {
            true => "no name".to_owned(),
            false => listed(names),
        };
        let wanted: Vec<String> = server_name
            .iter()
            .chain(mx_names)
            .map(ToString::to_string)
            .collect::<BTreeSet<String>>()
            .into_iter()
            .collect();
        layout(format!(
            "{label} has a certificate for {names}, not for {}",
            listed(&wanted)
        ))
    })
}

/// RFC 6125 §6.4: a star stands for the whole first label.
fn covers(pattern: &str, name: &str) -> bool {
    let pattern = pattern.trim_end_matches('.').to_ascii_lowercase();
    match pattern.strip_prefix("*.") {
        Some(rest) => name
            .split_once('.')
            .is_some_and(|(_, parent)| parent == rest),
        None => pattern == name,
    }
}
