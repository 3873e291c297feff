use crate::config::plan::{ForEach, Inventory};
use postrider_probes::{
    net::Net,
    outcome::{Failure, Finding},
    setting::Variables,
    target::Target,
};
#[derive(Debug)]
pub struct Expansion {
    pub targets: Vec<Target>,
    pub findings: Vec<Finding>,
}
pub async fn expand(
    _: &ForEach,
    _: &Inventory,
    _: &dyn Net,
    _: &Variables,
) -> Result<Expansion, Failure> {
    Ok(Expansion {
        targets: vec![],
        findings: vec![],
    })
}
