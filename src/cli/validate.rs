//! `validate`: every mistake of every file.

use postrider_probes::outcome::Status;

use super::output::Output;
use super::{Exit, Global, Problem, online, session};
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
    let mut online = Status::Pass;
    if args.online && !mistaken {
        let looked = online::look(&mut loaded, &main, output);
        online = session::runtime()?.block_on(looked)?;
    }
    output.print(&loaded.render(args.format, output.style.colour))?;
    Ok(match Exit::of(online, args.deny_warnings) {
        _ if mistaken => Exit::Usage,
        Exit::Ok if args.deny_warnings && loaded.warnings() > 0 => Exit::Usage,
        exit => exit,
    })
}
