//! What a bounce gives back of the mail: its header, in a part of its own or in the middle of a text.

use super::super::header::{all, fields};
use super::super::tag::{HEADER_NAME, Tag};
use super::notice::{lines, unquoted};
use super::parts::Part;

/// Lines that one field may be folded into.
const MAX_FOLDED: usize = 8;
/// Fields of one name that are looked at.
const MAX_FOUND: usize = 16;

/// The tag and the `Message-ID`.
pub(super) fn find(parts: &[Part<'_>]) -> (Option<Tag>, Option<String>) {
    for part in parts.iter().filter(|part| is_returned(&part.kind)) {
        let fields = fields(&part.body);
        let tags = all(&fields, HEADER_NAME);
        let tag = only(tags.into_iter().take(MAX_FOUND));
        let message_id = all(&fields, "Message-ID").first().and_then(|id| bare(id));
        if tag.is_some() || message_id.is_some() {
            return (tag, message_id);
        }
    }
    let texts = || {
        parts
            .iter()
            .filter(|part| part.kind == "text/plain")
            .map(|part| String::from_utf8_lossy(&part.body).into_owned())
    };
    let tags: Vec<String> = texts()
        .flat_map(|text| values(&text, HEADER_NAME))
        .take(MAX_FOUND)
        .collect();
    let tag = only(tags.iter().map(String::as_str));
    let message_id = texts()
        .flat_map(|text| values(&text, "Message-ID"))
        .find_map(|id| bare(&id));
    (tag, message_id)
}

fn is_returned(kind: &str) -> bool {
    matches!(
        kind,
        "message/rfc822"
            | "text/rfc822-headers"
            | "message/rfc822-headers"
            | "message/global"
            | "message/global-headers"
    )
}

/// The one tag that all of these are. When they differ nobody knows which mail is meant.
fn only<'t>(mut texts: impl Iterator<Item = &'t str>) -> Option<Tag> {
    let first: Tag = texts.next()?.parse().ok()?;
    let same = texts.all(|text| text.parse::<Tag>().is_ok_and(|tag| tag == first));
    same.then_some(first)
}

/// The values of a header field that stands in a text, perhaps quoted, perhaps indented.
fn values(text: &str, name: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let mut open = 0;
    for line in lines(text) {
        let line = unquoted(line);
        if open > 0 && line.starts_with([' ', '\t']) && !line.trim().is_empty() {
            open -= 1;
            if let Some(value) = found.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
            continue;
        }
        open = 0;
        let line = line.trim_start();
        let Some((before, value)) = line.split_once(':') else {
            continue;
        };
        if before.trim_end().eq_ignore_ascii_case(name) && found.len() < MAX_FOUND {
            found.push(value.trim().to_owned());
            open = MAX_FOLDED;
        }
    }
    found
}

fn bare(message_id: &str) -> Option<String> {
    let inner = message_id.split_once('<')?.1.split_once('>')?.0.trim();
    let is_one =
        !inner.is_empty() && inner.len() <= 300 && inner.bytes().all(|b| b.is_ascii_graphic());
    is_one.then(|| inner.to_owned())
}
