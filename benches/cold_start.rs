//! From starting the process to having seen its end, with warm files: how long the program takes before it does
//! anything.

use std::process::Command;

use crate::lab::{POSTRIDER, finish};
use crate::nagios;
use crate::spread::{Spread, verdict};

const STARTS: usize = 100;

pub(crate) fn measure() -> anyhow::Result<()> {
    nagios::install()?;
    let main = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/scenarios/examples/postrider.yaml"
    );
    let nothing = starts("/bin/true                        ", "/bin/true", &[], 0)?;
    let help = starts(
        "postrider --help                 ",
        POSTRIDER,
        &["--help"],
        0,
    )?;
    let validate = ["--config", main, "validate"];
    let validate = starts("postrider validate (the examples)", POSTRIDER, &validate, 0)?;
    let plugin = starts(
        "check_email_delivery --usage     ",
        &nagios::program(),
        &["--usage"],
        3,
    )?;
    for (name, ours) in [("--help", help), ("validate", validate)] {
        println!(
            "  {name}: {:.1} x /bin/true, 1/{:.1} of check_email_delivery --usage; target median <= 20 ms: {}",
            ours.median() / nothing.median(),
            plugin.median() / ours.median(),
            verdict(ours.median() <= 20.0),
        );
    }
    Ok(())
}

fn starts(name: &str, program: &str, arguments: &[&str], code: i32) -> anyhow::Result<Spread> {
    let start = || finish(Command::new(program).args(arguments), &[code]);
    start()?;
    let walls = (0..STARTS)
        .map(|_| Ok(start()?.wall.as_secs_f64() * 1e3))
        .collect::<anyhow::Result<Vec<f64>>>()?;
    let spread = Spread::of(walls, "ms")?;
    println!("  {name}  {spread}");
    Ok(spread)
}
