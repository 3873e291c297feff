//! `run`: the selected checks, now.

use std::net::IpAddr;
use std::path::Path;

use postrider_probes::kinds::deliver::Family;
use postrider_probes::setting::Period;

use super::interrupt::Interrupt;
use super::output::Output;
use super::progress::Progress;
use super::session::{self, Session};
use super::{Exit, Global, Problem};
use crate::config;
use crate::config::plan::Plan;
use crate::report::{human, json};
use crate::result::{CheckResult, RunResult, StatusWord};
use crate::run::select::Selection;
use crate::run::{Request, new_id};

/// Arguments of `run`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Scenario names or files; `-` reads a scenario from standard input
    #[arg(value_name = "SCENARIO")]
    scenarios: Vec<String>,
    #[command(flatten)]
    select: Select,
    /// Print every connection and message that would happen; send nothing
    #[arg(short = 'n', long)]
    dry_run: bool,
    /// Print what would run
    #[arg(long)]
    list: bool,
    #[command(flatten)]
    how: How,
}

/// What a run takes of the plan.
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct Select {
    /// Scenarios with this tag; commas inside mean "and", several options mean "or"
    #[arg(short, long = "tag", value_name = "TAG", env = "POSTRIDER_RUN_TAG")]
    tags: Vec<String>,
    /// Not scenarios with this tag
    #[arg(
        long = "exclude-tag",
        value_name = "TAG",
        env = "POSTRIDER_RUN_EXCLUDE_TAG"
    )]
    exclude_tags: Vec<String>,
    /// Only steps with this id
    #[arg(long = "step", value_name = "ID", env = "POSTRIDER_RUN_STEP")]
    steps: Vec<String>,
    /// Only targets of this MX host
    #[arg(long = "mx", value_name = "HOST", env = "POSTRIDER_RUN_MX")]
    mx: Vec<String>,
    /// Only targets with this address
    #[arg(long = "address", value_name = "IP", env = "POSTRIDER_RUN_ADDRESS")]
    addresses: Vec<IpAddr>,
    /// Only IPv4 targets
    #[arg(short = '4', long = "ipv4", conflicts_with = "ipv6")]
    ipv4: bool,
    /// Only IPv6 targets
    #[arg(short = '6', long = "ipv6")]
    ipv6: bool,
}

/// How a run is held and shown; `demo` and `send` know these too.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct How {
    /// Form of the result on standard output
    #[arg(long, value_enum, default_value_t = Form::Human, env = "POSTRIDER_RUN_FORMAT")]
    pub(super) format: Form,
    /// Whose dialogue is kept; AUTH is always redacted
    #[arg(long, value_enum, default_value_t = Keep::Fail, env = "POSTRIDER_RUN_TRANSCRIPT")]
    pub(super) transcript: Keep,
    /// Run this often, one after the other
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000), env = "POSTRIDER_RUN_REPEAT")]
    pub(super) repeat: u32,
    /// Checks at the same time
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1024), env = "POSTRIDER_RUN_JOBS")]
    pub(super) jobs: u32,
    /// Time limit of the whole run, instead of the scenarios' own
    #[arg(long, value_name = "DURATION", env = "POSTRIDER_RUN_TIMEOUT")]
    pub(super) timeout: Option<Period>,
    /// What makes the exit code 1
    #[arg(long, value_enum, default_value_t = FailOn::Fail, env = "POSTRIDER_RUN_FAIL_ON")]
    pub(super) fail_on: FailOn,
}

impl How {
    /// A run that prints nothing and keeps no dialogue.
    pub(super) fn quiet() -> Self {
        Self {
            format: Form::Quiet,
            transcript: Keep::Never,
            repeat: 1,
            jobs: 32,
            timeout: None,
            fail_on: FailOn::Fail,
        }
    }
}

/// Forms of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Form {
    /// For people.
    Human,
    /// One document.
    Json,
    /// One object a line: each check as it ends, then the run.
    Jsonl,
    /// Nothing; the exit code says it.
    Quiet,
}

/// Whose dialogue is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Keep {
    /// Nobody's.
    Never,
    /// That of checks that did not pass.
    Fail,
    /// Everybody's.
    Always,
}

/// What makes the exit code 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum FailOn {
    /// A failed check.
    Fail,
    /// A degraded one, too.
    Degraded,
}

impl Select {
    pub(super) fn selection(&self, scenarios: Vec<String>) -> Selection {
        Selection {
            scenarios,
            tags: self.tags.clone(),
            exclude_tags: self.exclude_tags.clone(),
            steps: self.steps.clone(),
            mx: self.mx.clone(),
            addresses: self.addresses.clone(),
            family: match (self.ipv4, self.ipv6) {
                (true, _) => Family::Ipv4,
                (_, true) => Family::Ipv6,
                _ => Family::Both,
            },
        }
    }
}

pub(super) fn main(global: &Global, args: &Args, output: &Output) -> Result<Exit, Problem> {
    let (plan, names) = load(global, &args.scenarios, output)?;
    let selection = args.select.selection(names);
    let unknown = selection.unknown(&plan);
    if let Some(name) = unknown.first() {
        return Err(Problem::usage(anyhow::anyhow!(
            "no scenario is called `{name}`{}",
            nearest(name, &plan)
        )));
    }
    if selection.scenarios(&plan).is_empty() {
        output.tell("nothing to run: no scenario matches");
        return Ok(Exit::NothingToRun);
    }
    if args.list {
        output.print(&super::list::scenarios(&plan, &selection))?;
        return Ok(Exit::Ok);
    }
    let storage = session::storage(global)?;
    let runtime = session::runtime()?;
    if args.dry_run {
        return runtime.block_on(super::list::dry_run(plan, &selection, output));
    }
    runtime.block_on(async {
        let interrupt = Interrupt::listen(*output)?;
        let session = Session::open(plan, &storage).await?;
        let done = repeat(&session, &selection, &args.how, &interrupt, output).await;
        let closed = session.close().await;
        let exit = done?;
        closed?;
        Ok(interrupt.exit().unwrap_or(exit))
    })
}

