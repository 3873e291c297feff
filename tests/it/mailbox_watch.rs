//! The mailbox watches against the embedded platform: real sockets, real TLS, real time. What needs no socket is
//! tested beside the code, in virtual time.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use postrider::clock;
use postrider::demo::platform::misbehaviour::{
    CertificateKind, FetchFault, Greeting, Idle, ImapMisbehaviour,
};
use postrider::demo::platform::topology::IMAP_HOST;
use postrider::demo::platform::{Platform, Setup as PlatformSetup};
use postrider::ledger::recognise::Proof;
use postrider::mailbox::news::{Arrival, Interest, MessageKey, News, Wish};
use postrider::mailbox::{Setup, Watches};
use postrider_probes::account::{ImapEndpoint, MailboxAccount, SecretSource, Security, Trust};
use postrider_probes::net::SystemNet;
use postrider_probes::outcome::Failure;
use postrider_probes::post::Draft;
use postrider_probes::reason::Reason;
use postrider_wire::message::tag::{EntryId, Tag, TagKey};
use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, timeout};

const PATIENCE: Duration = Duration::from_secs(20);

struct Bench {
    platform: Platform,
    watches: Watches,
    news: mpsc::Receiver<News>,
    interest: watch::Sender<Interest>,
    _files: TempDir,
}

impl Bench {
    async fn new(security: Security, misbehaviour: ImapMisbehaviour) -> Self {
        let mut setup = PlatformSetup::new(clock::now());
        setup.faults.imap = misbehaviour;
        let platform = Platform::start(setup).await.unwrap();
        let files = TempDir::new().unwrap();
        let file = |name: &str, content: &str| {
            let path = files.path().join(name);
            let mut file = std::fs::File::create(&path).unwrap();
            file.write_all(content.as_bytes()).unwrap();
            path
        };
        let address = match security {
            Security::Implicit => platform.imaps_addr(),
            Security::Starttls | Security::None => platform.imap_addr(),
        };
        let account = MailboxAccount {
            name: "alice".to_owned(),
            address: platform.recipient().parse().unwrap(),
            imap: Some(ImapEndpoint {
                server: IMAP_HOST.to_owned(),
                port: address.port(),
                security,
                trust: Trust {
                    ca_file: Some(file("ca.pem", platform.ca_pem())),
                    ..Trust::default()
                },
            }),
            username: platform.username().to_owned(),
            password: Some(SecretSource::File(file("password", platform.password()))),
            takes_bounces: false,
        };
        let (told, news) = mpsc::channel(64);
        let interest = watch::Sender::new(Interest::default());
        let subscribed = interest.clone();
        let watches = Watches::start(Setup {
            net: Arc::new(SystemNet::new(Some(platform.dns_addr()), None)),
            accounts: BTreeMap::from([("alice".to_owned(), account)]),
            news: told,
            interest: move |_: &str| subscribed.subscribe(),
            positions: Vec::new(),
            now: clock::now,
            seed: 1,
        });
        watches.add("alice", "INBOX");
        Self {
            platform,
            watches,
            news,
            interest,
            _files: files,
        }
    }

    async fn ready(security: Security, misbehaviour: ImapMisbehaviour) -> Self {
        let bench = Self::new(security, misbehaviour).await;
        bench.watches.ready("alice").await.unwrap();
        bench
    }

    fn await_one(&self) {
        self.interest.send_modify(|interest| {
            interest.awaited = 1;
            interest.latest = Some(Instant::now());
        });
    }

    async fn until<T>(&mut self, mut pick: impl FnMut(News) -> Option<T>) -> T {
        let end = Instant::now() + PATIENCE;
        loop {
            let news = tokio::time::timeout_at(end, self.news.recv()).await;
            let news = news.expect("news in time").expect("a watch that is alive");
            if let Some(picked) = pick(news) {
                return picked;
            }
        }
    }

    async fn arrival(&mut self) -> Arrival {
        self.until(|news| match news {
            News::Arrived(arrival) => Some(*arrival),
            _ => None,
        })
        .await
    }

    async fn blind(&mut self) -> Failure {
        self.until(|news| match news {
            News::Blind {
                folder, failure, ..
            } if folder == "INBOX" => Some(failure),
            _ => None,
        })
        .await
    }
}

