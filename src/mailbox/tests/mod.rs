//! The watches against a server in memory, in virtual time.

mod arrivals;
mod removal;
pub(crate) mod server;
mod trouble;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use postrider_probes::account::{ImapEndpoint, MailboxAccount, SecretSource, Security, Trust};
use postrider_probes::post::Draft;
use postrider_wire::message::tag::{EntryId, Tag, TagKey};
use tempfile::NamedTempFile;
use tokio::sync::{mpsc, watch as channel};
use tokio::time::{Instant, timeout};

use self::server::{OnlyThis, Server};
use super::news::{Arrival, Interest, MessageKey, News, Position, Wish};
use super::{Setup, Watches};
use crate::ledger::recognise::Proof;

/// Nothing is waited for longer, by the virtual clock.
const PATIENCE: Duration = Duration::from_secs(3_600);

struct Bench {
    watches: Watches,
    news: mpsc::Receiver<News>,
    interest: channel::Sender<Interest>,
    password: NamedTempFile,
}

impl Bench {
    /// Watches that nobody asked for anything yet.
    fn with(server: &Arc<Server>, positions: Vec<Position>) -> Self {
        let mut password = NamedTempFile::new().unwrap();
        password.write_all(b"secret\n").unwrap();
        let account = MailboxAccount {
            name: "alice".to_owned(),
            address: "alice@example.test".parse().unwrap(),
            imap: Some(ImapEndpoint {
                server: "127.0.0.1".to_owned(),
                port: 143,
                security: Security::None,
                trust: Trust::default(),
            }),
            username: "alice".to_owned(),
            password: Some(SecretSource::File(password.path().to_owned())),
            takes_bounces: false,
        };
        let (told, news) = mpsc::channel(64);
        let interest = channel::Sender::new(Interest::default());
        let subscribed = interest.clone();
        let watches = Watches::start(Setup {
            net: Arc::new(OnlyThis(Arc::clone(server))),
            accounts: BTreeMap::from([("alice".to_owned(), account)]),
            news: told,
            interest: move |_: &str| subscribed.subscribe(),
            positions,
            now: || Timestamp::UNIX_EPOCH,
            seed: 7,
        });
        Self {
            watches,
            news,
            interest,
            password,
        }
    }

    /// A watch of INBOX that is ready.
    async fn ready(server: &Arc<Server>) -> Self {
        let bench = Self::with(server, Vec::new());
        bench.watches.add("alice", "INBOX");
        bench.watches.ready("alice").await.unwrap();
        bench
    }

    /// One mail is awaited whose final reply came now.
    fn await_one(&self) -> Instant {
        let now = Instant::now();
        self.interest.send_modify(|interest| {
            interest.awaited = 1;
            interest.latest = Some(now);
        });
        now
    }

    fn await_nothing(&self) {
        self.interest.send_modify(|interest| interest.awaited = 0);
    }

    async fn next(&mut self) -> News {
        let news = timeout(PATIENCE, self.news.recv()).await;
        news.expect("news within an hour")
            .expect("a watch that is alive")
    }

    /// The next news that is picked; what comes before is not looked at.
    async fn until<T>(&mut self, mut pick: impl FnMut(News) -> Option<T>) -> T {
        loop {
            if let Some(picked) = pick(self.next().await) {
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

    /// Waits for the next completed look into this folder.
    async fn looked(&mut self, folder: &str) -> Instant {
        self.until(|news| match news {
            News::Looked {
                folder: of, began, ..
            } if of == folder => Some(began),
            _ => None,
        })
        .await
    }

    async fn removed(&mut self) -> Vec<MessageKey> {
        self.until(|news| match news {
            News::Removed { messages, .. } => Some(messages),
            _ => None,
        })
        .await
    }

    /// Lets virtual time pass and gives what was told meanwhile.
    async fn pass(&mut self, time: Duration) -> Vec<News> {
        let end = Instant::now() + time;
        let mut told = Vec::new();
        while let Ok(Some(news)) = tokio::time::timeout_at(end, self.news.recv()).await {
            told.push(news);
        }
        told
    }
}

fn draft(number: u64) -> Draft {
    let id = EntryId::from_parts(1, number);
    Draft {
        id,
        retry_of: None,
        sender: "probe@example.test".to_owned(),
        recipient: "alice@example.test".to_owned(),
        message_id: format!("{id}@example.test"),
        route: String::new(),
        mailbox: Some("alice".to_owned()),
        bounces_to: None,
        mx: None,
        address: None,
        folder: "INBOX".to_owned(),
        within: Duration::from_secs(60),
    }
}

fn tag_key() -> TagKey {
    TagKey::new(&[7; 32]).unwrap()
}

/// A header block with a genuine tag.
fn tagged(number: u64) -> String {
    signed(number, &tag_key())
}

fn signed(number: u64, key: &TagKey) -> String {
    let Draft {
        id,
        sender,
        recipient,
        message_id,
        ..
    } = draft(number);
    let tag = Tag::sign(key, id, &sender, &recipient);
    format!("Subject: probe {number}\r\nPostrider-Tag: {tag}\r\nMessage-ID: <{message_id}>")
}

/// The wish that a message be removed which was booked as this mail.
fn wish(message: MessageKey, number: u64) -> Wish {
    let proof = Arc::new(Proof::of(&draft(number), &tag_key()));
    Wish { message, proof }
}

const FOREIGN: &str = "Subject: lunch?\r\nFrom: bob@example.test";

fn key(folder: &str, uid_validity: u32, uid: u32) -> MessageKey {
    MessageKey {
        folder: folder.to_owned(),
        uid_validity,
        uid,
    }
}

fn uids(told: &[News]) -> Vec<u32> {
    told.iter()
        .filter_map(|news| match news {
            News::Arrived(arrival) => Some(arrival.key.uid),
            _ => None,
        })
        .collect()
}