/// Holds the runs, one after the other, and prints each. The worst decides.
pub(super) async fn repeat(
    session: &Session,
    selection: &Selection,
    how: &How,
    interrupt: &Interrupt,
    output: &Output,
) -> Result<Exit, Problem> {
    let mut worst = Exit::NothingToRun;
    for _ in 0..how.repeat {
        let result = once(session, selection, how, interrupt, output).await?;
        if how.format == Form::Human {
            output.print(&human::saved(&result.run.id, output.style))?;
        }
        if result.checks.is_empty() {
            output.tell("nothing to run: no target matches");
        }
        let exit = Exit::of(result.run.status.into(), how.fail_on == FailOn::Degraded);
        // 1 before 3 before 0 before 4: a failure is never hidden by a later success.
        let rank = |exit: Exit| {
            [Exit::NothingToRun, Exit::Ok, Exit::NotTested, Exit::Failed]
                .iter()
                .position(|known| *known == exit)
        };
        if rank(exit) > rank(worst) {
            worst = exit;
        }
        if interrupt.exit().is_some() {
            break;
        }
    }
    Ok(worst)
}

/// Holds one run and prints it.
pub(super) async fn once(
    session: &Session,
    selection: &Selection,
    how: &How,
    interrupt: &Interrupt,
    output: &Output,
) -> Result<RunResult, Problem> {
    let request = Request {
        id: new_id(crate::clock::now()),
        selection: selection.clone(),
        jobs: how.jobs as usize,
        origin: origin(),
        timeout: how.timeout.map(|timeout| timeout.0),
        planned: None,
    };
    let progress = Progress::start(
        &session.engine.plan,
        &request.id,
        &session.pipeline,
        how,
        output,
    )?;
    session.engine.execute(&request, &interrupt.cancel).await;
    let mut result = progress.finish().await?;
    keep_transcripts(&mut result.checks, how.transcript);
    match how.format {
        Form::Human => output.print(&human::ending(&result, output.terminal, output.style))?,
        Form::Json => output.print(&json::document(&result).map_err(Problem::not_tested)?)?,
        Form::Jsonl => output.print(&json::line(&result).map_err(Problem::not_tested)?)?,
        Form::Quiet => {}
    }
    Ok(result)
}

/// Leaves out the dialogues that nobody asked for; the store keeps them as they are.
pub(super) fn keep_transcripts(checks: &mut [CheckResult], keep: Keep) {
    for check in checks {
        let wanted = match keep {
            Keep::Never => false,
            Keep::Fail => check.status != StatusWord::Pass,
            Keep::Always => true,
        };
        if let Some(evidence) = check.evidence.as_mut().filter(|_| !wanted) {
            evidence.transcript.clear();
        }
    }
}

/// The plan, and the names of the scenarios that were asked for. A scenario file on the command line is taken as if
/// the main file included it.
fn load(
    global: &Global,
    wanted: &[String],
    output: &Output,
) -> Result<(Plan, Vec<String>), Problem> {
    let main = session::main_file(global)?;
    let is_file =
        |name: &&String| *name == "-" || name.ends_with(".yaml") || name.ends_with(".yml");
    let mut extra = Vec::new();
    for name in wanted.iter().filter(is_file) {
        extra.push(if name == "-" {
            config::Extra::Text(read_stdin()?)
        } else {
            config::Extra::File(Path::new(name).into())
        });
    }
    let loaded = config::load_with(&main, &extra);
    let mut names: Vec<String> = wanted
        .iter()
        .filter(|name| !is_file(name))
        .cloned()
        .collect();
    names.extend(loaded.extra_names.iter().cloned());
    Ok((session::accept(loaded, output)?, names))
}

fn read_stdin() -> Result<String, Problem> {
    use std::io::Read as _;

    let mut text = String::new();
    std::io::stdin()
        .take(config::LARGEST_FILE + 1)
        .read_to_string(&mut text)
        .map_err(Problem::usage)?;
    Ok(text)
}

fn nearest(name: &str, plan: &Plan) -> String {
    let near = plan
        .scenarios
        .iter()
        .map(|scenario| {
            (
                strsim::damerau_levenshtein(&scenario.name, name),
                &scenario.name,
            )
        })
        .min()
        .filter(|(distance, known)| *distance <= known.len() / 2);
    near.map_or_else(String::new, |(_, known)| {
        format!("; did you mean `{known}`?")
    })
}

/// `cli user@host`.
fn origin() -> String {
    let user = std::env::var("USER")
        .or_else(|_| std::env::var("LOGNAME"))
        .unwrap_or_else(|_| "unknown".to_owned());
    let host = rustix::system::uname()
        .nodename()
        .to_string_lossy()
        .into_owned();
    format!("cli {user}@{host}")
}

impl From<StatusWord> for postrider_probes::outcome::Status {
    fn from(word: StatusWord) -> Self {
        match word {
            StatusWord::Pass => Self::Pass,
            StatusWord::Degraded => Self::Degraded,
            StatusWord::Fail => Self::Fail,
            StatusWord::Error => Self::Error,
            StatusWord::Skip => Self::Skip,
        }
    }
}
