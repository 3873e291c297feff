//! A server that says what a script says.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::task::JoinHandle;

use super::super::{Greeting, ImapError, Session, Setup, Timing, Transcript};
use postrider_wire::bounded::Limits;

/// The time limit for a command in these tests.
pub(super) const COMMAND: Duration = Duration::from_secs(10);

pub(super) fn setup() -> Setup {
    Setup {
        limits: Limits::imap(),
        timing: Timing { command: COMMAND },
        transcript: Transcript::new(),
    }
}

/// A server in a task of its own. Lines of the script: `C: ` what it must be sent, `S: ` what it sends,
/// `S- ` the same without a line end but with `\r`, `\n` and `\0` for those bytes, `wait N` seconds, `close`. After the script it stays silent
/// until the client hangs up.
pub(crate) struct Peer(JoinHandle<()>);

impl Peer {
    /// The peer's end, and ours.
    pub(crate) fn start(script: &str) -> (Self, DuplexStream) {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let script: Vec<String> = script
            .lines()
            .map(|line| line.trim_start().to_owned())
            .collect();
        (Self(tokio::spawn(play(script, theirs))), ours)
    }

    /// Waits for the end of the script and fails where it was left.
    pub(crate) async fn done(self) {
        self.0.await.expect("the script was followed");
    }
}

async fn play(script: Vec<String>, mut stream: DuplexStream) {
    for step in script.iter().filter(|step| !step.is_empty()) {
        if let Some(line) = step.strip_prefix("S: ") {
            stream
                .write_all(format!("{line}\r\n").as_bytes())
                .await
                .expect("the client listens");
        } else if let Some(text) = step.strip_prefix("S- ") {
            let text = text
                .replace("\\r", "\r")
                .replace("\\n", "\n")
                .replace("\\0", "\0");
            stream
                .write_all(text.as_bytes())
                .await
                .expect("the client listens");
        } else if let Some(expected) = step.strip_prefix("C: ") {
            assert_eq!(line(&mut stream).await, expected);
        } else if let Some(seconds) = step.strip_prefix("wait ") {
            tokio::time::sleep(Duration::from_secs_f64(seconds.parse().expect("seconds"))).await;
        } else if step == "close" {
            return;
        } else {
            panic!("no such step: {step}");
        }
    }
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
}

async fn line(stream: &mut DuplexStream) -> String {
    let mut line = Vec::new();
    while !line.ends_with(b"\r\n") {
        line.push(
            stream
                .read_u8()
                .await
                .unwrap_or_else(|_| panic!("the client hung up after {line:?}")),
        );
    }
    line.truncate(line.len() - 2);
    String::from_utf8(line).expect("commands are ASCII or UTF-8")
}

/// A session with a peer that greets and then follows the script.
pub(super) async fn greeted(script: &str) -> (Peer, Session) {
    let (peer, stream) = Peer::start(&format!("S: * OK ready\n{script}"));
    let (session, greeting) = Session::greet(Box::new(stream), &setup())
        .await
        .expect("a greeting");
    assert!(matches!(greeting, Greeting::Ok { .. }));
    (peer, session)
}

/// A greeted session with a folder of `exists` messages open for writing (P1 and P2 are used up).
pub(super) async fn selected(exists: u32, script: &str) -> (Peer, Session) {
    let opening = format!(
        "C: P1 CAPABILITY
         S: * CAPABILITY IMAP4rev1 IDLE UIDPLUS
         S: P1 OK done
         C: P2 SELECT INBOX
         S: * {exists} EXISTS
         S: * OK [UIDVALIDITY 7] UIDs valid
         S: P2 OK [READ-WRITE] opened
         {script}"
    );
    let (peer, mut session) = greeted(&opening).await;
    session.capabilities().await.expect("capabilities");
    session
        .select("INBOX", super::super::Access::ReadWrite)
        .await
        .expect("a folder");
    (peer, session)
}

/// The error as text, for comparing.
pub(super) fn told<T: std::fmt::Debug>(result: Result<T, ImapError>) -> String {
    result.expect_err("an error").to_string()
}
