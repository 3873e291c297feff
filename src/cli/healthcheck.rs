//! `healthcheck`: whether the local daemon is alive, for containers.

use std::time::Duration;

use hyper::{Method, StatusCode};

use super::output::Output;
use super::reload::Daemon;
use super::{Exit, Problem, session};

/// An answer that takes longer is none.
const WITHIN: Duration = Duration::from_secs(3);

/// Arguments of `healthcheck`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    daemon: Daemon,
}

pub(super) fn main(args: &Args, output: &Output) -> Result<Exit, Problem> {
    let client = args.daemon.client(None, WITHIN);
    let asked = session::runtime()?.block_on(client.ask(Method::GET, "/-/healthy"));
    match asked {
        Ok(reply) if reply.status == StatusCode::OK => Ok(Exit::Ok),
        Ok(reply) => {
            output.error(&format!("the daemon answers {}", reply.status));
            Ok(Exit::Failed)
        }
        Err(error) => {
            output.error(&error.to_string());
            Ok(Exit::Failed)
        }
    }
}
