//! Opening sessions on scripted servers. What needs a certificate is tested where there is one, on the embedded
//! platform.

use std::collections::VecDeque;
use std::io::{ErrorKind, Write as _};
use std::sync::Mutex;

use tempfile::NamedTempFile;

use super::*;
use crate::account::{SecretSource, Trust};
use crate::dialogue::imap::tests::peer::Peer;
use crate::net::{Answer, AskError, BoxFuture, Record};

/// A network that gives what was laid out, in order, and writes down what it was asked.
#[derive(Debug, Default)]
pub(crate) struct Laid {
    streams: Mutex<VecDeque<std::io::Result<tokio::io::DuplexStream>>>,
    /// By type: the answer's code and addresses.
    names: Vec<(&'static str, &'static str, Vec<IpAddr>)>,
    pub(crate) log: Mutex<Vec<String>>,
}

impl Laid {
    /// The next connection leads to a server that follows the script.
    pub(crate) fn server(&self, script: &str) -> Peer {
        let (peer, stream) = Peer::start(script);
        self.streams.lock().unwrap().push_back(Ok(stream));
        peer
    }

    fn refuse(&self, kind: ErrorKind) {
        self.streams.lock().unwrap().push_back(Err(kind.into()));
    }

    fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

impl Net for Laid {
    fn connect(
        &self,
        to: SocketAddr,
        _: Option<IpAddr>,
    ) -> BoxFuture<'_, std::io::Result<BoxStream>> {
        self.log.lock().unwrap().push(format!("connect {to}"));
        let next = self.streams.lock().unwrap().pop_front();
        Box::pin(async {
            match next {
                Some(Ok(stream)) => Ok(Box::new(stream) as BoxStream),
                Some(Err(error)) => Err(error),
                None => std::future::pending().await,
            }
        })
    }

    fn ask(
        &self,
        server: Option<SocketAddr>,
        question: Question,
    ) -> BoxFuture<'_, Result<Answer, AskError>> {
        assert_eq!(server, None, "the configured resolver");
        self.log.lock().unwrap().push(format!("ask {question}"));
        let known = self
            .names
            .iter()
            .find(|(of, ..)| *of == question.record_type);
        let answer = known.map(|(_, rcode, addresses)| Answer {
            rcode: (*rcode).to_owned(),
            records: addresses
                .iter()
                .map(|address| Record {
                    name: question.name.clone(),
                    record_type: question.record_type.clone(),
                    ttl: 60,
                    data: RecordData::Address(*address),
                })
                .collect(),
            authoritative: false,
            server: ([127, 0, 0, 53], 53).into(),
            took: Duration::ZERO,
        });
        Box::pin(async { answer.ok_or(AskError::NoResolver) })
    }
}

/// A mailbox whose password is `secret`, and the file that it stands in.
pub(crate) fn account(server: &str, security: Security) -> (MailboxAccount, NamedTempFile) {
    let mut password = NamedTempFile::new().unwrap();
    password.write_all(b"secret\n").unwrap();
    let account = MailboxAccount {
        name: "alice".to_owned(),
        address: "alice@example.test".parse().unwrap(),
        imap: Some(ImapEndpoint {
            server: server.to_owned(),
            port: 1143,
            security,
            trust: Trust::default(),
        }),
        username: "alice".to_owned(),
        password: Some(SecretSource::File(password.path().to_owned())),
        takes_bounces: false,
    };
    (account, password)
}

const LOGIN: &str = "C: P1 CAPABILITY
     S: * CAPABILITY IMAP4rev1
     S: P1 OK done
     C: P2 LOGIN alice secret
     S: P2 OK welcome";

async fn opened(net: &Laid, account: &MailboxAccount) -> Result<Session, Failure> {
    let command = Duration::from_secs(10);
    open(net, account, command, &Transcript::new(), &()).await
}

async fn fails(net: &Laid, server: &str, security: Security) -> String {
    let (account, _password) = account(server, security);
    let failed = opened(net, &account).await;
    failed.expect_err("a failure").line()
}

