use super::{Exit, Global, Problem, output::Output};
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {}
pub(super) fn main(_: &Global, _: &Args, _: &Output) -> Result<Exit, Problem> {
    Ok(Exit::Ok)
}
