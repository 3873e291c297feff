mod config_shipped;
mod mailbox_watch;
