//! What touches the network: one file per probe kind in `kinds/`, conversations in `dialogue/`.

pub mod outcome;
pub mod phase;
pub mod reason;
pub mod setting;
pub mod target;
