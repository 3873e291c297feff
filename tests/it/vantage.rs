//! Canaries decide between "the platform failed" and "not tested"; `doctor` says whether the vantage is fit.

use std::net::SocketAddr;

use postrider::clock;
use postrider::demo::platform::misbehaviour::{Connection, Faults, Misbehaviour, NameFault};
use postrider::demo::platform::topology::FILTER2_PRIMARY;
use postrider::result::StatusWord;
use tokio::net::{TcpListener, UdpSocket};

use crate::support::{Lab, line};

/// An address of this machine where nobody listens.
async fn closed() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

fn tcp(to: SocketAddr) -> String {
    format!(
        "  - tcp: {{ host: {}, port: {}, family: ipv4 }}\n",
        to.ip(),
        to.port()
    )
}

fn smtp(to: SocketAddr) -> String {
    format!(
        "  - smtp: {{ host: {}, port: {}, family: ipv4 }}\n",
        to.ip(),
        to.port()
    )
}

#[tokio::test]
async fn row_21_a_dead_vantage_is_not_the_platforms_failure() {
    let [refusing, ..] = Lab::addresses();
    let mut lab = Lab::with_server(Misbehaviour {
        connection: Connection::Refuse,
        ..Misbehaviour::default()
    })
    .await;
    let alive = SocketAddr::new(FILTER2_PRIMARY, lab.platform.smtp_port());
    let dead = closed().await;
    let port = lab.platform.smtp_port();
    let refused = format!("connect-refused: {refusing} port {port} refused the connection");
    let step = Lab::deliver("refused", refusing, "tls: none");
    let canary = |kind: &str| {
        format!(
            "the canary fails as well ({kind} 127.0.0.1 port {dead} over IPv4: connect-refused: 127.0.0.1 port {dead} refused the connection); this check said {refused}",
            dead = dead.port()
        )
    };
    let cases = [
        (String::new(), StatusWord::Fail, refused.clone()),
        (tcp(alive) + &smtp(alive), StatusWord::Fail, refused.clone()),
        // One of two canaries may be dead by itself.
        (tcp(dead) + &tcp(alive), StatusWord::Fail, refused.clone()),
        (
            tcp(dead),
            StatusWord::Error,
            format!("vantage-offline: {}", canary("tcp")),
        ),
        (
            tcp(alive) + &smtp(dead),
            StatusWord::Error,
            format!("vantage-port25-blocked: {}", canary("smtp")),
        ),
    ];
    for (canaries, status, reason) in cases {
        lab.more = match canaries.is_empty() {
            true => String::new(),
            false => format!("canaries:\n{canaries}"),
        };
        let ran = lab.run(&step).end().await;
        let check = ran.check("refused");
        assert_eq!((check.status, line(&check)), (status, reason), "{canaries}");
        assert_eq!(ran.code, if status == StatusWord::Fail { 1 } else { 3 });
    }
}

