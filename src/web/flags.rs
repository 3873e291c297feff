//! The flags of the web, as the Prometheus family names them.

use std::net::TcpListener;
use std::path::PathBuf;

use axum::http::Uri;

use super::listen::{self, DEFAULT_ADDRESS, ListenError};
use super::{Limits, Settings};

/// Where and how `serve` listens.
#[derive(Debug, Clone, clap::Args)]
pub struct Flags {
    /// Address to listen on: ADDRESS:PORT, [IPV6]:PORT, or :PORT for all; repeatable
    #[arg(
        long = "web.listen-address",
        value_name = "ADDRESS",
        env = "POSTRIDER_WEB_LISTEN_ADDRESS",
        value_delimiter = ',',
        default_value = DEFAULT_ADDRESS
    )]
    listen_address: Vec<String>,
    /// File with TLS and users, in the format of Prometheus' exporter toolkit; read again when it changes
    #[arg(
        long = "web.config.file",
        value_name = "FILE",
        env = "POSTRIDER_WEB_CONFIG_FILE"
    )]
    config_file: Option<PathBuf>,
    /// The URL by which people reach the daemon
    #[arg(
        long = "web.external-url",
        value_name = "URL",
        env = "POSTRIDER_WEB_EXTERNAL_URL",
        value_parser = external_url
    )]
    external_url: Option<Uri>,
    /// Let /-/reload reload the configuration; SIGHUP always does
    #[arg(long = "web.enable-lifecycle", env = "POSTRIDER_WEB_ENABLE_LIFECYCLE")]
    enable_lifecycle: bool,
}

impl Flags {
    /// Listens on every address.
    ///
    /// # Errors
    /// When one of them cannot be listened on.
    pub fn bind(&self) -> Result<Vec<TcpListener>, ListenError> {
        listen::bind(&self.listen_address)
    }

    /// Everything else.
    #[must_use]
    pub fn settings(&self) -> Settings {
        Settings {
            config_file: self.config_file.clone(),
            external_url: self.external_url.clone(),
            enable_lifecycle: self.enable_lifecycle,
            limits: Limits::default(),
        }
    }
}

fn external_url(text: &str) -> Result<Uri, String> {
    let uri: Uri = text.parse().map_err(|_| "it is no URL".to_owned())?;
    if matches!(uri.scheme_str(), Some("http" | "https")) && uri.authority().is_some() {
        return Ok(uri);
    }
    Err("write it in full, as https://postrider.example.org/".to_owned())
}