fn tagged(number: u64) -> Vec<u8> {
    let Draft {
        id,
        sender,
        recipient,
        message_id,
        ..
    } = draft(number);
    let tag = Tag::sign(&tag_key(), id, &sender, &recipient);
    format!("Subject: probe {number}\r\nMessage-ID: <{message_id}>\r\nPostrider-Tag: {tag}\r\n\r\nhello\r\n")
        .into_bytes()
}

fn tag_key() -> TagKey {
    TagKey::new(&[7; 32]).unwrap()
}

fn draft(number: u64) -> Draft {
    let id = EntryId::from_parts(1, number);
    Draft {
        id,
        retry_of: None,
        sender: "probe@outside.test".to_owned(),
        recipient: "alice@example.test".to_owned(),
        message_id: format!("{id}@outside.test"),
        route: String::new(),
        mailbox: Some("alice".to_owned()),
        bounces_to: None,
        mx: None,
        address: None,
        folder: "INBOX".to_owned(),
        within: PATIENCE,
    }
}

#[tokio::test]
async fn mail_is_seen_over_every_kind_of_connection() {
    for security in [Security::Implicit, Security::Starttls, Security::None] {
        let mut bench = Bench::ready(security, ImapMisbehaviour::default()).await;
        bench.await_one();
        let uid = bench.platform.put("INBOX", &tagged(1)).unwrap();
        let arrival = bench.arrival().await;
        assert_eq!(arrival.key.uid, uid, "{security:?}");
        let delivered = bench.platform.deliveries()[0].instant;
        let error = arrival.seen.saturating_duration_since(delivered);
        assert!(
            error < Duration::from_millis(250),
            "{security:?}: {error:?}"
        );
        bench.watches.shutdown().await;
        let counters = bench.platform.imap_counters();
        assert_eq!(counters.connections, 2, "{security:?}");
        assert_eq!(counters.commands.get("LOGOUT"), Some(&2), "{security:?}");
        assert_eq!(bench.platform.imap_changes(), []);
    }
}

#[tokio::test]
async fn junk_a_new_uidvalidity_and_idle_are_followed() {
    let mut bench = Bench::ready(Security::Implicit, ImapMisbehaviour::default()).await;
    bench.platform.put("Junk", &tagged(1)).unwrap();
    let arrival = bench.arrival().await;
    assert!(arrival.junk);
    assert_eq!(
        arrival.pushed,
        Some(arrival.seen),
        "nothing is awaited: IDLE saw it"
    );

    bench.platform.put("INBOX", &tagged(2)).unwrap();
    let first = bench.arrival().await.key;
    let changed = bench.platform.change_uid_validity("INBOX").unwrap();
    let again = bench.arrival().await.key;
    assert_ne!(first.uid_validity, changed);
    assert_eq!(again.uid_validity, changed);
}

#[tokio::test]
async fn mail_is_seen_though_idle_does_not_work() {
    for idle in [Idle::NotOffered, Idle::Refused, Idle::Mute] {
        let misbehaviour = ImapMisbehaviour {
            idle,
            ..ImapMisbehaviour::default()
        };
        let mut bench = Bench::ready(Security::None, misbehaviour).await;
        bench.await_one();
        bench.platform.put("INBOX", &tagged(1)).unwrap();
        let arrival = bench.arrival().await;
        assert_eq!(arrival.pushed, None, "{idle:?}");
    }
}

#[tokio::test]
async fn a_connection_that_is_cut_during_idle_is_made_anew() {
    let misbehaviour = ImapMisbehaviour {
        close_in_idle_after: Some(Duration::from_millis(100)),
        ..ImapMisbehaviour::default()
    };
    let mut bench = Bench::ready(Security::Implicit, misbehaviour).await;
    let failure = bench.blind().await;
    assert_eq!(failure.reason, Reason::ImapUnavailable);
    bench.platform.put("INBOX", &tagged(1)).unwrap();
    bench.arrival().await;
    assert!(bench.platform.imap_login_count() >= 3);
}

