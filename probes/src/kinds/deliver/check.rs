use super::settings::{Deliver, MessageDefaults};
use crate::kind::Names;
use crate::setting::{Place, Problem};
use std::time::Duration;
pub(super) fn check(_: &Deliver, _: &Names<'_>, _: Place, _: &mut Vec<Problem>) {}
pub(super) fn longest(_: &Deliver, _: &MessageDefaults) -> Duration {
    Duration::from_secs(60)
}
