//! `validate`: every mistake of every file.

use super::online::{self, Looked};
use super::output::Output;
use super::{Exit, Global, Problem, session};
use crate::config::{self, Extra, Format};

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
    output.print(&loaded.render(args.format, output.style.colour))?;
    if let Some(exit) = looked.cut_short {
        return Ok(exit);
    }
    Ok(match Exit::of(looked.worst, args.deny_warnings) {
        _ if mistaken => Exit::Usage,
        Exit::Ok if args.deny_warnings && loaded.warnings() > 0 => Exit::Usage,
        exit => exit,
    })
}
