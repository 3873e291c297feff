//! The way of an accepted mail: trace fields of the node, its queue, the hand-over to the store.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::clock::{WallClock, mail_date, skewed};
use super::message;
use super::misbehaviour::Delivery;
use super::record::{Accepted, Record, keep};
use super::store::Store;
use super::topology::{Address, STORE_HOST};
use super::{PlatformError, Setup};

/// Mails that wait in all queues together.
const QUEUED: usize = 100_000;

/// A mail as the SMTP session has it after the final dot.
#[derive(Debug)]
pub(super) struct Mail {
    pub(super) address: Address,
    pub(super) peer: IpAddr,
    pub(super) esmtp: bool,
    pub(super) helo: String,
    pub(super) mail_from: String,
    pub(super) rcpt_to: Vec<String>,
    pub(super) tls: Option<String>,
    pub(super) queue_id: String,
    pub(super) began: Timestamp,
    pub(super) raw: Arc<[u8]>,
}

/// What all SMTP sessions share.
#[derive(Debug)]
pub(super) struct Relay {
    pub(super) clock: WallClock,
    pub(super) record: Arc<Record>,
    /// The one address that receives mail here.
    pub(super) recipient: String,
    hold: Mutex<BTreeMap<String, Duration>>,
    skew: BTreeMap<String, SignedDuration>,
    authentication_results: Option<String>,
    room: AtomicUsize,
    queued: AtomicU64,
    /// When each pair of sender and recipient was seen first.
    grey: Mutex<BTreeMap<(String, String), Instant>>,
    queue: mpsc::Sender<Queued>,
}

#[derive(Debug)]
struct Queued {
    ready: Instant,
    mail: Mail,
    header: String,
    delivery: Delivery,
}

impl Relay {
    /// The relay, and its queue as a task for `tasks`.
    pub(super) fn start(
        setup: &Setup,
        clock: WallClock,
        record: Arc<Record>,
        store: Arc<Store>,
        tasks: &mut JoinSet<()>,
    ) -> Self {
        let (queue, incoming) = mpsc::channel(QUEUED);
        let store_skew = setup.skew.get("store1").copied().unwrap_or_default();
        tasks.spawn(work_off(incoming, store, clock, store_skew));
        Self {
            clock,
            record,
            recipient: setup.recipient.clone(),
            hold: Mutex::new(setup.faults.hold.clone()),
            skew: setup.skew.clone(),
            authentication_results: setup.authentication_results.clone(),
            room: AtomicUsize::new(setup.storage_limit),
            queued: AtomicU64::new(0),
            grey: Mutex::default(),
            queue,
        }
    }

    /// From now on the node keeps mail this long in its queue.
    pub(super) fn set_hold(&self, node: &str, hold: Duration) {
        let mut held = self.hold.lock().unwrap_or_else(PoisonError::into_inner);
        held.insert(node.into(), hold);
    }

    /// Whether this pair of sender and recipient is to come again later. Whoever makes up pairs finds an end, too.
    pub(super) fn is_grey(&self, sender: &str, recipient: &str, delay: Duration) -> bool {
        let mut grey = self.grey.lock().unwrap_or_else(PoisonError::into_inner);
        let pair = (sender.to_owned(), recipient.to_ascii_lowercase());
        let now = Instant::now();
        let is_full = grey.len() >= QUEUED;
        let first = match grey.get(&pair) {
            Some(first) => *first,
            None if is_full => return false,
            None => *grey.entry(pair).or_insert(now),
        };
        now.saturating_duration_since(first) < delay
    }

    /// A new queue identifier of the node.
    pub(super) fn queue_id(&self, node: &str) -> String {
        let number = self.queued.fetch_add(1, Ordering::Relaxed) + 1;
        let digit = node.chars().last().unwrap_or('0');
        format!("4D{digit}{number:07X}")
    }

    /// Takes room for a mail of this size from the storage limit; false if there is none left.
    pub(super) fn reserve(&self, size: usize) -> bool {
        let take = |room: usize| room.checked_sub(size);
        let (set, fetch) = (Ordering::Relaxed, Ordering::Relaxed);
        self.room.fetch_update(set, fetch, take).is_ok()
    }

    /// Notes that the mail was taken over. Called before the client is told.
    pub(super) fn note(&self, mail: &Mail) {
        let accepted = Accepted {
            address: mail.address.ip,
            node: mail.address.node,
            helo: mail.helo.clone(),
            mail_from: mail.mail_from.clone(),
            rcpt_to: mail.rcpt_to.clone(),
            queue_id: mail.queue_id.clone(),
            tag: message::value(&mail.raw, "Postrider-Tag"),
            message_id: message::value(&mail.raw, "Message-ID")
                .map(|id| id.trim_matches(['<', '>']).to_owned()),
            tls: mail.tls.clone(),
            raw: Arc::clone(&mail.raw),
            at: self.clock.now(),
            instant: Instant::now(),
        };
        keep(&mut self.record.lock().accepted, accepted);
    }

    /// Puts the mail into the node's queue. Called after the client was told, as a real
    /// queue works it off while the reply is under way.
    pub(super) async fn hand_over(
        &self,
        mail: Mail,
        delivery: Delivery,
    ) -> Result<(), PlatformError> {
        if delivery == Delivery::Lost {
            return Ok(());
        }
        let node = mail.address.node;
        let hold = {
            let held = self.hold.lock().unwrap_or_else(PoisonError::into_inner);
            held.get(node).copied().unwrap_or_default()
        };
        let queued = Queued {
            ready: Instant::now() + hold,
            header: self.node_header(&mail),
            mail,
            delivery,
        };
        let sent = self.queue.send(queued).await;
        sent.map_err(|_| PlatformError::Stopped)
    }

