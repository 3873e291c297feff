//! The laboratory of names and the program, for checks that only ask.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use postrider::result::RunResult;
use postrider_testkit::live::{Names, Zone};

use super::lab::line;

/// Name servers, and a place for the files of the program.
pub(super) struct NamesLab {
    pub(super) names: Names,
    runs: Cell<u32>,
}

impl NamesLab {
    pub(super) fn start(zones: &[Zone]) -> io::Result<Self> {
        Ok(Self {
            names: Names::start(zones)?,
            runs: Cell::new(0),
        })
    }

    /// Runs a scenario of these steps with the validating resolver; `main` is added to the main file.
    pub(super) fn run(&self, main: &str, steps: &str) -> io::Result<RunResult> {
        self.run_with(self.names.validating(), main, steps)
    }

    /// The same with another resolver.
    pub(super) fn run_with(
        &self,
        resolver: SocketAddr,
        main: &str,
        steps: &str,
    ) -> io::Result<RunResult> {
        let number = self.runs.get();
        self.runs.set(number + 1);
        let directory = self.names.directory().join(format!("probe{number}"));
        fs::create_dir(&directory)?;
        let anchor = self.names.trust_anchor();
        let head = format!(
            "version: 1\nvantage: laboratory\ninclude: [scenario.yaml]\nresolver: {resolver}\ndnssec: {{ trust_anchor_file: {} }}\n",
            anchor.display()
        );
        fs::write(directory.join("postrider.yaml"), head + main)?;
        let head = "version: 1\nname: names\nsteps_run: together\nsteps:\n";
        fs::write(directory.join("scenario.yaml"), format!("{head}{steps}"))?;
        let output = Command::new(env!("CARGO_BIN_EXE_postrider"))
            .arg("--config")
            .arg(directory.join("postrider.yaml"))
            .arg("--storage.path")
            .arg(directory.join("state"))
            .args(["run", "--format", "json"])
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!said.contains("hickory"), "{said}");
        serde_json::from_slice(&output.stdout)
            .map_err(|error| io::Error::other(format!("{error}: {said}")))
    }
}

/// `status reason: message` by step; several targets of a step one after the other. Ports become `PORT`.
pub(super) fn told(result: &RunResult, ports: &[u16]) -> BTreeMap<String, String> {
    let mut told: BTreeMap<String, String> = BTreeMap::new();
    for check in &result.checks {
        let mut said = match line(check).as_str() {
            "pass" => "pass".to_owned(),
            other => format!("{} {other}", format!("{:?}", check.status).to_lowercase()),
        };
        for port in ports {
            said = said.replace(&port.to_string(), "PORT");
        }
        let lines = told.entry(check.step.clone()).or_default();
        if !lines.is_empty() {
            lines.push('\n');
        }
        lines.push_str(&said);
    }
    told
}

/// Compares what was told with `(step, line)` pairs, all at once.
pub(super) fn assert_told(result: &RunResult, ports: &[u16], wanted: &[(&str, &str)]) {
    let told = told(result, ports);
    let wanted: BTreeMap<String, String> = wanted
        .iter()
        .map(|(step, line)| (step.to_string(), line.to_string()))
        .collect();
    let wrong: Vec<String> = wanted
        .iter()
        .filter(|(step, line)| told.get(*step) != Some(*line))
        .map(|(step, line)| format!("{step}\n  wanted {line}\n  told   {:?}", told.get(step)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(
        told.keys().collect::<Vec<_>>(),
        wanted.keys().collect::<Vec<_>>()
    );
}
