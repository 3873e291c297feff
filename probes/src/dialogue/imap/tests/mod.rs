//! The session against scripted servers, in memory and in virtual time.

mod folders;
mod hostile;
mod idle;
mod login;
pub(crate) mod peer;
mod reading;
mod removing;
mod starttls;
