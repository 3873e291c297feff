//! CPU time of a full round trip, one mail sent and seen, for the probe's side alone: user and system time of the whole
//! process tree, as the kernel counts it.

use crate::lab::{Ended, Lab, finish};
use crate::nagios;
use crate::spread::{Spread, verdict};

/// Single round trips of the program, and mails of each run with many.
const SINGLE: usize = 50;
const MANY: usize = 50;
/// Steps of the scenario with many mails in one run; each sends one through two addresses.
const STEPS: usize = MANY / 2;
/// Runs with many mails.
const RUNS_OF_MANY: usize = 5;
/// Round trips of the plugin: it sleeps a second in each.
const PLUGIN: usize = 20;

pub(crate) fn measure() -> anyhow::Result<()> {
    nagios::install()?;
    let lab = Lab::start()?;
    println!(
        "check_email_delivery {}, --wait 1 --imap-check-interval 1",
        nagios::version()?
    );
    for tls in [false, true] {
        compare(&lab, tls)?;
    }
    Ok(())
}

/// Both sides without TLS, or both with TLS for SMTP and IMAP.
fn compare(lab: &Lab, tls: bool) -> anyhow::Result<()> {
    let kind = if tls { "tls" } else { "plain" };
    let (recipient, security) = if tls {
        ("alice", "required")
    } else {
        ("bob", "none")
    };
    // Unsigned, as the plugin's mail is.
    let head =
        format!("message: {{ from: unsigned, to: {recipient} }}\nsteps_run: together\nsteps:\n");
    let step = |n: usize| {
        format!(
            "  - id: step-{n}
    for_each: {{ mx_of: example.test, preference: lowest, addresses: all }}
    deliver: {{ to_address: '${{item.address}}', tls: {security}, expect: {{ arrives: {{ within: 30s }} }} }}\n"
        )
    };
    let one = format!("{kind}-one");
    let many = format!("{kind}-many");
    lab.scenario(&one, &format!("{head}{}", step(1)))?;
    lab.scenario(
        &many,
        &format!("{head}{}", (1..=STEPS).map(step).collect::<String>()),
    )?;

    let run = |arguments: &[&str]| finish(&mut lab.postrider(arguments), &[0]);
    let single = ["run", &one, "--address", "127.0.21.1", "--format", "json"];
    let repeat = MANY.to_string();
    let repeated = [&single[..], &["--repeat", &repeat]].concat();
    // The servers' processes and the page cache are there for both.
    run(&single)?;
    nagios::round_trip(lab, tls)?;

    println!(
        "{}",
        if tls {
            "TLS for SMTP and IMAP"
        } else {
            "no TLS"
        }
    );
    let singles = times(SINGLE, || run(&single))?;
    let ours = cpu("postrider, one mail in a process          ", &singles, 1)?;
    let repeats = times(RUNS_OF_MANY, || run(&repeated))?;
    let ours_repeated = cpu(
        &format!("postrider run --repeat {MANY}, each mail    "),
        &repeats,
        MANY,
    )?;
    let together = times(RUNS_OF_MANY, || run(&["run", &many, "--format", "json"]))?;
    let ours_together = cpu(
        &format!("postrider, {MANY} mails in one run, each mail"),
        &together,
        MANY,
    )?;
    let plugin = times(PLUGIN, || nagios::round_trip(lab, tls))?;
    let theirs = cpu("check_email_delivery, one mail            ", &plugin, 1)?;
    for (name, ours) in [
        ("one mail in a process", ours),
        ("--repeat, each mail", ours_repeated),
        ("many in one run, each mail", ours_together),
    ] {
        let ratio = theirs.median() / ours.median();
        println!(
            "  {name}: 1/{ratio:.1} of check_email_delivery; target <= 1/20: {}",
            verdict(ratio >= 20.0)
        );
    }
    Ok(())
}

fn times(
    count: usize,
    mut round_trip: impl FnMut() -> anyhow::Result<Ended>,
) -> anyhow::Result<Vec<Ended>> {
    (0..count).map(|_| round_trip()).collect()
}

fn cpu(name: &str, ended: &[Ended], mails: usize) -> anyhow::Result<Spread> {
    let each = |time: std::time::Duration| time.as_secs_f64() * 1e3 / mails as f64;
    let cpu = Spread::of(ended.iter().map(|ended| each(ended.cpu)), "ms CPU")?;
    let wall = Spread::of(ended.iter().map(|ended| each(ended.wall)), "ms")?;
    println!("  {name}  {cpu}; wall median {:.1} ms", wall.median());
    Ok(cpu)
}
