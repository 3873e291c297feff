//! Scripted misbehaviour of the IMAP server.

use tokio::time::Instant;

use super::*;
use crate::demo::platform::misbehaviour::{FetchFault, Greeting, Idle, ImapMisbehaviour};

const QUICK: Duration = Duration::from_millis(50);

async fn platform_with(imap: ImapMisbehaviour) -> Platform {
    let mut setup = setup();
    setup.faults.imap = imap;
    let platform = Platform::start(setup).await.unwrap();
    platform.put_foreign(b"Subject: first\r\n\r\nbody\r\n");
    platform
}

#[tokio::test]
async fn greeting_can_be_bye_or_none() {
    let platform = platform_with(ImapMisbehaviour {
        greeting: Greeting::Bye,
        ..ImapMisbehaviour::default()
    })
    .await;
    let addr = platform.imap_addr();
    let mut client = Client::connect(addr.ip(), addr.port()).await;
    assert!(client.line().await.unwrap().starts_with("* BYE"));
    assert_eq!(client.line().await, None);
    let silent = ImapMisbehaviour {
        greeting: Greeting::Silence,
        ..ImapMisbehaviour::default()
    };
    platform.set_imap_misbehaviour(silent).unwrap();
    let mut client = Client::connect(addr.ip(), addr.port()).await;
    assert!(client.is_silent_for(QUICK).await);
}

#[tokio::test]
async fn login_can_be_refused_or_disabled_in_clear() {
    let platform = platform_with(ImapMisbehaviour {
        refuse_login: true,
        ..ImapMisbehaviour::default()
    })
    .await;
    let login = format!("LOGIN alice {}", platform.password());
    let mut client = imap(&platform).await;
    assert_eq!(client.command(&login).await, "a NO Authentication failed");
    let disabled = ImapMisbehaviour {
        login_disabled_in_clear: true,
        ..ImapMisbehaviour::default()
    };
    platform.set_imap_misbehaviour(disabled).unwrap();
    let mut client = imap(&platform).await;
    assert!(client.command("CAPABILITY").await.contains("LOGINDISABLED"));
    assert_eq!(
        client.command(&login).await,
        "a NO Login is disabled without TLS"
    );
    assert_eq!(platform.imap_login_count(), 0);
}

#[tokio::test]
async fn idle_can_be_missing_refused_mute_or_late() {
    let idle = |idle| ImapMisbehaviour {
        idle,
        ..ImapMisbehaviour::default()
    };
    let platform = platform_with(idle(Idle::NotOffered)).await;
    let mut client = inbox(&platform).await;
    assert!(!client.command("CAPABILITY").await.contains("IDLE"));
    assert!(client.command("IDLE").await.starts_with("a BAD"));
    platform.set_imap_misbehaviour(idle(Idle::Refused)).unwrap();
    assert!(client.command("CAPABILITY").await.contains(" IDLE "));
    assert!(client.command("IDLE").await.starts_with("a NO"));
    assert!(client.command("NOOP").await.starts_with("a OK"));

    platform.set_imap_misbehaviour(idle(Idle::Mute)).unwrap();
    client.send("a IDLE\r\n").await;
    client.line().await;
    platform.put_foreign(b"x\r\n");
    assert!(client.is_silent_for(QUICK).await);
    client.send("DONE\r\n").await;
    assert_eq!(client.tagged().await, "a OK IDLE completed");
    assert_eq!(
        client.command("NOOP").await,
        "* 2 EXISTS|a OK NOOP completed"
    );

    let late = ImapMisbehaviour {
        push_delay: Some(QUICK),
        ..ImapMisbehaviour::default()
    };
    platform.set_imap_misbehaviour(late).unwrap();
    client.send("a IDLE\r\n").await;
    client.line().await;
    let began = Instant::now();
    platform.put_foreign(b"x\r\n");
    assert_eq!(client.line().await.as_deref(), Some("* 3 EXISTS"));
    assert!(began.elapsed() >= QUICK);
}

