//! `baseline`: what every client can see, what of it is all right, and that something new is.

use std::path::PathBuf;
use std::time::Duration;

use hyper::{StatusCode, Uri};
use jiff::Timestamp;
use postrider_probes::observation::What;

use super::output::Output;
use super::{Exit, Global, Problem, hold, reload, session};
use crate::baseline::{Selection, document};
use crate::clock::Clock;
use crate::pipeline::{self, Settings};
use crate::report::{changes, json};
use crate::result::SCHEMA_VERSION;
use crate::result::changes::{Acceptance, BaselineList, BaselinePage, BaselinePages};
use crate::store::{Reader, Store, StoreError};
use crate::web::AcceptRequest;
use crate::web::client::{Client, Reply};

/// Events of one thing that are shown.
const EVENTS: u32 = 50;
/// For the daemon's answer.
const WITHIN: Duration = Duration::from_secs(35);
/// Where a daemon of this machine listens.
const LOCAL: &str = "http://127.0.0.1:9825";
/// Mails are given up by those who wait for them, not by this command.
const NEVER: Duration = Duration::from_secs(100 * 365 * 86_400);

/// Arguments of `baseline`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Clone, clap::Subcommand)]
enum Action {
    /// List what is remembered
    List(List),
    /// Show what is remembered of a subject, and what happened with it
    Show(Show),
    /// Accept what is there now: it is the value that should be
    Accept(Box<Accept>),
}

#[derive(Debug, Clone, clap::Args)]
struct List {
    /// Only this
    #[arg(long, value_parser = what, value_name = "WHAT")]
    what: Option<What>,
    /// Only what is not as it should be
    #[arg(long)]
    changed: bool,
    /// Form of the list
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
}

#[derive(Debug, Clone, clap::Args)]
struct Show {
    /// A name, an address, or an address with its port
    subject: String,
    /// Only this
    #[arg(long, value_parser = what, value_name = "WHAT")]
    what: Option<What>,
    /// Form of the page
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
}

#[derive(Debug, Clone, clap::Args)]
#[command(
    after_help = "While a daemon has the store open, it is asked by HTTP: at --url, with --user when it has users."
)]
struct Accept {
    /// A name, an address (then everything on it), or an address with its port
    subject: Option<String>,
    /// Only this: `banner`, `certificate`, `mx`, …
    #[arg(long, value_parser = what, value_name = "WHAT")]
    what: Option<What>,
    /// Only what this scenario saw become another one
    #[arg(long, value_name = "NAME")]
    scenario: Option<String>,
    /// Everything that is not as it should be
    #[arg(long, conflicts_with_all = ["subject", "what", "scenario"])]
    all: bool,
    /// What was right before stays right, too: several servers behind one address
    #[arg(long)]
    also: bool,
    /// Only what did not become another one after this time (RFC 3339), such as the time of your look at it
    #[arg(long, value_name = "TIME")]
    unchanged_since: Option<Timestamp>,
    /// Form of the answer
    #[arg(long, value_enum, default_value_t = Form::Table)]
    format: Form,
    /// Ask the daemon there, whoever has the store open
    #[arg(long, value_name = "URL", env = "POSTRIDER_URL")]
    url: Option<Uri>,
    /// PEM file of the authorities to trust instead of the system's
    #[arg(long, value_name = "FILE", env = "POSTRIDER_CA_FILE")]
    ca_file: Option<PathBuf>,
    /// User to log in as
    #[arg(long, value_name = "NAME", requires = "password_file")]
    user: Option<String>,
    /// File that the password is read from
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// For people.
    Table,
    /// One document.
    Json,
}

fn what(name: &str) -> Result<What, String> {
    let names: Vec<&str> = What::ALL.iter().map(|what| what.name()).collect();
    What::from_name(name).ok_or_else(|| format!("there are {}", names.join(", ")))
}

pub(super) fn main(global: &Global, args: &Args, output: &Output) -> Result<Exit, Problem> {
    match &args.action {
        Action::List(args) => list(global, args, output),
        Action::Show(args) => show(global, args, output),
        Action::Accept(args) => accept(global, args, output),
    }
}

fn open(global: &Global) -> Result<Reader, Problem> {
    Reader::open(&session::stored(global)?)
        .map_err(Problem::not_tested)?
        .ok_or_else(|| Problem::usage(anyhow::anyhow!("nothing is remembered yet")))
}

fn list(global: &Global, args: &List, output: &Output) -> Result<Exit, Problem> {
    let known = open(global)?.baselines().map_err(Problem::not_tested)?;
    let baselines: Vec<_> = known
        .iter()
        .filter(|(key, _)| args.what.is_none_or(|what| what == key.what))
        .filter(|(_, baseline)| !args.changed || !baseline.is_all_right())
        .map(|(key, baseline)| document::baseline(key, baseline))
        .collect();
    match args.format {
        Form::Table => output.print(&changes::table(&baselines, output.style))?,
        Form::Json => {
            let list = BaselineList {
                schema_version: SCHEMA_VERSION.to_owned(),
                baselines,
            };
            output.print(&json::document(&list).map_err(Problem::not_tested)?)?;
        }
    }
    Ok(Exit::Ok)
}

