//! How far the reported delivery time is from the true one.
//!
//! Reported: what `run --format json` says, the seconds from the final reply to the sighting, on the program's
//! monotonic clock. True: from the final reply, by the wall clock as the ledger has it, to the moment at which Dovecot
//! logged that the mail was saved, by the same wall clock, in microseconds. Both ends are on this machine, so the only
//! clock that could differ is none. What is left in the difference besides the error: the time between Dovecot's
//! commit and its log line (the sighting may come first, then the error is negative) and the program's conversion of
//! one moment from one clock to the other, a few microseconds.

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, anyhow};
use postrider::result::{CheckResult, RunResult};
use postrider_testkit::live::{Node, wait_until};

use crate::lab::{Lab, finish, milliseconds_between, wall_clock};
use crate::nagios;
use crate::onlookers::{Onlookers, Sightings};
use crate::spread::{Spread, verdict};

/// Steps of the scenario `prompt`, with one mail through each of the four addresses.
const ROUNDS: usize = 30;
const ADDRESSES: usize = 4;
/// How long the nodes keep the mail, about: a restart of each comes on top.
const HELD_SECONDS: [u64; 8] = [2, 3, 4, 5, 6, 8, 10, 20];
/// Round trips of the plugin.
const PLUGIN_ROUNDS: usize = 20;
/// The nodes have accepted and deferred the mail by then.
const DEFERRED_WITHIN: Duration = Duration::from_secs(20);

/// One mail.
struct Mail {
    id: String,
    /// When its final reply was read, by the wall clock.
    replied: Duration,
    /// When Dovecot had saved it, by the wall clock.
    saved: Duration,
    /// What the program says it took.
    reported: Duration,
}

impl Mail {
    fn latency(&self) -> f64 {
        milliseconds_between(self.saved, self.replied)
    }

    /// Reported minus true, in milliseconds.
    fn error(&self) -> f64 {
        self.reported.as_secs_f64() * 1e3 - self.latency()
    }

    /// The error as a share of the true latency, in percent.
    fn share(&self) -> f64 {
        100.0 * self.error() / self.latency()
    }
}

pub(crate) fn measure() -> anyhow::Result<()> {
    nagios::install()?;
    let mut lab = Lab::start()?;
    scenarios(&lab)?;
    let ours = prompt(&lab)?;
    held(&mut lab)?;
    plugin(&lab, &ours)
}

fn scenarios(lab: &Lab) -> anyhow::Result<()> {
    let head = "message: { from: outside, to: alice }\n";
    let step = |id: &str, within: &str| {
        format!(
            "  - id: {id}
    for_each: {{ mx_of: example.test, preference: any, addresses: all }}
    deliver: {{ to_address: '${{item.address}}', expect: {{ arrives: {{ within: {within} }} }} }}\n"
        )
    };
    let rounds: String = (1..=ROUNDS)
        .map(|n| step(&format!("round-{n}"), "30s"))
        .collect();
    // The mails go when the run ends: the onlookers must have had their chance.
    let pause = "  - id: pause\n    wait: { for: 2s }\n";
    lab.scenario(
        "prompt",
        &format!("{head}timeout: 10m\nsteps:\n{rounds}{pause}"),
    )?;
    let held = step("held", "5m");
    lab.scenario(
        "held",
        &format!("{head}timeout: 10m\nsteps_run: together\nsteps:\n{held}{pause}"),
    )
}

/// Mails one after the other, through a platform that does nothing but its work.
fn prompt(lab: &Lab) -> anyhow::Result<Spread> {
    let onlookers = Onlookers::start(lab)?;
    let result = lab.run(&["prompt", "--jobs", "1"])?;
    let (polling, idling) = onlookers.finish()?;
    let mails = mails(lab, &result.checks)?;
    anyhow::ensure!(mails.len() == ROUNDS * ADDRESSES, "{} mails", mails.len());
    let slow = mails.iter().filter(|mail| mail.latency() >= 1e3).count();

    let latency = Spread::of(mails.iter().map(Mail::latency), "ms")?;
    let error = Spread::of(mails.iter().map(Mail::error), "ms")?;
    let size = Spread::of(mails.iter().map(|mail| mail.error().abs()), "ms")?;
    println!("below 1 s, one mail after the other ({slow} above 1 s)");
    println!("  true latency           {latency}");
    println!("  error                  {error}");
    println!("  |error|                {size}");
    let onlooker = |name, seen: &Sightings| -> anyhow::Result<Spread> {
        let errors = mails.iter().filter_map(|mail| {
            let seen = seen.get(&mail.id)?;
            Some(milliseconds_between(*seen, mail.saved).abs())
        });
        let errors = Spread::of(errors, "ms")?;
        println!("  |error| of {name}  {errors}");
        Ok(errors)
    };
    let polling = onlooker("NOOP each 1 s", &polling)?;
    let idling = onlooker("IDLE alone   ", &idling)?;
    println!(
        "  ratio of the medians: NOOP each 1 s {:.0} x, IDLE alone {:.0} x; of the p99: {:.0} x, {:.0} x",
        polling.median() / size.median(),
        idling.median() / size.median(),
        polling.percentile(99) / size.percentile(99),
        idling.percentile(99) / size.percentile(99),
    );
    println!(
        "  target median <= 5 ms: {}; p99 <= 25 ms: {}",
        verdict(size.median() <= 5.0),
        verdict(size.percentile(99) <= 25.0)
    );
    Ok(size)
}

