//! What Prometheus is told: every event and every change of the ledger, folded into series.
//!
//! The pipeline tells it synchronously ([`Witness`]), since a listener that falls behind would lose counts. A scrape
//! reads what is there; it starts nothing and asks nobody.

mod catalogue;
mod expected;
mod format;
mod histogram;
mod mails;
mod process;
mod protobuf;
mod runs;
mod series;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use postrider_probes::observation::What;
use postrider_probes::post::EntryState;

pub use catalogue::{Description, Family, Kind};
pub use expected::expected_series;
pub use format::Format;

use crate::baseline::Change;
use crate::config::plan::Plan;
use crate::ledger::Balance;
use crate::pipeline::{LedgerChange, Witness};
use crate::run::event::Event;
use crate::store::LastCheck;
use expected::Known;
use process::Process;
use runs::{OpenRuns, number, seconds};
use series::{MOST_LABEL_SETS, Table};

/// All metrics of the program.
#[derive(Debug)]
pub struct Metrics {
    state: Mutex<State>,
    /// One exposition at a time: each one is a copy of everything.
    exposing: Mutex<()>,
}

/// The fold.
#[derive(Debug)]
struct State {
    table: Table,
    known: Known,
    scenarios: BTreeSet<String>,
    runs: OpenRuns,
    in_flight: i64,
}

/// An IP family of the vantage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VantageFamily {
    /// IPv4.
    Ipv4,
    /// IPv6.
    Ipv6,
}

impl Metrics {
    /// The metrics of a configuration that was taken now: every check has its series.
    #[must_use]
    pub fn new(plan: &Plan, now: Timestamp) -> Self {
        Self::with_room(plan, now, MOST_LABEL_SETS)
    }

    fn with_room(plan: &Plan, now: Timestamp, label_sets: usize) -> Self {
        let mut state = State {
            table: Table::new(label_sets),
            known: Known::new(),
            scenarios: BTreeSet::new(),
            runs: OpenRuns::new(),
            in_flight: 0,
        };
        let build = [
            env!("CARGO_PKG_VERSION"),
            option_env!("POSTRIDER_REVISION").unwrap_or("unknown"),
            env!("CARGO_PKG_RUST_VERSION"),
        ];
        state.table.set(Family::BuildInfo, &build, 1.0);
        for family in [
            Family::MessagesInFlight,
            Family::StoreWriteFailures,
            Family::SeriesDropped,
        ] {
            state.table.ensure(family, &[]);
        }
        for what in What::ALL {
            state.table.ensure(Family::Changes, &[what.name()]);
        }
        state.take(plan, now);
        Self {
            state: Mutex::new(state),
            exposing: Mutex::new(()),
        }
    }

    /// Goes on with another configuration. Series of what is not in it any more disappear; the others go on.
    pub fn reloaded(&self, plan: &Plan, now: Timestamp) {
        self.state().take(plan, now);
    }

    /// The files were read again and are those that run.
    pub fn reload_changed_nothing(&self, now: Timestamp) {
        self.state().loaded(now);
    }

    /// A new configuration had mistakes; the old one stays in force.
    pub fn reload_failed(&self) {
        self.state()
            .table
            .set(Family::ConfigReloadSuccessful, &[], 0.0);
    }

    /// How the checks ended before this process began, so that no series is missing after a restart.
    pub fn restore(&self, checks: &[LastCheck]) {
        let mut state = self.state();
        for check in checks {
            state.restore(check);
        }
    }

    /// Whether the vantage's own network works.
    pub fn vantage(&self, family: VantageFamily, up: bool) {
        let name = match family {
            VantageFamily::Ipv4 => "ipv4",
            VantageFamily::Ipv6 => "ipv6",
        };
        let mut state = self.state();
        state.table.set(Family::VantageUp, &[name], number(up));
    }

    /// The exposition for a scraper. `store_bytes`: the size of the store's files, when it is known.
    #[must_use]
    pub fn exposition(&self, format: Format, store_bytes: Option<u64>) -> Vec<u8> {
        self.expose(store_bytes, |table| match format {
            Format::Text => text::encode(table, false).into_bytes(),
            Format::OpenMetrics => text::encode(table, true).into_bytes(),
            Format::Protobuf => protobuf::encode(table),
        })
    }

    /// Encodes a copy: the pipeline tells what happened under the same lock, and waits for the copying alone.
    fn expose<T>(&self, store_bytes: Option<u64>, encode: impl FnOnce(&Table) -> T) -> T {
        let _one = self.exposing.lock().unwrap_or_else(PoisonError::into_inner);
        let process = Process::read();
        let table = {
            let mut state = self.state();
            for (family, value) in process.values() {
                state.table.set(family, &[], value);
            }
            if let Some(bytes) = store_bytes {
                state.table.set(Family::StoreSize, &[], bytes as f64);
            }
            state.table.clone()
        };
        encode(&table)
    }

