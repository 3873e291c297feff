//! `validate`: every mistake of every file.

use super::online::{self, Looked};
use super::output::Output;
use super::{Exit, Global, Problem, session};
use crate::config::{self, Extra, Format};
use crate::metrics;

/// Arguments of `validate`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Scenario files to check beside those of the main file
    #[arg(value_name = "FILE")]
    files: Vec<std::path::PathBuf>,
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Format::Full, visible_alias = "output-format")]
    format: Format,
    /// Warnings are errors
    #[arg(long)]
    deny_warnings: bool,
    /// Look at the secrets, too: present, readable, not empty
    #[arg(long)]
    secrets: bool,
    /// Resolve, connect, negotiate TLS, log in; sends no mail, changes no mailbox
    #[arg(long)]
    online: bool,
}

pub(super) fn main(global: &Global, args: &Args, output: &Output) -> Result<Exit, Problem> {
    let main = session::main_file(global)?;
    let extra: Vec<Extra> = args.files.iter().cloned().map(Extra::File).collect();
    let mut loaded = config::load_with(&main, &extra);
    if args.secrets {
        loaded.check_secrets();
    }
    let mistaken = loaded.errors() > 0;
    let mut looked = Looked::NOTHING;
    if args.online && !mistaken {
        let looking = online::look(&mut loaded, &main, output);
        looked = session::runtime()?.block_on(looking)?;
    }
    let mut text = loaded.render(args.format, output.style.colour);
    let plan = loaded.plan.as_ref().filter(|_| !mistaken);
    if let (Some(plan), Format::Full) = (plan, args.format) {
        let series = grouped(metrics::expected_series(plan));
        text.push_str(&format!("≈ {series} series in /metrics\n"));
    }
    output.print(&text)?;
    if let Some(exit) = looked.cut_short {
        return Ok(exit);
    }
    Ok(match Exit::of(looked.worst, args.deny_warnings) {
        _ if mistaken => Exit::Usage,
        Exit::Ok if args.deny_warnings && loaded.warnings() > 0 => Exit::Usage,
        exit => exit,
    })
}

/// A number as people read it: `12 345`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::grouped;

    #[test]
    fn thousands_stand_apart() {
        let table = [
            (0, "0"),
            (999, "999"),
            (1240, "1 240"),
            (1_234_567, "1 234 567"),
        ];
        for (number, text) in table {
            assert_eq!(grouped(number), text);
        }
    }
}
