mod architecture;
mod config_shipped;
