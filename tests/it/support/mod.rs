//! A laboratory for the whole program: the embedded platform in this process, and the real binary beside it, as an
//! operator starts it.

mod fault;
mod lab;
pub(crate) mod policy_host;
mod program;

use std::time::Duration;

pub(crate) use fault::{Fault, judge, run_each, says};
pub(crate) use lab::{Lab, Mailbox};
pub(crate) use program::{Program, Ran, Running, line};

/// Waits until there is something, looking often.
pub(crate) async fn until<T>(mut look: impl FnMut() -> Option<T>) -> T {
    let looking = async {
        loop {
            match look() {
                Some(found) => return found,
                None => tokio::time::sleep(Duration::from_millis(2)).await,
            }
        }
    };
    let found = tokio::time::timeout(Duration::from_secs(20), looking).await;
    found.expect("it has not come in time")
}
