//! `reload`: asks the running daemon to read its configuration again, and prints what changed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper::{Method, StatusCode, Uri};
use postrider_probes::account::SecretSource;
use postrider_probes::setting::Secret;

use super::output::Output;
use super::{Exit, Problem, session};
use crate::web::client::{Client, Reply};

/// Reading a thousand scenarios takes a second; a daemon under load may take its time.
const WITHIN: Duration = Duration::from_secs(35);

/// Where the daemon is.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Daemon {
    /// The daemon's address
    #[arg(
        long,
        value_name = "URL",
        env = "POSTRIDER_URL",
        default_value = "http://127.0.0.1:9825"
    )]
    url: Uri,
    /// PEM file of the authorities to trust instead of the system's
    #[arg(long, value_name = "FILE", env = "POSTRIDER_CA_FILE")]
    ca_file: Option<PathBuf>,
}

impl Daemon {
    pub(super) fn client(&self, login: Option<(String, Secret)>, within: Duration) -> Client {
        Client {
            url: self.url.clone(),
            ca_file: self.ca_file.clone(),
            login,
            within,
        }
    }
}

/// Arguments of `reload`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    daemon: Daemon,
    /// User to log in as
    #[arg(long, value_name = "NAME", requires = "password_file")]
    user: Option<String>,
    /// File that the password is read from
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
}

pub(super) fn main(args: &Args, output: &Output) -> Result<Exit, Problem> {
    let login = login(args.user.as_deref(), args.password_file.as_deref())?;
    let client = args.daemon.client(login, WITHIN);
    let asked = session::runtime()?.block_on(client.ask(Method::POST, "/-/reload"));
    let Reply { status, text } = asked.map_err(Problem::not_tested)?;
    match status {
        StatusCode::OK => {
            output.print(&text)?;
            Ok(Exit::Ok)
        }
        StatusCode::BAD_REQUEST => {
            output.tell(text.trim_end());
            Ok(Exit::Usage)
        }
        status => Err(Problem::not_tested(anyhow::anyhow!(
            "the daemon answers {status}: {}",
            detail(&text)
        ))),
    }
}

/// The login that the options name.
pub(super) fn login(
    user: Option<&str>,
    password_file: Option<&Path>,
) -> Result<Option<(String, Secret)>, Problem> {
    let (Some(user), Some(file)) = (user, password_file) else {
        return Ok(None);
    };
    let password = SecretSource::File(file.to_owned())
        .read()
        .map_err(|failure| Problem::usage(anyhow::anyhow!("{}", failure.line())))?;
    Ok(Some((user.to_owned(), password)))
}

/// The sentence of a problem document, or the text as it is.
pub(super) fn detail(text: &str) -> String {
    serde_json::from_str::<serde_json::Value>(text)
        .ok()
        .and_then(|problem| Some(problem.get("detail")?.as_str()?.to_owned()))
        .unwrap_or_else(|| text.trim_end().to_owned())
}
