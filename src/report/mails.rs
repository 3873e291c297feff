//! Lists of mails and of paths, from the ledger: as a table, as JSON, as CSV.

use std::fmt::Write as _;

use jiff::Timestamp;
use postrider_probes::span::duration;
use serde::Serialize;

/// A line of a list: its cells by name, in order.
pub trait Line: Serialize {
    /// The names of the cells.
    const COLUMNS: &'static [&'static str];

    /// For people.
    fn shown(&self) -> Vec<String>;

    /// For programs.
    fn cells(&self) -> Vec<String>;
}

/// One document, indented; `name` is the key of the list.
///
/// # Errors
/// When a value cannot be written as JSON; the types exclude that.
pub fn document<L: Line>(name: &str, lines: &[L]) -> serde_json::Result<String> {
    let document = serde_json::json!({ "schema_version": "1", name: lines });
    serde_json::to_string_pretty(&document).map(|text| text + "\n")
}

/// Comma-separated values (RFC 4180), with a head line.
pub fn csv<L: Line>(lines: &[L]) -> String {
    let head = L::COLUMNS.iter().map(|name| (*name).to_owned()).collect();
    let rows = std::iter::once(head).chain(lines.iter().map(L::cells));
    rows.map(|row| csv_line(&row)).collect()
}

/// Columns for people.
pub fn table<L: Line>(lines: &[L]) -> String {
    columns(L::COLUMNS, &lines.iter().map(L::shown).collect::<Vec<_>>())
}

fn columns(columns: &[&str], rows: &[Vec<String>]) -> String {
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
pub struct MailLine {
    /// Its entry.
    pub entry: String,
    /// Its state.
    pub state: &'static str,
    /// RFC 3339, UTC.
    pub planned_at: Option<String>,
    /// When the attempt that decided had its outcome.
    pub attempted_at: Option<String>,
    /// When the first copy was seen.
    pub first_seen_at: Option<String>,
    /// From the final reply to the first copy.
    pub latency_seconds: Option<f64>,
    /// Copies seen.
    pub copies: u64,
    /// The scenario.
    pub scenario: Option<String>,
    /// The step.
    pub step: Option<String>,
    /// The MX host, when one was aimed at.
    pub mx: Option<String>,
    /// The address, when one was aimed at.
    pub address: Option<String>,
    /// Where it went, for people.
    pub route: Option<String>,
    /// The mailbox where it belongs.
    pub mailbox: Option<String>,
    /// The run.
    pub run: Option<String>,
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
pub struct PathLine {
    /// The scenario.
    pub scenario: String,
    /// The step.
    pub step: String,
    /// Where it went, for people.
    pub route: String,
    /// The MX host, when one was aimed at.
    pub mx: Option<String>,
    /// The address, when one was aimed at.
    pub address: Option<String>,
    /// All of them.
    pub planned: u64,
    /// Delivered, in time or late.
    pub delivered: u64,
    /// Delivered after their time.
    pub late: u64,
    /// Lost.
    pub lost: u64,
    /// Bounced.
    pub bounced: u64,
    /// Refused for good or for now.
    pub refused: u64,
    /// Uncertain, overdue or unverifiable.
    pub unknown: u64,
    /// Mails with more than one copy.
    pub duplicated: u64,
    /// Copies beyond the first.
    pub extra_copies: u64,
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
}
