mod config_shipped;

mod net;
