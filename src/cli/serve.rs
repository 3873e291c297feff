//! `serve`: the daemon. Flags in, signals in, exit code out; what runs is in `daemon`.

use std::sync::Arc;
use std::time::Duration;

use postrider_probes::setting::{Period, Size};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::output::Output;
use super::{Exit, Global, Problem, session};
use crate::config;
use crate::daemon::{Daemon, Form, Notify, Options, Rejected, Reloaded};
use crate::store::Store;
use crate::web;

/// Where the store is unless something else is said.
pub(super) const STORAGE: &str = "/var/lib/postrider";
/// Mistakes of a refused configuration that are logged; `validate` and the web show all of them.
const TOLD_MISTAKES: usize = 20;
/// How often a refused configuration is told of again.
const REFUSED_AGAIN: Duration = Duration::from_secs(3600);
/// For answers of the web that are under way when all else has ended.
const WEB_CLOSING: Duration = Duration::from_secs(1);
/// What is counted by the hour cannot be kept for less.
const SHORTEST_RETENTION: Duration = Duration::from_secs(3600);
/// How often the service manager hears what the daemon does.
const STATUS: Duration = Duration::from_secs(10);

/// Arguments of `serve`.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = "\
SIGHUP reads the configuration again. SIGTERM and SIGINT end in good order: exit 0 when all that happened is on disk, \
whatever mail is still under way (the next start awaits it); a second one leaves at once with 143 or 130.")]
pub(super) struct Args {
    #[command(flatten)]
    web: web::Flags,
    /// How long results and closed mails are kept, at least 1h
    #[arg(
        long = "storage.retention.time",
        value_name = "DURATION",
        value_parser = retention,
        default_value = "400d",
        env = "POSTRIDER_STORAGE_RETENTION_TIME"
    )]
    retention: Period,
    /// How large the store may become before the oldest results go
    #[arg(
        long = "storage.retention.size",
        value_name = "SIZE",
        default_value = "5GB",
        env = "POSTRIDER_STORAGE_RETENTION_SIZE"
    )]
    retention_size: Size,
    /// The least important lines that are logged
    #[arg(long = "log.level", value_enum, default_value_t = Level::Info, env = "POSTRIDER_LOG_LEVEL")]
    level: Level,
    /// Form of the log lines
    #[arg(long = "log.format", value_enum, default_value_t = LogForm::Logfmt, env = "POSTRIDER_LOG_FORMAT")]
    form: LogForm,
    /// How long the end may take: runs in flight are waited for, then cut off
    #[arg(
        long = "shutdown.grace",
        value_name = "DURATION",
        default_value = "25s",
        env = "POSTRIDER_SHUTDOWN_GRACE"
    )]
    grace: Period,
    /// Look this often whether the configuration files have changed, and read them again
    #[arg(
        long = "config.auto-reload-interval",
        value_name = "DURATION",
        env = "POSTRIDER_CONFIG_AUTO_RELOAD_INTERVAL"
    )]
    auto_reload: Option<Period>,
}

/// What is logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Level {
    /// What needs a person.
    Error,
    /// Trouble.
    Warn,
    /// A line for each check, too.
    Info,
    /// Everything.
    Debug,
}

/// Forms of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum LogForm {
    /// `key=value`.
    Logfmt,
    /// One JSON object a line.
    Json,
}

/// Everything is counted by the hour: a shorter time would remove what is still being counted.
fn retention(text: &str) -> Result<Period, String> {
    let period: Period = text.parse()?;
    match period.0 < SHORTEST_RETENTION {
        true => Err("at least 1h is kept".to_owned()),
        false => Ok(period),
    }
}

impl Args {
    /// Log lines go to standard error.
    pub(super) fn start_log(&self) {
        let level = match self.level {
            Level::Error => "error",
            Level::Warn => "warn",
            Level::Info => "postrider=info,postrider_probes=info,warn",
            Level::Debug => "postrider=debug,postrider_probes=debug,warn",
        };
        let form = match self.form {
            LogForm::Logfmt => Form::Logfmt,
            LogForm::Json => Form::Json,
        };
        super::output::start_log_lines(level, form);
    }
}

pub(super) fn main(global: &Global, args: &Args, output: &Output) -> Result<Exit, Problem> {
    session::runtime()?.block_on(serve(global, args, output))
}

