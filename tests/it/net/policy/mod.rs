//! The kinds that judge what a domain says about its mail, against a scripted network.

mod dkim;
mod dmarc;
mod hostile;
mod mta_sts;
mod spf;
mod tls_rpt;

use std::collections::BTreeMap;

use postrider_probes::account::Sender;
use postrider_probes::kind::Kind;
use postrider_probes::net::Net;
use postrider_probes::outcome::Outcome;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::check::{Check, mistakes};

/// One check of the kind `K`.
async fn run<K: Kind + DeserializeOwned>(net: &dyn Net, settings: Value) -> Outcome {
    run_as::<K>(net, settings, &BTreeMap::new()).await
}

/// The same with senders.
async fn run_as<K: Kind + DeserializeOwned>(
    net: &dyn Net,
    settings: Value,
    senders: &BTreeMap<String, Sender>,
) -> Outcome {
    let mut check = Check::of(net);
    check.senders.clone_from(senders);
    let kind: K = serde_json::from_value(settings).unwrap();
    check.run(&kind).await
}

/// `status reason: text` of each finding.
fn told(outcome: &Outcome) -> Vec<String> {
    outcome
        .findings
        .iter()
        .map(|finding| format!("{} {}", finding.status, finding.line()))
        .collect()
}

/// What `check` says: `title: help`.
fn problems<K: Kind + DeserializeOwned>(settings: Value) -> String {
    match serde_json::from_value::<K>(settings) {
        Ok(kind) => mistakes(&kind),
        Err(error) => error.to_string(),
    }
}
