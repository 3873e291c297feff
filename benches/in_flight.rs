//! A hundred thousand mails in flight, somebody waiting for each: what they take of memory, and what one arrival costs
//! among them, with its durable commit and without.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::Context as _;
use futures_util::future::try_join_all;
use postrider::clock::Clock;
use postrider::mailbox::news::{Arrival, MessageKey, News};
use postrider::pipeline::{self, PipelineHandle, Settings};
use postrider::store::Store;
use postrider_probes::post::{Account, Attempt, Draft, EntryState, Post};
use postrider_wire::message::tag::EntryId;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::process::{cpu_of_this, resident};
use crate::spread::{Spread, verdict};

const LEVELS: [usize; 3] = [1_000, 10_000, 100_000];
const TARGET: f64 = 300.0;
/// Mails that are planned and recorded at the same time.
const TOGETHER: usize = 256;
/// Arrivals one after the other.
const SINGLE: usize = 300;
/// Arrivals that come together, and how often.
const BURST: usize = 200;
const BURSTS: usize = 20;
const DAYS: Duration = Duration::from_secs(5 * 86_400);
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn measure() -> anyhow::Result<()> {
    tokio::runtime::Runtime::new()?.block_on(async {
        let directory = tempfile::tempdir()?;
        let store = Store::open(directory.path()).await?;
        let settings = Settings {
            lost_after: DAYS,
            clock: Clock::system(),
        };
        let (pipeline, _task) = pipeline::start(store, settings).await?;
        let mut flight = Flight {
            post: Box::new(pipeline.post("1QF82JJP4K", "mx-delivery", "primary")),
            pipeline,
            mails: VecDeque::new(),
            seen: 0,
        };
        let empty = resident(std::process::id())?;
        println!("  RSS with none in flight: {empty:.1} MiB");
        let mut costs = Vec::new();
        for level in LEVELS {
            costs.push(at(&mut flight, level).await?);
        }
        let full = resident(std::process::id())?;
        let mails = LEVELS[LEVELS.len() - 1];
        println!(
            "  {mails} in flight: {:.0} bytes each; target RSS <= {TARGET} MiB: {}",
            (full - empty) * f64::from(1 << 20) / mails as f64,
            verdict(full <= TARGET)
        );
        let ratio = |of: fn(&Cost) -> f64| match costs.as_slice() {
            [first, .., last] => of(last) / of(first),
            _ => 1.0,
        };
        let cpu = ratio(|cost| cost.cpu);
        println!(
            "  one arrival, {mails} against {}: {:.2} x the wall time, {cpu:.2} x the CPU time; target O(1): {}",
            LEVELS[0],
            ratio(|cost| cost.wall),
            verdict(cpu <= 1.5)
        );
        let ended = Instant::now();
        flight.pipeline.shutdown().await.map_err(|failure| anyhow::anyhow!(failure.line()))?;
        println!("  orderly end: {:.0} ms", ended.elapsed().as_secs_f64() * 1e3);
        Ok(())
    })
}

/// Medians.
struct Cost {
    wall: f64,
    cpu: f64,
}

async fn at(flight: &mut Flight, level: usize) -> anyhow::Result<Cost> {
    let began = Instant::now();
    let new = (level + SINGLE).saturating_sub(flight.mails.len());
    flight.fill(level + SINGLE).await?;
    let rate = new as f64 / began.elapsed().as_secs_f64();
    println!(
        "  {level} in flight: RSS {:.1} MiB; planned and accepted at {rate:.0} mails/s",
        resident(std::process::id())?
    );
    let mut walls = Vec::new();
    for _ in 0..SINGLE {
        walls.push(flight.arrive(1).await?.as_secs_f64() * 1e3);
    }
    let mut cpus = Vec::new();
    for _ in 0..BURSTS {
        flight.fill(level).await?;
        let before = cpu_of_this()?;
        flight.arrive(BURST).await?;
        let cpu = cpu_of_this()?.saturating_sub(before);
        cpus.push(cpu.as_secs_f64() * 1e6 / BURST as f64);
    }
    let (wall, cpu) = (Spread::of(walls, "ms")?, Spread::of(cpus, "µs")?);
    println!("    one alone, until it is durable   {wall}");
    println!("    CPU time, its removal included   {cpu}");
    Ok(Cost {
        wall: wall.median(),
        cpu: cpu.median(),
    })
}