/// Mails that both nodes keep for a while.
fn held(lab: &mut Lab) -> anyhow::Result<()> {
    let onlookers = Onlookers::start(lab)?;
    let mut checks = Vec::new();
    for seconds in HELD_SECONDS {
        checks.extend(hold_for(lab, Duration::from_secs(seconds))?);
    }
    let (polling, idling) = onlookers.finish()?;
    let mails = mails(lab, &checks)?;
    anyhow::ensure!(
        mails.len() == HELD_SECONDS.len() * ADDRESSES,
        "{} mails",
        mails.len()
    );

    let shares = Spread::of(mails.iter().map(|mail| mail.share().abs()), "%")?;
    println!("above 1 s, held by the nodes and released, four mails at a time");
    println!(
        "  true latency           {}",
        Spread::of(mails.iter().map(|mail| mail.latency() / 1e3), "s")?
    );
    println!(
        "  error                  {}",
        Spread::of(mails.iter().map(Mail::error), "ms")?
    );
    println!("  |error| / latency      {shares}");
    for (name, seen) in [("NOOP each 1 s", &polling), ("IDLE alone   ", &idling)] {
        let shares = mails.iter().filter_map(|mail| {
            let late = milliseconds_between(*seen.get(&mail.id)?, mail.saved);
            Some(100.0 * late.abs() / mail.latency())
        });
        println!("  same, {name}    {}", Spread::of(shares, "%")?);
    }
    println!(
        "  target <= 2 % of the latency, each mail: {}",
        verdict(shares.max() <= 2.0)
    );
    Ok(())
}

/// The checks of a run whose mail both nodes keep for so long, and a little more.
fn hold_for(lab: &mut Lab, time: Duration) -> anyhow::Result<Vec<CheckResult>> {
    let filters = [Node::Filter1, Node::Filter2];
    for node in filters {
        lab.platform.hold_mail(node)?;
    }
    let deferred = |lab: &Lab| -> usize {
        let count = |node| {
            lab.platform
                .smtp_log(node)
                .matches("status=deferred")
                .count()
        };
        filters.into_iter().map(count).sum()
    };
    let before = deferred(lab);
    let mut command = lab.postrider(&["run", "held", "--format", "json"]);
    let run = thread::spawn(move || finish(&mut command, &[0]));
    let kept = || (deferred(lab) >= before + ADDRESSES).then_some(());
    wait_until(DEFERRED_WITHIN, kept).context("the nodes did not keep the mail")?;
    thread::sleep(time);
    for node in filters {
        lab.platform.release_mail(node)?;
    }
    let ended = run.join().map_err(|_| anyhow!("the run's thread died"))??;
    let result: RunResult = serde_json::from_slice(&ended.output.stdout)?;
    Ok(result.checks)
}

/// Every mail that was seen, with both its times.
fn mails(lab: &Lab, checks: &[CheckResult]) -> anyhow::Result<Vec<Mail>> {
    let replied = lab.final_replies()?;
    let saved = lab.saved();
    let sent = checks.iter().filter_map(|check| check.evidence.as_ref());
    sent.filter(|evidence| !evidence.arrivals.is_empty())
        .map(|evidence| {
            let (Some(id), Some(arrival)) = (evidence.entries.last(), evidence.arrivals.first())
            else {
                anyhow::bail!("no arrival in {evidence:?}");
            };
            let missing = || format!("{id} in the ledger, the store's log and the report");
            Ok(Mail {
                replied: *replied.get(id).with_context(missing)?,
                saved: *saved.get(id).with_context(missing)?,
                reported: Duration::from_secs_f64(arrival.after_seconds.with_context(missing)?),
                id: id.clone(),
            })
        })
        .collect()
}

/// The plugin against the same platform; in its own terms: from its start, in whole seconds.
fn plugin(lab: &Lab, ours: &Spread) -> anyhow::Result<()> {
    let mut errors = Vec::new();
    for round in 0..PLUGIN_ROUNDS {
        let id = format!("PLUGIN-{round}");
        let started = wall_clock();
        let ended = nagios::timed(lab, &format!("<{id}@outside.test>"))?;
        let saved = *lab.saved().get(&id).context("the plugin's mail")?;
        errors.push(nagios::reported_delay(&ended)? * 1e3 - milliseconds_between(saved, started));
    }
    let size = Spread::of(errors.iter().map(|error| error.abs()), "ms")?;
    let ratio = size.median() / ours.median();
    println!(
        "check_email_delivery {}: its delay, against the time from its start to the saving",
        nagios::version()?
    );
    println!("  |error|                {size}");
    println!(
        "  ratio of the medians {ratio:.0} x, of the p99 {:.0} x; target >= 100 x: {}",
        size.percentile(99) / ours.percentile(99),
        verdict(ratio >= 100.0)
    );
    Ok(())
}
