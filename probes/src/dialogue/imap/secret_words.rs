//! The words of this session that must never be shown, not even when a server sends them back.

use std::fmt;

use zeroize::Zeroizing;

/// What stands in a transcript in place of a secret.
pub(super) const REDACTED: &str = "«redacted»";

/// The secrets of one session. Debug shows none.
#[derive(Default)]
pub(super) struct SecretWords(Vec<Zeroizing<Vec<u8>>>);

impl SecretWords {
    /// Adds a word; empty ones are ignored.
    pub(super) fn add(&mut self, word: impl Into<Vec<u8>>) {
        let word = Zeroizing::new(word.into());
        if !word.is_empty() {
            self.0.push(word);
            // A word that contains another one goes first.
            self.0.sort_by_key(|word| std::cmp::Reverse(word.len()));
        }
    }

    /// `line` with every secret replaced. With `cut`, what was cut off could have completed a
    /// secret, so the end that might be its start goes as well.
    pub(super) fn mask(&self, line: &[u8], cut: bool) -> Vec<u8> {
        let mut shown = line.to_vec();
        for word in &self.0 {
            shown = replace(&shown, word);
        }
        if cut {
            let longest = self.0.first().map_or(0, |word| word.len());
            shown.truncate(shown.len().saturating_sub(longest));
        }
        shown
    }
}

impl fmt::Debug for SecretWords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretWords")
    }
}

fn replace(text: &[u8], word: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(&byte) = rest.first() {
        if let Some(after) = rest.strip_prefix(word) {
            out.extend_from_slice(REDACTED.as_bytes());
            rest = after;
        } else {
            out.push(byte);
            rest = &rest[1..];
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{REDACTED, SecretWords};

    #[test]
    fn secrets_are_masked_wherever_they_stand() {
        let mut words = SecretWords::default();
        words.add("");
        words.add("pass");
        words.add("pass word");
        for (line, cut, shown) in [
            ("nothing", false, "nothing".to_owned()),
            ("pass", false, REDACTED.to_owned()),
            (
                "BAD LOGIN me \"pass word\"",
                false,
                format!("BAD LOGIN me \"{REDACTED}\""),
            ),
            ("passpass", false, REDACTED.repeat(2)),
            (
                "a long line ending in pas",
                true,
                "a long line endi".to_owned(),
            ),
        ] {
            let masked = words.mask(line.as_bytes(), cut);
            assert_eq!(String::from_utf8_lossy(&masked), shown, "{line}");
        }
    }
}
