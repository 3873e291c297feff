//! Mail through the nodes into the folders.

use tokio::time::Instant;

use super::*;
use crate::demo::platform::topology::{FILTER1, FILTER2, FILTER2_PRIMARY, Role};
use crate::demo::platform::{message, misbehaviour};

const MAIL: &str = "From: probe@outside.test\r\nMessage-ID: <a1@outside.test>\r\n\
                    Postrider-Tag: v1; id=a1;\r\n mac=00\r\nSubject: hello\r\n\r\n..dot\r\nbody";

#[tokio::test]
async fn mail_sent_to_an_address_reaches_the_inbox_with_its_trace() {
    let platform = platform().await;
    let mut client = Client::smtp(&platform, FILTER2_PRIMARY).await;
    assert_eq!(client.reply().await, "220 filter2.cluster.test ESMTP");
    let hello = client.ask("EHLO probe.outside.test").await;
    for keyword in [
        "PIPELINING",
        "SIZE 10485760",
        "STARTTLS",
        "8BITMIME",
        "ENHANCEDSTATUSCODES",
    ] {
        assert!(hello.contains(keyword), "{keyword} in {hello}");
    }
    let accepted = client.deliver(MAIL).await;
    let id = accepted.strip_prefix("250 2.0.0 Ok: queued as ").unwrap();
    assert!(client.ask("QUIT").await.starts_with("221 2.0.0"));
    assert_eq!(client.line().await, None);

    let noted = platform.accepted().remove(0);
    assert_eq!((noted.address, noted.node), (FILTER2_PRIMARY, FILTER2));
    assert_eq!(noted.queue_id, id);
    assert_eq!(noted.tag.as_deref(), Some("v1; id=a1; mac=00"));
    assert_eq!(noted.message_id.as_deref(), Some("a1@outside.test"));
    assert!(noted.raw.ends_with(b"\r\n\r\n.dot\r\nbody\r\n"));

    let stored = until(|| platform.mailbox("INBOX").pop()).await;
    let received: Vec<String> = message::values(&stored.raw, "Received").collect();
    assert_eq!(received.len(), 2);
    assert!(
        received[0].starts_with("from filter2.cluster.test"),
        "{received:?}"
    );
    assert!(
        received[0].contains("by store1.cluster.test with LMTP id"),
        "{received:?}"
    );
    assert!(received[1].starts_with("from probe.outside.test (unknown [127.0.0.1])"));
    assert!(
        received[1].contains(&format!("with ESMTP id {id}")),
        "{received:?}"
    );
    let results = message::value(&stored.raw, "Authentication-Results").unwrap();
    assert!(
        results.starts_with("filter2.cluster.test;\tspf=pass"),
        "{results}"
    );
    assert!(stored.raw.ends_with(&noted.raw));

    let counters = platform.smtp_counters(FILTER2_PRIMARY);
    assert_eq!(
        (counters.connections, counters.data_commands, counters.quits),
        (1, 1, 1)
    );
    assert_eq!((counters.most_open, counters.unknown), (1, 0));
}

#[tokio::test]
async fn five_addresses_are_two_nodes() {
    let platform = platform().await;
    let of = |node: &str, role: Role| {
        let addresses = platform.addresses().iter();
        addresses
            .filter(|a| a.node == node && a.role == role && a.ip.is_ipv4())
            .count()
    };
    for node in [FILTER1, FILTER2] {
        assert_eq!((of(node, Role::Primary), of(node, Role::Fallback)), (1, 1));
    }
    for address in platform.addresses() {
        let mut client = Client::smtp(&platform, address.ip).await;
        assert!(client.reply().await.contains(address.node));
    }
}

#[tokio::test]
async fn only_the_recipient_is_taken() {
    let platform = platform().await;
    let mut client = Client::smtp(&platform, FILTER1_PRIMARY).await;
    client.reply().await;
    let cases = [
        ("MAIL FROM:<a@outside.test>", "503 5.5.1"),
        ("EHLO me", "250-"),
        ("RCPT TO:<alice@example.test>", "503 5.5.1"),
        ("MAIL FROM:<a@outside.test> SIZE=20000000", "552 5.3.4"),
        ("MAIL FROM:<> SIZE=2000 BODY=8BITMIME", "250 2.1.0"),
        ("MAIL FROM:<a@outside.test>", "503 5.5.1"),
        ("DATA", "503 5.5.1"),
        ("RCPT TO:<nobody@example.test>", "550 5.1.1"),
        (
            "RCPT TO:<x@elsewhere.test>",
            "550 5.7.1 <x@elsewhere.test>: Relay access denied",
        ),
        ("RCPT TO:<Alice@Example.Test>", "250 2.1.5"),
        ("RSET", "250 2.0.0"),
        ("NOOP", "250 2.0.0"),
        ("VRFY alice", "502 5.5.1"),
        ("XYZZY", "500 5.5.2"),
        ("QUIT", "221 2.0.0"),
    ];
    for (command, reply) in cases {
        let got = client.ask(command).await;
        assert!(got.starts_with(reply), "{command}: {got}");
    }
}

