//! SMTP text: replies, EHLO capabilities, message data.
//!
//! The conversation itself (what to say when, with which deadline) is not here.

pub mod data;
pub mod ehlo;
pub mod queue_id;
pub mod reply;
