//! The part of a report that is for machines (RFC 3464 §2; RFC 6533 for addresses beyond ASCII).

use super::super::header::{Field, fields, first};
use super::parts::Part;
use super::{Action, MAX_RECIPIENTS, RecipientReport, line, status_in};

/// The host that reports and what it reports of each recipient; `None` if there is no such part, or nothing in it.
pub(super) fn find(parts: &[Part<'_>]) -> Option<(Option<String>, Vec<RecipientReport>)> {
    let part = parts.iter().find(|part| {
        matches!(
            part.kind.as_str(),
            "message/delivery-status" | "message/global-delivery-status"
        )
    })?;
    let mut groups = groups(&part.body);
    let about_message = groups.next().unwrap_or_default();
    let reporting_mta = first(&about_message, "Reporting-MTA").and_then(value);
    // Some systems forget the empty line between what is about the message and the first recipient.
    let recipients: Vec<RecipientReport> = std::iter::once(about_message)
        .chain(groups)
        .filter_map(|group| recipient(&group))
        .take(MAX_RECIPIENTS)
        .collect();
    (!recipients.is_empty()).then_some((reporting_mta, recipients))
}

/// The groups of fields, which empty lines separate.
fn groups(body: &[u8]) -> impl Iterator<Item = Vec<Field>> {
    let mut rest = body;
    std::iter::from_fn(move || {
        loop {
            if rest.is_empty() {
                return None;
            }
            let (group, after) = super::parts::split(rest);
            rest = after;
            if !group.is_empty() {
                return Some(fields(group));
            }
        }
    })
    // Groups without a recipient must not make this long.
    .take(4 * MAX_RECIPIENTS)
}

fn recipient(group: &[Field]) -> Option<RecipientReport> {
    let status = first(group, "Status").and_then(status_in);
    let action = match first(group, "Action") {
        Some(word) => Action::from_name(word.split_whitespace().next().unwrap_or_default()),
        None => None,
    };
    Some(RecipientReport {
        action: action.or_else(|| Action::of_status(status.as_deref()?))?,
        recipient: first(group, "Final-Recipient").and_then(address),
        original_recipient: first(group, "Original-Recipient").and_then(address),
        status,
        diagnostic: first(group, "Diagnostic-Code").and_then(value),
        remote_mta: first(group, "Remote-MTA").and_then(value),
    })
}

/// The value of a field with a type before it: `dns; mx1.example.net`.
fn value(text: &str) -> Option<String> {
    let (_, value) = text.split_once(';').unwrap_or(("", text));
    line(value)
}

fn address(text: &str) -> Option<String> {
    let text = value(text)?;
    let bare = text
        .strip_prefix('<')
        .and_then(|rest| rest.strip_suffix('>'))
        .unwrap_or(&text);
    Some(bare.to_owned())
}
