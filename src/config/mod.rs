//! What is written, and what will run.

pub mod plan;
