//! FETCH: which items are wanted, and what a message has for them (RFC 3501 §6.4.5).

use std::num::NonZeroU32;

use imap_codec::ResponseCodec;
use imap_codec::decode::Decoder;
use imap_codec::imap_types::IntoStatic;
use imap_codec::imap_types::core::{AString, Literal, NString};
use imap_codec::imap_types::datetime::DateTime;
use imap_codec::imap_types::fetch::{
    MacroOrMessageDataItemNames, MessageDataItem, MessageDataItemName, Section,
};
use imap_codec::imap_types::flag::{Flag, FlagFetch};
use imap_codec::imap_types::response::{Data, Response};
use jiff::Timestamp;

use super::clock;
use super::message;
use super::store::StoredMessage;

/// Checked items: nothing in here is beyond this server.
pub(super) struct Wanted<'a> {
    items: Vec<MessageDataItemName<'a>>,
}

impl<'a> Wanted<'a> {
    /// `None` if there is something that is not served: ENVELOPE, BODYSTRUCTURE, MIME parts.
    pub(super) fn new(asked: &'a MacroOrMessageDataItemNames<'a>, by_uid: bool) -> Option<Self> {
        let mut items = match asked {
            MacroOrMessageDataItemNames::Macro(short) => short.expand(),
            MacroOrMessageDataItemNames::MessageDataItemNames(names) => names.clone(),
        };
        // UID commands answer with the UID, asked for or not (RFC 3501 §6.4.8).
        if by_uid && !items.contains(&MessageDataItemName::Uid) {
            items.insert(0, MessageDataItemName::Uid);
        }
        items.iter().all(is_served).then_some(Self { items })
    }

    /// Whether the fetch marks messages as read.
    pub(super) fn sets_seen(&self) -> bool {
        self.items.iter().any(|item| match item {
            MessageDataItemName::BodyExt { peek, .. } => !peek,
            MessageDataItemName::Rfc822 | MessageDataItemName::Rfc822Text => true,
            _ => false,
        })
    }

    /// The items of one message; its flags too where the fetch has changed them.
    pub(super) fn of(
        &self,
        message: &StoredMessage,
        changed: bool,
    ) -> Vec<MessageDataItem<'static>> {
        let mut items: Vec<_> = self
            .items
            .iter()
            .filter_map(|item| value(item, message))
            .collect();
        if changed && !self.items.contains(&MessageDataItemName::Flags) {
            items.push(fetch_flags(message));
        }
        items
    }
}

/// The first section of content that is asked for, as text; `None` if only attributes are.
pub(super) fn content_section(asked: &MacroOrMessageDataItemNames<'_>) -> Option<&'static str> {
    let MacroOrMessageDataItemNames::MessageDataItemNames(names) = asked else {
        return None;
    };
    names.iter().find_map(|name| match name {
        MessageDataItemName::BodyExt { section, .. } => Some(match section {
            None => "",
            Some(Section::Text(_)) => "TEXT",
            Some(_) => "HEADER",
        }),
        MessageDataItemName::Rfc822 => Some(""),
        _ => None,
    })
}

/// The FLAGS item of a message.
pub(super) fn fetch_flags(message: &StoredMessage) -> MessageDataItem<'static> {
    let flags = message.flags.iter();
    let flags = flags.filter_map(|flag| {
        let flag = match flag.as_str() {
            "\\Seen" => Flag::Seen,
            "\\Deleted" => Flag::Deleted,
            "\\Answered" => Flag::Answered,
            "\\Flagged" => Flag::Flagged,
            "\\Draft" => Flag::Draft,
            other => {
                let atom = other.trim_start_matches('\\').to_owned();
                Flag::keyword(atom.try_into().ok()?)
            }
        };
        Some(FlagFetch::Flag(flag))
    });
    MessageDataItem::Flags(flags.collect())
}