    /// How many series there are, all samples of the classic text counted.
    #[must_use]
    pub fn series(&self) -> usize {
        let state = self.state();
        Family::ALL
            .iter()
            .map(|family| state.table.of(*family).count() * expected::samples(*family))
            .sum()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Witness for Metrics {
    fn opened(&self, balance: &Balance) {
        let states = EntryState::ALL.into_iter();
        let under_way = states.filter(|state| mails::under_way(*state));
        let mails: u64 = under_way.map(|state| balance.of(state)).sum();
        let mut state = self.state();
        state.in_flight = i64::try_from(mails).unwrap_or(i64::MAX);
        state.table.set(Family::MessagesInFlight, &[], mails as f64);
    }

    fn happened(&self, event: &Event) {
        self.state().event(event);
    }

    fn changed(&self, change: &LedgerChange) {
        self.state().ledger(change);
    }

    fn noticed(&self, change: &Change) {
        if change.how.is_news() {
            let labels = [change.key.what.name()];
            self.state().table.add(Family::Changes, &labels, 1.0);
        }
    }

    fn write_failed(&self) {
        self.state().table.add(Family::StoreWriteFailures, &[], 1.0);
    }
}

impl State {
    fn take(&mut self, plan: &Plan, now: Timestamp) {
        let known = expected::steps(plan);
        self.scenarios = plan
            .scenarios
            .iter()
            .map(|scenario| scenario.name.clone())
            .collect();
        self.forget_what_is_not_in(&known);
        let changed: Vec<_> = known
            .into_iter()
            .filter(|(key, step)| self.known.get(key) != Some(step))
            .collect();
        for ((scenario, id), step) in changed {
            let key = (scenario, id);
            let (scenario, id) = (key.0.as_str(), key.1.as_str());
            let before = self.known.get(&key);
            if before.is_some_and(|before| before.expands != step.expands) {
                runs::remove_step(&mut self.table, scenario, id);
            }
            let this = [scenario, id];
            let there = self.table.beginning(Family::CheckSuccess, &this);
            let there: BTreeSet<String> = there.map(|(labels, _)| labels[3].to_string()).collect();
            // A step that expands has one series for each address that is expected, or one for all.
            let mut addresses: Vec<String> =
                step.addresses.iter().map(ToString::to_string).collect();
            if addresses.is_empty() && there.is_empty() {
                addresses.push(String::new());
            }
            for address in addresses.iter().filter(|address| !there.contains(*address)) {
                runs::expect(&mut self.table, scenario, id, &step, "", address);
            }
            self.known.insert(key, step);
        }
        self.table.retain(Family::ScenarioInterval, |_| false);
        for scenario in &plan.scenarios {
            let name = [scenario.name.as_str()];
            for family in [Family::Runs, Family::RunsMissed, Family::RunStartDelay] {
                self.table.ensure(family, &name);
            }
            let schedule = scenario.schedule.as_ref();
            if let Some(interval) = schedule.and_then(|when| expected::interval(when, now)) {
                let interval = interval.as_secs_f64();
                self.table.set(Family::ScenarioInterval, &name, interval);
            }
        }
        self.table.retain(Family::VantageInfo, |_| false);
        self.table.set(Family::VantageInfo, &[&plan.vantage], 1.0);
        self.loaded(now);
    }

    fn loaded(&mut self, now: Timestamp) {
        self.table.set(Family::ConfigReloadSuccessful, &[], 1.0);
        self.table
            .set(Family::ConfigReloadTimestamp, &[], seconds(now));
    }

    fn forget_what_is_not_in(&mut self, known: &Known) {
        let steps: BTreeSet<(&str, &str)> = known
            .keys()
            .map(|(scenario, step)| (scenario.as_str(), step.as_str()))
            .collect();
        for family in Family::ALL {
            let labels = family.description().labels;
            match labels {
                ["scenario", "step", ..] => {
                    let is_there =
                        |labels: &[Box<str>]| steps.contains(&(&*labels[0], &*labels[1]));
                    self.table.retain(*family, is_there);
                }
                ["scenario", ..] => {
                    let scenarios = &self.scenarios;
                    let is_there = |labels: &[Box<str>]| scenarios.contains(&*labels[0]);
                    self.table.retain(*family, is_there);
                }
                _ => {}
            }
        }
        self.known
            .retain(|(scenario, step), _| steps.contains(&(scenario.as_str(), step.as_str())));
    }

    fn restore(&mut self, check: &LastCheck) {
        let key = (check.scenario.clone(), check.step.clone());
        let Some(step) = self.known.get(&key).cloned() else {
            return;
        };
        // Written when the step was another one, or when its look-up failed.
        let has_target = check.address.is_some();
        if step.expands != has_target {
            return;
        }
        let mx = check.mx.as_deref().unwrap_or_default();
        let address = check.address.as_deref().unwrap_or_default();
        let labels = [key.0.as_str(), key.1.as_str(), mx, address];
        runs::expect(&mut self.table, labels[0], labels[1], &step, mx, address);
        runs::judge(&mut self.table, &labels, check.status, check.ended_at);
        if let Some(at) = check.last_success_at {
            self.table
                .set(Family::CheckLastSuccess, &labels, seconds(at));
        }
    }
}