struct Flight {
    post: Box<dyn Post>,
    pipeline: PipelineHandle,
    mails: VecDeque<(EntryId, watch::Receiver<Account>)>,
    seen: u32,
}

impl Flight {
    /// Sends until so many are in flight.
    async fn fill(&mut self, level: usize) -> anyhow::Result<()> {
        while self.mails.len() < level {
            let together = TOGETHER.min(level - self.mails.len());
            let sent = try_join_all((0..together).map(|_| send(self.post.as_ref())));
            self.mails.extend(sent.await?);
        }
        Ok(())
    }

    /// The oldest ones turn up together. Gives the time until whoever waits knows of all of them; then they are let go.
    async fn arrive(&mut self, count: usize) -> anyhow::Result<Duration> {
        let mut arriving: Vec<_> = self.mails.drain(..count).collect();
        let mut arrivals = VecDeque::new();
        for (id, _) in &arriving {
            self.seen += 1;
            let message = MessageKey {
                folder: "INBOX".to_owned(),
                uid_validity: 1,
                uid: self.seen,
            };
            arrivals.push_back(arrival(self.post.as_ref(), *id, message));
        }
        let keys: Vec<MessageKey> = arrivals.iter().map(|one| one.key.clone()).collect();
        let news = self.pipeline.news();
        let began = Instant::now();
        for mut arrival in arrivals {
            arrival.seen = Instant::now();
            news.send(News::Arrived(Box::new(arrival))).await?;
        }
        for (_, account) in &mut arriving {
            let delivered = account.wait_for(|account| account.state == EntryState::Delivered);
            timeout(PATIENCE, delivered)
                .await
                .context("it is not delivered")??;
        }
        let took = began.elapsed();
        for ((id, _), key) in arriving.iter().zip(keys) {
            self.pipeline.release(*id).await;
            let mailbox = "alice".to_owned();
            news.send(News::Removed {
                mailbox,
                messages: vec![key],
            })
            .await?;
        }
        // Behind everything that was just told, so that none of it is counted with what comes next.
        for _ in 0..2 {
            let balance = self.pipeline.balance().await;
            balance.map_err(|failure| anyhow::anyhow!(failure.line()))?;
        }
        Ok(took)
    }
}

/// Planned and accepted.
async fn send(post: &dyn Post) -> anyhow::Result<(EntryId, watch::Receiver<Account>)> {
    let id = post.new_id();
    let failed = |failure: postrider_probes::outcome::Failure| anyhow::anyhow!(failure.line());
    post.plan(draft(id)).await.map_err(failed)?;
    let account = post.follow(id);
    let accepted = Attempt::Accepted {
        reply: "250 2.0.0 Ok: queued as 4F2A91C0B2".to_owned(),
        queue_id: Some("4F2A91C0B2".to_owned()),
    };
    post.record(id, accepted, Instant::now())
        .await
        .map_err(failed)?;
    Ok((id, account))
}

fn arrival(post: &dyn Post, id: EntryId, key: MessageKey) -> Arrival {
    let draft = draft(id);
    let header = format!(
        "Received: from mx1.example.net by store1.example.net with ESMTP; Mon, 21 Sep 2026 14:13:27 +0000\r\n\
         Received: from probe.example.org by mx1.example.net with ESMTPS; Mon, 21 Sep 2026 14:13:25 +0000\r\n\
         Subject: probe\r\nPostrider-Tag: {}\r\nMessage-ID: <{}>\r\n\r\n",
        post.tag(&draft),
        draft.message_id,
    );
    Arrival {
        mailbox: "alice".to_owned(),
        key,
        junk: false,
        seen: Instant::now(),
        seen_at: postrider::clock::now(),
        pushed: None,
        internal_date: Some(postrider::clock::now()),
        header: header.into_bytes(),
    }
}

fn draft(id: EntryId) -> Draft {
    Draft {
        id,
        retry_of: None,
        sender: "probe@outside.example.org".to_owned(),
        recipient: "alice@example.net".to_owned(),
        message_id: format!("{id}@outside.example.org").to_ascii_lowercase(),
        route: "mx1.example.net [192.0.2.10]:25".to_owned(),
        mx: Some("mx1.example.net".to_owned()),
        address: Some(([192, 0, 2, 10], 25).into()),
        mailbox: Some("alice".to_owned()),
        folder: "INBOX".to_owned(),
        bounces_to: None,
        within: DAYS,
    }
}
