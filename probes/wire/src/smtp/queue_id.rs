//! The name under which a server queued a message, from its reply to the final dot.
//!
//! No standard says where it is; these are the forms of the common servers. It serves to find the
//! message in that server's log, so it is what the log shows.

use super::reply::Reply;

/// The longest id that is believed, in bytes.
const MAX_LENGTH: usize = 128;

/// The queue id in a 2yz reply to the final dot, if the text has a known form:
///
/// | server | text | id |
/// |---|---|---|
/// | Postfix | `2.0.0 Ok: queued as 4bXyz` | `4bXyz` |
/// | Exim | `OK id=1ZPhsl-0004Im-99` | `1ZPhsl-0004Im-99` |
/// | sendmail | `2.0.0 5A1 Message accepted for delivery` | `5A1` |
/// | Exchange | `2.6.0 <msgid> [InternalId=7, …] … Queued mail` | `7` |
/// | qmail | `ok 1700000000 qp 4711` | `qp 4711` |
pub fn from_reply(reply: &Reply) -> Option<String> {
    if !reply.is_positive_completion() {
        return None;
    }
    let text = reply.text();
    let id = postfix(&text)
        .or_else(|| exim(&text))
        .or_else(|| exchange(&text))
        .or_else(|| qmail(&text))
        .or_else(|| sendmail(&text))?;
    let sound =
        !id.is_empty() && id.len() <= MAX_LENGTH && id.bytes().all(|b| (b' '..=b'~').contains(&b));
    sound.then_some(id)
}

/// The last one counts: a proxy in front quotes the reply of the server behind it.
fn postfix(text: &str) -> Option<String> {
    let (_, after) = text.rsplit_once("queued as ")?;
    Some(word(after).to_owned())
}

fn exim(text: &str) -> Option<String> {
    let (before, after) = text.rsplit_once("id=")?;
    (before.is_empty() || before.ends_with(' ')).then(|| word(after).to_owned())
}

fn exchange(text: &str) -> Option<String> {
    let (_, after) = text.split_once("[InternalId=")?;
    let id = after.split([',', ']']).next()?;
    Some(id.trim().to_owned())
}

fn qmail(text: &str) -> Option<String> {
    let (before, after) = text.split_once(" qp ")?;
    let epoch = before.rsplit(' ').next()?;
    let pid = word(after);
    (is_number(epoch) && is_number(pid)).then(|| format!("qp {pid}"))
}

fn sendmail(text: &str) -> Option<String> {
    let (before, _) = text.split_once(" Message accepted for delivery")?;
    before.rsplit(' ').next().map(str::to_owned)
}

fn word(text: &str) -> &str {
    let word = text.split_whitespace().next().unwrap_or_default();
    word.trim_end_matches(['.', ',', ';', ')'])
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
