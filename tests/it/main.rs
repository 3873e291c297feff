//! Everything that is tested through the public interface.

mod config_errors;
mod config_shipped;
mod mailbox_watch;
mod net;
mod schemas;
