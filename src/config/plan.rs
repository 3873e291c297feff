//! What will run: defaults applied, references resolved, units typed. Nothing in here can fail later for a reason
//! that could have been known when it was loaded.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use postrider_probes::Probe;
use postrider_probes::account::{MailboxAccount, Security, Sender, Trust};
use postrider_probes::canary::Canary;
use postrider_probes::context::PlatformDefaults;
use postrider_probes::kinds::deliver::{Family, MessageDefaults};
use postrider_probes::net::{SystemNet, TrustAnchors};
use postrider_probes::setting::{Spanned, Template, Variables};
use serde_json::Value;

use crate::baseline::rules::Rules;
pub use postrider_probes::inventory::Node;

/// Everything that the files say.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The files that were read, the main file first.
    pub files: Vec<PathBuf>,
    /// SHA-256 over the files' names and bytes, hexadecimal.
    pub sha256: String,
    /// The name of the place that the probes look from.
    pub vantage: String,
    /// The resolver to ask; the system's when `None`.
    pub resolver: Option<SocketAddr>,
    /// The keys of the root zone by which answers are proven.
    pub trust_anchors: TrustAnchors,
    /// What the operator believes about the platform.
    pub inventory: Inventory,
    /// Platform-wide settings that steps may override.
    pub platform: PlatformDefaults,
    /// How bad changes of what clients can see are, and when they are expected.
    pub changes: Arc<Rules>,
    /// By name.
    pub senders: BTreeMap<String, Sender>,
    /// By name.
    pub mailboxes: BTreeMap<String, MailboxAccount>,
    /// What tells a dead platform from a dead probe.
    pub canaries: Vec<Canary>,
    /// After this time without a sighting, and a look that proves it, a mail is lost.
    pub lost_after: Duration,
    /// Connections to one address at the same time.
    pub connections_per_address: usize,
    /// In the order of the files.
    pub scenarios: Vec<Scenario>,
    /// The `env.NAME` variables that some template uses, with their values when the plan was made.
    pub environment: Variables,
    /// The main file as it is written, for showing what a reload changed.
    pub written: Value,
}

impl Plan {
    /// The network as it is configured.
    #[must_use]
    pub fn network(&self) -> SystemNet {
        SystemNet::new(self.resolver, self.platform.source_address)
            .trusting(self.trust_anchors.clone())
    }

    /// Whether some server is judged by the system's authorities.
    #[must_use]
    pub fn trusts_the_system(&self) -> bool {
        let system =
            |trust: &Trust| trust.ca_file.is_none() && trust.pin.is_none() && !trust.insecure;
        let mailboxes = self
            .mailboxes
            .values()
            .filter_map(|mailbox| mailbox.imap.as_ref())
            .filter(|imap| imap.security != Security::None);
        system(&self.platform.trust) || mailboxes.map(|imap| &imap.trust).any(system)
    }
}

/// Nodes and their addresses.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// Mail domains of the platform.
    pub domains: Vec<String>,
    /// In the order written.
    pub nodes: Vec<Node>,
    /// When the platform is updated.
    pub update_window: Option<UpdateWindow>,
}

/// When the platform is updated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateWindow {
    /// Its beginning: a checked five-field pattern.
    pub pattern: String,
    /// The time zone of the pattern, by its IANA name.
    pub timezone: String,
    /// Its length.
    pub lasts: Duration,
}

/// One scenario file.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Unique name.
    pub name: String,
    /// One sentence for people.
    pub title: Option<String>,
    /// Who cares.
    pub owner: Option<String>,
    /// Where to read on.
    pub runbook: Option<String>,
    /// For selection.
    pub tags: Vec<String>,
    /// When `serve` runs it.
    pub schedule: Option<Schedule>,
    /// The whole run's time limit.
    pub timeout: Duration,
    /// Order of the steps.
    pub steps_run: StepsRun,
    /// Defaults of its mails.
    pub message: MessageDefaults,
    /// The steps.
    pub steps: Vec<Step>,
    /// Where it is written.
    pub source: Source,
    /// As it is written, for showing what a reload changed.
    pub written: Value,
}

/// When `serve` runs a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Interval or cron pattern.
    pub when: When,
    /// Random extra delay, at most this.
    pub jitter: Duration,
    /// Runs of the scenario at the same time.
    pub max_in_flight: u32,
}

impl Schedule {
    /// The interval, when there is one.
    #[must_use]
    pub fn every(&self) -> Option<Duration> {
        match self.when {
            When::Every(every) => Some(every),
            When::Cron { .. } => None,
        }
    }
}

/// Interval or cron pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum When {
    /// Each time this has passed since the last planned start.
    Every(Duration),
    /// A checked five-field pattern in a checked time zone.
    Cron {
        /// The pattern as written.
        pattern: String,
        /// IANA name.
        timezone: String,
    },
}

/// Order of a scenario's steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepsRun {
    /// One after the other; after a failure the rest is skipped, but for `always` steps.
    InOrder,
    /// All at the planned moment.
    Together,
}

/// One step.
#[derive(Debug, Clone)]
pub struct Step {
    /// Unique in its scenario.
    pub id: String,
    /// One sentence for people.
    pub title: Option<String>,
    /// Makes one check for each item.
    pub for_each: Option<ForEach>,
    /// Time limit of each check.
    pub timeout: Option<Duration>,
    /// Runs even after a failure or a cancellation.
    pub always: bool,
    /// The verb.
    pub probe: Probe,
    /// Where it is written.
    pub source: Source,
}

/// An expansion of MX records.
#[derive(Debug, Clone)]
pub struct ForEach {
    /// The domain.
    pub mx_of: Spanned<Template>,
    /// Which preferences.
    pub preference: Preference,
    /// Which addresses.
    pub family: Family,
    /// Whether an address that several MX hosts share is probed once.
    pub distinct: bool,
}

/// Which preferences an expansion takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Preference {
    /// The lowest number: the primary MX.
    Lowest,
    /// All others: the fallback MX.
    NotLowest,
    /// Every one.
    #[default]
    Any,
}

/// A place to show to people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The path as the user would write it.
    pub file: PathBuf,
    /// From 1.
    pub line: u32,
}
