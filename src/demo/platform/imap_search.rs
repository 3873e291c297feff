//! SEARCH: whether a message matches (RFC 3501 §6.4.4).

use imap_codec::imap_types::datetime::NaiveDate;
use imap_codec::imap_types::search::SearchKey;
use imap_codec::imap_types::sequence::SequenceSet;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::message;
use super::store::StoredMessage;

/// Deeper nesting of NOT, OR and parentheses is not served.
const DEPTH: u32 = 32;

/// Whether all keys hold; `None` if there is a key that is not served here. `place` tells
/// whether the message is in a set of numbers, or of UIDs if the flag is set.
pub(super) fn matches(
    keys: &[SearchKey<'_>],
    message: &StoredMessage,
    place: &dyn Fn(&SequenceSet, bool) -> bool,
) -> Option<bool> {
    all(keys, message, place, DEPTH)
}

fn all(
    keys: &[SearchKey<'_>],
    message: &StoredMessage,
    place: &dyn Fn(&SequenceSet, bool) -> bool,
    depth: u32,
) -> Option<bool> {
    // Every key is looked at, so that one that is not served is found with no message too.
    let mut holds = true;
    for key in keys {
        holds &= one(key, message, place, depth)?;
    }
    Some(holds)
}

fn one(
    key: &SearchKey<'_>,
    message: &StoredMessage,
    place: &dyn Fn(&SequenceSet, bool) -> bool,
    depth: u32,
) -> Option<bool> {
    let deeper = depth.checked_sub(1)?;
    let has = |flag: &str| message.flags.contains(flag);
    let field = |name: &str, text: &[u8]| {
        let mut values = message::values(&message.raw, name);
        values.any(|value| contains(value.as_bytes(), text))
    };
    let date = message.internal_date.to_zoned(TimeZone::UTC).date();
    let size = message.raw.len();
    Some(match key {
        SearchKey::And(keys) => all(keys.as_ref(), message, place, deeper)?,
        SearchKey::Not(key) => !one(key, message, place, deeper)?,
        SearchKey::Or(a, b) => {
            let a = one(a, message, place, deeper)?;
            one(b, message, place, deeper)? || a
        }
        SearchKey::All | SearchKey::Old => true,
        SearchKey::New | SearchKey::Recent => false,
        SearchKey::SequenceSet(set) => place(set, false),
        SearchKey::Uid(set) => place(set, true),
        SearchKey::Answered => has("\\Answered"),
        SearchKey::Unanswered => !has("\\Answered"),
        SearchKey::Deleted => has("\\Deleted"),
        SearchKey::Undeleted => !has("\\Deleted"),
        SearchKey::Draft => has("\\Draft"),
        SearchKey::Undraft => !has("\\Draft"),
        SearchKey::Flagged => has("\\Flagged"),
        SearchKey::Unflagged => !has("\\Flagged"),
        SearchKey::Seen => has("\\Seen"),
        SearchKey::Unseen => !has("\\Seen"),
        SearchKey::Keyword(keyword) => has(keyword.as_ref()),
        SearchKey::Unkeyword(keyword) => !has(keyword.as_ref()),
        SearchKey::Header(name, text) => {
            field(&String::from_utf8_lossy(name.as_ref()), text.as_ref())
        }
        SearchKey::Subject(text) => field("Subject", text.as_ref()),
        SearchKey::From(text) => field("From", text.as_ref()),
        SearchKey::To(text) => field("To", text.as_ref()),
        SearchKey::Cc(text) => field("Cc", text.as_ref()),
        SearchKey::Bcc(text) => field("Bcc", text.as_ref()),
        SearchKey::Text(text) => contains(&message.raw, text.as_ref()),
        SearchKey::Body(text) => contains(message::split(&message.raw).1, text.as_ref()),
        SearchKey::Since(day) => date >= civil(day)?,
        SearchKey::Before(day) => date < civil(day)?,
        SearchKey::On(day) => date == civil(day)?,
        SearchKey::Larger(limit) => size > usize::try_from(*limit).unwrap_or(usize::MAX),
        SearchKey::Smaller(limit) => size < usize::try_from(*limit).unwrap_or(usize::MAX),
        _ => return None,
    })
}

/// In any case, as RFC 3501 wants; the empty text is everywhere.
fn contains(content: &[u8], text: &[u8]) -> bool {
    text.is_empty()
        || content
            .windows(text.len())
            .any(|window| window.eq_ignore_ascii_case(text))
}

/// The codec's date is another crate's type; its text is ISO 8601.
fn civil(day: &NaiveDate) -> Option<Date> {
    day.as_ref().to_string().parse().ok()
}
