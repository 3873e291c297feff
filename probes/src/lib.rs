//! What touches the network: one file per probe kind in `kinds/`, conversations in `dialogue/`.

pub mod account;
pub mod canary;
pub mod context;
pub mod dialogue;
pub mod inventory;
pub mod kind;
pub mod kinds;
pub mod limit;
pub mod message;
pub mod mx;
pub mod names;
pub mod net;
pub mod observation;
pub mod outcome;
pub mod phase;
pub mod post;
pub mod reason;
pub mod setting;
pub mod slots;
pub mod span;
pub mod target;
pub mod tls;

pub use kinds::Probe;
