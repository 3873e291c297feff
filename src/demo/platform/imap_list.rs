//! LIST and STATUS: commands about folders that none of them has to be selected for.

use std::num::NonZeroU32;
use std::sync::Arc;

use imap_codec::imap_types::core::{Atom, QuotedChar};
use imap_codec::imap_types::flag::FlagNameAttribute;
use imap_codec::imap_types::mailbox::{ListMailbox, Mailbox};
use imap_codec::imap_types::response::{Data, Response};
use imap_codec::imap_types::status::{StatusDataItem, StatusDataItemName};

use super::imap_folder::{count, name_of};
use super::imap_reply::Done;
use super::store::{FOLDERS, Store};

/// LIST with `%` and `*`; no folder has a child.
pub(super) fn list(reference: &Mailbox<'_>, pattern: &ListMailbox<'_>) -> Done {
    let delimiter = QuotedChar::try_from('/').ok();
    let pattern = match pattern {
        ListMailbox::Token(token) => token.as_ref(),
        ListMailbox::String(string) => string.as_ref(),
    };
    let pattern = format!("{}{}", name_of(reference), String::from_utf8_lossy(pattern));
    let entry = |name: &'static str, items| {
        let mailbox = Mailbox::try_from(name).ok()?;
        Some(Response::Data(Data::List {
            items,
            delimiter,
            mailbox,
        }))
    };
    // Only asks for the delimiter (RFC 3501 §6.3.8).
    if pattern.is_empty() {
        let root = entry("", vec![FlagNameAttribute::Noselect]);
        return Done::ok(root.into_iter().collect(), "LIST completed");
    }
    let matching = FOLDERS
        .iter()
        .filter(|(name, _)| list_matches(&pattern, name));
    let listed = matching.filter_map(|(name, special)| {
        let special = special.and_then(|special| Atom::try_from(special).ok());
        let mut items = vec![FlagNameAttribute::Noinferiors];
        items.extend(special.map(FlagNameAttribute::from));
        entry(name, items)
    });
    Done::ok(listed.collect(), "LIST completed")
}

/// Both wildcards match anything, as no name holds a delimiter. INBOX matches in any case.
fn list_matches(pattern: &str, name: &str) -> bool {
    let (pattern, name) = if name == "INBOX" {
        (pattern.to_ascii_uppercase(), name)
    } else {
        (pattern.to_owned(), name)
    };
    let parts: Vec<&str> = pattern.split(['*', '%']).collect();
    let (Some((first, rest)), Some(last)) = (parts.split_first(), parts.last()) else {
        return false;
    };
    if rest.is_empty() {
        return pattern == name;
    }
    let Some(mut left) = name.strip_prefix(first) else {
        return false;
    };
    for part in rest {
        match left.find(part) {
            Some(at) => left = left.get(at + part.len()..).unwrap_or_default(),
            None => return false,
        }
    }
    name.ends_with(last)
}

/// STATUS (RFC 3501 §6.3.10).
pub(super) fn status(
    store: &Arc<Store>,
    mailbox: Mailbox<'static>,
    wanted: &[StatusDataItemName],
) -> Done {
    let items = store.read(&name_of(&mailbox), |folder| {
        let with = |flag: &str| {
            folder
                .messages
                .iter()
                .filter(|m| m.flags.contains(flag))
                .count()
        };
        let all = folder.messages.len();
        wanted
            .iter()
            .filter_map(|item| {
                Some(match item {
                    StatusDataItemName::Messages => StatusDataItem::Messages(count(all)),
                    StatusDataItemName::Recent => StatusDataItem::Recent(0),
                    StatusDataItemName::UidNext => {
                        StatusDataItem::UidNext(NonZeroU32::new(folder.uid_next)?)
                    }
                    StatusDataItemName::UidValidity => {
                        StatusDataItem::UidValidity(NonZeroU32::new(folder.uid_validity)?)
                    }
                    StatusDataItemName::Unseen => {
                        StatusDataItem::Unseen(count(all - with("\\Seen")))
                    }
                    StatusDataItemName::Deleted => {
                        StatusDataItem::Deleted(count(with("\\Deleted")))
                    }
                    _ => return None,
                })
            })
            .collect::<Vec<_>>()
    });
    let Some(items) = items else {
        return Done::no("No such folder");
    };
    let items = items.into();
    let status = Response::Data(Data::Status { mailbox, items });
    Done::ok(vec![status], "STATUS completed")
}

#[cfg(test)]
mod tests {
    use super::list_matches;

    #[test]
    fn wildcards_match_any_part_of_a_name() {
        let cases = [
            ("*", "Junk", true),
            ("%", "INBOX", true),
            ("inbox", "INBOX", true),
            ("junk", "Junk", false),
            ("J*k", "Junk", true),
            ("J%x", "Junk", false),
            ("*nk", "Junk", true),
            ("Junk*", "Junk", true),
            ("*u*u*", "Junk", false),
            ("Trash", "Junk", false),
        ];
        for (pattern, name, expected) in cases {
            assert_eq!(list_matches(pattern, name), expected, "{pattern} {name}");
        }
    }
}
