//! Bounces that are only text, in the words of the systems that write them.

use super::super::header::{Field, first};
use super::parts::Part;
use super::{Action, Form, MAX_RECIPIENTS, RecipientReport, line, status_in};

/// Characters of a notice that are looked at.
const MAX_NOTICE: usize = 64 * 1024;
/// Lines of a text that are looked at.
const MAX_LINES: usize = 4000;
/// Characters of one line that are looked at.
const MAX_LINE: usize = 2000;
/// Lines that belong to one recipient.
const MAX_WORDS: usize = 30;

/// By which words a system is known, wherever they stand in the text.
const FORMS: [(&str, Form); 7] = [
    ("this is the qmail-send program", Form::Qmail),
    (
        "this message was created automatically by mail delivery software",
        Form::Exim,
    ),
    ("this is the mail system at host", Form::Postfix),
    ("this is the postfix program at host", Form::Postfix),
    ("diagnostic information for administrators", Form::Exchange),
    ("delivery has failed to these recipients", Form::Exchange),
    ("did not reach the following recipient", Form::Exchange),
];

/// Words that say so in other systems' texts.
const OTHERS: [&str; 8] = [
    "permanent fatal errors",
    "could not be delivered",
    "couldn't be delivered",
    "was not delivered",
    "delivery to the following recipient",
    "has not yet been delivered",
    "transient non-fatal errors",
    "undeliverable",
];

/// Words that say that it is still being tried.
const DELAYED: [&str; 6] = [
    "has not yet been delivered",
    "could not be delivered for more than",
    "do not need to resend",
    "transient non-fatal errors",
    "delivery attempts will continue",
    "has been delayed",
];

/// Where the text ends and what is returned of the mail begins.
const ENDS: [&str; 9] = [
    "--- below this line is a copy of the message",
    "------ this is a copy of",
    "------ the body of the message is",
    "original message headers:",
    "----- original message -----",
    "--- original message",
    "--- the header of the original message",
    "--- message header follows",
    "----- message header follows -----",
];

/// What a notice says: its form, the host that wrote it, and each recipient.
pub(super) fn find(
    header: &[Field],
    parts: &[Part<'_>],
) -> Option<(Form, Option<String>, Vec<RecipientReport>)> {
    let part = parts.iter().find(|part| part.kind == "text/plain")?;
    let body = part.body.get(..MAX_NOTICE).unwrap_or(&part.body);
    let text = String::from_utf8_lossy(body);
    let said: Vec<&str> = lines(&text)
        .take_while(|line| {
            let line = line.trim_start().to_ascii_lowercase();
            !ENDS.iter().any(|end| line.starts_with(end))
        })
        .collect();
    let words = said.join(" ").to_ascii_lowercase();
    let words: Vec<&str> = words.split_whitespace().collect();
    let words = words.join(" ");
    let known = FORMS.iter().find(|(mark, _)| words.contains(mark));
    let form = match known {
        Some((_, form)) => *form,
        None if OTHERS.iter().any(|mark| words.contains(mark)) => Form::Other,
        None => return None,
    };
    let is_delayed = DELAYED.iter().any(|mark| words.contains(mark));
    let mut recipients = recipients(&said, is_delayed);
    if recipients.is_empty() {
        let failed = first(header, "X-Failed-Recipients")?;
        let named = failed.split(',').take(MAX_RECIPIENTS);
        recipients = named
            .filter_map(|address| Some(report(line(address)?, "", is_delayed)))
            .collect();
    }
    (!recipients.is_empty()).then(|| (form, host(&said), recipients))
}

/// Each address at the beginning of a line, and what is said below it.
fn recipients(said: &[&str], is_delayed: bool) -> Vec<RecipientReport> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = said.get(at) {
        at += 1;
        let Some((address, rest)) = address(first) else {
            continue;
        };
        let mut about = rest.to_owned();
        for line in said.iter().skip(at).take(MAX_WORDS) {
            if line.trim().is_empty() || self::address(line).is_some() {
                break;
            }
            about.push(' ');
            about.push_str(line);
            at += 1;
        }
        found.push(report(address.to_owned(), &about, is_delayed));
        if found.len() >= MAX_RECIPIENTS {
            break;
        }
    }
    found
}

/// `<bob@example.net>:` or `  bob@example.net`, and what follows in the line.
fn address(line: &str) -> Option<(&str, &str)> {
    let line = line.trim();
    let (address, rest) = match line.strip_prefix('<') {
        Some(line) => line.split_once('>')?,
        None => line
            .split_once([':', ' ', '<'])
            .map_or((line, ""), |(address, rest)| (address, rest)),
    };
    let address = address.trim_matches(['\'', '"']);
    let (local, domain) = address.rsplit_once('@')?;
    let is_one = !local.is_empty()
        && domain.contains(|c: char| c.is_alphanumeric())
        && address.len() <= 254
        && !address.contains(|c: char| c.is_whitespace() || c.is_control());
    is_one.then(|| (address, rest.trim_start_matches([':', ' '])))
}

fn report(address: String, about: &str, is_delayed: bool) -> RecipientReport {
    let action = match is_delayed {
        true => Action::Delayed,
        false => Action::Failed,
    };
    RecipientReport {
        action,
        recipient: line(&address),
        original_recipient: None,
        status: status_in(about),
        diagnostic: line(about),
        remote_mta: remote(about),
    }
}

/// The host that refused, where the words name it: `host mx1.example.net [192.0.2.1]`.
fn remote(about: &str) -> Option<String> {
    let after = about.split_once("host ")?.1;
    let name = after
        .split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '.' | '-' | '_'))
        .next()?;
    name.contains('.').then(|| line(name)).flatten()
}

/// The host that wrote the notice, where it names itself.
fn host(said: &[&str]) -> Option<String> {
    const MARKS: [&str; 4] = [
        "qmail-send program at ",
        "mail system at host ",
        "program at host ",
        "generating server: ",
    ];
    said.iter().find_map(|line| {
        let lower = line.to_ascii_lowercase();
        let (mark, at) = MARKS
            .iter()
            .find_map(|mark| Some((mark, lower.find(mark)?)))?;
        let rest = lower.get(at + mark.len()..)?;
        let name = rest.split_whitespace().next()?;
        super::line(name.trim_end_matches(['.', ',']))
    })
}

/// The lines of a text, bounded in number and length.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().take(MAX_LINES).map(|line| {
        line.get(..line.floor_char_boundary(MAX_LINE))
            .unwrap_or(line)
    })
}

/// A line without the marks of a quotation.
pub(super) fn unquoted(line: &str) -> &str {
    let mut line = line;
    while let Some(rest) = line.strip_prefix('>') {
        line = rest.strip_prefix(' ').unwrap_or(rest);
    }
    line
}
