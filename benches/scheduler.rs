//! The whole daemon with ten thousand scenarios, each every minute, on one core. Their checks wait for a millisecond and
//! contact nobody; all that happens is booked and durable, as in operation.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use postrider::config;
use postrider::config::plan::{Plan, Scenario};
use postrider::daemon::{Daemon, Notify, Options};
use postrider::pipeline::Told;
use postrider::run::event::Event;
use postrider::store::Store;
use tokio::sync::broadcast::Receiver;
use tokio::time::{Instant, timeout_at};

use crate::process::{cpu_of_this, resident, stay_on_one_core};
use crate::spread::{Spread, verdict};

const CHECKS: usize = 10_000;
/// Each scenario starts once.
const WARM_UP: Duration = Duration::from_secs(60);
const MEASURED: Duration = Duration::from_secs(90);
const GRACE: Duration = Duration::from_secs(25);

pub(crate) fn measure() -> anyhow::Result<()> {
    // Before the runtime: its threads inherit this.
    stay_on_one_core()?;
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(observe())
}

async fn observe() -> anyhow::Result<()> {
    let directory = tempfile::tempdir()?;
    let plan = plan(directory.path())?;
    let storage = directory.path().join("store");
    let options = Options {
        main: directory.path().join("postrider.yaml"),
        storage: storage.clone(),
        retention: Duration::from_secs(400 * 86_400),
        retention_size: 5_000_000_000,
    };
    let store = Store::open(&storage).await?;
    let daemon = Daemon::start(options, plan, store, Notify::new(None, None)).await?;
    let mut told = daemon.pipeline().listen();
    let empty = resident(std::process::id())?;
    let warm_up = Seen::until(&mut told, Instant::now() + WARM_UP).await?;
    let cpu_before = cpu_of_this()?;
    let began = Instant::now();
    let seen = Seen::until(&mut told, began + MEASURED).await?;
    let wall = began.elapsed();
    let cpu = cpu_of_this()?.saturating_sub(cpu_before);
    let full = resident(std::process::id())?;
    let drained = daemon.drain(GRACE).await.map_err(anyhow::Error::msg)?;

    let delay = Spread::of(seen.delays, "ms")?;
    println!("  start delay            {delay}");
    println!(
        "  of the warm-up         {}",
        Spread::of(warm_up.delays, "ms")?
    );
    println!(
        "  {:.1} runs ended a second, of {:.1} planned; {} starts missed; ended in time: {}",
        seen.ended as f64 / wall.as_secs_f64(),
        CHECKS as f64 / 60.0,
        seen.missed + warm_up.missed,
        drained.in_time,
    );
    println!(
        "  CPU {:.1} % of one core, {:.2} ms for each run",
        cpu.as_secs_f64() / wall.as_secs_f64() * 100.0,
        cpu.as_secs_f64() * 1e3 / seen.ended as f64,
    );
    println!("  RSS {empty:.0} MiB at the start, {full:.0} MiB at the end");
    println!(
        "  target start delay p99 <= 50 ms: {}; target RSS <= 150 MiB: {}",
        verdict(delay.percentile(99) <= 50.0 && seen.missed == 0),
        verdict(full <= 150.0)
    );
    Ok(())
}

/// One scenario as a file has it, ten thousand times: more files than a configuration may have.
fn plan(directory: &Path) -> anyhow::Result<Plan> {
    let main = directory.join("postrider.yaml");
    fs::write(
        &main,
        "version: 1\nvantage: laboratory\ninclude: [check.yaml]\n",
    )?;
    fs::write(
        directory.join("check.yaml"),
        "version: 1\nname: check\nschedule: { every: 1m }\nsteps:\n  - id: pause\n    wait: { for: 1ms }\n",
    )?;
    let loaded = config::load(&main);
    let mut plan = loaded
        .plan
        .with_context(|| format!("it does not load: {:?}", loaded.problems))?;
    let one = plan.scenarios.pop().context("no scenario")?;
    plan.scenarios = (0..CHECKS)
        .map(|n| Scenario {
            name: format!("check-{n:05}"),
            ..one.clone()
        })
        .collect();
    Ok(plan)
}

/// What the daemon told.
#[derive(Debug, Default)]
struct Seen {
    /// From the planned start to the moment when the run itself began, in milliseconds, by the wall clock.
    delays: Vec<f64>,
    ended: u64,
    missed: u64,
}

impl Seen {
    async fn until(told: &mut Receiver<Told>, end: Instant) -> anyhow::Result<Self> {
        let mut seen = Self::default();
        // A listener that misses something is told so: that ends the measurement.
        while let Ok(told) = timeout_at(end, told.recv()).await {
            let Told::Run(event) = told? else { continue };
            match event.as_ref() {
                Event::RunStarted(started) => {
                    let delay = started.started_at.duration_since(started.planned_at);
                    seen.delays.push(delay.as_secs_f64() * 1e3);
                }
                Event::RunFinished(_) => seen.ended += 1,
                Event::RunMissed(missed) => seen.missed += missed.times,
                _ => {}
            }
        }
        Ok(seen)
    }
}
