//! What touches the network.
