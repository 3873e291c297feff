//! `healthcheck` and `reload`, the built program, against a web that is served in this process.

use std::net::SocketAddr;
use std::process::Output;
use std::sync::{Arc, Mutex};

use postrider::result::changes::Acceptance;
use postrider::result::{RunHead, RunResult};
use postrider::web::{
    self, AcceptRequest, Answer, Control, LedgerEntry, LedgerQuery, Metrics, MetricsFormat,
    NotReady, Origin, ProbeQuery, ProbeRefusal, ProbeRefused, Probed, Refusal, Refused, Rejected,
    Reloaded, RunQuery, Settings, Unavailable,
};

/// Knows how to reload, or not.
#[derive(Debug, Default)]
struct Daemon(Mutex<Option<String>>);

impl Control for Daemon {
    fn readiness(&self) -> Answer<'_, Vec<NotReady>> {
        Box::pin(async { Vec::new() })
    }

    fn metrics(&self, _: MetricsFormat) -> Answer<'_, Metrics> {
        Box::pin(async {
            Metrics {
                content_type: "text/plain",
                body: Vec::new(),
            }
        })
    }

    fn reload(&self) -> Answer<'_, Result<Reloaded, Rejected>> {
        Box::pin(async {
            match self.0.lock().unwrap().clone() {
                Some(text) => Err(Rejected { text }),
                None => Ok(Reloaded {
                    text: "reloaded a1b2c3 → d4e5f6 in 41 ms".to_owned(),
                    json: serde_json::Value::Null,
                }),
            }
        })
    }

    fn start_run(&self, _: String, _: Origin) -> Answer<'_, Result<String, Refused>> {
        Box::pin(async {
            Err(Refused {
                kind: Refusal::NotReady,
                reason: "not here".to_owned(),
                retry_after: None,
            })
        })
    }

    fn runs(&self, _: RunQuery) -> Answer<'_, Result<Vec<RunHead>, Unavailable>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn run(&self, _: String) -> Answer<'_, Result<Option<RunResult>, Unavailable>> {
        Box::pin(async { Ok(None) })
    }

    fn ledger(&self, _: LedgerQuery) -> Answer<'_, Result<Vec<LedgerEntry>, Unavailable>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn accept(&self, _: AcceptRequest, _: Origin) -> Answer<'_, Result<Acceptance, Unavailable>> {
        Box::pin(async { Err(Unavailable("not here".to_owned())) })
    }

    fn probe(&self, _: ProbeQuery) -> Answer<'_, Result<Probed, ProbeRefused>> {
        Box::pin(async {
            Err(ProbeRefused {
                kind: ProbeRefusal::NotReady,
                reason: "not here".to_owned(),
            })
        })
    }

    fn config_error(&self) -> Option<String> {
        None
    }
}

/// Serves until the runtime ends.
fn served(daemon: &Arc<Daemon>, settings: Settings) -> SocketAddr {
    let listeners = web::bind(&["127.0.0.1:0".to_owned()]).unwrap();
    let address = listeners[0].local_addr().unwrap();
    let control: Arc<dyn Control> = Arc::<Daemon>::clone(daemon);
    tokio::spawn(web::serve(
        web::check(settings).unwrap(),
        listeners,
        control,
        std::future::pending(),
    ));
    address
}

async fn postrider(address: SocketAddr, arguments: &[&str]) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = tokio::process::Command::new(env!("CARGO_BIN_EXE_postrider"))
        .args(arguments)
        .env_clear()
        .env("POSTRIDER_URL", format!("http://{address}"))
        .output()
        .await
        .unwrap();
    (
        status.code().unwrap(),
        String::from_utf8(stdout).unwrap(),
        String::from_utf8(stderr).unwrap(),
    )
}

fn lifecycle() -> Settings {
    Settings {
        enable_lifecycle: true,
        ..Settings::default()
    }
}

/// An address that nobody listens on.
fn nobody() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test]
async fn healthcheck_exits_with_0_or_1() {
    let daemon = Arc::new(Daemon::default());
    let address = served(&daemon, Settings::default());
    let (code, out, err) = postrider(address, &["healthcheck"]).await;
    assert_eq!((code, out.as_str(), err.as_str()), (0, "", ""));
    let (code, _, err) = postrider(nobody(), &["healthcheck"]).await;
    assert!(
        code == 1 && err.contains("cannot be reached"),
        "{code} {err}"
    );
}

#[tokio::test]
async fn healthcheck_gives_up_on_a_daemon_that_says_nothing() {
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (code, _, err) = postrider(silent.local_addr().unwrap(), &["healthcheck"]).await;
    assert!(code == 1 && err.contains("within 3 s"), "{code} {err}");
}

#[tokio::test]
async fn reload_prints_the_difference_or_the_mistakes() {
    let daemon = Arc::new(Daemon::default());
    let address = served(&daemon, lifecycle());
    let (code, out, _) = postrider(address, &["reload"]).await;
    assert_eq!(
        (code, out.as_str()),
        (0, "reloaded a1b2c3 → d4e5f6 in 41 ms\n")
    );
    let text = "error[unknown-reference]: no mailbox is called `alcie`\nnot reloaded: still running a1b2c3";
    *daemon.0.lock().unwrap() = Some(text.to_owned());
    let (code, out, err) = postrider(address, &["reload"]).await;
    assert_eq!((code, out.as_str(), err), (2, "", format!("{text}\n")));
}

#[tokio::test]
async fn reload_says_what_is_in_its_way() {
    let daemon = Arc::new(Daemon::default());
    let (code, _, err) = postrider(served(&daemon, Settings::default()), &["reload"]).await;
    assert!(
        code == 3 && err.contains("--web.enable-lifecycle"),
        "{code} {err}"
    );
    let (code, _, err) = postrider(nobody(), &["reload"]).await;
    assert!(
        code == 3 && err.contains("cannot be reached"),
        "{code} {err}"
    );
}

#[tokio::test]
async fn reload_logs_in_with_a_password_from_a_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    // Of `secret`, with the lowest cost.
    let hash = "$2b$04$....................../dCAsp4PpJoDgv6BeaLP6BKrXlBV1oi";
    let web_file = file("web.yaml", &format!("basic_auth_users:\n  alice: {hash}\n"));
    let settings = Settings {
        config_file: Some(web_file),
        ..lifecycle()
    };
    let address = served(&Arc::new(Daemon::default()), settings);
    let (code, _, err) = postrider(address, &["reload"]).await;
    assert!(code == 3 && err.contains("needs a login"), "{code} {err}");
    for (password, wanted) in [("wrong\n", 3), ("secret\n", 0)] {
        let password = file("password", password);
        let password = password.to_str().unwrap();
        let arguments = ["reload", "--user", "alice", "--password-file", password];
        let (code, _, err) = postrider(address, &arguments).await;
        assert_eq!(code, wanted, "{err}");
    }
}
