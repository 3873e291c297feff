//! `ledger`: every mail that was ever planned, by what became of it; and whether the books balance.

use std::fmt::Write as _;

use jiff::Timestamp;
use postrider_probes::post::EntryState;

use super::moment::Moment;
use super::output::Output;
use super::{Exit, Global, Problem, session};
use crate::report::mails::{self, Line, MailLine, PathLine};
use crate::store::{MAILS_LIMIT, MailFilter, MailRow, PathCounts, Reader};

/// Arguments of `ledger`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    list: List,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Action {
    /// Fold every event again and compare the result with what is kept for queries: exit 1 when they differ
    Verify,
}

#[derive(Debug, Clone, clap::Args)]
struct List {
    /// Only mails in this state
    #[arg(long, value_parser = state, value_name = "STATE")]
    state: Option<EntryState>,
    /// Only mails of this scenario
    #[arg(long, value_name = "NAME")]
    scenario: Option<String>,
    /// Only mails of this step
    #[arg(long, value_name = "ID")]
    step: Option<String>,
    /// Only mails by this MX host, or to this address
    #[arg(long, value_name = "HOST|ADDRESS")]
    target: Option<String>,
    /// Only mails planned since then: `7d`, `2026-11-24`, `2026-11-24T03:00:00Z`
    #[arg(long, value_name = "TIME")]
    since: Option<Moment>,
    /// Only mails planned before then
    #[arg(long, value_name = "TIME")]
    until: Option<Moment>,
    /// So many mails, the newest first
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=i64::from(MAILS_LIMIT)), value_name = "N")]
    limit: u32,
    /// Count by path instead: a line for each step and address
    #[arg(long)]
    paths: bool,
    /// Form of the list
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// For people.
    Table,
    /// One document.
    Json,
    /// Comma-separated values (RFC 4180); cells that a spreadsheet would calculate begin with an apostrophe.
    Csv,
}

impl List {
    fn selects(&self) -> bool {
        self.state.is_some()
            || self.scenario.is_some()
            || self.step.is_some()
            || self.target.is_some()
            || self.since.is_some()
            || self.until.is_some()
            || self.paths
    }
}

fn state(name: &str) -> Result<EntryState, String> {
    let names: Vec<&str> = EntryState::ALL.iter().map(|state| state.name()).collect();
    EntryState::ALL
        .into_iter()
        .find(|state| state.name() == name)
        .ok_or_else(|| format!("the states are {}", names.join(", ")))
}

pub(super) fn main(global: &Global, args: &Args, output: &Output) -> Result<Exit, Problem> {
    let store = open(global)?;
    let list = &args.list;
    if let Some(Action::Verify) = args.action {
        // clap could forbid it, but with it the options that every command has.
        if list.selects() {
            return Err(Problem::usage(anyhow::anyhow!(
                "`ledger verify` takes the whole ledger: leave out what selects mails"
            )));
        }
        return verify(&store, output);
    }
    let now = crate::clock::now();
    let filter = MailFilter {
        state: list.state,
        scenario: list.scenario.clone(),
        step: list.step.clone(),
        target: list.target.clone(),
        since: list.since.map(|since| since.before(now)),
        until: list.until.map(|until| until.before(now)),
    };
    let text = if list.paths {
        let paths = store.paths(&filter).map_err(Problem::not_tested)?;
        let lines: Vec<PathLine> = paths.iter().map(path_line).collect();
        shown(list.format, &lines, "paths")?
    } else {
        let mails = store
            .mails(&filter, list.limit)
            .map_err(Problem::not_tested)?;
        let lines: Vec<MailLine> = mails.iter().map(mail_line).collect();
        shown(list.format, &lines, "mails")?
    };
    match list.format {
        Form::Table => output.print(&output.style.text(&text))?,
        Form::Json | Form::Csv => output.print(&text)?,
    }
    Ok(Exit::Ok)
}

/// The ledger in the state directory.
pub(super) fn open(global: &Global) -> Result<Reader, Problem> {
    Reader::open(&session::stored(global)?)
        .map_err(Problem::not_tested)?
        .ok_or_else(|| Problem::usage(anyhow::anyhow!("there is no ledger yet")))
}

fn verify(store: &Reader, output: &Output) -> Result<Exit, Problem> {
    let found = store.verify().map_err(Problem::not_tested)?;
    let mut text = format!("{} events, {} mails: ", found.events, found.entries);
    if found.different == 0 {
        text.push_str("the books balance\n");
        output.print(&text)?;
        return Ok(Exit::Ok);
    }
    let _ = writeln!(text, "{} differences", found.different);
    for line in &found.differences {
        let _ = writeln!(text, "  {line}");
    }
    let more = found
        .different
        .saturating_sub(u64::try_from(found.differences.len()).unwrap_or(0));
    if more > 0 {
        let _ = writeln!(text, "  and {more} more");
    }
    output.print(&output.style.text(&text))?;
    Ok(Exit::Failed)
}

fn shown<L: Line>(form: Form, lines: &[L], name: &str) -> Result<String, Problem> {
    Ok(match form {
        Form::Table => mails::table(lines),
        Form::Json => mails::document(name, lines).map_err(Problem::not_tested)?,
        Form::Csv => mails::csv(lines),
    })
}

fn mail_line(mail: &MailRow) -> MailLine {
    let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
    MailLine {
        entry: mail.id.to_string(),
        state: mail.state.name(),
        planned_at: time(mail.planned_at),
        attempted_at: time(mail.attempted_at),
        first_seen_at: time(mail.first_seen_at),
        latency_seconds: mail.latency.map(|latency| latency.as_secs_f64()),
        copies: mail.copies,
        scenario: mail.scenario.clone(),
        step: mail.step.clone(),
        mx: mail.mx.clone(),
        address: mail.address.clone(),
        route: mail.route.clone(),
        mailbox: mail.mailbox.clone(),
        run: mail.run.clone(),
    }
}

fn path_line(path: &PathCounts) -> PathLine {
    let PathCounts {
        scenario,
        step,
        route,
        mx,
        address,
        planned,
        delivered,
        late,
        lost,
        bounced,
        refused,
        unknown,
        duplicated,
        extra_copies,
    } = path.clone();
    PathLine {
        scenario,
        step,
        route,
        mx,
        address,
        planned,
        delivered,
        late,
        lost,
        bounced,
        refused,
        unknown,
        duplicated,
        extra_copies,
    }
}