async fn serve(global: &Global, args: &Args, output: &Output) -> Result<Exit, Problem> {
    // Before anything else: a signal that comes while the store is opened must not end the program half-way.
    let mut signals = Signals::listen()?;
    let notify = Notify::from_environment();
    let options = Options {
        main: session::main_file(global)?,
        storage: global.storage.clone().unwrap_or_else(|| STORAGE.into()),
        retention: args.retention.0,
        retention_size: args.retention_size.0,
    };
    let main = options.main.clone();
    let loaded = tokio::task::spawn_blocking(move || config::load(&main))
        .await
        .map_err(Problem::not_tested)?;
    let plan = session::accept(loaded, output)?;
    let scheduled = plan
        .scenarios
        .iter()
        .filter(|scenario| scenario.schedule.is_some());
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        config = %options.main.display(),
        storage = %options.storage.display(),
        scenarios = plan.scenarios.len(),
        scheduled = scheduled.count(),
        "starting"
    );
    // Everything that can be wrong with the web is known before the first run starts and before anyone hears `ready`.
    let settings = args.web.settings();
    let web = tokio::task::spawn_blocking(move || web::check(settings))
        .await
        .map_err(Problem::not_tested)?
        .map_err(Problem::usage)?;
    // Before the sockets: a second instance must hear of the first one's store, not of its port.
    let store = Store::open(&options.storage)
        .await
        .map_err(Problem::not_tested)?;
    let listeners = args.web.bind().map_err(Problem::not_tested)?;
    let daemon = Daemon::start(options, plan, store, notify)
        .await
        .map_err(Problem::not_tested)?;
    let (close, closing) = oneshot::channel::<()>();
    let control: Arc<dyn web::Control> = Arc::new(daemon.clone());
    let mut serving = tokio::spawn(async move {
        // Closed by a message, or because nobody is left to send one.
        web::serve(web, listeners, control, async { drop(closing.await) }).await
    });
    let first = tokio::select! {
        first = attend(&daemon, args, &mut signals) => first,
        ended = &mut serving => {
            // The system takes the sockets away, or gives no thread.
            let problem = match ended {
                Ok(Err(problem)) => Problem::not_tested(problem),
                _ => Problem::not_tested(anyhow::anyhow!("the web has ended")),
            };
            // That it ends is told below, and with what.
            let _ = daemon.drain(args.grace.0).await;
            return Err(problem);
        }
    };
    tracing::info!(
        signal = first.name(),
        grace_seconds = args.grace.0.as_secs(),
        "ending: nothing is started any more; once more to leave at once"
    );
    let drain = async {
        // The web answers meanwhile: not ready, since it is ending.
        let drained = daemon.drain(args.grace.0).await;
        drop(close);
        let _ = timeout(WEB_CLOSING, serving).await;
        drained
    };
    tokio::select! {
        drained = drain => match drained {
            Ok(drained) => {
                tracing::info!(
                    in_time = drained.in_time,
                    cut_off = drained.cut_off,
                    mails_under_way = drained.under_way,
                    "ended"
                );
                Ok(Exit::Ok)
            }
            Err(problem) => Err(Problem::not_tested(anyhow::anyhow!("{problem}"))),
        },
        second = signals.ending.next() => {
            tracing::warn!("leaving at once; mails under way stay in the ledger");
            std::process::exit(second.exit().code().into());
        }
    }
}

/// Serves until it is asked to end.
async fn attend(daemon: &Daemon, args: &Args, signals: &mut Signals) -> Asked {
    daemon.tell_ready();
    tracing::info!("ready");
    let every = |period: Duration| {
        let mut often = interval(period.max(Duration::from_millis(100)));
        often.set_missed_tick_behavior(MissedTickBehavior::Delay);
        often
    };
    let mut status = every(STATUS);
    let mut look = every(
        args.auto_reload
            .map_or(Duration::from_secs(86_400), |period| period.0),
    );
    let mut told = Instant::now();
    loop {
        tokio::select! {
            asked = signals.ending.next() => return asked,
            _ = signals.reload.recv() => {
                told = Instant::now();
                tell(&daemon.reload().await);
            }
            _ = look.tick(), if args.auto_reload.is_some() => {
                if let Some(done) = daemon.reload_if_changed().await {
                    told = Instant::now();
                    tell(&done);
                }
            }
            _ = status.tick() => {
                daemon.tell_status();
                if let Some(text) = daemon.configuration().refused
                    && told.elapsed() >= REFUSED_AGAIN
                {
                    told = Instant::now();
                    tell(&Err(Rejected { text }));
                }
            }
        }
    }
}

fn tell(done: &Result<Reloaded, Rejected>) {
    match done {
        Ok(reloaded) => {
            for line in reloaded.text.lines() {
                tracing::info!("{line}");
            }
        }
        Err(rejected) => {
            let lines: Vec<&str> = rejected.text.lines().collect();
            let mistakes = lines
                .windows(2)
                .filter(|pair| pair[0].starts_with("error["));
            for pair in mistakes.take(TOLD_MISTAKES) {
                let at = pair[1].trim_start().trim_start_matches("--> ");
                tracing::error!(at, "{}", pair[0]);
            }
            let outcome = lines.last().copied().unwrap_or_default();
            tracing::error!(outcome, "the configuration is refused");
        }
    }
}

/// What the program is asked by signals.
struct Signals {
    ending: Ending,
    reload: Signal,
}

/// The signals that end the program.
struct Ending {
    interrupt: Signal,
    terminate: Signal,
}

/// A signal that ends the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Interrupt,
    Terminate,
}

impl Asked {
    fn name(self) -> &'static str {
        match self {
            Self::Interrupt => "SIGINT",
            Self::Terminate => "SIGTERM",
        }
    }

    fn exit(self) -> Exit {
        match self {
            Self::Interrupt => Exit::Interrupted,
            Self::Terminate => Exit::Terminated,
        }
    }
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            ending: Ending {
                interrupt: signal(SignalKind::interrupt())?,
                terminate: signal(SignalKind::terminate())?,
            },
            reload: signal(SignalKind::hangup())?,
        })
    }
}

impl Ending {
    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked::Interrupt,
            _ = self.terminate.recv() => Asked::Terminate,
        }
    }
}
