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

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let lines = text.split('\n').map(str::to_owned).collect();
        let found = from_reply(&Reply { code: 250, lines });
        assert_eq!(found.as_deref(), expected, "{text:?}");
    }

    #[test]
    fn the_forms_of_the_common_servers_are_known() {
        check("2.0.0 Ok: queued as 4D5A1C0123", Some("4D5A1C0123"));
        check(
            "2.0.0 Ok: queued as 4bXyZ12Qz3z9tB9",
            Some("4bXyZ12Qz3z9tB9"),
        );
        check(
            "2.0.0 from MTA(smtp:[127.0.0.1]:10025): 250 2.0.0 Ok: queued as 1E2F",
            Some("1E2F"),
        );
        check("OK id=1ZPhsl-0004Im-99", Some("1ZPhsl-0004Im-99"));
        check(
            "OK id=1tAbCd-00000001234-5EfG",
            Some("1tAbCd-00000001234-5EfG"),
        );
        check(
            "2.0.0 5A1B2C3D004711 Message accepted for delivery",
            Some("5A1B2C3D004711"),
        );
        check(
            "2.6.0 <a@b.example> [InternalId=21474836481, Hostname=X.prod.outlook.com] 8012 bytes in 0.1, 50 KB/sec Queued mail for delivery",
            Some("21474836481"),
        );
        check("ok 1700000000 qp 4711", Some("qp 4711"));
        check("2.0.0 thanks\n2.0.0 Ok: queued as 77", Some("77"));
    }

    #[test]
    fn anything_else_has_no_id() {
        for text in [
            "",
            "2.0.0 Ok",
            "queued as ",
            "OK valid=1",
            "ok now qp 4711",
            "ok 17 qp x",
            "[InternalId=]",
            "queued as \x1b[2J",
            "queued as caf\u{fffd}",
        ] {
            check(text, None);
        }
        check(&format!("queued as {}", "x".repeat(129)), None);
        let refused = Reply {
            code: 550,
            lines: vec!["OK id=1".to_owned()],
        };
        assert_eq!(from_reply(&refused), None);
    }
}
