//! What touches the network.

pub mod dialogue;
