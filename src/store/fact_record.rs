//! A fact as it is stored: kind and JSON body, each body with its own version.

use std::net::SocketAddr;
use std::time::Duration;

use jiff::Timestamp;
use postrider_probes::post::{Attempt, Draft};
use postrider_wire::message::bounce::Action;
use postrider_wire::message::tag::EntryId;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::error::Fault;
use crate::ledger::fact::{Bounced, CopyKey, Fact, Latency, Planned, Sighting};
use crate::mailbox::news::MessageKey;

/// The version that is written now.
const VERSION: u32 = 1;

/// The body of a fact.
pub(super) fn encode(fact: &Fact) -> Result<String, Fault> {
    let v = VERSION;
    let body = match fact {
        Fact::Planned(planned) => serde_json::to_string(&PlannedRecord::of(planned)),
        Fact::Attempted(attempt) => serde_json::to_string(&AttemptedRecord::of(attempt)),
        Fact::Retried { number, outcome } => serde_json::to_string(&RetriedRecord {
            v,
            number: *number,
            outcome: outcome.as_ref().map(AttemptedRecord::of),
        }),
        Fact::Sighted(sighting) => serde_json::to_string(&SightedRecord::of(sighting)),
        Fact::Bounced(bounced) => serde_json::to_string(&BouncedRecord::of(bounced)),
        Fact::Overdue | Fact::Unverifiable => serde_json::to_string(&BareRecord { v }),
        Fact::Lost { looked_at } => serde_json::to_string(&LostRecord {
            v,
            looked_at_us: looked_at.as_microsecond(),
        }),
        Fact::Removed(copy) => serde_json::to_string(&RemovedRecord {
            v,
            copy: CopyRecord::of(copy),
        }),
    };
    body.map_err(|error| Fault::Content(format!("a {} fact: {error}", fact.name())))
}

/// The fact of a kind and a body.
pub(super) fn decode(kind: &str, body: &str) -> Result<Fact, Fault> {
    Ok(match kind {
        "planned" => Fact::Planned(Box::new(read::<PlannedRecord>(kind, body)?.planned()?)),
        "attempted" => Fact::Attempted(read::<AttemptedRecord>(kind, body)?.attempt()?),
        "retried" => read::<RetriedRecord>(kind, body)?.fact()?,
        "bounced" => Fact::Bounced(Box::new(read::<BouncedRecord>(kind, body)?.bounced()?)),
        "sighted" => Fact::Sighted(Box::new(read::<SightedRecord>(kind, body)?.sighting()?)),
        "overdue" => read::<BareRecord>(kind, body).map(|_| Fact::Overdue)?,
        "unverifiable" => read::<BareRecord>(kind, body).map(|_| Fact::Unverifiable)?,
        "lost" => Fact::Lost {
            looked_at: moment(read::<LostRecord>(kind, body)?.looked_at_us)?,
        },
        "removed" => Fact::Removed(read::<RemovedRecord>(kind, body)?.copy.key()),
        other => return Err(Fault::Content(format!("a ledger event of kind {other:?}"))),
    })
}

/// The time of a column in microseconds.
pub(super) fn moment(at_us: i64) -> Result<Timestamp, Fault> {
    Timestamp::from_microsecond(at_us)
        .map_err(|error| Fault::Content(format!("the time {at_us} µs: {error}")))
}

/// A duration as microseconds for a column.
pub(super) fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn read<T: DeserializeOwned + Versioned>(kind: &str, body: &str) -> Result<T, Fault> {
    let record: T = serde_json::from_str(body)
        .map_err(|error| Fault::Content(format!("a {kind} event: {error}")))?;
    if record.version() == VERSION {
        Ok(record)
    } else {
        Err(Fault::Content(format!(
            "a {kind} event has version {}",
            record.version()
        )))
    }
}

fn duration(us: i64) -> Duration {
    Duration::from_micros(u64::try_from(us).unwrap_or(0))
}

