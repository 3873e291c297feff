//! Measurements against the numbers of the design, each with its peer in the same run.
//! `cargo bench --bench measure -- NAME…`; without a name, all of them. Needs root, as `tests/live` does.

#![expect(clippy::print_stdout, reason = "a program for a terminal")]

mod cold_start;
mod idle;
mod in_flight;
mod lab;
mod ledger_writes;
mod metrics;
mod nagios;
mod onlookers;
mod process;
mod round_trip_cpu;
mod scheduler;
mod sighting;
mod soak;
mod spread;
mod store_year;
mod throughput;

type Measurement = fn() -> anyhow::Result<()>;

const MEASUREMENTS: [(&str, Measurement); 10] = [
    ("sighting", sighting::measure),
    ("round_trip_cpu", round_trip_cpu::measure),
    ("cold_start", cold_start::measure),
    ("idle", idle::measure),
    ("metrics", metrics::measure),
    ("store_year", store_year::measure),
    ("ledger_writes", ledger_writes::measure),
    ("throughput", throughput::measure),
    ("in_flight", in_flight::measure),
    ("scheduler", scheduler::measure),
];

/// Takes an hour: only when it is named.
const LONG: (&str, Measurement) = ("soak", soak::measure);

fn main() -> anyhow::Result<()> {
    let names: Vec<String> = std::env::args()
        .skip(1)
        // Cargo adds `--bench`.
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    if let Some(unknown) = names
        .iter()
        .find(|name| !all().any(|(known, _)| known == *name))
    {
        let known: Vec<&str> = all().map(|(name, _)| name).collect();
        anyhow::bail!(
            "there is no measurement `{unknown}`; there are {}",
            known.join(", ")
        );
    }
    println!("{}\n", machine());
    let wanted = |name: &str| match names.is_empty() {
        true => name != LONG.0,
        false => names.iter().any(|wanted| wanted == name),
    };
    let chosen: Vec<(&str, Measurement)> = all().filter(|(name, _)| wanted(name)).collect();
    if let [(name, measure)] = chosen.as_slice() {
        println!("## {name}: cargo bench --bench measure -- {name}");
        return measure();
    }
    // Each in a process of its own: what one has left in memory must not count for the next.
    for (name, _) in chosen {
        let mut alone = std::process::Command::new(std::env::current_exe()?);
        let status = alone.arg(name).status()?;
        anyhow::ensure!(status.success(), "{name}: {status}");
        println!();
    }
    Ok(())
}

fn all() -> impl Iterator<Item = (&'static str, Measurement)> {
    MEASUREMENTS.into_iter().chain([LONG])
}

/// When and on what this was measured, without saying whose machine it is.
fn machine() -> String {
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let uname = rustix::system::uname();
    format!(
        "{}, {cores} cores, {} {}, {}; postrider {}",
        postrider::clock::now().strftime("%Y-%m-%d %H:%M UTC"),
        uname.sysname().to_string_lossy(),
        uname.release().to_string_lossy(),
        uname.machine().to_string_lossy(),
        env!("CARGO_PKG_VERSION"),
    )
}
