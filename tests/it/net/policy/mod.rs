//! The kinds that judge what a domain says about its mail, against a scripted network.

mod dkim;
mod dmarc;
mod hostile;
mod mta_sts;
mod spf;
mod tls_rpt;

use std::collections::BTreeMap;

use postrider_probes::account::Sender;
use postrider_probes::context::{Context, PlatformDefaults, Surroundings};
use postrider_probes::kind::{Kind, Names, Places};
use postrider_probes::kinds::deliver::MessageDefaults;
use postrider_probes::net::{BoxFuture, Net};
use postrider_probes::outcome::{Failure, Outcome};
use postrider_probes::post::{Account, Attempt, Draft, Post};
use postrider_probes::setting::{Place, Variables};
use postrider_probes::slots::Slots;
use postrider_wire::message::tag::EntryId;
use serde::de::DeserializeOwned;
use serde_json::Value;

/// Names send no mail.
#[derive(Debug)]
struct NoPost;

impl Post for NoPost {
    fn new_id(&self) -> EntryId {
        unreachable!()
    }
    fn tag(&self, _: &Draft) -> String {
        unreachable!()
    }
    fn plan(&self, _: Draft) -> BoxFuture<'_, Result<(), Failure>> {
        unreachable!()
    }
    fn completing(&self, _: EntryId) {
        unreachable!()
    }
    fn retry(&self, _: EntryId) -> BoxFuture<'_, Result<(), Failure>> {
        unreachable!()
    }
    fn refused(&self, _: EntryId) {
        unreachable!()
    }
    fn record(
        &self,
        _: EntryId,
        _: Attempt,
        _: tokio::time::Instant,
    ) -> BoxFuture<'_, Result<(), Failure>> {
        unreachable!()
    }
    fn follow(&self, _: EntryId) -> tokio::sync::watch::Receiver<Account> {
        unreachable!()
    }
}

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
    let around = Surroundings {
        net,
        post: &NoPost,
        senders,
        mailboxes: &BTreeMap::new(),
        platform: &PlatformDefaults::default(),
        slots: &Slots::default(),
        now: || jiff::Timestamp::UNIX_EPOCH,
    };
    let message = MessageDefaults::default();
    let variables = Variables::from([("item.address".to_owned(), "192.0.2.1".to_owned())]);
    let cx = Context::new(&around, &message, None, &variables, "run", "names/policy");
    let kind: K = serde_json::from_value(settings).unwrap();
    if let Err(failure) = kind.run(&cx).await {
        cx.find(failure);
    }
    cx.finish()
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
    let names = Names {
        senders: &BTreeMap::new(),
        mailboxes: &BTreeMap::new(),
        message: &MessageDefaults::default(),
        for_each: false,
        places: Places(&|_| None),
        readable_mailboxes: &Default::default(),
        used_mailboxes: &Default::default(),
        nodes: &Default::default(),
        has_domains: false,
    };
    let kind: K = match serde_json::from_value(settings) {
        Ok(kind) => kind,
        Err(error) => return error.to_string(),
    };
    let mut problems = Vec::new();
    kind.check(&names, Place::default(), &mut problems);
    let said: Vec<String> = problems
        .into_iter()
        .map(|problem| match problem.help {
            Some(help) => format!("{}: {help}", problem.title),
            None => problem.title,
        })
        .collect();
    said.join("\n")
}