trait Versioned {
    fn version(&self) -> u32;
}

macro_rules! versioned {
    ($($record:ident)*) => {
        $(impl Versioned for $record { fn version(&self) -> u32 { self.v } })*
    };
}
versioned! { PlannedRecord AttemptedRecord RetriedRecord SightedRecord BouncedRecord LostRecord RemovedRecord BareRecord }

#[derive(Serialize, Deserialize)]
struct BareRecord {
    v: u32,
}

#[derive(Serialize, Deserialize)]
struct LostRecord {
    v: u32,
    looked_at_us: i64,
}

#[derive(Serialize, Deserialize)]
struct RemovedRecord {
    v: u32,
    copy: CopyRecord,
}

#[derive(Serialize, Deserialize)]
struct CopyRecord {
    mailbox: String,
    folder: String,
    uid_validity: u32,
    uid: u32,
}

impl CopyRecord {
    fn of(copy: &CopyKey) -> Self {
        Self {
            mailbox: copy.mailbox.clone(),
            folder: copy.message.folder.clone(),
            uid_validity: copy.message.uid_validity,
            uid: copy.message.uid,
        }
    }

    fn key(self) -> CopyKey {
        CopyKey {
            mailbox: self.mailbox,
            message: MessageKey {
                folder: self.folder,
                uid_validity: self.uid_validity,
                uid: self.uid,
            },
        }
    }
}

#[derive(Serialize, Deserialize)]
struct PlannedRecord {
    v: u32,
    run: String,
    scenario: String,
    step: String,
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry_of: Option<String>,
    sender: String,
    recipient: String,
    message_id: String,
    route: String,
    /// Absent, as `address`, in what was written before they were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mx: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    mailbox: Option<String>,
    folder: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bounces_to: Option<String>,
    within_us: i64,
}

impl PlannedRecord {
    fn of(planned: &Planned) -> Self {
        let Planned {
            draft,
            run,
            scenario,
            step,
        } = planned.clone();
        Self {
            v: VERSION,
            run,
            scenario,
            step,
            id: draft.id.to_string(),
            retry_of: draft.retry_of.map(|id| id.to_string()),
            sender: draft.sender,
            recipient: draft.recipient,
            message_id: draft.message_id,
            route: draft.route,
            mx: draft.mx,
            address: draft.address.map(|address| address.to_string()),
            mailbox: draft.mailbox,
            folder: draft.folder,
            bounces_to: draft.bounces_to,
            within_us: micros(draft.within),
        }
    }

    fn planned(self) -> Result<Planned, Fault> {
        Ok(Planned {
            draft: Draft {
                id: entry_id(&self.id)?,
                retry_of: self.retry_of.as_deref().map(entry_id).transpose()?,
                sender: self.sender,
                recipient: self.recipient,
                message_id: self.message_id,
                route: self.route,
                mx: self.mx,
                address: self.address.as_deref().map(socket_address).transpose()?,
                mailbox: self.mailbox,
                folder: self.folder,
                bounces_to: self.bounces_to,
                within: duration(self.within_us),
            },
            run: self.run,
            scenario: self.scenario,
            step: self.step,
        })
    }
}

fn socket_address(text: &str) -> Result<SocketAddr, Fault> {
    text.parse()
        .map_err(|error| Fault::Content(format!("the address {text:?}: {error}")))
}

/// The entry id of a column.
pub(super) fn entry_id(text: &str) -> Result<EntryId, Fault> {
    text.parse()
        .map_err(|error| Fault::Content(format!("the entry id {text:?}: {error}")))
}

#[derive(Serialize, Deserialize)]
struct AttemptedRecord {
    v: u32,
    /// The name of the state that the attempt gives.
    outcome: String,
    /// The reply, or why there is none.
    text: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    queue_id: Option<String>,
}