#[tokio::test]
async fn connection_can_be_cut_after_a_while_or_during_idle() {
    let platform = platform_with(ImapMisbehaviour {
        close_in_idle_after: Some(QUICK),
        ..ImapMisbehaviour::default()
    })
    .await;
    let mut client = inbox(&platform).await;
    client.send("a IDLE\r\n").await;
    assert_eq!(client.line().await.as_deref(), Some("+ idling"));
    assert_eq!(client.line().await, None);
    let cut = ImapMisbehaviour {
        close_after: Some(QUICK),
        ..ImapMisbehaviour::default()
    };
    platform.set_imap_misbehaviour(cut).unwrap();
    let mut client = imap(&platform).await;
    assert_eq!(client.line().await, None);
    until(|| (platform.imap_counters().open == 0).then_some(())).await;
}

#[tokio::test]
async fn scripted_command_is_never_answered() {
    let platform = platform_with(ImapMisbehaviour {
        hang_at: Some("UID SEARCH".into()),
        ..ImapMisbehaviour::default()
    })
    .await;
    let mut client = inbox(&platform).await;
    client.send("a UID SEARCH ALL\r\n").await;
    assert!(client.is_silent_for(QUICK).await);
}

#[tokio::test]
async fn huge_literal_is_announced_and_does_not_come() {
    let platform = platform_with(ImapMisbehaviour {
        fetch: FetchFault::HugeLiteral,
        ..ImapMisbehaviour::default()
    })
    .await;
    let mut client = inbox(&platform).await;
    let flags = client.command("UID FETCH 1:* (FLAGS)").await;
    assert!(
        flags.ends_with("a OK FETCH completed"),
        "attributes are served: {flags}"
    );
    client
        .send("a UID FETCH 1:* (FLAGS BODY.PEEK[HEADER])\r\n")
        .await;
    let announced = client.line().await.unwrap();
    assert_eq!(announced, "* 1 FETCH (UID 1 BODY[HEADER] {4294967295}");
    assert_eq!(client.line().await.as_deref(), Some("Subject: first"));
}

#[tokio::test]
async fn endless_literal_keeps_coming() {
    let platform = platform_with(ImapMisbehaviour {
        fetch: FetchFault::EndlessLiteral,
        ..ImapMisbehaviour::default()
    })
    .await;
    let mut client = inbox(&platform).await;
    client.send("a UID FETCH 1 BODY.PEEK[]\r\n").await;
    let mut content = vec![0; 4 << 20];
    client.stream.read_exact(&mut content).await.unwrap();
    assert!(content.ends_with(b"xxxx"));
}

#[tokio::test]
async fn another_uidvalidity_ends_sessions_and_renumbers() {
    let platform = platform_with(ImapMisbehaviour::default()).await;
    let mut idling = inbox(&platform).await;
    idling.send("a IDLE\r\n").await;
    idling.line().await;
    let mut polling = inbox(&platform).await;
    polling.command("UID STORE 1 +FLAGS (\\Deleted)").await;
    platform.put_foreign(b"x\r\n");
    assert_eq!(idling.line().await.as_deref(), Some("* 2 EXISTS"));
    polling.command("EXPUNGE").await;
    assert_eq!(idling.line().await.as_deref(), Some("* 1 EXPUNGE"));

    let validity = platform.change_uid_validity("INBOX").unwrap();
    assert!(idling.line().await.unwrap().starts_with("* BYE"));
    assert!(polling.command("NOOP").await.starts_with("* BYE"));
    let mut client = inbox(&platform).await;
    let selected = client.command("SELECT INBOX").await;
    assert!(
        selected.contains(&format!("[UIDVALIDITY {validity}]")),
        "{selected}"
    );
    assert_eq!(
        client.command("UID SEARCH ALL").await,
        "* SEARCH 1|a OK SEARCH completed"
    );
}
