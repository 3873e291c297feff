//! What a person sees who runs it on a terminal.

use std::io;

use postrider_testkit::live::Node;

use super::lab::{EVERY_ADDRESS, Lab};

/// Without the sequences that move, clear and colour.
fn plain(shown: &str) -> String {
    let mut text = String::new();
    let mut rest = shown;
    while let Some((before, sequence)) = rest.split_once('\x1b') {
        text.push_str(before);
        let end = sequence.find(|c: char| c.is_ascii_alphabetic());
        rest = end.map_or("", |end| &sequence[end + 1..]);
    }
    text + rest
}

#[test]
fn terminal_shows_what_runs_and_then_the_worst_last() -> io::Result<()> {
    let mut lab = Lab::start()?;
    let titled = format!("title: Every address takes mail\n{EVERY_ADDRESS}");
    lab.scenario("every-address", &titled)?;
    lab.platform.stop_node(Node::Filter1);
    let shown = lab.on_terminal(&["run"])?;
    assert!(shown.contains("\x1b[32m✓\x1b[0m primary"), "{shown}");
    let shown = plain(&shown);
    // While it runs: a line for each check, in its place.
    for live in [
        "every-address/primary  mx1.example.test  127.0.22.1",
        "every-address/fallback  mx2.example.test  127.0.22.2",
    ] {
        assert!(shown.contains(live), "{live}\n{shown}");
    }
    let (_, ending) = shown
        .split_once("every-address  Every address takes mail")
        .unwrap_or_else(|| panic!("{shown}"));
    let places: Vec<Option<usize>> = [
        "✓ primary   mx1.example.test  127.0.22.1  250  INBOX",
        "✓ fallback  mx2.example.test  127.0.22.2  250  INBOX",
        "✗ primary   mx1.example.test  127.0.21.1",
        "connect-refused: 127.0.21.1 port ",
        "✗ fallback  mx2.example.test  127.0.21.2",
        "/3 --transcript",
        "2 failed · 0 degraded · 2 passed · 0 not tested · 0 skipped     4 of 4 checks in ",
        " saved · postrider show ",
    ]
    .iter()
    .map(|words| ending.find(words))
    .collect();
    assert!(
        places.iter().all(Option::is_some) && places.is_sorted(),
        "{places:?}\n{ending}"
    );
    Ok(())
}