impl AttemptedRecord {
    fn of(attempt: &Attempt) -> Self {
        let (outcome, text, queue_id) = match attempt.clone() {
            Attempt::NotSent { why } => ("not-sent", why, None),
            Attempt::Refused { reply } => ("refused", reply, None),
            Attempt::Deferred { reply } => ("deferred", reply, None),
            Attempt::Uncertain { why } => ("uncertain", why, None),
            Attempt::Accepted { reply, queue_id } => ("accepted", reply, queue_id),
        };
        Self {
            v: VERSION,
            outcome: outcome.to_owned(),
            text,
            queue_id,
        }
    }

    fn attempt(self) -> Result<Attempt, Fault> {
        let Self { text, queue_id, .. } = self;
        Ok(match self.outcome.as_str() {
            "not-sent" => Attempt::NotSent { why: text },
            "refused" => Attempt::Refused { reply: text },
            "deferred" => Attempt::Deferred { reply: text },
            "uncertain" => Attempt::Uncertain { why: text },
            "accepted" => Attempt::Accepted {
                reply: text,
                queue_id,
            },
            other => return Err(Fault::Content(format!("an attempt that was {other:?}"))),
        })
    }
}

#[derive(Serialize, Deserialize)]
struct SightedRecord {
    v: u32,
    copy: CopyRecord,
    junk: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    latency: Option<LatencyRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    internal_date_us: Option<i64>,
}

#[derive(Serialize, Deserialize)]
struct LatencyRecord {
    after_us: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pushed_after_us: Option<i64>,
    on_wall_clock: bool,
}

impl SightedRecord {
    fn of(sighting: &Sighting) -> Self {
        Self {
            v: VERSION,
            copy: CopyRecord::of(&sighting.copy),
            junk: sighting.junk,
            latency: sighting.latency.map(|latency| LatencyRecord {
                after_us: micros(latency.after),
                pushed_after_us: latency.pushed_after.map(micros),
                on_wall_clock: latency.on_wall_clock,
            }),
            internal_date_us: sighting.internal_date.map(Timestamp::as_microsecond),
        }
    }

    fn sighting(self) -> Result<Sighting, Fault> {
        Ok(Sighting {
            copy: self.copy.key(),
            junk: self.junk,
            latency: self.latency.map(|latency| Latency {
                on_wall_clock: latency.on_wall_clock,
                after: duration(latency.after_us),
                pushed_after: latency.pushed_after_us.map(duration),
            }),
            internal_date: self.internal_date_us.map(moment).transpose()?,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct RetriedRecord {
    v: u32,
    number: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outcome: Option<AttemptedRecord>,
}

impl RetriedRecord {
    fn fact(self) -> Result<Fact, Fault> {
        let outcome = self.outcome.map(AttemptedRecord::attempt).transpose()?;
        Ok(Fact::Retried {
            number: self.number,
            outcome,
        })
    }
}

#[derive(Serialize, Deserialize)]
struct BouncedRecord {
    v: u32,
    message: CopyRecord,
    proven: bool,
    action: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recipient: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    diagnostic: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    remote_mta: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reporting_mta: Option<String>,
}

impl BouncedRecord {
    fn of(bounced: &Bounced) -> Self {
        let Bounced {
            message,
            is_proven,
            action,
            recipient,
            status,
            diagnostic,
            remote_mta,
            reporting_mta,
        } = bounced.clone();
        Self {
            v: VERSION,
            message: CopyRecord::of(&message),
            proven: is_proven,
            action: action.name().to_owned(),
            recipient,
            status,
            diagnostic,
            remote_mta,
            reporting_mta,
        }
    }

    fn bounced(self) -> Result<Bounced, Fault> {
        let action = Action::from_name(&self.action)
            .ok_or_else(|| Fault::Content(format!("a bounce that says {:?}", self.action)))?;
        Ok(Bounced {
            message: self.message.key(),
            is_proven: self.proven,
            action,
            recipient: self.recipient,
            status: self.status,
            diagnostic: self.diagnostic,
            remote_mta: self.remote_mta,
            reporting_mta: self.reporting_mta,
        })
    }
}
