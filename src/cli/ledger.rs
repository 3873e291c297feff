//! `ledger`: every mail that was ever planned, by what became of it; and whether the books balance.

use std::fmt::Write as _;

use jiff::Timestamp;
use postrider_probes::post::EntryState;
use postrider_probes::setting::Period;
use postrider_probes::span::duration;
use serde::Serialize;

use super::output::Output;
use super::{Exit, Global, Problem, session};
use crate::store::{MAILS_LIMIT, MailFilter, MailRow, PathCounts, Reader};

/// Arguments of `ledger`.
#[derive(Debug, Clone, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
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
    since: Option<When>,
    /// Only mails planned before then
    #[arg(long, value_name = "TIME")]
    until: Option<When>,
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

/// A moment, or so long ago.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum When {
    At(Timestamp),
    Ago(Period),
}

impl std::str::FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(period) = text.parse() {
            return Ok(Self::Ago(period));
        }
        if let Ok(at) = text.parse() {
            return Ok(Self::At(at));
        }
        text.parse::<jiff::civil::Date>()
            .ok()
            .and_then(|date| date.to_zoned(jiff::tz::TimeZone::UTC).ok())
            .map(|midnight| Self::At(midnight.timestamp()))
            .ok_or_else(|| {
                "write a length of time as `7d`, a day as `2026-11-24`, or a moment as `2026-11-24T03:00:00Z`"
                    .to_owned()
            })
    }
}

impl When {
    fn moment(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(moment) => moment,
            Self::Ago(period) => now.saturating_sub(period.0).unwrap_or(Timestamp::MIN),
        }
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
    if let Some(Action::Verify) = args.action {
        return verify(&store, output);
    }
    let list = &args.list;
    let now = crate::clock::now();
    let filter = MailFilter {
        state: list.state,
        scenario: list.scenario.clone(),
        step: list.step.clone(),
        target: list.target.clone(),
        since: list.since.map(|when| when.moment(now)),
        until: list.until.map(|when| when.moment(now)),
    };
    let text = if list.paths {
        let paths = store.paths(&filter).map_err(Problem::not_tested)?;
        shown(
            list.format,
            &paths.iter().map(PathLine::of).collect::<Vec<_>>(),
            "paths",
        )?
    } else {
        let mails = store
            .mails(&filter, list.limit)
            .map_err(Problem::not_tested)?;
        shown(
            list.format,
            &mails.iter().map(MailLine::of).collect::<Vec<_>>(),
            "mails",
        )?
    };
    match list.format {
        Form::Table => output.print(&output.style.text(&text))?,
        Form::Json | Form::Csv => output.print(&text)?,
    }
    Ok(Exit::Ok)
}

/// The ledger in the state directory.
pub(super) fn open(global: &Global) -> Result<Reader, Problem> {
    Reader::open(&session::storage(global)?)
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

/// A line of a list: its cells by name, in order.
trait Line: Serialize {
    const COLUMNS: &'static [&'static str];

    /// For people.
    fn shown(&self) -> Vec<String>;

    /// For programs.
    fn cells(&self) -> Vec<String>;
}

fn shown<L: Line>(form: Form, lines: &[L], name: &str) -> Result<String, Problem> {
    Ok(match form {
        Form::Table => table(L::COLUMNS, &lines.iter().map(L::shown).collect::<Vec<_>>()),
        Form::Json => {
            let document = serde_json::json!({ "schema_version": "1", name: lines });
            serde_json::to_string_pretty(&document).map_err(Problem::not_tested)? + "\n"
        }
        Form::Csv => {
            let head = L::COLUMNS.iter().map(|name| (*name).to_owned()).collect();
            let rows = std::iter::once(head).chain(lines.iter().map(L::cells));
            rows.map(|row| csv_line(&row)).collect()
        }
    })
}

fn table(columns: &[&str], rows: &[Vec<String>]) -> String {
    let head: Vec<String> = columns.iter().map(|name| name.replace('_', " ")).collect();
    let rows: Vec<&Vec<String>> = std::iter::once(&head).chain(rows).collect();
    let widths: Vec<usize> = (0..columns.len())
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}

/// One record (RFC 4180).
fn csv_line(cells: &[String]) -> String {
    let cells: Vec<String> = cells.iter().map(|cell| csv_cell(cell)).collect();
    cells.join(",") + "\r\n"
}

