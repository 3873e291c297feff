
mod config_shipped;
