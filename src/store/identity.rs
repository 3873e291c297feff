//! Which instance this is. The key is made when the store is begun and never leaves it: whoever has it can make
//! mail look like ours.

use aws_lc_rs::rand::{SecureRandom as _, SystemRandom};
use postrider_wire::message::tag::TagKey;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, params};

use super::error::Fault;

/// The instance.
#[derive(Debug, Clone)]
pub struct Identity {
    /// Names the instance in logs; not a secret.
    pub instance: String,
    /// Signs the tags.
    pub key: TagKey,
}

/// The name of the instance, without its key.
pub(super) fn instance(connection: &Connection) -> Result<String, Fault> {
    let bytes: Vec<u8> = connection.query_row(
        "SELECT value FROM meta WHERE name = 'instance_id'",
        [],
        |row| row.get(0),
    )?;
    Ok(shown(&bytes))
}

fn shown(instance: &[u8]) -> String {
    instance.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn load_or_make(connection: &mut Connection) -> Result<Identity, Fault> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for (name, length) in [("instance_id", 8), ("instance_key", TagKey::MIN_LENGTH)] {
        let known = "SELECT EXISTS (SELECT 1 FROM meta WHERE name = ?1)";
        if transaction.query_row(known, [name], |row| row.get(0))? {
            continue;
        }
        let mut fresh = vec![0; length];
        SystemRandom::new()
            .fill(&mut fresh)
            .map_err(|_| Fault::Content("the system gives no random numbers".to_owned()))?;
        transaction.execute(
            "INSERT INTO meta (name, value) VALUES (?1, ?2)",
            params![name, fresh],
        )?;
    }
    let read = |name: &str| -> Result<Vec<u8>, Fault> {
        transaction
            .query_row("SELECT value FROM meta WHERE name = ?1", [name], |row| {
                row.get(0)
            })
            .optional()?
            .ok_or_else(|| Fault::Content(format!("{name} is missing")))
    };
    let instance = read("instance_id")?;
    let key = TagKey::new(&read("instance_key")?)
        .map_err(|error| Fault::Content(format!("instance_key: {error}")))?;
    transaction.commit()?;
    Ok(Identity {
        instance: shown(&instance),
        key,
    })
}
