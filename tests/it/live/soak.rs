//! The daemon under load, killed at random, while servers come and go: in the end every mail is accounted for.

use std::path::Path;
use std::time::Duration;

use postrider_testkit::soak::{Report, Soak};

fn run(soak: &Soak) -> Report {
    let report = soak
        .run(Path::new(env!("CARGO_BIN_EXE_postrider")))
        .expect("the laboratory works");
    let balance = &report.balance;
    assert!(balance.unexplained.is_empty(), "{report}");
    assert!(balance.is_settled(), "{report}");
    assert!(report.complaints.is_empty(), "{report}");
    report
}

#[test]
fn row_52_killed_at_200_random_points_it_loses_and_invents_nothing() {
    let report = run(&Soak {
        length: Duration::from_secs(100),
        rate: 12,
        kills: 200,
        restarts: 0,
        outages: false,
        seed: 52,
    });
    assert_eq!(report.killed, 200);
    assert!(report.balance.accepted > 50, "{report}");
    // Nothing but the program was disturbed.
    assert_eq!(report.balance.duplicated, 0, "{report}");
}

#[test]
fn two_minutes_with_kills_restarts_and_outages_balance() {
    let report = run(&Soak {
        length: Duration::from_secs(120),
        rate: 20,
        kills: 4,
        restarts: 3,
        outages: true,
        seed: 20,
    });
    assert_eq!((report.killed, report.restarted), (4, 3));
    assert!(report.balance.accepted > 500, "{report}");
}
