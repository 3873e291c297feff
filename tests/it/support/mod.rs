//! A laboratory for the whole program: the embedded platform in this process, and the real binary beside it, as an
//! operator starts it.

mod fault;
mod lab;
mod program;

pub(crate) use fault::{Fault, judge, run_each};
pub(crate) use lab::{Lab, Mailbox};
pub(crate) use program::{Program, Ran};
