//! The two usual ways of seeing a mail arrive, at work while the program is: asking once a second, and IDLE alone.
//! They use the program's own IMAP session, so that only the way differs, and look into bob's mailbox for mails of
//! their own, which take the same way as the program's: it removes its mails from alice's as soon as it can.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::anyhow;
use postrider::clock::Clock;
use postrider_probes::account::{ImapEndpoint, MailboxAccount, SecretSource, Security, Trust};
use postrider_probes::dialogue::imap::{Access, IdleEnd, Session, Transcript};
use postrider_probes::dialogue::open_imap;
use postrider_probes::net::SystemNet;
use postrider_testkit::live::{BOB, IMAP_NAME, SENDER, send_plain};
use postrider_wire::message::header::{fields, first};
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::lab::{Lab, mail_id, since_1970};

const COMMAND: Duration = Duration::from_secs(10);
const IDLE_AT_MOST: Duration = Duration::from_secs(240);
const PAGE: usize = 200;

/// When each mail was seen, by the wall clock, by its `mail_id`.
pub(crate) type Sightings = BTreeMap<String, Duration>;

/// Sends a mail for them to bob.
pub(crate) fn send(server: SocketAddr, id: &str) -> anyhow::Result<()> {
    let mail = format!(
        "From: <{SENDER}>\r\nTo: <{BOB}>\r\nSubject: {id}\r\nMessage-ID: <{id}@outside.test>\r\n\
         Date: Thu, 1 Jan 2026 00:00:00 +0000\r\n\r\nFor the onlookers.\r\n"
    );
    send_plain(server, SENDER, BOB, mail.as_bytes())?;
    Ok(())
}

/// Both of them, at work.
pub(crate) struct Onlookers {
    stop: watch::Sender<bool>,
    polling: JoinHandle<anyhow::Result<Sightings>>,
    idling: JoinHandle<anyhow::Result<Sightings>>,
    runtime: Runtime,
}

/// One of them.
struct Onlooker {
    session: Session,
    next_uid: u32,
    seen: Sightings,
}

impl Onlookers {
    /// Begins to look; mail that comes after this is seen.
    pub(crate) fn start(lab: &Lab) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let (polling, idling) = runtime.block_on(async {
            anyhow::Ok((Onlooker::open(lab).await?, Onlooker::open(lab).await?))
        })?;
        let stop = watch::Sender::new(false);
        Ok(Self {
            polling: runtime.spawn(polling.poll_each_second(stop.subscribe())),
            idling: runtime.spawn(idling.idle_alone(stop.subscribe())),
            stop,
            runtime,
        })
    }

    /// What they have seen: the one that polls, the one that idles.
    pub(crate) fn finish(self) -> anyhow::Result<(Sightings, Sightings)> {
        self.stop.send_replace(true);
        self.runtime
            .block_on(async { Ok((self.polling.await??, self.idling.await??)) })
    }
}

impl Onlooker {
    async fn open(lab: &Lab) -> anyhow::Result<Self> {
        let platform = &lab.platform;
        let account = MailboxAccount {
            name: "bob".to_owned(),
            address: BOB.parse().map_err(|error| anyhow!("{error}"))?,
            imap: Some(ImapEndpoint {
                server: IMAP_NAME.to_owned(),
                port: platform.imaps().port(),
                security: Security::Implicit,
                trust: Trust {
                    ca_file: Some(platform.ca_file().into()),
                    ..Trust::default()
                },
            }),
            username: BOB.to_owned(),
            password: Some(SecretSource::File(platform.password_file())),
            takes_bounces: false,
        };
        let net = SystemNet::new(Some(platform.dns()), None);
        let transcript = Transcript::new();
        let mut session = open_imap::open(&net, &account, COMMAND, &transcript, &())
            .await
            .map_err(|failure| anyhow!("{}", failure.line()))?;
        let selected = session.select("INBOX", Access::ReadOnly).await?;
        let next_uid = selected.uid_next.ok_or_else(|| anyhow!("no UIDNEXT"))?;
        Ok(Self {
            session,
            next_uid,
            seen: Sightings::new(),
        })
    }

    async fn poll_each_second(
        mut self,
        mut stop: watch::Receiver<bool>,
    ) -> anyhow::Result<Sightings> {
        let mut ticks = interval(Duration::from_secs(1));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = stop.wait_for(|stop| *stop) => return Ok(self.seen),
            }
            let changes = self.session.noop().await?;
            if changes.exists.is_some() {
                self.note(changes.at).await?;
            }
        }
    }

    async fn idle_alone(mut self, mut stop: watch::Receiver<bool>) -> anyhow::Result<Sightings> {
        loop {
            let enough = async {
                // A sender that is gone is an end as well.
                let _ = stop.wait_for(|stop| *stop).await;
            };
            match self.session.idle(IDLE_AT_MOST, enough).await? {
                IdleEnd::Changed(changes) => self.note(changes.at).await?,
                IdleEnd::TimedOut => {}
                IdleEnd::Stopped => return Ok(self.seen),
                IdleEnd::Refused { text } => anyhow::bail!("IDLE was refused: {text}"),
            }
        }
    }

    /// Books what is new as seen at that moment.
    async fn note(&mut self, at: Instant) -> anyhow::Result<()> {
        let at = since_1970(Clock::system().at(at));
        for message in self.session.headers_from(self.next_uid, PAGE).await? {
            self.next_uid = message.uid + 1;
            let fields = fields(&message.header);
            if let Some(id) = first(&fields, "Message-ID").and_then(mail_id) {
                self.seen.entry(id).or_insert(at);
            }
        }
        Ok(())
    }
}
