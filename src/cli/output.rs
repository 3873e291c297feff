//! Where results and messages go: results to standard output, everything else to standard error.

use std::io::{IsTerminal as _, Write};
use std::sync::{Mutex, PoisonError};

use indicatif::MultiProgress;

use super::Global;
use crate::report::style::Style;

/// When to use colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum When {
    /// On a terminal, unless NO_COLOR or TERM=dumb says no.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The two streams.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output {
    /// For standard output.
    pub style: Style,
    /// Standard output is a terminal, and not a dumb one.
    pub terminal: bool,
    /// Standard error is a terminal, so a progress display may be drawn on it.
    pub progress: bool,
}

impl Output {
    pub(super) fn new(global: &Global) -> Self {
        let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let terminal = std::io::stdout().is_terminal() && !dumb;
        let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let colour = match global.color {
            When::Always => true,
            When::Never => false,
            When::Auto => !set("NO_COLOR") && !dumb && (terminal || set("FORCE_COLOR")),
        };
        Self {
            style: Style {
                colour,
                ascii: global.ascii || dumb || !utf8_locale(),
                width: columns(terminal),
            },
            terminal,
            progress: std::io::stderr().is_terminal() && !dumb && !global.quiet,
        }
    }

    /// The live lines of a progress display; what is written meanwhile stands above them.
    pub(super) fn begin_live_lines(&self) -> MultiProgress {
        let lines = MultiProgress::new();
        *LIVE.lock().unwrap_or_else(PoisonError::into_inner) = Some(lines.clone());
        lines
    }

    /// There are no live lines any more.
    pub(super) fn end_live_lines(&self) {
        *LIVE.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Writes results. A reader that has gone away (`| head`) is not an error.
    pub(super) fn print(&self, text: &str) -> std::io::Result<()> {
        let written = above_live_lines(|| {
            let mut out = std::io::stdout().lock();
            out.write_all(text.as_bytes()).and_then(|()| out.flush())
        });
        match written {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            done => done,
        }
    }

    /// Tells something beside the result. Nothing can be done when standard error is gone.
    pub(super) fn tell(&self, text: &str) {
        let _ = above_live_lines(|| writeln!(std::io::stderr().lock(), "{text}"));
    }

    /// Tells why the command could not do its work.
    pub(super) fn error(&self, text: &str) {
        self.tell(&format!("error: {text}"));
    }
}

/// The live lines, while there are any. The terminal is one for the whole program.
static LIVE: Mutex<Option<MultiProgress>> = Mutex::new(None);

/// Takes the live lines away, writes, and draws them again.
fn above_live_lines<T>(write: impl FnOnce() -> T) -> T {
    let live = LIVE.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match live {
        Some(live) => live.suspend(write),
        None => write(),
    }
}

/// Where log lines go.
struct Log;

impl Write for Log {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        above_live_lines(|| std::io::stderr().lock().write(line))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().lock().flush()
    }
}

/// Columns of the terminal: what the environment says of it, else what it says of itself.
fn columns(terminal: bool) -> usize {
    let said = std::env::var("COLUMNS").ok();
    let measured = || {
        let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
        size.filter(|_| terminal).map(|size| size.ws_col.into())
    };
    said.and_then(|columns| columns.parse().ok())
        .or_else(measured)
        .filter(|columns| *columns > 0)
        .unwrap_or(100)
}

fn utf8_locale() -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .unwrap_or_default()
        .to_ascii_lowercase();
    // Containers and CI systems often set no locale at all; today that means UTF-8.
    locale.is_empty() || locale.contains("utf-8") || locale.contains("utf8")
}

/// Logs go to standard error, without secrets: no event ever holds one.
pub(super) fn start_log(global: &Global) {
    let level = match (global.quiet, global.verbose) {
        (true, _) => "error",
        (false, 0) => "warn",
        (false, 1) => "postrider=info,postrider_probes=info,warn",
        (false, _) => "postrider=debug,postrider_probes=debug,warn",
    };
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter(level))
        .with_writer(|| Log)
        .with_ansi(false)
        .without_time()
        .with_target(false)
        .try_init();
}

/// What the validator says of a stranger's answers stands in the findings; here it would be whole answers.
fn filter(level: &str) -> tracing_subscriber::EnvFilter {
    tracing_subscriber::EnvFilter::new(format!("{level},hickory_net=off"))
}

/// Logs of the daemon, for machines.
pub(super) fn start_log_lines(level: &str, form: crate::daemon::Form) {
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter(level))
        .with_writer(|| Log)
        .event_format(crate::daemon::Line::new(form, crate::clock::now))
        .try_init();
}
