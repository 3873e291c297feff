//! `report`: how all checks did over a period, or a stored run once more.

use super::moment::Moment;
use super::output::Output;
use super::{Exit, Global, Problem, session, show};
use crate::report::{human, json, period, waterfall};
use crate::store::PeriodSearch;

/// Arguments of `report`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// A stored run: its id, any unique beginning of it, or `last`; without one, the period is reported
    #[arg(value_name = "RUN", conflicts_with_all = ["since", "until", "scenario", "manual"])]
    run: Option<String>,
    /// Beginning of the period: how long ago, or a date; from the whole hour on
    #[arg(long, value_name = "TIME", default_value = "7d")]
    since: Moment,
    /// End of the period: how long ago, or a date [default: now]
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// Only this scenario
    #[arg(long, value_name = "NAME")]
    scenario: Option<String>,
    /// The runs that people started, in the place of the schedule's
    #[arg(long)]
    manual: bool,
    /// Form of the report
    #[arg(long, value_enum, default_value_t = Form::Text)]
    format: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// For people.
    #[value(alias = "human")]
    Text,
    /// One document.
    Json,
}

pub(super) fn main(global: &Global, args: &Args, output: &Output) -> Result<Exit, Problem> {
    let text = match &args.run {
        Some(run) => of_run(global, run, args.format, output)?,
        None => of_period(global, args, output)?,
    };
    output.print(&text)?;
    Ok(Exit::Ok)
}

fn of_run(global: &Global, run: &str, form: Form, output: &Output) -> Result<String, Problem> {
    let result = show::find(global, run)?;
    Ok(match form {
        Form::Json => json::document(&result).map_err(Problem::not_tested)?,
        Form::Text => {
            let mut text = waterfall::run_heading(&result.run, output.style);
            let show = session::show_command(global);
            text.push_str(&human::blocks(&result, Some(&show), output.style));
            text.push_str(&human::counts(&result, output.style));
            text
        }
    })
}

fn of_period(global: &Global, args: &Args, output: &Output) -> Result<String, Problem> {
    let now = crate::clock::now();
    let search = PeriodSearch {
        since: args.since.before(now),
        until: args.until.map_or(now, |until| until.before(now)),
        scenario: args.scenario.clone(),
        manual: args.manual,
    };
    if search.since >= search.until {
        return Err(Problem::usage(anyhow::anyhow!(
            "the period ends before it begins: --since {} --until {}",
            search.since,
            search.until
        )));
    }
    let store = show::open(global)?;
    let report = store.period(&search).map_err(Problem::not_tested)?;
    Ok(match args.format {
        Form::Json => json::document(&report).map_err(Problem::not_tested)?,
        Form::Text => period::report(&report, output.style),
    })
}
