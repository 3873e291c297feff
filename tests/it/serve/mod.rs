//! The daemon as an operator starts it, against the embedded platform.

mod disk;
mod ending;
mod reloading;
mod schedule;
mod scraped;
mod secrets;
mod trouble;
mod web;

use std::net::IpAddr;
use std::path::PathBuf;

use postrider::demo::platform::topology::FILTER1_PRIMARY;
use postrider::result::RunHead;
use postrider::store::{Reader, RunSearch};

use crate::support::{Lab, Ran, Running, until};

const HERE: IpAddr = FILTER1_PRIMARY;

/// A daemon that runs beside its platform.
struct Served {
    lab: Lab,
    running: Option<Running>,
    log: PathBuf,
}

/// A scenario with a step `mail` that awaits its mail.
fn scenario(name: &str, keys: &str, within: &str) -> String {
    let step = Lab::deliver(
        "mail",
        HERE,
        &format!("expect: {{ arrives: {{ within: {within} }} }}"),
    );
    format!(
        "version: 1
name: {name}
{keys}
message: {{ from: outside, to: alice }}
steps:
{step}"
    )
}

impl Served {
    /// Starts with this scenario file, and waits until it is ready.
    async fn start(scenario: &str) -> Self {
        let served = Self::unstarted(scenario).await;
        served.again(&[]).await
    }

    async fn unstarted(scenario: &str) -> Self {
        let lab = Lab::start().await;
        // Leaves the main file and the secrets, too.
        drop(lab.program(""));
        lab.write("lab.yaml", scenario);
        let log = lab.directory().join("daemon.log");
        Self {
            lab,
            running: None,
            log,
        }
    }

    /// Starts the program on the same files and store.
    async fn again(mut self, args: &[&str]) -> Self {
        let program = self
            .lab
            .again()
            .args(["serve", "--web.listen-address", "127.0.0.1:0"]);
        self.running = Some(program.args(args).telling(&self.log).start());
        self.says("ready").await;
        self
    }

    /// All that it has said so far.
    fn told(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits for a line with this in it.
    async fn says(&self, part: &str) -> String {
        let line = || {
            let mut lines = self.told();
            let at = lines.find(part)?;
            let begin = lines[..at].rfind('\n').map_or(0, |end| end + 1);
            let end = lines[at..].find('\n').map_or(lines.len(), |end| at + end);
            lines.truncate(end);
            Some(lines.split_off(begin))
        };
        until(line).await
    }

    /// How many lines have this in them.
    fn count(&self, part: &str) -> usize {
        self.told()
            .lines()
            .filter(|line| line.contains(part))
            .count()
    }

    fn signal(&self, name: &str) {
        self.running.as_ref().unwrap().signal(name);
    }

    async fn end(&mut self) -> Ran {
        self.running.take().unwrap().end().await
    }

    /// The last run, as another process reads it from the store.
    fn last_run(&self) -> Option<RunHead> {
        self.reader()?.last_run().unwrap()
    }

    fn run(&self, id: &str) -> postrider::result::RunResult {
        match self.reader().unwrap().run_by_prefix(id).unwrap() {
            RunSearch::One(run) => *run,
            other => panic!("{other:?}"),
        }
    }

    fn reader(&self) -> Option<Reader> {
        Reader::open(&self.lab.directory().join("state")).unwrap()
    }
}
