//! The whole daemon but its sockets and its web, in virtual time.

mod day;
mod platform;