fn is_served(item: &MessageDataItemName<'_>) -> bool {
    match item {
        MessageDataItemName::BodyExt { section, .. } => matches!(
            section,
            None | Some(
                Section::Header(None)
                    | Section::Text(None)
                    | Section::HeaderFields(None, _)
                    | Section::HeaderFieldsNot(None, _)
            )
        ),
        MessageDataItemName::Uid
        | MessageDataItemName::Flags
        | MessageDataItemName::InternalDate
        | MessageDataItemName::Rfc822
        | MessageDataItemName::Rfc822Header
        | MessageDataItemName::Rfc822Size
        | MessageDataItemName::Rfc822Text => true,
        _ => false,
    }
}

fn value(
    item: &MessageDataItemName<'_>,
    message: &StoredMessage,
) -> Option<MessageDataItem<'static>> {
    let raw = &message.raw;
    let (header, text) = message::split(raw);
    Some(match item {
        MessageDataItemName::Uid => MessageDataItem::Uid(NonZeroU32::new(message.uid)?),
        MessageDataItemName::Flags => fetch_flags(message),
        MessageDataItemName::InternalDate => {
            MessageDataItem::InternalDate(internal_date(message.internal_date)?)
        }
        MessageDataItemName::Rfc822Size => {
            MessageDataItem::Rfc822Size(u32::try_from(raw.len()).unwrap_or(u32::MAX))
        }
        MessageDataItemName::Rfc822 => MessageDataItem::Rfc822(literal(raw)),
        MessageDataItemName::Rfc822Header => MessageDataItem::Rfc822Header(literal(header)),
        MessageDataItemName::Rfc822Text => MessageDataItem::Rfc822Text(literal(text)),
        MessageDataItemName::BodyExt {
            section, partial, ..
        } => {
            let content = section_content(section.as_ref(), raw, header, text);
            let (content, origin) = match partial {
                None => (content.as_slice(), None),
                Some((from, count)) => (slice(&content, *from, count.get()), Some(*from)),
            };
            MessageDataItem::BodyExt {
                section: section.clone().map(IntoStatic::into_static),
                origin,
                data: literal(content),
            }
        }
        _ => return None,
    })
}

fn section_content(
    section: Option<&Section<'_>>,
    raw: &[u8],
    header: &[u8],
    text: &[u8],
) -> Vec<u8> {
    match section {
        None => raw.to_vec(),
        Some(Section::Text(_)) => text.to_vec(),
        Some(Section::HeaderFields(_, names)) => some_fields(header, names.as_ref(), true),
        Some(Section::HeaderFieldsNot(_, names)) => some_fields(header, names.as_ref(), false),
        Some(_) => header.to_vec(),
    }
}

/// The fields that are among `names`, or those that are not, and the empty line.
fn some_fields(header: &[u8], names: &[AString<'_>], among: bool) -> Vec<u8> {
    let named = |field: &[u8]| {
        let mut names = names.iter();
        names.any(|name| name.as_ref().eq_ignore_ascii_case(field))
    };
    let mut chosen = Vec::new();
    for (name, field) in message::fields(header) {
        if named(name) == among {
            chosen.extend_from_slice(field);
        }
    }
    chosen.extend_from_slice(b"\r\n");
    chosen
}

fn slice(content: &[u8], from: u32, count: u32) -> &[u8] {
    let from = usize::try_from(from)
        .unwrap_or(usize::MAX)
        .min(content.len());
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    let to = from.saturating_add(count).min(content.len());
    content.get(from..to).unwrap_or_default()
}

/// A literal; NIL for content with a NUL byte, which IMAP can't carry.
fn literal(content: &[u8]) -> NString<'static> {
    let literal = Literal::try_from(content.to_vec());
    literal.map(NString::from).unwrap_or_default()
}

/// The codec's date can only be made from another crate's, or by parsing; so it is parsed.
fn internal_date(time: Timestamp) -> Option<DateTime> {
    let response = format!(
        "* 1 FETCH (INTERNALDATE \"{}\")\r\n",
        clock::internal_date(time)
    );
    let (_, response) = ResponseCodec::default().decode(response.as_bytes()).ok()?;
    let Response::Data(Data::Fetch { items, .. }) = response else {
        return None;
    };
    items.into_iter().find_map(|item| match item {
        MessageDataItem::InternalDate(date) => Some(date),
        _ => None,
    })
}