#[tokio::test]
async fn a_mailbox_that_cannot_be_opened_says_why() {
    let with = |change: fn(&mut ImapMisbehaviour)| {
        let mut misbehaviour = ImapMisbehaviour::default();
        change(&mut misbehaviour);
        misbehaviour
    };
    for (security, misbehaviour, reason) in [
        (
            Security::Implicit,
            with(|m| m.refuse_login = true),
            Reason::ImapLogin,
        ),
        (
            Security::Implicit,
            with(|m| m.certificate = CertificateKind::SelfSigned),
            Reason::TlsCertificate,
        ),
        (
            Security::Implicit,
            with(|m| m.certificate = CertificateKind::Expired),
            Reason::TlsCertificate,
        ),
        (
            Security::Starttls,
            with(|m| m.certificate = CertificateKind::OtherName("other.example.test".into())),
            Reason::TlsCertificate,
        ),
        (
            Security::None,
            with(|m| m.login_disabled_in_clear = true),
            Reason::ImapLogin,
        ),
        (
            Security::None,
            with(|m| m.greeting = Greeting::Bye),
            Reason::ImapUnavailable,
        ),
    ] {
        let bench = Bench::new(security, misbehaviour.clone()).await;
        let failure = bench.watches.ready("alice").await.unwrap_err();
        assert_eq!(failure.reason, reason, "{misbehaviour:?}: {failure:?}");
        assert_eq!(bench.platform.imap_login_count(), 0);
        bench.watches.shutdown().await;
    }
}

#[tokio::test]
async fn literals_without_end_do_not_stop_the_watch() {
    for fetch in [FetchFault::HugeLiteral, FetchFault::EndlessLiteral] {
        let mut bench = Bench::ready(Security::Implicit, ImapMisbehaviour::default()).await;
        let misbehaviour = ImapMisbehaviour {
            fetch,
            ..ImapMisbehaviour::default()
        };
        bench.platform.set_imap_misbehaviour(misbehaviour).unwrap();
        bench.await_one();
        bench.platform.put("INBOX", &tagged(1)).unwrap();
        assert_eq!(
            bench.blind().await.reason,
            Reason::ImapProtocol,
            "{fetch:?}"
        );
        bench
            .platform
            .set_imap_misbehaviour(ImapMisbehaviour::default())
            .unwrap();
        assert_eq!(bench.arrival().await.key.uid, 1, "{fetch:?}");
    }
}

#[tokio::test]
async fn only_own_mail_is_removed_and_nothing_else_is_touched() {
    let mut bench = Bench::ready(Security::Implicit, ImapMisbehaviour::default()).await;
    let own = String::from_utf8(tagged(1)).unwrap();
    let quoting =
        format!("Subject: Re: probe\r\nFrom: bob@outside.test\r\n\r\n> {own}\r\n{own}\r\n");
    bench
        .platform
        .put_foreign(b"Subject: lunch?\r\n\r\nat noon\r\n");
    bench.platform.put_foreign(quoting.as_bytes());
    let ours = bench.platform.put("INBOX", own.as_bytes()).unwrap();
    // A copy of the header in someone else's mail: the ledger sees it, and does not ask for its removal.
    let copied = bench
        .platform
        .put("INBOX", format!("X-Mine: no\r\n{own}").as_bytes())
        .unwrap();
    let first = bench.arrival().await.key;
    let second = bench.arrival().await.key;
    assert_eq!((first.uid, second.uid), (ours, copied));

    let wish = Wish {
        message: first.clone(),
        proof: Arc::new(Proof::of(&draft(1), &tag_key())),
    };
    bench
        .interest
        .send_modify(|interest| interest.remove = vec![wish]);
    let removed: Vec<MessageKey> = bench
        .until(|news| match news {
            News::Removed { messages, .. } => Some(messages),
            _ => None,
        })
        .await;
    assert_eq!(removed, [first]);
    let left = bench.platform.mailbox("INBOX");
    let uids: Vec<u32> = left.iter().map(|message| message.uid).collect();
    assert_eq!(uids, [1, 2, copied]);
    assert!(
        left.iter().all(|message| message.flags.is_empty()),
        "{left:?}"
    );
    for change in bench.platform.imap_changes() {
        assert_eq!(change.uid, ours, "{change:?}");
        assert!(change.command.starts_with("UID "), "{change:?}");
    }
}

#[tokio::test]
async fn a_thousand_mails_at_once_are_all_seen() {
    let mut bench = Bench::ready(Security::Implicit, ImapMisbehaviour::default()).await;
    bench.await_one();
    for number in 1..=1_000 {
        bench.platform.put("INBOX", &tagged(number)).unwrap();
    }
    let all = async {
        for uid in 1..=1_000 {
            assert_eq!(bench.arrival().await.key.uid, uid);
        }
    };
    timeout(PATIENCE, all).await.unwrap();
    assert_eq!(bench.platform.imap_counters().connections, 2);
}