fn show(global: &Global, args: &Show, output: &Output) -> Result<Exit, Problem> {
    let store = open(global)?;
    let selection = Selection {
        what: args.what,
        subject: Some(args.subject.clone()),
        ..Selection::default()
    };
    let known = store.baselines().map_err(Problem::not_tested)?;
    let mut pages = Vec::new();
    for (key, baseline) in known
        .iter()
        .filter(|(key, baseline)| selection.takes(key, baseline))
    {
        let events = store.changes(Some(key), EVENTS);
        let events = events.map_err(Problem::not_tested)?;
        pages.push(BaselinePage {
            baseline: document::baseline(key, baseline),
            events: events.iter().map(document::event).collect(),
        });
    }
    if pages.is_empty() {
        return Err(nothing(&args.subject));
    }
    match args.format {
        Form::Table => {
            let pages: Vec<String> = pages
                .iter()
                .map(|page| changes::page(page, output.style))
                .collect();
            output.print(&pages.join("\n"))?;
        }
        Form::Json => {
            let pages = BaselinePages {
                schema_version: SCHEMA_VERSION.to_owned(),
                pages,
            };
            output.print(&json::document(&pages).map_err(Problem::not_tested)?)?;
        }
    }
    Ok(Exit::Ok)
}

fn nothing(subject: &str) -> Problem {
    Problem::usage(anyhow::anyhow!(
        "nothing is remembered of `{subject}`; `postrider baseline list` shows what is"
    ))
}

fn accept(global: &Global, args: &Accept, output: &Output) -> Result<Exit, Problem> {
    let request = AcceptRequest {
        what: args.what,
        subject: args.subject.clone(),
        scenario: args.scenario.clone(),
        all: args.all,
        also: args.also,
        unchanged_since: args.unchanged_since,
        instance: None,
    };
    if !request.selects() {
        return Err(Problem::usage(anyhow::anyhow!(
            "say what to accept: a subject, --what, --scenario, or --all"
        )));
    }
    let done = session::runtime()?.block_on(async {
        match &args.url {
            Some(url) => by_daemon(args, url.clone(), &request).await,
            None => accept_here(global, args, &request).await,
        }
    })?;
    if done.meant == 0 {
        return Err(nothing(args.subject.as_deref().unwrap_or("that")));
    }
    match args.format {
        Form::Table => output.print(&changes::accepted(&done, output.style))?,
        Form::Json => output.print(&json::document(&done).map_err(Problem::not_tested)?)?,
    }
    Ok(Exit::Ok)
}

/// In the store itself; when somebody has it open, by the daemon of this machine.
async fn accept_here(
    global: &Global,
    args: &Accept,
    request: &AcceptRequest,
) -> Result<Acceptance, Problem> {
    let directory = session::stored(global)?;
    let Some(reader) = Reader::open(&directory).map_err(Problem::not_tested)? else {
        return Err(Problem::usage(anyhow::anyhow!("nothing is remembered yet")));
    };
    match Store::open(&directory).await {
        Ok(store) => in_store(store, request).await,
        Err(error @ StoreError::InUse { .. }) => {
            let request = AcceptRequest {
                instance: Some(reader.instance().map_err(Problem::not_tested)?),
                ..request.clone()
            };
            let asked = by_daemon(args, Uri::from_static(LOCAL), &request).await;
            asked.map_err(|problem| Problem {
                error: anyhow::anyhow!("{error}, and {:#}", problem.error),
                ..problem
            })
        }
        Err(error) => Err(Problem::not_tested(error)),
    }
}

async fn in_store(store: Store, request: &AcceptRequest) -> Result<Acceptance, Problem> {
    let settings = Settings {
        lost_after: NEVER,
        clock: Clock::system(),
    };
    let (pipeline, task) = pipeline::start(store, settings)
        .await
        .map_err(Problem::not_tested)?;
    let selection = Selection {
        what: request.what,
        subject: request.subject.clone(),
        scenario: request.scenario.clone(),
        unchanged_since: request.unchanged_since,
    };
    let accepted = pipeline
        .accept(selection, request.also, hold::origin())
        .await;
    let closed = pipeline.shutdown().await;
    // The task ends with the shutdown.
    let _ = task.await;
    let failed = |failure: postrider_probes::outcome::Failure| {
        Problem::not_tested(anyhow::anyhow!("{}", failure.line()))
    };
    let accepted = accepted.map_err(failed)?;
    closed.map_err(failed)?;
    Ok(document::acceptance(accepted.meant, &accepted.changes))
}

async fn by_daemon(
    args: &Accept,
    url: Uri,
    request: &AcceptRequest,
) -> Result<Acceptance, Problem> {
    let login = reload::login(args.user.as_deref(), args.password_file.as_deref())?;
    let client = Client {
        url,
        ca_file: args.ca_file.clone(),
        login,
        within: WITHIN,
    };
    let body = serde_json::json!({
        "what": request.what.map(What::name),
        "subject": request.subject,
        "scenario": request.scenario,
        "all": request.all,
        "also": request.also,
        "unchanged_since": request.unchanged_since,
        "instance": request.instance,
    });
    let asked = client.post("/api/v1/baselines/accept", body.to_string());
    let Reply { status, text } = asked.await.map_err(Problem::not_tested)?;
    match status {
        StatusCode::OK => serde_json::from_str(&text).map_err(Problem::not_tested),
        StatusCode::NOT_FOUND => Ok(document::acceptance(0, &[])),
        status => Err(Problem::not_tested(anyhow::anyhow!(
            "the daemon answers {status}: {}",
            reload::detail(&text)
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::what;

    #[test]
    fn a_wrong_what_is_told_what_there_is() {
        assert!(what("banner").is_ok());
        assert_eq!(
            what("colour").unwrap_err(),
            "there are addresses, ptr, mx, ns, certificate, banner, ehlo, tls-version"
        );
    }
}
