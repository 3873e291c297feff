//! The web over real loopback sockets, with a daemon that only pretends.

mod access;
mod bounds;
mod double;
mod logins;
mod operation;
mod probe;
mod table;
mod tls;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::{Limits, ServeError, Settings, bind, check, serve};
use double::Double;

/// Nothing in here takes longer on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A web that is being served.
struct Web {
    address: SocketAddr,
    double: Arc<Double>,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<Result<(), ServeError>>,
}

/// An answer, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Answer {
    status: u16,
    headers: Vec<(String, String)>,
    body: String,
}

impl Web {
    async fn start(settings: Settings) -> Self {
        Self::start_on("127.0.0.1:0", settings).await
    }

    async fn start_on(address: &str, settings: Settings) -> Self {
        let listeners = bind(&[address.to_owned()]).unwrap();
        let address = listeners[0].local_addr().unwrap();
        let double = Arc::new(Double::default());
        let (stop, stopped) = oneshot::channel();
        let control: Arc<dyn super::Control> = Arc::<Double>::clone(&double);
        let serving = tokio::spawn(async move {
            serve(check(settings)?, listeners, control, async {
                let _ = stopped.await;
            })
            .await
        });
        Self {
            address,
            double,
            stop,
            serving,
        }
    }

    /// With users, from a file in `directory`.
    async fn with_users(directory: &Path) -> Self {
        Self::start(users(directory)).await
    }

    async fn stop(self) -> Result<(), ServeError> {
        let _ = self.stop.send(());
        self.serving.await.unwrap()
    }

    async fn ask(&self, method: &str, path: &str) -> Answer {
        self.send(method, path, &[], "").await
    }

    /// A whole request on a connection of its own.
    async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
        if !headers.iter().any(|(name, _)| *name == "Host") {
            request.push_str(&format!("Host: {}\r\n", self.address));
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        request.push_str(body);
        self.raw(request.into_bytes()).await.unwrap()
    }

    async fn post(&self, path: &str, body: &str) -> Answer {
        let json = [("Content-Type", "application/json")];
        self.send("POST", path, &json, body).await
    }

    /// Bytes in, and what comes back until the end.
    async fn raw(&self, request: Vec<u8>) -> Option<Answer> {
        let address = self.address;
        let exchange = move || -> std::io::Result<Vec<u8>> {
            let mut stream = TcpStream::connect(address)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            // A server that answers early may have stopped reading.
            let _ = stream.write_all(&request);
            let mut answer = Vec::new();
            match stream.read_to_end(&mut answer) {
                Err(error) if error.kind() != std::io::ErrorKind::ConnectionReset => Err(error),
                _ => Ok(answer),
            }
        };
        let bytes = tokio::task::spawn_blocking(exchange)
            .await
            .unwrap()
            .unwrap();
        Answer::parse(&bytes)
    }

    /// Asks until the answer is as wanted.
    async fn until(&self, what: &str, mut good: impl AsyncFnMut(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !good(self).await {
            assert!(Instant::now() < deadline, "never: {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

impl Answer {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(bytes);
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.lines();
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let headers = lines.filter_map(|line| line.split_once(": "));
        Some(Self {
            status,
            headers: headers
                .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
                .collect(),
            body: body.to_owned(),
        })
    }

    fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The sentence of a problem.
    fn detail(&self) -> String {
        assert_eq!(
            self.header("content-type"),
            "application/problem+json",
            "{self:?}"
        );
        self.json()["detail"].as_str().unwrap().to_owned()
    }
}

/// Limits that a test can wait for.
fn short() -> Limits {
    Limits {
        header: Duration::from_millis(300),
        request: Duration::from_millis(500),
        stall: Duration::from_millis(300),
        shutdown: Duration::from_millis(500),
        recheck: Duration::from_millis(10),
        ..Limits::default()
    }
}

fn lifecycle() -> Settings {
    Settings {
        enable_lifecycle: true,
        ..Settings::default()
    }
}

/// A web file with the user `alice`, password `open sesame`.
fn users(directory: &Path) -> Settings {
    let file = directory.join("web.yaml");
    let text = format!("basic_auth_users:\n  alice: {}\n", hash("open sesame"));
    std::fs::write(&file, text).unwrap();
    Settings {
        config_file: Some(file),
        limits: Limits {
            recheck: Duration::from_millis(10),
            ..Limits::default()
        },
        ..lifecycle()
    }
}

/// Cheap, since nobody attacks it.
fn hash(password: &str) -> String {
    bcrypt::hash_with_salt(password, 4, [7; 16])
        .unwrap()
        .to_string()
}

fn basic(user: &str, password: &str) -> String {
    use base64::Engine as _;

    let pair = format!("{user}:{password}");
    format!("Basic {}", base64::prelude::BASE64_STANDARD.encode(pair))
}
