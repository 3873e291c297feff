//! Run ids: short, sortable by time, easy to read aloud.

use jiff::Timestamp;
use postrider_wire::message::tag::EntryId;
use rand::RngExt as _;

/// Eight characters of time (milliseconds) and two of chance, in Crockford's base 32.
#[must_use]
pub fn new_id(now: Timestamp) -> String {
    let millis = u64::try_from(now.as_millisecond()).unwrap_or_default();
    EntryId::from_parts(millis, rand::rng().random())
        .to_string()
        .chars()
        .take(10)
        .collect()
}