/// A cell that begins with one of these is a formula to a spreadsheet, and what stands in it is remote text.
fn csv_cell(cell: &str) -> String {
    let calculates = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let safe = match calculates {
        true => format!("'{cell}"),
        false => cell.to_owned(),
    };
    if safe.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", safe.replace('"', "\"\""))
    } else {
        safe
    }
}

/// One mail.
#[derive(Debug, Serialize)]
struct MailLine {
    entry: String,
    state: &'static str,
    planned_at: Option<String>,
    attempted_at: Option<String>,
    first_seen_at: Option<String>,
    latency_seconds: Option<f64>,
    copies: u64,
    scenario: Option<String>,
    step: Option<String>,
    mx: Option<String>,
    address: Option<String>,
    route: Option<String>,
    mailbox: Option<String>,
    run: Option<String>,
}

impl MailLine {
    fn of(mail: &MailRow) -> Self {
        let time = |time: Option<Timestamp>| time.map(|time| time.to_string());
        Self {
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
}

impl Line for MailLine {
    const COLUMNS: &'static [&'static str] = &[
        "planned_at",
        "entry",
        "state",
        "latency",
        "copies",
        "step",
        "route",
        "mailbox",
    ];

    fn shown(&self) -> Vec<String> {
        let mut cells = self.cells();
        if let (Some(cell), Some(at)) = (cells.first_mut(), &self.planned_at) {
            *cell = at.parse().map_or_else(
                |_| at.clone(),
                |at: Timestamp| at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            );
        }
        if let (Some(cell), Some(seconds)) = (cells.get_mut(3), self.latency_seconds) {
            *cell = duration(std::time::Duration::from_secs_f64(seconds.max(0.0)));
        }
        cells
    }

    fn cells(&self) -> Vec<String> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        vec![
            text(&self.planned_at),
            self.entry.clone(),
            self.state.to_owned(),
            self.latency_seconds
                .map(|seconds| seconds.to_string())
                .unwrap_or_default(),
            self.copies.to_string(),
            format!("{}/{}", text(&self.scenario), text(&self.step)),
            text(&self.route),
            text(&self.mailbox),
        ]
    }
}

/// What became of the mails of one path.
#[derive(Debug, Serialize)]
struct PathLine {
    scenario: String,
    step: String,
    route: String,
    mx: Option<String>,
    address: Option<String>,
    planned: u64,
    delivered: u64,
    late: u64,
    lost: u64,
    bounced: u64,
    refused: u64,
    unknown: u64,
    duplicated: u64,
    extra_copies: u64,
}

impl PathLine {
    fn of(path: &PathCounts) -> Self {
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
        Self {
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
}

impl Line for PathLine {
    const COLUMNS: &'static [&'static str] = &[
        "step",
        "route",
        "planned",
        "delivered",
        "late",
        "lost",
        "bounced",
        "refused",
        "unknown",
        "duplicated",
        "extra_copies",
    ];

    fn shown(&self) -> Vec<String> {
        self.cells()
    }

    fn cells(&self) -> Vec<String> {
        let counts = [
            self.planned,
            self.delivered,
            self.late,
            self.lost,
            self.bounced,
            self.refused,
            self.unknown,
            self.duplicated,
            self.extra_copies,
        ];
        let names = [
            format!("{}/{}", self.scenario, self.step),
            self.route.clone(),
        ];
        names
            .into_iter()
            .chain(counts.map(|count| count.to_string()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_that_would_calculate_are_defused() {
        for (cell, expected) in [
            ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\""),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("a,b", "\"a,b\""),
            ("plain", "plain"),
        ] {
            assert_eq!(csv_cell(cell), expected);
        }
        let line = csv_line(&["a".to_owned(), "=b".to_owned()]);
        assert_eq!(line, "a,'=b\r\n");
    }

    #[test]
    fn times_are_a_moment_a_day_or_so_long_ago() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("2h", "2026-11-24T10:00:00Z"),
            ("7d", "2026-11-17T12:00:00Z"),
            ("2026-11-20", "2026-11-20T00:00:00Z"),
            ("2026-11-20T03:00:00+01:00", "2026-11-20T02:00:00Z"),
        ] {
            let when: When = text.parse().unwrap();
            assert_eq!(when.moment(now).to_string(), expected, "{text}");
        }
        assert!("yesterday".parse::<When>().is_err());
    }
}
