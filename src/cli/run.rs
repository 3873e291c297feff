//! `run`: the selected checks, now.

use std::net::IpAddr;
use std::path::Path;

use postrider_probes::kinds::deliver::Family;
use postrider_probes::setting::Period;

use super::hold::Holder;
use super::interrupt::Interrupt;
use super::output::Output;
use super::session::{self, Session};
use super::{Exit, Global, Problem};
use crate::config;
use crate::config::plan::Plan;
use crate::result::StatusWord;
use crate::run::select::Selection;

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

/// How runs are held and shown; `send` knows these too.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct How {
    #[command(flatten)]
    pub(super) manner: Manner,
    /// Hold so many runs, each right after the one before it; every one sends its own mail, so keep it small on a platform that others use
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000), env = "POSTRIDER_RUN_REPEAT")]
    pub(super) repeat: u32,
    /// What makes the exit code 1
    #[arg(long, value_enum, default_value_t = FailOn::Fail, env = "POSTRIDER_RUN_FAIL_ON")]
    pub(super) fail_on: FailOn,
}

/// How one run is held and shown; `demo` knows these too.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Manner {
    /// Form of the result on standard output
    #[arg(long, value_enum, default_value_t = Form::Human, env = "POSTRIDER_RUN_FORMAT")]
    pub(super) format: Form,
    /// Whose dialogue is kept; AUTH is always redacted
    #[arg(long, value_enum, default_value_t = Keep::Fail, env = "POSTRIDER_RUN_TRANSCRIPT")]
    pub(super) transcript: Keep,
    /// Checks at the same time
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=1024), env = "POSTRIDER_RUN_JOBS")]
    pub(super) jobs: u32,
    /// Time limit of the whole run, instead of the scenarios' own
    #[arg(long, value_name = "DURATION", env = "POSTRIDER_RUN_TIMEOUT")]
    pub(super) timeout: Option<Period>,
}

impl Manner {
    /// A run that prints nothing and keeps no dialogue.
    pub(super) fn quiet() -> Self {
        Self {
            format: Form::Quiet,
            transcript: Keep::Never,
            jobs: 32,
            timeout: None,
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
        let holder = Holder {
            session: &session,
            selection: &selection,
            manner: &args.how.manner,
            show: Some(session::show_command(global)),
            interrupt: &interrupt,
            output,
        };
        let done = holder.repeat(&args.how).await;
        let closed = session.close().await;
        let exit = done?;
        closed?;
        Ok(exit)
    })
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
