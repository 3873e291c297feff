//! What the program says and does when a server misbehaves: the binary against the embedded platform, one table row
//! for each fault. `support::judge` holds what is true of every run.

mod approach;
mod certificates;
mod connections;
mod cut_off;
mod delivery;
mod dialogue;
mod final_dot;
mod floods;
mod imap;
mod names;
mod starttls;
mod unasked;
