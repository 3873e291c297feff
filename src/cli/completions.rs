//! `completions` and `man`: made from the command tree.

use std::path::PathBuf;

use clap_complete::Shell;

use super::output::Output;
use super::{Exit, Problem, command};

/// Arguments of `completions`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Arguments of `man`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct ManArgs {
    /// Write one page for each command into this directory, instead of the main page to standard output
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

pub(super) fn main(args: &Args, output: &Output) -> Result<Exit, Problem> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command(), "postrider", &mut script);
    output.print(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Ok)
}

pub(super) fn man(args: &ManArgs, output: &Output) -> Result<Exit, Problem> {
    if let Some(directory) = &args.directory {
        std::fs::create_dir_all(directory)?;
        clap_mangen::generate_to(command(), directory)?;
        return Ok(Exit::Ok);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command()).render(&mut page)?;
    output.print(&String::from_utf8_lossy(&page))?;
    Ok(Exit::Ok)
}
