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
    /// Path before every route, as /mail; a proxy that passes it on needs it
    #[arg(
        long = "web.route-prefix",
        value_name = "PATH",
        env = "POSTRIDER_WEB_ROUTE_PREFIX",
        value_parser = route_prefix
    )]
    route_prefix: Option<String>,
    /// Let /-/reload reload the configuration; SIGHUP always does
    #[arg(long = "web.enable-lifecycle", value_parser = clap::builder::FalseyValueParser::new(), env = "POSTRIDER_WEB_ENABLE_LIFECYCLE")]
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
            route_prefix: self.route_prefix.clone().unwrap_or_default(),
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

/// With a slash in front and none at the end; `/` is no prefix.
fn route_prefix(text: &str) -> Result<String, String> {
    let bare = text.trim_matches('/');
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~');
    let good = |part: &str| !matches!(part, "" | "." | "..") && part.chars().all(plain);
    if bare.is_empty() {
        return Ok(String::new());
    }
    match bare.split('/').all(good) {
        true => Ok(format!("/{bare}")),
        false => Err("write it as /mail or /mail/probe: letters, digits and -._~".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, FromArgMatches as _};

    use super::*;

    fn flags(arguments: &[&str]) -> Result<Flags, clap::Error> {
        let command = Flags::augment_args(clap::Command::new("serve"));
        command.clone().debug_assert();
        let arguments = std::iter::once(&"serve").chain(arguments);
        Flags::from_arg_matches(&command.try_get_matches_from(arguments)?)
    }

    #[test]
    fn loopback_and_no_lifecycle_unless_told_otherwise() {
        let flags = flags(&[]).unwrap();
        assert_eq!(flags.listen_address, [DEFAULT_ADDRESS]);
        assert!(!flags.settings().enable_lifecycle);
    }

    #[test]
    fn addresses_are_repeated_or_listed() {
        let flags = flags(&[
            "--web.listen-address=127.0.0.1:1,[::1]:2",
            "--web.listen-address=:3",
            "--web.enable-lifecycle",
        ])
        .unwrap();
        assert_eq!(flags.listen_address, ["127.0.0.1:1", "[::1]:2", ":3"]);
        assert!(flags.settings().enable_lifecycle);
    }

    #[test]
    fn an_external_url_is_whole() {
        assert!(flags(&["--web.external-url=https://probe.example.org/a"]).is_ok());
        for url in ["probe.example.org", "ftp://a", "https://", "/a"] {
            assert!(
                flags(&[&format!("--web.external-url={url}")]).is_err(),
                "{url}"
            );
        }
    }

    #[test]
    fn a_route_prefix_has_a_slash_in_front_and_none_behind() {
        for (text, wanted) in [
            ("/", Some("")),
            ("mail", Some("/mail")),
            ("/mail/", Some("/mail")),
            ("/mail/probe.1", Some("/mail/probe.1")),
            ("/a//b", None),
            ("/../x", None),
            ("/{id}", None),
            ("/a b", None),
            ("/a?b", None),
        ] {
            assert_eq!(route_prefix(text).ok().as_deref(), wanted, "{text}");
        }
    }
}
