//! Everything that is tested through the public interface.

mod config_errors;
mod config_shipped;
mod schemas;
mod live;
