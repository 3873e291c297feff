//! What all kinds that ask for names have in their YAML.

use serde::Deserialize;

use crate::net::name_problem;
use crate::setting::{Place, Problem, Spanned, Template};

/// Whom to ask.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ask {
    /// The resolver.
    #[default]
    Resolver,
    /// Every address of every name server of the zone, one by one, without recursion.
    EveryAuthoritativeServer,
}

/// A name that cannot be asked for, unless it depends on variables.
pub(crate) fn name_mistake(name: &Spanned<Template>) -> Option<Problem> {
    let problem = name.literal().as_deref().and_then(name_problem)?;
    Some(mistake(name.at, &problem))
}

/// What is wrong stands before the colon, what to do behind it.
pub(crate) fn mistake(at: Place, text: &str) -> Problem {
    match text.split_once(": ") {
        Some((title, help)) => Problem::error("bad-value", at, title).help(help),
        None => Problem::error("bad-value", at, text),
    }
}
