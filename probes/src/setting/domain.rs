//! A domain name in the configuration.

use crate::net::name_problem;
use crate::setting::{Problem, Spanned, Template};

/// What is wrong with a name that is written out; one that a variable fills in is only known later.
pub(crate) fn check_domain(name: &Spanned<Template>) -> Option<Problem> {
    let problem = name.literal().as_deref().and_then(name_problem)?;
    // What is wrong stands before the colon, what to do behind it.
    Some(match problem.split_once(": ") {
        Some((title, help)) => Problem::error("bad-value", name.at, title).help(help),
        None => Problem::error("bad-value", name.at, problem),
    })
}
