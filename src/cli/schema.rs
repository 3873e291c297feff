//! `schema`: the JSON Schemas of the files and of the result, made from the types.

use super::output::Output;
use super::{Exit, Problem};
use crate::schema;

/// Arguments of `schema`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Which
    #[arg(value_enum, default_value_t = Which::Scenario)]
    which: Which,
}

/// The documents that have a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Which {
    /// A scenario file.
    Scenario,
    /// The main file.
    Config,
    /// The result document of `--format json`.
    Result,
    /// The document of `report --format json`.
    Period,
    /// The document of `history --format json`.
    History,
}

pub(super) fn main(args: &Args, output: &Output) -> Result<Exit, Problem> {
    let schema = match args.which {
        Which::Scenario => schema::scenario(),
        Which::Config => schema::config(),
        Which::Result => schema::result(),
        Which::Period => schema::period(),
        Which::History => schema::history(),
    };
    output.print(&schema::text(&schema))?;
    Ok(Exit::Ok)
}
