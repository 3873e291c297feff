//! The operational HTTP surface of `postrider serve`: health, reload, metrics, the API. It talks to the daemon only
//! through [`Control`].

mod control;
mod document;

pub use control::{
    Answer, Control, LedgerQuery, MOST_ROWS, Metrics, MetricsFormat, NotReady, Origin, Refusal,
    Refused, Rejected, Reloaded, RunQuery, Unavailable,
};
pub use document::{LedgerEntry, LedgerList, RunList, SCHEMA_VERSION};
