use crate::net::Net;
use crate::outcome::Failure;
use std::net::IpAddr;
#[derive(Debug)]
pub struct MxSet;
#[derive(Debug)]
pub struct MxHost {
    pub name: String,
}
pub async fn lookup(
    _: &dyn Net,
    _: &str,
    _: crate::kinds::deliver::Family,
    _: std::time::Duration,
) -> Result<MxSet, Failure> {
    Ok(MxSet)
}
pub fn sender_order(_: &MxSet, _: &mut impl rand::Rng) -> Vec<(MxHost, IpAddr)> {
    vec![]
}
