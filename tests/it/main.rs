//! Everything that is tested through the public interface.

mod architecture;
mod config_errors;
mod config_shipped;
mod docs;
mod mailbox_watch;
mod net;
mod schemas;