#[tokio::test]
async fn a_canary_says_nothing_about_a_family_that_it_does_not_have() {
    let mut setup = Lab::setup();
    setup
        .records
        .push("v4only.example.test. IN A 127.0.0.1".to_owned());
    setup
        .records
        .push("six.example.test. IN MX 10 mx.six.example.test.".to_owned());
    setup
        .records
        .push("mx.six.example.test. IN AAAA ::1".to_owned());
    let mut lab = Lab::from_setup(setup).await;
    let alive = SocketAddr::new(FILTER2_PRIMARY, lab.platform.smtp_port());
    let dead = closed().await;
    let step = format!(
        "  - id: refused
    for_each: {{ mx_of: six.example.test }}
    deliver: {{ to_address: \"${{item.address}}\", port: {}, tls: none }}
",
        dead.port()
    );
    for host in ["v4only.example.test", "127.0.0.1"] {
        let port = dead.port();
        lab.more = format!(
            "canaries:\n  - tcp: {{ host: {host}, port: {port} }}\n{}",
            tcp(alive)
        );
        let check = lab.run(&step).end().await.check("refused");
        assert_eq!(check.status, StatusWord::Fail, "{check:?}");
        assert!(line(&check).starts_with("connect-refused: ::1 port "));
    }
    lab.more = "canaries:\n  - tcp: { host: 127.0.0.1, port: 1, family: ipv6 }\n".to_owned();
    let ran = lab.run(&step).end().await;
    assert_eq!(ran.code, 2, "{}", ran.stderr);
    assert!(
        ran.stderr
            .contains("127.0.0.1 is no address of the other family")
    );
}

#[tokio::test]
async fn a_dead_resolver_is_not_the_platforms_failure() {
    let mut lab = Lab::with(Faults {
        names: [
            ("example.test".to_owned(), NameFault::ServFail),
            ("canary.test".to_owned(), NameFault::ServFail),
        ]
        .into(),
        ..Faults::default()
    })
    .await;
    let step = "  - id: names\n    dns: { query: example.test, type: MX }\n";
    let server = lab.platform.dns_addr();
    let server = format!("{} port {}", server.ip(), server.port());
    let said = format!("dns-servfail: {server} answered SERVFAIL for example.test MX");
    let check = lab.run(step).end().await.check("names");
    assert_eq!(
        (check.status, line(&check)),
        (StatusWord::Fail, said.clone())
    );

    lab.more = "canaries:\n  - dns: { query: canary.test, type: SOA }\n".to_owned();
    let check = lab.run(step).end().await.check("names");
    assert_eq!(check.status, StatusWord::Error);
    assert_eq!(
        line(&check),
        format!(
            "vantage-dns: the canary fails as well (dns canary.test SOA: dns-servfail: {server} answered SERVFAIL for canary.test SOA); this check said {said}"
        )
    );
}

/// A time server whose clock is so many seconds ahead; answers until it is dropped.
async fn time_server(ahead: i64) -> (SocketAddr, tokio::task::JoinHandle<()>) {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let address = socket.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let mut query = [0_u8; 100];
        while let Ok((length, from)) = socket.recv_from(&mut query).await {
            assert_eq!(length, 48);
            let now = clock::now();
            let seconds = u64::try_from(now.as_second() + ahead + 2_208_988_800).unwrap();
            let fraction =
                (u64::from(now.subsec_nanosecond().unsigned_abs()) << 32) / 1_000_000_000;
            let time = (seconds << 32 | fraction).to_be_bytes();
            let mut answer = [0_u8; 48];
            answer[0] = 0b00_100_100;
            answer[1] = 1;
            answer[24..32].copy_from_slice(&query[40..48]);
            answer[32..40].copy_from_slice(&time);
            answer[40..48].copy_from_slice(&time);
            let _ = socket.send_to(&answer, from).await;
        }
    });
    (address, serving)
}

#[tokio::test]
async fn doctor_says_whether_the_vantage_is_fit() {
    let mut lab = Lab::start().await;
    let alive = SocketAddr::new(FILTER2_PRIMARY, lab.platform.smtp_port());
    let dead = closed().await;
    let (right, _serving) = time_server(0).await;
    let (wrong, _serving) = time_server(3600).await;
    let ntp = |server: SocketAddr| {
        format!(
            "  - ntp: {{ host: {}, port: {} }}\n",
            server.ip(),
            server.port()
        )
    };
    let step = "  - id: names\n    dns: { query: example.test, type: MX }\n";

    lab.more = format!("canaries:\n{}{}{}", tcp(alive), smtp(alive), ntp(right));
    let ran = lab.program(step).args(["doctor"]).end().await;
    assert_eq!(ran.code, 0, "{}\n{}", ran.stdout, ran.stderr);
    for text in [
        "✓ dns      127.0.0.1 answers for example.test in ",
        "✓ ipv4     packets leave from ",
        &format!(
            "✓ network  tcp {FILTER2_PRIMARY} port {} over IPv4: ",
            alive.port()
        ),
        &format!(
            "✓ port 25  smtp {FILTER2_PRIMARY} port {} over IPv4: 220 ",
            alive.port()
        ),
        &format!("✓ clock    ntp {}: ", right.ip()),
        "✓ store    state can be read and written",
    ] {
        assert!(ran.stdout.contains(text), "{text}\n{}", ran.stdout);
    }

    lab.more = format!("canaries:\n{}{}", smtp(dead), ntp(wrong));
    let ran = lab.program(step).args(["doctor"]).end().await;
    assert_eq!(ran.code, 3, "{}{}", ran.stdout, ran.stderr);
    for text in [
        "? port 25  connect-refused: smtp 127.0.0.1 port ",
        &format!(
            "? clock    clock-skew: ntp {}: this clock is 3600.0 s behind ",
            wrong.ip()
        ),
        "– network  not examined: add an `tcp` entry to `canaries`",
        "this vantage is not fit: 2 faults",
    ] {
        assert!(ran.stdout.contains(text), "{text}\n{}", ran.stdout);
    }

    let ran = lab
        .program(step)
        .args(["doctor", "--format", "json"])
        .end()
        .await;
    let signs = ran.json()["signs"].as_array().unwrap().clone();
    let clock = signs
        .iter()
        .find(|sign| sign["subject"] == "clock")
        .unwrap();
    assert_eq!(
        (clock["status"].as_str(), clock["reason"].as_str()),
        (Some("error"), Some("clock-skew"))
    );
}
