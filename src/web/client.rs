//! Asks a running daemon: for `healthcheck`, `reload` and `baseline accept`. One request, one connection, one deadline.

use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Bytes;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Method, Request, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use postrider_probes::account::Trust;
use postrider_probes::dialogue::stream::BoxStream;
use postrider_probes::setting::Secret;
use postrider_probes::tls::{self, Verify};
use thiserror::Error;
use tokio::net::TcpStream;

/// No answer is longer, in bytes.
const LONGEST_ANSWER: usize = 4 << 20;

/// Where the daemon is, and who asks.
#[derive(Debug, Clone)]
pub struct Client {
    /// Its address: `http://127.0.0.1:9825`, perhaps with the path before its routes.
    pub url: Uri,
    /// What is trusted of an `https` daemon.
    pub ca_file: Option<PathBuf>,
    /// User and password.
    pub login: Option<(String, Secret)>,
    /// For everything together.
    pub within: Duration,
}

/// What it answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Status code.
    pub status: StatusCode,
    /// The body, when it is text.
    pub text: String,
}

/// The daemon was not reached, or speaks no HTTP.
#[derive(Debug, Error)]
pub enum ClientError {
    /// The URL cannot be used.
    #[error("`{url}` cannot be asked: {problem}")]
    Url {
        /// As given.
        url: Uri,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// There is no connection.
    #[error("{authority} cannot be reached: {problem}")]
    Connect {
        /// Host and port.
        authority: String,
        /// What the system said.
        problem: String,
    },
    /// It ended in the middle.
    #[error("{authority} does not answer as it should: {problem}")]
    Http {
        /// Host and port.
        authority: String,
        /// What is wrong.
        problem: String,
    },
    /// It took too long.
    #[error("{authority} did not answer within {} s", within.as_secs())]
    Slow {
        /// Host and port.
        authority: String,
        /// The limit.
        within: Duration,
    },
}

/// The parts of the URL that a connection needs.
struct Target<'u> {
    tls: bool,
    host: &'u str,
    port: u16,
    authority: String,
}

impl Client {
    /// Sends a request without a body.
    ///
    /// # Errors
    /// When there is no answer; any status is one.
    pub async fn ask(&self, method: Method, path: &str) -> Result<Reply, ClientError> {
        self.send(method, path, None).await
    }

    /// Sends a JSON document.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub async fn post(&self, path: &str, json: String) -> Result<Reply, ClientError> {
        self.send(Method::POST, path, Some(json)).await
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        json: Option<String>,
    ) -> Result<Reply, ClientError> {
        let target = self.target()?;
        let authority = target.authority.clone();
        let within = self.within;
        tokio::time::timeout(within, self.exchange(&target, method, path, json))
            .await
            .unwrap_or(Err(ClientError::Slow { authority, within }))
    }

    fn target(&self) -> Result<Target<'_>, ClientError> {
        let wrong = |problem| ClientError::Url {
            url: self.url.clone(),
            problem,
        };
        let tls = match self.url.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(wrong("write it in full, as http://127.0.0.1:9825")),
        };
        let host = self.url.host().ok_or_else(|| wrong("it names no host"))?;
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let local = bare == "localhost"
            || bare
                .parse::<std::net::IpAddr>()
                .is_ok_and(|address| address.is_loopback());
        if self.login.is_some() && !tls && !local {
            return Err(wrong(
                "a password does not go over the network in the clear; use https",
            ));
        }
        let port = self.url.port_u16().unwrap_or(if tls { 443 } else { 80 });
        Ok(Target {
            tls,
            host: bare,
            port,
            authority: format!("{host}:{port}"),
        })
    }

    async fn exchange(
        &self,
        target: &Target<'_>,
        method: Method,
        path: &str,
        json: Option<String>,
    ) -> Result<Reply, ClientError> {
        let broken = |problem: String| ClientError::Http {
            authority: target.authority.clone(),
            problem,
        };
        let stream = self.connect(target).await?;
        let (mut sender, connection) = hyper::client::conn::http1::Builder::new()
            .max_headers(64)
            .handshake(TokioIo::new(stream))
            .await
            .map_err(|error| broken(error.to_string()))?;
        let talking = tokio::spawn(connection);
        let request = self
            .request(target, method, path, json)
            .map_err(|error| broken(error.to_string()))?;
        let answered = async {
            let answer = sender
                .send_request(request)
                .await
                .map_err(|error| broken(error.to_string()))?;
            let status = answer.status();
            let body = Limited::new(answer.into_body(), LONGEST_ANSWER)
                .collect()
                .await
                .map_err(|error| broken(error.to_string()))?;
            let text = String::from_utf8_lossy(&body.to_bytes()).into_owned();
            Ok(Reply { status, text })
        };
        let answered = answered.await;
        talking.abort();
        answered
    }

    fn request(
        &self,
        target: &Target<'_>,
        method: Method,
        path: &str,
        json: Option<String>,
    ) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        let before = self.url.path().trim_end_matches('/');
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{before}{path}"))
            .header(HOST, &target.authority)
            .header(CONNECTION, "close");
        if let Some((user, password)) = &self.login {
            let pair = Secret::new(format!("{user}:{}", password.expose()));
            let encoded = format!("Basic {}", BASE64_STANDARD.encode(pair.expose()));
            let mut value = HeaderValue::try_from(encoded)?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        if json.is_some() {
            request = request.header(CONTENT_TYPE, "application/json");
        }
        request.body(Full::new(json.unwrap_or_default().into()))
    }

    async fn connect(&self, target: &Target<'_>) -> Result<BoxStream, ClientError> {
        let unreached = |problem: String| ClientError::Connect {
            authority: target.authority.clone(),
            problem,
        };
        // Each address of the name is tried in turn.
        let stream = TcpStream::connect((target.host, target.port))
            .await
            .map_err(|error| unreached(error.to_string()))?;
        let stream: BoxStream = Box::new(stream);
        if !target.tls {
            return Ok(stream);
        }
        let trust = Trust {
            ca_file: self.ca_file.clone(),
            ..Trust::default()
        };
        let (session, _) = tls::client(stream, target.host, &trust, Verify::Enforce)
            .await
            .map_err(|failure| unreached(failure.failure.message))?;
        Ok(session)
    }
}
