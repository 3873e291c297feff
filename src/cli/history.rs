//! `history`: recent checks, filtered.

use super::moment::Moment;
use super::output::Output;
use super::{Exit, Global, Problem, show};
use crate::report::{json, listing};
use crate::result::StatusWord;
use crate::store::CheckSearch;

/// More are a job for the data itself.
const MOST: i64 = 100_000;

/// Arguments of `history`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Only this scenario
    #[arg(long, value_name = "NAME")]
    scenario: Option<String>,
    /// Only this step
    #[arg(long, value_name = "ID")]
    step: Option<String>,
    /// Only this status
    #[arg(long, value_enum)]
    status: Option<Status>,
    /// Only what began since: how long ago, or a date
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// At most so many checks, newest first
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=MOST))]
    limit: u32,
    /// Form of the list
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Status {
    /// Every expectation held.
    Pass,
    /// A preference did not hold.
    Degraded,
    /// The platform broke an expectation.
    Fail,
    /// Not tested.
    Error,
    /// Skipped.
    Skip,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// For people.
    Table,
    /// One document.
    Json,
    /// Comma-separated values for a spreadsheet.
    Csv,
}

pub(super) fn main(global: &Global, args: &Args, output: &Output) -> Result<Exit, Problem> {
    let now = crate::clock::now();
    let search = CheckSearch {
        scenario: args.scenario.clone(),
        step: args.step.clone(),
        status: args.status.map(StatusWord::from),
        since: args.since.map(|since| since.before(now)),
        limit: args.limit,
    };
    let store = show::open(global)?;
    let found = store.checks(&search).map_err(Problem::not_tested)?;
    let text = match args.format {
        Form::Json => json::document(&found).map_err(Problem::not_tested)?,
        Form::Csv => listing::csv(&found),
        Form::Table => listing::table(&found, output.style),
    };
    output.print(&text)?;
    if found.checks.is_empty() {
        output.tell("no stored check matches");
    }
    Ok(Exit::Ok)
}

impl From<Status> for StatusWord {
    fn from(status: Status) -> Self {
        match status {
            Status::Pass => Self::Pass,
            Status::Degraded => Self::Degraded,
            Status::Fail => Self::Fail,
            Status::Error => Self::Error,
            Status::Skip => Self::Skip,
        }
    }
}
