//! Postrider.

pub mod demo;
