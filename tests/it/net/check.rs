//! One check of one kind on a scripted network, for the kinds that send no mail.

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

/// A check that is about to run.
#[derive(Debug)]
pub(super) struct Check<'n> {
    net: &'n dyn Net,
    pub(super) platform: PlatformDefaults,
    pub(super) senders: BTreeMap<String, Sender>,
}

impl<'n> Check<'n> {
    pub(super) fn of(net: &'n dyn Net) -> Self {
        Self {
            net,
            platform: PlatformDefaults::default(),
            senders: BTreeMap::new(),
        }
    }

    /// Runs it to its end; `${item.mx}` is mx1.test, `${item.address}` 192.0.2.1.
    pub(super) async fn run(&self, kind: &impl Kind) -> Outcome {
        let around = Surroundings {
            net: self.net,
            post: &NoPost,
            senders: &self.senders,
            mailboxes: &BTreeMap::new(),
            platform: &self.platform,
            slots: &Slots::default(),
            now: || jiff::Timestamp::UNIX_EPOCH,
        };
        let message = MessageDefaults::default();
        let item = [("item.mx", "mx1.test"), ("item.address", "192.0.2.1")];
        let variables = Variables::from(item.map(|(name, value)| (name.into(), value.into())));
        let cx = Context::new(&around, &message, None, &variables, "run", "names/mx");
        if let Err(failure) = kind.run(&cx).await {
            cx.find(failure);
        }
        cx.finish()
    }
}

/// `reason: message` of each finding.
pub(super) fn lines(outcome: &Outcome) -> Vec<String> {
    outcome
        .findings
        .iter()
        .map(|finding| finding.line())
        .collect()
}

/// `title: help` of what is wrong with the settings, a line each.
pub(super) fn mistakes(kind: &impl Kind) -> String {
    let names = Names {
        senders: &BTreeMap::new(),
        mailboxes: &BTreeMap::new(),
        message: &MessageDefaults::default(),
        for_each: false,
        places: Places(&|_| None),
        readable_mailboxes: &Default::default(),
        nodes: &Default::default(),
        has_domains: false,
        used_mailboxes: &Default::default(),
    };
    let mut problems = Vec::new();
    kind.check(&names, Place::default(), &mut problems);
    let titles: Vec<String> = problems
        .into_iter()
        .map(|problem| match problem.help {
            Some(help) => format!("{}: {help}", problem.title),
            None => problem.title,
        })
        .collect();
    titles.join("\n")
}
