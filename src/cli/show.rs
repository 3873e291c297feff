//! `show`: one stored run, or one of its checks in full.

use std::path::Path;

use super::output::Output;
use super::run::Form;
use super::{Exit, Global, Problem, session};
use crate::report::{human, json, waterfall};
use crate::result::RunResult;
use crate::run::document::head_cut_off;
use crate::store::{Reader, RunSearch};

/// Arguments of `show`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// A run's id or any unique beginning of it, or `last`; `/NUMBER` shows one check
    #[arg(value_name = "RUN[/CHECK]", default_value = "last")]
    what: String,
    /// Print the dialogue, too
    #[arg(long)]
    transcript: bool,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Form::Human)]
    format: Form,
}

pub(super) fn main(global: &Global, args: &Args, output: &Output) -> Result<Exit, Problem> {
    let (run, number) = match args.what.split_once('/') {
        Some((run, number)) => {
            let number: u32 = number.parse().map_err(|_| {
                Problem::usage(anyhow::anyhow!("`{number}` is not the number of a check"))
            })?;
            (run, Some(number))
        }
        None => (args.what.as_str(), None),
    };
    let mut result = find(global, run)?;
    if let Some(number) = number {
        result.checks.retain(|check| check.number == number);
        if result.checks.is_empty() {
            return Err(Problem::usage(anyhow::anyhow!(
                "run {} has no check {number}",
                result.run.id
            )));
        }
    }
    let text = match args.format {
        Form::Json => json::document(&result).map_err(Problem::not_tested)?,
        Form::Jsonl => json::line(&result).map_err(Problem::not_tested)?,
        Form::Quiet => String::new(),
        Form::Human if number.is_some() => result
            .checks
            .iter()
            .map(|check| waterfall::page(check, args.transcript, output.style))
            .collect(),
        Form::Human => {
            let mut text = waterfall::run_heading(&result.run, output.style);
            let show = session::show_command(global);
            text.push_str(&human::blocks(&result, Some(&show), output.style));
            text.push_str(&human::counts(&result, output.style));
            if args.transcript {
                text.extend(
                    result
                        .checks
                        .iter()
                        .map(|check| waterfall::page(check, true, output.style)),
                );
            }
            text
        }
    };
    output.print(&text)?;
    Ok(Exit::Ok)
}

/// The store, when something is in it.
pub(super) fn open(global: &Global) -> Result<Reader, Problem> {
    let storage = session::stored(global)?;
    Reader::open(&storage)
        .map_err(Problem::not_tested)?
        .ok_or_else(|| nothing(&storage))
}

fn nothing(storage: &Path) -> Problem {
    let place = storage.display();
    Problem::usage(anyhow::anyhow!(
        "no run is stored yet in {place}; name another directory with --storage.path"
    ))
}

pub(super) fn find(global: &Global, run: &str) -> Result<RunResult, Problem> {
    let store = open(global)?;
    let none = || session::stored(global).map_or_else(|problem| problem, |place| nothing(&place));
    let id = match run {
        "last" => {
            store
                .last_run()
                .map_err(Problem::not_tested)?
                .ok_or_else(none)?
                .id
        }
        id => id.to_owned(),
    };
    match store.run_by_prefix(&id).map_err(Problem::not_tested)? {
        RunSearch::One(result) if result.run.running => Ok(settled(&store, *result)?),
        RunSearch::One(result) => Ok(*result),
        RunSearch::None => Err(Problem::usage(anyhow::anyhow!(
            "no stored run begins with `{run}`"
        ))),
        RunSearch::Several(ids) => Err(Problem::usage(anyhow::anyhow!(
            "`{run}` is the beginning of several runs: {}",
            ids.join(", ")
        ))),
    }
}

/// A run that is stored as being under way: still so, ended meanwhile, or left by a process that is no more.
fn settled(store: &Reader, result: RunResult) -> Result<RunResult, Problem> {
    if store.is_in_use() {
        return Ok(result);
    }
    // The process may have written the end just before it went.
    let again = store.run_by_prefix(&result.run.id);
    let mut result = match again.map_err(Problem::not_tested)? {
        RunSearch::One(again) => *again,
        _ => result,
    };
    if result.run.running {
        result.run = head_cut_off(result.run);
    }
    Ok(result)
}
