//! What templates may use: the run, the item of `for_each`, the environment.

use postrider_probes::setting::Variables;
use postrider_probes::target::Target;

/// The run's own variables and the environment's.
pub(super) fn of_run(run: &str) -> Variables {
    let mut variables: Variables = std::env::vars_os()
        .filter_map(|(name, value)| {
            Some((
                format!("env.{}", name.into_string().ok()?),
                value.into_string().ok()?,
            ))
        })
        .collect();
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
