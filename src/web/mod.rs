//! The operational HTTP surface of `postrider serve`: health, reload, metrics, the API. It talks to the daemon only
//! through [`Control`]. `routes` is the one table of what can be asked; a dashboard adds its pages there.

mod answer;
mod api;
mod attempts;
mod body;
pub mod client;
mod control;
mod crowd;
mod document;
mod flags;
mod guard;
mod listen;
mod login;
mod operation;
mod probe;
mod protection;
mod routes;
mod server;
mod site;
mod stall;
#[cfg(test)]
mod tests;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::http::Uri;
use thiserror::Error;
use tokio::sync::watch;

pub use control::{
    Answer, Control, LedgerQuery, MOST_ROWS, Metrics, MetricsFormat, NotReady, Origin, ProbeQuery,
    ProbeRefusal, ProbeRefused, Probed, Refusal, Refused, Rejected, Reloaded, RunQuery,
    Unavailable,
};
pub use document::{
    AcceptRequest, LedgerEntry, LedgerList, Readiness, ReadinessReason, RunList, RunRequest,
    RunStarted, SCHEMA_VERSION, Trouble,
};
pub use flags::Flags;
pub use listen::{DEFAULT_ADDRESS, ListenError, MOST_LISTENERS, PORT, bind};

/// How the web is served.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The web configuration file: TLS, headers, users.
    pub config_file: Option<PathBuf>,
    /// The address that people use, behind a proxy for instance.
    pub external_url: Option<Uri>,
    /// `/-/reload` works.
    pub enable_lifecycle: bool,
    /// What stands before every route, as `/mail`; empty by default.
    pub route_prefix: String,
    /// Bounds.
    pub limits: Limits,
}

/// Bounds of the web: nobody who asks may hurt those who probe.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Connections at the same time; half of them for one network.
    pub connections: usize,
    /// Time for a TLS handshake, for the head of a request, and for which a connection may be idle.
    pub header: Duration,
    /// Size of a request's head.
    pub header_bytes: usize,
    /// Time for a request, its body and its answer's making included.
    pub request: Duration,
    /// Time for which a client may take none of its answer.
    pub stall: Duration,
    /// Time for the requests under way when the daemon ends.
    pub shutdown: Duration,
    /// How often the web configuration's files are looked at.
    pub recheck: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 256,
            header: Duration::from_secs(30),
            header_bytes: 16 * 1024,
            request: Duration::from_secs(30),
            stall: Duration::from_secs(15),
            shutdown: Duration::from_secs(5),
            recheck: Duration::from_secs(1),
        }
    }
}

/// The web cannot be served.
#[derive(Debug, Error)]
pub enum ServeError {
    /// The web configuration file has mistakes.
    #[error("the web configuration has mistakes\n{0}")]
    Configuration(String),
    /// The system refuses.
    #[error("the web cannot be served: {0}")]
    Io(#[from] std::io::Error),
}

/// A web that can be served: its configuration file has been read, certificate and key work together.
#[derive(Debug)]
pub struct Checked {
    settings: Settings,
    guarded: protection::Guarded,
    stamps: protection::Stamps,
}

/// Reads the web configuration file, so that its mistakes are known before anything else begins.
///
/// # Errors
/// When it has mistakes.
pub fn check(settings: Settings) -> Result<Checked, ServeError> {
    let (guarded, stamps) = protection::Guarded::load(settings.config_file.clone())
        .map_err(|mistakes| ServeError::Configuration(mistakes.trim_end().to_owned()))?;
    Ok(Checked {
        settings,
        guarded,
        stamps,
    })
}

/// Serves until `shutdown`, and then for as long as the requests under way need, but not longer than their limit. Must
/// be called inside the daemon's runtime: what the requests ask of `control` runs there.
///
/// # Errors
/// When the system refuses; never because of a client.
pub async fn serve(
    checked: Checked,
    listeners: Vec<TcpListener>,
    control: Arc<dyn Control>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let Checked {
        settings,
        guarded,
        stamps,
    } = checked;
    let addresses: Vec<SocketAddr> = listeners
        .iter()
        .map(TcpListener::local_addr)
        .collect::<Result<_, _>>()?;
    let protection = guarded.now();
    let (tls, users) = (protection.tls.is_some(), !protection.users.is_empty());
    if let Some(warning) = listen::exposure(&addresses, tls, users) {
        tracing::warn!("{warning}");
    }
    for address in &addresses {
        tracing::info!(%address, tls, "listening");
    }
    let (close, closing) = watch::channel(false);
    let server = server::Server {
        listeners,
        site: server::site(guarded, &settings, control),
        stamps,
        limits: settings.limits,
        closing,
    };
    let mut serving = std::pin::pin!(server::on_its_own_thread(server));
    tokio::select! {
        ended = serving.as_mut() => return Ok(ended?),
        () = shutdown => {}
    }
    close.send_replace(true);
    Ok(serving.await?)
}
