//! The command line: one file for each subcommand.

mod baseline;
mod completions;
mod correction;
mod demo;
mod doctor;
mod exit;
mod explain;
mod healthcheck;
mod history;
mod hold;
mod interrupt;
mod ledger;
mod list;
mod moment;
mod online;
mod output;
mod progress;
mod reload;
mod report;
mod run;
mod schema;
mod send;
mod serve;
mod session;
mod show;
mod trace;
mod validate;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

pub use self::exit::Exit;
use self::output::Output;

const ABOUT: &str = "End-to-end checks for a mail platform: tagged mail through every MX address, timed into the mailbox";

const AFTER_HELP: &str = "\
Examples:
  postrider demo                      ten seconds, no network, no account
  postrider run --tag smoke           everything tagged smoke
  postrider run every-mx --mx mx2.example.net -6
  postrider validate                  check the files; contacts nothing

Exit codes: 0 ok · 1 failed · 2 usage or configuration · 3 not tested · 4 nothing to run · 130 SIGINT · 143 SIGTERM
Documentation: the docs/ directory of the project, and `postrider explain CODE`";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "postrider", version, about = ABOUT, after_help = AFTER_HELP, propagate_version = true)]
pub struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options that every command knows.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// Main configuration file [default: ./postrider.yaml, then the user's, then /etc/postrider/postrider.yaml]
    #[arg(
        short,
        long,
        visible_alias = "config.file",
        global = true,
        env = "POSTRIDER_CONFIG",
        value_name = "FILE"
    )]
    config: Option<PathBuf>,
    /// Directory of the ledger and the results [default: /var/lib/postrider for `serve`; else the user's state directory, and to read, where there is none, the daemon's]
    #[arg(
        long = "storage.path",
        global = true,
        env = "POSTRIDER_STORAGE_PATH",
        value_name = "DIR"
    )]
    storage: Option<PathBuf>,
    /// When to use colour
    #[arg(long, global = true, value_enum, default_value_t = output::When::Auto, env = "POSTRIDER_COLOR")]
    color: output::When,
    /// Only ASCII characters
    #[arg(long, global = true)]
    ascii: bool,
    /// Tell more on standard error
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Tell nothing but the result
    #[arg(short, long, global = true)]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run against a built-in mail platform with planted faults; no network, no account
    Demo(demo::Args),
    /// Run scenarios now and print the result
    Run(run::Args),
    /// Send one message, without a file
    Send(send::Args),
    /// Check the configuration; contacts nothing unless asked to
    Validate(validate::Args),
    /// List scenarios, steps, mailboxes and nodes
    List(list::Args),
    /// Run scenarios by their schedules, as a daemon
    Serve(Box<serve::Args>),
    /// Show one stored run or check: waterfall, transcript, hops
    Show(show::Args),
    /// List the mails of the ledger, or check its books
    Ledger(ledger::Args),
    /// Show one mail's whole life
    Trace(trace::Args),
    /// List recent checks, newest first
    History(history::Args),
    /// What every client can see: list it, show it, accept what is new
    Baseline(baseline::Args),
    /// Report how all checks did over a period: success, mails, percentiles; or a stored run once more
    Report(report::Args),
    /// Is this vantage point fit? Routes, DNS, PTR, port 25, clock, store
    Doctor(doctor::Args),
    /// Explain a reason or diagnostic code
    Explain(explain::Args),
    /// Ask the running daemon to read its configuration again
    Reload(reload::Args),
    /// Whether the local daemon is alive, for containers
    Healthcheck(healthcheck::Args),
    /// Print a JSON Schema
    Schema(schema::Args),
    /// Print shell completions
    Completions(completions::Args),
    /// Print man pages
    Man(completions::ManArgs),
}

/// Runs the program.
#[must_use]
pub fn main() -> ExitCode {
    leave_no_core();
    // Usage errors exit with 2 and help with 0, as clap does by itself.
    let cli = Cli::parse();
    let output = Output::new(&cli.global);
    match &cli.command {
        Command::Serve(args) => args.start_log(),
        _ => output::start_log(&cli.global),
    }
    let global = &cli.global;
    let done = match cli.command {
        Command::Demo(args) => demo::main(global, &args, &output),
        Command::Run(args) => run::main(global, &args, &output),
        Command::Send(args) => send::main(global, &args, &output),
        Command::Validate(args) => validate::main(global, &args, &output),
        Command::List(args) => list::main(global, &args, &output),
        Command::Serve(args) => serve::main(global, &args, &output),
        Command::Show(args) => show::main(global, &args, &output),
        Command::Ledger(args) => ledger::main(global, &args, &output),
        Command::Trace(args) => trace::main(global, &args, &output),
        Command::History(args) => history::main(global, &args, &output),
        Command::Baseline(args) => baseline::main(global, &args, &output),
        Command::Report(args) => report::main(global, &args, &output),
        Command::Doctor(args) => doctor::main(global, &args, &output),
        Command::Explain(args) => explain::main(&args, &output),
        Command::Reload(args) => reload::main(&args, &output),
        Command::Healthcheck(args) => healthcheck::main(&args, &output),
        Command::Schema(args) => schema::main(&args, &output),
        Command::Completions(args) => completions::main(&args, &output),
        Command::Man(args) => completions::man(&args, &output),
    };
    let exit = done.unwrap_or_else(|problem| {
        output.error(&format!("{:#}", problem.error));
        problem.exit
    });
    ExitCode::from(exit.code())
}

/// A core file would hold passwords, and so does the memory that another process of the same user may read. Where a limit
/// cannot be set, there is none to be set.
fn leave_no_core() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _ = setrlimit(Resource::Core, none);
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}

/// The command tree, for completions, man pages and tests.
#[must_use]
pub fn command() -> clap::Command {
    <Cli as clap::CommandFactory>::command()
}

/// A command that could not do its work.
#[derive(Debug)]
struct Problem {
    exit: Exit,
    error: anyhow::Error,
}

impl Problem {
    fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self {
            exit: Exit::Usage,
            error: error.into(),
        }
    }

    fn not_tested(error: impl Into<anyhow::Error>) -> Self {
        Self {
            exit: Exit::NotTested,
            error: error.into(),
        }
    }
}

impl From<std::io::Error> for Problem {
    fn from(error: std::io::Error) -> Self {
        Self::not_tested(error)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::{DumpableBehavior, dumpable_behavior};

    #[test]
    fn memory_of_the_process_is_nobody_elses() {
        super::leave_no_core();
        let behavior = dumpable_behavior().expect("the kernel says it");
        assert_eq!(behavior, DumpableBehavior::NotDumpable);
    }
}
