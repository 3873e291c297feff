//! What the kinds that look at names share: spelling, zones and their servers, reverse names, whose addresses.

pub(crate) mod canonical;
pub(crate) mod lookback;
mod question;
pub(crate) mod reverse;
pub(crate) mod special;
pub mod subject;
pub(crate) mod zone;

use postrider_wire::text::RemoteText;

pub use question::Ask;
pub(crate) use question::{mistake, name_mistake};
pub use reverse::reverse_name;
pub use special::special_purpose;

/// Lines of answers that are kept as proof.
pub(crate) const MOST_LINES: usize = 100;

/// Remote text, safe and on one line.
pub(crate) fn line(text: &str) -> String {
    RemoteText::new(text.as_bytes(), RemoteText::LINE).to_string()
}
