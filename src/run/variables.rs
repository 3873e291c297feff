//! What templates may use: the run, the item of `for_each`, the environment.

use postrider_probes::setting::Variables;
use postrider_probes::target::Target;

use crate::config::plan::Plan;

/// The run's own variables, and those of the environment that the plan names.
pub(super) fn of_run(plan: &Plan, run: &str) -> Variables {
    let mut variables = plan.environment.clone();
    variables.insert("run.id".to_owned(), run.to_owned());
    variables
}

/// Adds the item of `for_each`.
pub(super) fn add_item(variables: &mut Variables, target: &Target, port: u16) {
    let family = if target.address.is_ipv4() {
        "ipv4"
    } else {
        "ipv6"
    };
    let items = [
        ("mx", target.mx.clone()),
        ("host", target.mx.clone()),
        ("address", target.address.to_string()),
        ("family", family.to_owned()),
        ("preference", target.preference.to_string()),
        ("node", target.node.clone().unwrap_or_default()),
        ("role", target.role.name().to_owned()),
        ("port", port.to_string()),
    ];
    variables.extend(
        items
            .into_iter()
            .map(|(key, value)| (format!("item.{key}"), value)),
    );
}
