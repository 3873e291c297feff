//! The program itself, as it is built, against the platform of real servers. See `tests/live/README.md`.

mod aftermath;
mod blackbox;
mod certificates;
mod changes;
mod dane;
mod delivery;
mod dnssec;
mod faults;
mod lab;
mod mailbox;
mod message;
mod names;
mod names_lab;
mod outages;
mod paths;
mod policy;
mod prometheus;
mod restart;
mod selection;
mod signals;
mod slow;
mod soak;
mod terminal;
