//! Measurements against the numbers of the design, each with its peer in the same run.
//! `cargo bench --bench measure -- NAME…`; without a name, all of them. Needs root, as `tests/live` does.

#![expect(clippy::print_stdout, reason = "a program for a terminal")]

mod cold_start;
mod lab;
mod ledger_writes;
mod metrics;
mod nagios;
mod onlookers;
mod round_trip_cpu;
mod sighting;
mod spread;
mod store_year;

type Measurement = fn() -> anyhow::Result<()>;

const MEASUREMENTS: [(&str, Measurement); 6] = [
    ("sighting", sighting::measure),
    ("round_trip_cpu", round_trip_cpu::measure),
    ("cold_start", cold_start::measure),
    ("metrics", metrics::measure),
    ("store_year", store_year::measure),
    ("ledger_writes", ledger_writes::measure),
];

fn main() -> anyhow::Result<()> {
    let names: Vec<String> = std::env::args()
        .skip(1)
        // Cargo adds `--bench`.
        .filter(|argument| !argument.starts_with('-'))
        .collect();
    if let Some(unknown) = names
        .iter()
        .find(|name| !MEASUREMENTS.iter().any(|(known, _)| known == name))
    {
        let known = MEASUREMENTS.map(|(name, _)| name).join(", ");
        anyhow::bail!("there is no measurement `{unknown}`; there are {known}");
    }
    println!("{}\n", machine());
    for (name, measure) in MEASUREMENTS {
        if names.is_empty() || names.iter().any(|wanted| wanted == name) {
            println!("## {name}: cargo bench --bench measure -- {name}");
            measure()?;
            println!();
        }
    }
    Ok(())
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
