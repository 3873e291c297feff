//! Everything that is tested through the public interface.

#![cfg(test)]

mod config_errors;
mod config_plan;
mod config_shipped;
mod schemas;
mod validate;
