//! The rules. Pure: what was seen in, findings out. What breaks mail fails; the rest degrades.

mod identity;
mod layout;
mod naming;
#[cfg(test)]
mod tests;

use crate::kinds::cluster::Rule;
use crate::kinds::cluster::look::Seen;
use crate::outcome::Finding;
use crate::reason::Reason;

/// A rule and its judgement.
type Judge = fn(&Seen) -> Vec<Finding>;

/// Every rule, in the order in which findings are told.
pub(super) const ALL: [(Rule, Judge); 11] = [
    (Rule::TwoNodes, layout::two_nodes),
    (Rule::OtherNetwork, layout::other_network),
    (Rule::BothRoles, layout::both_roles),
    (Rule::MxNames, naming::mx_names),
    (Rule::MxTtl, layout::mx_ttl),
    (Rule::Ipv4OnlyMx, layout::ipv4_only_mx),
    (Rule::MxFiltersOnly, layout::mx_filters_only),
    (Rule::ServerNames, naming::server_names),
    (Rule::PrimaryNames, naming::primary_names),
    (Rule::OtherNames, naming::other_names),
    (Rule::SameIdentity, identity::same_identity),
];

fn layout(message: impl Into<String>) -> Finding {
    Finding::new(Reason::ClusterLayout, message)
}

/// Whether a name is another one or below it.
fn is_at_or_below(name: &str, above: &str) -> bool {
    name.strip_suffix(above)
        .is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}