#[tokio::test(start_paused = true)]
async fn each_address_is_tried_in_turn_and_there_is_one_login() {
    let net = Laid {
        names: vec![
            ("AAAA", "NOERROR", vec!["2001:db8::1".parse().unwrap()]),
            (
                "A",
                "NOERROR",
                vec!["192.0.2.1".parse().unwrap(), "192.0.2.2".parse().unwrap()],
            ),
        ],
        ..Laid::default()
    };
    net.refuse(ErrorKind::ConnectionRefused);
    net.refuse(ErrorKind::ConnectionReset);
    let peer = net.server(&format!(
        "S: * OK ready
{LOGIN}"
    ));
    let (account, _password) = account("mail.example.test", Security::None);
    let session = opened(&net, &account).await.unwrap();
    drop(session);
    peer.done().await;
    assert_eq!(
        net.log(),
        [
            "ask mail.example.test AAAA",
            "ask mail.example.test A",
            "connect [2001:db8::1]:1143",
            "connect 192.0.2.1:1143",
            "connect 192.0.2.2:1143",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_name_without_an_answer_is_a_failure_of_names() {
    for (six, four, reason) in [
        ("NXDOMAIN", "NXDOMAIN", "dns-nxdomain: "),
        ("SERVFAIL", "SERVFAIL", "dns-servfail: "),
        (
            "NOERROR",
            "NOERROR",
            "dns-nxdomain: mail.example.test has no address",
        ),
        ("NOERROR", "SERVFAIL", "dns-servfail: "),
    ] {
        let net = Laid {
            names: vec![("AAAA", six, Vec::new()), ("A", four, Vec::new())],
            ..Laid::default()
        };
        let line = fails(&net, "mail.example.test", Security::None).await;
        assert!(line.starts_with(reason), "{six} {four}: {line}");
    }
    let line = fails(&Laid::default(), "mail.example.test", Security::None).await;
    assert!(line.starts_with("vantage-dns: "), "{line}");
}

#[tokio::test(start_paused = true)]
async fn an_address_literal_and_localhost_are_not_asked_for() {
    for (server, first) in [
        ("127.0.0.9", "connect 127.0.0.9:1143"),
        ("[::1]", "connect [::1]:1143"),
        ("localhost", "connect [::1]:1143"),
    ] {
        let net = Laid::default();
        net.refuse(ErrorKind::ConnectionRefused);
        net.refuse(ErrorKind::ConnectionRefused);
        let line = fails(&net, server, Security::None).await;
        assert!(line.starts_with("connect-refused: "), "{line}");
        assert_eq!(net.log()[0], first);
    }
}

#[tokio::test(start_paused = true)]
async fn an_address_that_does_not_answer_is_given_up_in_time() {
    let net = Laid::default();
    let began = Instant::now();
    let line = fails(&net, "192.0.2.1", Security::None).await;
    assert_eq!(line, "connect-timeout: no answer on port 1143 within 10 s");
    assert_eq!(began.elapsed(), CONNECT_WITHIN);
}

#[tokio::test(start_paused = true)]
async fn a_bad_start_of_the_conversation_has_its_reason() {
    for (security, script, reason) in [
        (
            Security::None,
            "S: * BYE too busy",
            "imap-unavailable: the server greets with BYE: too busy",
        ),
        (Security::None, "close", "imap-unavailable: "),
        (
            Security::None,
            "S: 220 mail.example.test ESMTP",
            "imap-protocol: ",
        ),
        (
            Security::None,
            "S: * PREAUTH hello",
            "imap-protocol: the server greets with PREAUTH",
        ),
        (
            Security::None,
            "wait 60",
            "imap-unavailable: no complete answer to greeting within the time limit",
        ),
        (
            Security::None,
            "S: * OK [CAPABILITY IMAP4rev1 LOGINDISABLED] ready",
            "imap-login: the server allows no login with a password here",
        ),
        (
            Security::None,
            "S: * OK [CAPABILITY IMAP4rev1] ready\nC: P1 LOGIN alice secret\nS: P1 NO [AUTHENTICATIONFAILED] no",
            "imap-login: the login was refused: ",
        ),
        (
            Security::None,
            "S: * OK [CAPABILITY IMAP4rev1] ready\nC: P1 LOGIN alice secret\nS: P1 NO [UNAVAILABLE] later",
            "imap-unavailable: the login was refused: ",
        ),
        (
            Security::Starttls,
            "S: * PREAUTH hello",
            "tls-not-offered: the server greets with PREAUTH",
        ),
        (
            Security::Starttls,
            "S: * OK [CAPABILITY IMAP4rev1] ready",
            "tls-not-offered: the IMAP server does not offer STARTTLS",
        ),
        (
            Security::Starttls,
            "S: * OK [CAPABILITY IMAP4rev1 STARTTLS] ready\nC: P1 STARTTLS\nS: P1 NO not now",
            "tls-not-offered: the IMAP server refused STARTTLS: not now",
        ),
        (
            Security::Starttls,
            "S: * OK [CAPABILITY IMAP4rev1 STARTTLS] ready\nC: P1 STARTTLS\nS- P1 OK go\\r\\nP3 OK you are in\\r\\n",
            "tls-injection: ",
        ),
        (
            Security::Starttls,
            "S: * OK [CAPABILITY IMAP4rev1 STARTTLS] ready\nC: P1 STARTTLS\nS: P1 OK go\nwait 1\nS: no TLS at all",
            "tls-handshake: ",
        ),
        (Security::Implicit, "S: * OK ready", "tls-handshake: "),
        (
            Security::Implicit,
            "wait 60",
            "tls-handshake: the handshake did not end within 10 s",
        ),
    ] {
        let net = Laid::default();
        // Only what a script expects is ever sent: no password without TLS, and no second login.
        let peer = net.server(script);
        let line = fails(&net, "127.0.0.1", security).await;
        assert!(line.starts_with(reason), "{security:?} {script}: {line}");
        assert!(!line.contains("secret"), "{line}");
        drop(peer);
    }
}

#[tokio::test(start_paused = true)]
async fn a_secret_that_is_missing_keeps_us_from_connecting() {
    let net = Laid::default();
    let (mut account, password) = account("127.0.0.1", Security::None);
    std::fs::write(password.path(), "").unwrap();
    let failure = opened(&net, &account).await.unwrap_err();
    assert_eq!(failure.reason, Reason::SecretMissing);
    account.password = None;
    let failure = opened(&net, &account).await.unwrap_err();
    assert_eq!(failure.reason, Reason::CannotObserve);
    assert!(net.log().is_empty());
}

#[derive(Debug, Default)]
struct Watched(Mutex<Vec<(Phase, Duration)>>);

impl Observer for Watched {
    fn spent(&self, phase: Phase, time: Duration) {
        self.0.lock().unwrap().push((phase, time));
    }
    fn negotiated(&self, _: &TlsFacts) {}
}

#[tokio::test(start_paused = true)]
async fn phases_are_timed_in_success_and_in_failure() {
    let seconds = Duration::from_secs;
    for (script, last) in [
        (
            "wait 2\nS: * OK [CAPABILITY IMAP4rev1] ready\nC: P1 LOGIN alice secret\nwait 3\nS: P1 OK",
            3,
        ),
        (
            "wait 2\nS: * OK [CAPABILITY IMAP4rev1] ready\nC: P1 LOGIN alice secret\nwait 4\nS: P1 NO",
            4,
        ),
        ("wait 2\nS: * OK [CAPABILITY IMAP4rev1] ready\nwait 100", 10),
    ] {
        let net = Laid::default();
        let _peer = net.server(script);
        let (account, _password) = account("127.0.0.1", Security::None);
        let watched = Watched::default();
        let _ = open(&net, &account, seconds(10), &Transcript::new(), &watched).await;
        let phases = watched.0.into_inner().unwrap();
        assert_eq!(
            phases,
            [
                (Phase::Dns, Duration::ZERO),
                (Phase::Connect, Duration::ZERO),
                (Phase::ImapLogin, seconds(2)),
                (Phase::ImapLogin, seconds(last)),
            ]
        );
    }
}