#[tokio::test]
async fn pipelined_session_gets_every_reply_and_an_empty_mail_is_a_mail() {
    let platform = platform().await;
    let mut client = Client::smtp(&platform, FILTER1_PRIMARY).await;
    client.reply().await;
    client.ask("EHLO me").await;
    client
        .send("MAIL FROM:<>\r\nRCPT TO:<alice@example.test>\r\nDATA\r\n")
        .await;
    for code in ["250", "250", "354"] {
        assert!(client.reply().await.starts_with(code));
    }
    client.send(".\r\nQUIT\r\n").await;
    assert!(client.reply().await.starts_with("250 2.0.0 Ok: queued as"));
    assert!(client.reply().await.starts_with("221"));
    assert_eq!(until(|| platform.accepted().pop()).await.raw.len(), 0);
}

#[tokio::test]
async fn oversized_mail_is_refused_and_the_session_goes_on() {
    let platform = platform().await;
    let mut client = Client::smtp(&platform, FILTER1_PRIMARY).await;
    client.reply().await;
    client.ask("EHLO me").await;
    let large = "x".repeat(70).repeat(200_000);
    assert!(client.deliver(&large).await.starts_with("552 5.3.4"));
    assert!(client.deliver("small").await.starts_with("250"));
    assert!(platform.accepted().len() == 1);
}

#[tokio::test]
async fn full_storage_is_a_temporary_refusal() {
    let mut setup = setup();
    setup.storage_limit = 3000;
    let platform = Platform::start(setup).await.unwrap();
    let mut client = Client::smtp(&platform, FILTER1_PRIMARY).await;
    client.reply().await;
    client.ask("EHLO me").await;
    assert!(client.deliver("first").await.starts_with("250"));
    assert!(client.deliver("second").await.starts_with("452 4.3.1"));
}

#[tokio::test]
async fn connections_beyond_the_limit_are_turned_away() {
    let mut setup = setup();
    setup.connections_per_address = 2;
    let platform = Platform::start(setup).await.unwrap();
    let mut first = Client::smtp(&platform, FILTER1_PRIMARY).await;
    let mut second = Client::smtp(&platform, FILTER1_PRIMARY).await;
    assert!(first.reply().await.starts_with("220"));
    assert!(second.reply().await.starts_with("220"));
    let mut third = Client::smtp(&platform, FILTER1_PRIMARY).await;
    assert!(third.reply().await.starts_with("421 4.7.0"));
    assert_eq!(platform.smtp_counters(FILTER1_PRIMARY).turned_away, 1);
}

#[tokio::test]
async fn held_mail_shows_its_hop_in_received() {
    let mut setup = setup();
    setup
        .faults
        .hold
        .insert(FILTER2.into(), misbehaviour::PLANTED_HOLD);
    let platform = Platform::start(setup).await.unwrap();
    let mut client = Client::smtp(&platform, FILTER2_PRIMARY).await;
    client.reply().await;
    client.ask("EHLO me").await;
    let began = Instant::now();
    client.deliver(MAIL).await;
    let stored = until(|| platform.mailbox("INBOX").pop()).await;
    assert!(began.elapsed() >= misbehaviour::PLANTED_HOLD);
    let seconds: Vec<i64> = message::values(&stored.raw, "Received")
        .map(|field| {
            let (_, date) = field.rsplit_once("; ").unwrap();
            jiff::fmt::rfc2822::parse(date)
                .unwrap()
                .timestamp()
                .as_second()
        })
        .collect();
    assert!(seconds[0] - seconds[1] >= 2, "{seconds:?}");

    platform.set_hold(FILTER2, Duration::ZERO);
    client.deliver(MAIL).await;
    until(|| (platform.mailbox("INBOX").len() == 2).then_some(())).await;
}
