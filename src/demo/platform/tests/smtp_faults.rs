//! Scripted misbehaviour of an SMTP address.

use std::io::ErrorKind;
use tokio::time::Instant;

use super::*;
use crate::demo::platform::misbehaviour::{Answer, Connection, Delivery, Point};
use crate::demo::platform::topology::{FILTER1_FALLBACK, FILTER2_FALLBACK};

const QUICK: Duration = Duration::from_millis(50);

async fn session(platform: &Platform) -> Client<TcpStream> {
    let mut client = Client::smtp(platform, FILTER1_PRIMARY).await;
    client.reply().await;
    client.ask("EHLO me").await;
    client
}

#[tokio::test]
async fn address_can_be_refused_filtered_reset_and_opened_again() {
    let platform = platform_with(Misbehaviour::refuse()).await;
    let to = (FILTER1_PRIMARY, platform.smtp_port());
    let set = async |connection: Connection| {
        let misbehaviour = Misbehaviour {
            connection,
            ..Misbehaviour::default()
        };
        platform
            .set_misbehaviour(FILTER1_PRIMARY, misbehaviour)
            .await
            .unwrap();
    };
    let refused = async || TcpStream::connect(to).await.map(|_| ()).unwrap_err().kind();
    assert_eq!(refused().await, ErrorKind::ConnectionRefused);

    set(Connection::Accept).await;
    let mut client = Client::smtp(&platform, FILTER1_PRIMARY).await;
    assert!(client.reply().await.starts_with("220"));

    set(Connection::Filter).await;
    let connect = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(to));
    assert!(connect.await.is_err(), "the SYN was dropped");
    assert!(
        client.ask("NOOP").await.starts_with("250"),
        "an old session goes on"
    );

    set(Connection::Reset).await;
    let mut reset = Client::smtp(&platform, FILTER1_PRIMARY).await;
    let mut byte = [0; 1];
    let error = reset.stream.read(&mut byte).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);

    set(Connection::Refuse).await;
    assert_eq!(refused().await, ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn fault_at_an_address_that_does_not_exist_is_an_error() {
    let problem = "127.0.99.1 is no SMTP address of the platform";
    let nobody: IpAddr = "127.0.99.1".parse().unwrap();
    let platform = platform().await;
    let changed = platform.set_misbehaviour(nobody, Misbehaviour::refuse());
    assert_eq!(changed.await.unwrap_err().to_string(), problem);
    let mut faults = Faults::default();
    faults.smtp.insert(nobody, Misbehaviour::refuse());
    let started = Platform::start(setup().with_faults(faults));
    assert_eq!(started.await.unwrap_err().to_string(), problem);
}

#[tokio::test]
async fn banner_can_be_missing_late_refusing_or_temporary() {
    let platform = platform_with(Misbehaviour::answer(Point::Banner, Answer::Silence)).await;
    let mut client = Client::smtp(&platform, FILTER1_PRIMARY).await;
    assert!(client.is_silent_for(QUICK).await);

    let set = async |misbehaviour| {
        platform
            .set_misbehaviour(FILTER1_PRIMARY, misbehaviour)
            .await
            .unwrap();
        Client::smtp(&platform, FILTER1_PRIMARY).await
    };
    let began = Instant::now();
    let mut client = set(Misbehaviour::answer(Point::Banner, Answer::Late(QUICK))).await;
    assert!(client.reply().await.starts_with("220"));
    assert!(began.elapsed() >= QUICK);

    let mut client = set(Misbehaviour::reply(Point::Banner, "554 5.3.2 No")).await;
    assert_eq!(client.reply().await, "554 5.3.2 No");
    assert!(client.ask("EHLO me").await.starts_with("503"));
    assert!(client.ask("QUIT").await.starts_with("221"));

    let mut client = set(Misbehaviour::reply(Point::Banner, "421 4.3.2 Later")).await;
    assert_eq!(client.reply().await, "421 4.3.2 Later");
    assert_eq!(client.line().await, None);
}

#[tokio::test]
async fn refusal_at_each_point_is_the_scripted_one_and_nothing_is_accepted() {
    let platform = platform().await;
    for (point, command) in [
        (Point::Ehlo, "EHLO me"),
        (Point::Helo, "HELO me"),
        (Point::StartTls, "STARTTLS"),
        (Point::Mail, "MAIL FROM:<>"),
        (Point::Rcpt, "RCPT TO:<alice@example.test>"),
        (Point::Data, "DATA"),
        (Point::Dot, "x\r\n."),
    ] {
        for reply in ["451 4.3.0 Try later", "554 5.7.1 Never"] {
            let misbehaviour = Misbehaviour::reply(point, reply);
            platform
                .set_misbehaviour(FILTER1_PRIMARY, misbehaviour)
                .await
                .unwrap();
            let mut client = session(&platform).await;
            for step in [
                "MAIL FROM:<>",
                "RCPT TO:<alice@example.test>",
                "DATA",
                "x\r\n.",
            ] {
                if step == command {
                    break;
                }
                if matches!(point, Point::Ehlo | Point::Helo | Point::StartTls) {
                    break;
                }
                client.ask(step).await;
            }
            assert_eq!(client.ask(command).await, reply, "{point:?}");
        }
    }
    assert!(platform.accepted().is_empty());
}

#[tokio::test]
async fn helo_serves_where_ehlo_is_refused() {
    let platform = platform_with(Misbehaviour::reply(Point::Ehlo, "502 5.5.1 No EHLO")).await;
    let mut client = Client::smtp(&platform, FILTER1_PRIMARY).await;
    client.reply().await;
    assert_eq!(client.ask("EHLO me").await, "502 5.5.1 No EHLO");
    assert_eq!(client.ask("HELO me").await, "250 filter1.cluster.test");
    assert!(client.deliver("x").await.starts_with("250"));
}

#[tokio::test]
async fn lost_reply_to_the_dot_leaves_the_mail_delivered_or_not_as_told() {
    let platform = platform().await;
    let mut expected = 0;
    for answer in [
        Answer::Close,
        Answer::Silence,
        Answer::Reset,
        Answer::Garbage,
    ] {
        for delivered in [false, true] {
            let mut misbehaviour = Misbehaviour::answer(Point::Dot, answer.clone());
            if delivered {
                misbehaviour = misbehaviour.and_deliver();
                expected += 1;
            }
            platform
                .set_misbehaviour(FILTER1_PRIMARY, misbehaviour)
                .await
                .unwrap();
            let mut client = session(&platform).await;
            for step in ["MAIL FROM:<>", "RCPT TO:<alice@example.test>", "DATA"] {
                client.ask(step).await;
            }
            client.send("x\r\n.\r\n").await;
            match answer {
                Answer::Silence => assert!(client.is_silent_for(QUICK).await),
                Answer::Garbage => assert!(!client.line().await.unwrap().starts_with("250")),
                _ => assert_eq!(client.line().await, None),
            }
            until(|| (platform.deliveries().len() == expected).then_some(())).await;
            assert_eq!(platform.accepted().len(), expected);
        }
    }
}

#[tokio::test]
async fn connection_can_break_before_the_dot() {
    let platform = platform_with(Misbehaviour::answer(Point::Content, Answer::Close)).await;
    let mut client = session(&platform).await;
    for step in ["MAIL FROM:<>", "RCPT TO:<alice@example.test>", "DATA"] {
        client.ask(step).await;
    }
    client.send("Subject: never comes to its end\r\n").await;
    assert_eq!(client.line().await, None);
    assert!(platform.accepted().is_empty());
}

#[tokio::test]
async fn endless_and_oversized_replies_keep_coming() {
    for answer in [Answer::EndlessLines, Answer::OversizedLine] {
        let platform = platform_with(Misbehaviour::answer(Point::Ehlo, answer)).await;
        let mut client = Client::smtp(&platform, FILTER1_PRIMARY).await;
        client.reply().await;
        client.send("EHLO me\r\n").await;
        let mut received = vec![0; 4 << 20];
        client.stream.read_exact(&mut received).await.unwrap();
        assert!(received.starts_with(b"250-"));
    }
}

#[tokio::test]
async fn truncated_and_trickled_replies() {
    let platform = platform_with(Misbehaviour::answer(Point::Mail, Answer::Truncated)).await;
    let mut client = session(&platform).await;
    assert_eq!(client.ask("MAIL FROM:<>").await, "250 2.");
    assert_eq!(client.line().await, None);

    let trickle = Misbehaviour {
        trickle: Some(Duration::from_millis(2)),
        ..Misbehaviour::default()
    };
    platform
        .set_misbehaviour(FILTER1_PRIMARY, trickle)
        .await
        .unwrap();
    let began = Instant::now();
    let mut client = Client::smtp(&platform, FILTER1_PRIMARY).await;
    let banner = client.reply().await;
    assert_eq!(banner, "220 filter1.cluster.test ESMTP");
    assert!(began.elapsed() >= Duration::from_millis(2) * 30);
}

#[tokio::test]
async fn accepted_mail_can_be_doubled_lost_junked_or_altered() {
    let platform = platform().await;
    for (delivery, inbox, junk) in [
        (Delivery::Twice, 2, 0),
        (Delivery::Junk, 2, 1),
        (Delivery::Lost, 2, 1),
        (Delivery::Altered, 3, 1),
    ] {
        let misbehaviour = Misbehaviour::delivery(delivery);
        platform
            .set_misbehaviour(FILTER1_PRIMARY, misbehaviour)
            .await
            .unwrap();
        let accepted = session(&platform)
            .await
            .deliver("Subject: x\r\n\r\nbody")
            .await;
        assert!(
            accepted.starts_with("250 2.0.0 Ok: queued as"),
            "{accepted}"
        );
        let folders = || {
            (
                platform.mailbox("INBOX").len(),
                platform.mailbox("Junk").len(),
            )
        };
        until(|| (folders() == (inbox, junk)).then_some(())).await;
    }
    assert_eq!(platform.accepted().len(), 4);
    let altered = platform.mailbox("INBOX").pop().unwrap();
    assert!(
        altered
            .raw
            .ends_with(b"body\r\n-- \r\nThis line was added on the way.\r\n")
    );
}

#[tokio::test]
async fn planted_faults_leave_one_address_in_order() {
    let platform = Platform::start(setup().with_faults(Faults::planted()))
        .await
        .unwrap();
    let refused = TcpStream::connect((FILTER2_FALLBACK, platform.smtp_port())).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    for ip in [FILTER1_PRIMARY, FILTER1_FALLBACK] {
        let mut client = Client::smtp(&platform, ip).await;
        assert!(client.reply().await.starts_with("220 filter1"));
    }
}

#[tokio::test]
async fn dropped_platform_leaves_its_ports() {
    let platform = platform().await;
    let to = (FILTER1_PRIMARY, platform.smtp_port());
    let mut client = session(&platform).await;
    platform.shutdown().await;
    assert_eq!(client.line().await, None);
    let refused = TcpStream::connect(to).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}
