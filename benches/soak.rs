//! An hour of the daemon under load on the platform of real servers, with kills, restarts and outages: every mail must be
//! accounted for, and memory must stay. `SOAK_MINUTES` makes it longer or shorter.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use postrider_testkit::soak::Soak;

use crate::lab::POSTRIDER;

const MINUTES: u64 = 60;

pub(crate) fn measure() -> anyhow::Result<()> {
    let minutes = match std::env::var("SOAK_MINUTES") {
        Ok(text) => text.parse().context("SOAK_MINUTES is a number")?,
        Err(_) => MINUTES,
    };
    let soak = Soak {
        length: Duration::from_secs(60 * minutes),
        rate: 20,
        kills: u32::try_from(minutes / 3).unwrap_or(20).max(1),
        restarts: 3,
        outages: true,
        seed: 60,
    };
    let report = soak.run(Path::new(POSTRIDER))?;
    print!("{report}");
    ensure!(
        report.balance.unexplained.is_empty() && report.balance.is_settled(),
        "the books do not balance"
    );
    ensure!(report.complaints.is_empty(), "the program complained");
    Ok(())
}
