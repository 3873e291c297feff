//! Bounces: what a mail system sends back when it cannot deliver, or not yet (RFC 3464), also in the forms that
//! systems used before there was a standard, or use beside it.
//!
//! A bounce comes from anybody, so everything here is bounded: octets read, parts, nesting, recipients, text kept.
//! The parts are split here and not by a MIME library: a message within a message within a message … makes the
//! values of those nest without limit, and dropping them overflows the stack.

mod notice;
mod parts;
mod report;
mod returned;

use crate::text::RemoteText;

use super::header::{self, Field};
use super::tag::{HEADER_NAME, Tag};

/// Octets of a bounce that are looked at. What it returns of our mail need not be whole: its header is enough.
pub const MAX_SIZE: usize = 256 * 1024;
/// Recipients that one bounce may tell of.
pub const MAX_RECIPIENTS: usize = 50;

/// What a bounce says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounce {
    /// In which form it says so.
    pub form: Form,
    /// The host that made it, when it says so.
    pub reporting_mta: Option<String>,
    /// What became of the mail for each recipient; at least one.
    pub recipients: Vec<RecipientReport>,
    /// The tag in what it returns of the mail; none when there are several that differ.
    pub tag: Option<Tag>,
    /// The `Message-ID` in what it returns of the mail, without the angle brackets.
    pub message_id: Option<String>,
}

/// The form of a bounce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Form {
    /// A report of RFC 3464, to be read by machines.
    Report,
    /// The text of qmail.
    Qmail,
    /// The text of Exim.
    Exim,
    /// The text of Postfix.
    Postfix,
    /// The text of Exchange.
    Exchange,
    /// Another text.
    Other,
}

/// What became of the mail for one recipient. All text is safe to show and at most [`RemoteText::LINE`] long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipientReport {
    /// What happened.
    pub action: Action,
    /// The address that it was tried for.
    pub recipient: Option<String>,
    /// The address that the sender had given (RFC 3464 §2.3.1).
    pub original_recipient: Option<String>,
    /// The enhanced status code, `5.1.1` (RFC 3463).
    pub status: Option<String>,
    /// The words of the host that refused.
    pub diagnostic: Option<String>,
    /// The host that refused.
    pub remote_mta: Option<String>,
}

/// What happened (RFC 3464 §2.3.3), from the least to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Action {
    /// Delivered.
    Delivered,
    /// Handed to a system that reports nothing.
    Relayed,
    /// Delivered, and sent on to several.
    Expanded,
    /// Not delivered yet; it is still tried.
    Delayed,
    /// Given up.
    Failed,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 5] = [
        Self::Delivered,
        Self::Relayed,
        Self::Expanded,
        Self::Delayed,
        Self::Failed,
    ];

    /// The word of RFC 3464.
    pub fn name(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Relayed => "relayed",
            Self::Expanded => "expanded",
            Self::Delayed => "delayed",
            Self::Failed => "failed",
        }
    }

    /// The action with this name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|action| name.eq_ignore_ascii_case(action.name()))
    }

    /// What a status code says by its class.
    fn of_status(status: &str) -> Option<Self> {
        match status.as_bytes().first()? {
            b'2' => Some(Self::Delivered),
            b'4' => Some(Self::Delayed),
            b'5' => Some(Self::Failed),
            _ => None,
        }
    }
}

impl Bounce {
    /// Reads a message, of which [`MAX_SIZE`] octets count; `None` if it is no bounce.
    pub fn parse(message: &[u8]) -> Option<Self> {
        let message = message.get(..MAX_SIZE).unwrap_or(message);
        let (header, _) = parts::split(message);
        if !is_likely(header) {
            return None;
        }
        let leaves = parts::leaves(message);
        let (form, reporting_mta, recipients) = match report::find(&leaves) {
            Some((reporting_mta, recipients)) => (Form::Report, reporting_mta, recipients),
            None => notice::find(&header::fields(header), &leaves)?,
        };
        let (tag, message_id) = returned::find(&leaves);
        Some(Self {
            form,
            reporting_mta,
            recipients,
            tag,
            message_id,
        })
    }

    /// What it says of a recipient: by that address, or, when none is that one (a mailing list, a forward), the worst.
    pub fn about(&self, recipient: &str) -> Option<&RecipientReport> {
        let is_it = |address: &Option<String>| {
            address
                .as_ref()
                .is_some_and(|address| address.eq_ignore_ascii_case(recipient))
        };
        let named = self
            .recipients
            .iter()
            .filter(|report| is_it(&report.original_recipient) || is_it(&report.recipient));
        let worst_named = named.max_by_key(|report| report.action);
        worst_named.or_else(|| self.recipients.iter().max_by_key(|report| report.action))
    }
}

/// Whether a message may be a bounce, by its header: only then is its body worth reading. Our own mail is none.
pub fn is_likely(block: &[u8]) -> bool {
    let fields = header::fields(block);
    let value = |name| header::first(&fields, name).unwrap_or_default();
    if !value(HEADER_NAME).is_empty() {
        return false;
    }
    let content_type = value("Content-Type").to_ascii_lowercase();
    if content_type.starts_with("multipart/report") && content_type.contains("delivery-status") {
        return true;
    }
    if !value("X-Failed-Recipients").is_empty() {
        return true;
    }
    // A null sender alone is also that of an automatic reply (RFC 3834 §3).
    is_from_a_mail_system(&fields) || (is_null(value("Return-Path")) && has_subject_of_one(&fields))
}

fn is_null(path: &str) -> bool {
    path.trim() == "<>"
}

fn is_from_a_mail_system(fields: &[Field]) -> bool {
    let from = header::first(fields, "From").unwrap_or_default();
    let from = from.to_ascii_lowercase();
    [
        "mailer-daemon@",
        "mailer-daemon",
        "postmaster@",
        "microsoftexchange",
    ]
    .iter()
    .any(|name| from.contains(name))
}

fn has_subject_of_one(fields: &[Field]) -> bool {
    const WORDS: [&str; 9] = [
        "undeliver",
        "delivery status",
        "delivery fail",
        "delivery delay",
        "failure notice",
        "returned mail",
        "mail delivery",
        "message delayed",
        "non-delivery",
    ];
    let subject = header::first(fields, "Subject").unwrap_or_default();
    let subject = subject.to_ascii_lowercase();
    WORDS.iter().any(|words| subject.contains(words))
}

/// Remote text on one line, safe and short; `None` when nothing is left.
fn line(text: &str) -> Option<String> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ");
    (!text.is_empty()).then(|| RemoteText::new(text.as_bytes(), RemoteText::LINE).to_string())
}

/// The first enhanced status code (RFC 3463 §2) in a text.
fn status_in(text: &str) -> Option<String> {
    text.split(|character: char| !character.is_ascii_digit() && character != '.')
        .find(|word| is_status(word))
        .map(ToOwned::to_owned)
}

fn is_status(word: &str) -> bool {
    let parts: Vec<&str> = word.split('.').take(4).collect();
    let is_number = |part: &str| (1..=3).contains(&part.len());
    match parts.as_slice() {
        [class, subject, detail] => {
            matches!(*class, "2" | "4" | "5") && is_number(subject) && is_number(detail)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
