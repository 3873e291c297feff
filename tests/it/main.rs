mod config_shipped;
