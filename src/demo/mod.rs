//! `postrider demo`: a mail platform inside the process, and the flagship scenario against it.

pub mod platform;