    /// What the node puts in front of the mail.
    fn node_header(&self, mail: &Mail) -> String {
        let node = mail.address.node_host();
        let skew = self
            .skew
            .get(mail.address.node)
            .copied()
            .unwrap_or_default();
        let date = mail_date(skewed(mail.began, skew));
        let protocol = match (mail.esmtp, &mail.tls) {
            (_, Some(_)) => "ESMTPS",
            (true, None) => "ESMTP",
            (false, None) => "SMTP",
        };
        let tls = mail.tls.as_ref();
        let tls = tls.map_or_else(String::new, |tls| format!("\t(using {tls})\r\n"));
        let peer = address_literal(mail.peer);
        let results = self.authentication_results.as_ref();
        let results = results.map_or_else(String::new, |results| {
            format!("Authentication-Results: {node};\r\n\t{results}\r\n")
        });
        let recipient = mail.rcpt_to.first().map_or("", String::as_str);
        format!(
            "{results}Received: from {helo} (unknown [{peer}])\r\n{tls}\tby {node} \
             (Postrider demo) with {protocol} id {id}\r\n\tfor <{recipient}>; {date}\r\n",
            helo = mail.helo,
            id = mail.queue_id,
        )
    }
}

/// RFC 5321 §4.1.3, without the brackets.
fn address_literal(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("IPv6:{ip}"),
    }
}

async fn work_off(
    mut incoming: mpsc::Receiver<Queued>,
    store: Arc<Store>,
    clock: WallClock,
    skew: SignedDuration,
) {
    let mut waiting = JoinSet::new();
    loop {
        tokio::select! {
            queued = incoming.recv() => {
                let Some(queued) = queued else { return };
                if queued.ready <= Instant::now() {
                    put(&store, clock, skew, &queued);
                    continue;
                }
                let store = Arc::clone(&store);
                waiting.spawn(async move {
                    tokio::time::sleep_until(queued.ready).await;
                    put(&store, clock, skew, &queued);
                });
            }
            Some(_) = waiting.join_next() => {}
        }
    }
}

/// A report that the mail could not be delivered (RFC 3464), with its header.
fn report(mail: &Mail, clock: WallClock) -> Vec<u8> {
    let node = mail.address.node_host();
    let recipient = mail.rcpt_to.first().map_or("", String::as_str);
    let raw = String::from_utf8_lossy(&mail.raw);
    let header = raw
        .split_once("\r\n\r\n")
        .map_or(&*raw, |(header, _)| header);
    format!(
        "Return-Path: <>\r\nDate: {date}\r\nFrom: MAILER-DAEMON@{node} (Mail Delivery System)\r\n\
         To: {sender}\r\nSubject: Undelivered Mail Returned to Sender\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/report; report-type=delivery-status; boundary=\"{id}\"\r\n\r\n\
         --{id}\r\n\r\nThe mail could not be delivered.\r\n\
         --{id}\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; {node}\r\n\r\n\
         Final-Recipient: rfc822; {recipient}\r\nAction: failed\r\nStatus: 5.1.1\r\n\
         Remote-MTA: dns; {STORE_HOST}\r\nDiagnostic-Code: smtp; 550 5.1.1 User unknown\r\n\
         --{id}\r\nContent-Type: text/rfc822-headers\r\n\r\n{header}\r\n--{id}--\r\n",
        date = mail_date(clock.now()),
        sender = mail.mail_from,
        id = mail.queue_id,
    )
    .into_bytes()
}

/// The final delivery, with the store's own trace fields.
fn put(store: &Store, clock: WallClock, skew: SignedDuration, queued: &Queued) {
    let mail = &queued.mail;
    let (folder, copies) = match queued.delivery {
        Delivery::Lost => return,
        Delivery::Bounced => {
            store.put("INBOX", &mail.queue_id, report(mail, clock).into());
            return;
        }
        Delivery::Junk => ("Junk", 1),
        Delivery::Twice => ("INBOX", 2),
        Delivery::Normal | Delivery::Altered => ("INBOX", 1),
    };
    let recipient = mail.rcpt_to.first().map_or("", String::as_str);
    let header = format!(
        "Return-Path: <{from}>\r\nDelivered-To: {recipient}\r\n\
         Received: from {node} ({node} [{ip}])\r\n\tby {STORE_HOST} with LMTP id {id}\r\n\
         \tfor <{recipient}>; {date}\r\n",
        from = mail.mail_from,
        node = mail.address.node_host(),
        ip = address_literal(mail.address.ip),
        id = mail.queue_id,
        date = mail_date(skewed(clock.now(), skew)),
    );
    let mut whole = Vec::with_capacity(header.len() + queued.header.len() + mail.raw.len() + 64);
    whole.extend_from_slice(header.as_bytes());
    whole.extend_from_slice(queued.header.as_bytes());
    whole.extend_from_slice(&mail.raw);
    if queued.delivery == Delivery::Altered {
        whole.extend_from_slice(b"-- \r\nThis line was added on the way.\r\n");
    }
    let whole: Arc<[u8]> = whole.into();
    for _ in 0..copies {
        store.put(folder, &mail.queue_id, Arc::clone(&whole));
    }
}
