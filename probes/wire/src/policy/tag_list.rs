//! Tag lists (RFC 6376 §3.2): `v=DKIM1; k=rsa; p=…`. DKIM, DMARC, MTA-STS and TLS-RPT records are written so.

use crate::policy::{Fault, MAX_TEXT, quoted};

/// More tags than this are not read.
pub const MAX_TAGS: usize = 100;

/// Tags in order, each once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagList<'a>(Vec<(&'a str, &'a str)>);

impl<'a> TagList<'a> {
    /// # Errors
    /// The first thing that is no tag, or a tag that stands there twice.
    pub fn parse(text: &'a str) -> Result<Self, Fault> {
        if text.len() > MAX_TEXT {
            return Err(Fault::new(format!("is longer than {MAX_TEXT} characters")));
        }
        let mut tags: Vec<(&str, &str)> = Vec::new();
        let mut parts = text.split(';').map(trim).peekable();
        while let Some(part) = parts.next() {
            // A semicolon may end the list.
            if part.is_empty() && parts.peek().is_none() {
                break;
            }
            if part.is_empty() {
                return Err(Fault::new("has nothing between two semicolons"));
            }
            let Some((name, value)) = part.split_once('=') else {
                return Err(Fault::new(format!(
                    "has {}, which is no `tag=value`",
                    quoted(part)
                )));
            };
            let (name, value) = (trim(name), trim(value));
            if !is_name(name) {
                return Err(Fault::new(format!(
                    "has {}, which is no tag name",
                    quoted(name)
                )));
            }
            if tags.iter().any(|(known, _)| *known == name) {
                return Err(Fault::new(format!("has the tag `{name}` twice")));
            }
            if tags.len() == MAX_TAGS {
                return Err(Fault::new(format!("has more than {MAX_TAGS} tags")));
            }
            tags.push((name, value));
        }
        Ok(Self(tags))
    }

    /// The value of a tag; names are case-sensitive.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, value)| *value)
    }

    /// Whether the first tag is this version, in exactly this spelling.
    pub fn begins_with_version(&self, version: &str) -> bool {
        self.0.first() == Some(&("v", version))
    }

    /// Every tag.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + '_ {
        self.0.iter().copied()
    }
}

/// Without folding white space around it.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\r', '\n'])
}

fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_keep_their_order_and_lose_the_space_around_them() {
        for (text, wanted) in [
            ("v=DKIM1; k=rsa; p=", "v=DKIM1 k=rsa p="),
            (" v = DKIM1 ;p=AB CD= ; ", "v=DKIM1 p=AB CD="),
            ("a=b=c", "a=b=c"),
            ("", ""),
        ] {
            let list = TagList::parse(text).unwrap();
            let found: Vec<String> = list
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            assert_eq!(found.join(" "), wanted, "{text}");
        }
        let list = TagList::parse("v=DKIM1; p=x").unwrap();
        assert!(list.begins_with_version("DKIM1") && !list.begins_with_version("dkim1"));
        assert_eq!((list.get("p"), list.get("P")), (Some("x"), None));
    }

    #[test]
    fn what_is_no_tag_list_is_named() {
        for (text, fault) in [
            ("v=DKIM1;; p=x", "has nothing between two semicolons"),
            ("v=DKIM1; p", "has `p`, which is no `tag=value`"),
            ("v=DKIM1; p=x; p=y", "has the tag `p` twice"),
            ("v=DKIM1; 1p=x", "has `1p`, which is no tag name"),
            ("\u{202e}=x", "has `\\u{202e}`, which is no tag name"),
        ] {
            assert_eq!(
                TagList::parse(text).unwrap_err().to_string(),
                fault,
                "{text}"
            );
        }
        let many: String = (0..=MAX_TAGS)
            .map(|number| format!("t{number}=;"))
            .collect();
        assert!(TagList::parse(&many).is_err());
        assert!(TagList::parse(&"a=".repeat(MAX_TEXT)).is_err());
    }
}
