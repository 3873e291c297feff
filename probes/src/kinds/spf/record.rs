//! One SPF record: what the library reads, beside the text that it was read from.

use mail_auth::common::parse::TxtRecordParser as _;
use mail_auth::spf::{Directive, Macro, Spf};
use postrider_wire::policy::spf_terms::{Term, terms};

/// A record that can be evaluated.
#[derive(Debug)]
pub(super) struct Record {
    spf: Spf,
    /// As many as there are directives.
    texts: Vec<String>,
}

impl Record {
    /// # Errors
    /// What makes it a `permerror`, as a sentence without its subject.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let terms = terms(text).map_err(|fault| fault.to_string())?;
        let texts: Vec<String> = terms
            .iter()
            .filter_map(|term| match term {
                Term::Mechanism(text) => Some((*text).to_owned()),
                Term::Modifier(_) => None,
            })
            .collect();
        match Spf::parse(text.as_bytes()) {
            Ok(spf) if spf.directives.len() == texts.len() => Ok(Self { spf, texts }),
            _ => Err(
                match terms.into_iter().map(text_of).find(|term| is_wrong(term)) {
                    Some(term) => format!("has `{}`, which cannot be read", visible(term)),
                    None => "cannot be read".to_owned(),
                },
            ),
        }
    }

    /// Each directive with its text.
    pub(super) fn directives(&self) -> impl Iterator<Item = (&Directive, &str)> {
        self.spf
            .directives
            .iter()
            .zip(self.texts.iter().map(String::as_str))
    }

    /// The domain that is asked instead when nothing matches.
    pub(super) fn redirect(&self) -> Option<&Macro> {
        self.spf.redirect.as_ref()
    }
}

fn text_of<'a>(term: Term<'a>) -> &'a str {
    match term {
        Term::Mechanism(text) | Term::Modifier(text) => text,
    }
}

/// Whether the library refuses this term by itself.
fn is_wrong(term: &str) -> bool {
    Spf::parse(format!("v=spf1 {term}").as_bytes()).is_err()
}

fn visible(term: &str) -> String {
    postrider_wire::text::RemoteText::new(term.as_bytes(), 80).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_is_named() {
        for (text, wanted) in [
            ("v=spf1 a mx ip4:192.0.2.0/24 -all", Ok(4)),
            ("v=spf1 include:%{d2}.x.test redirect=_spf.%{d}", Ok(1)),
            ("v=spf1 later=thing -all", Ok(1)),
            (
                "v=spf1 ip4:192.0.2.300 -all",
                Err(
                    "has `ip4:192.0.2.300`: an IPv4 address must follow, with a prefix of 0 to 32 or none",
                ),
            ),
            (
                "v=spf1 ip6:192.0.2.1 -all",
                Err(
                    "has `ip6:192.0.2.1`: an IPv6 address must follow, with a prefix of 0 to 128 or none",
                ),
            ),
            (
                "v=spf1 exists:%{x}.test",
                Err("has `exists:%{x}.test`, which cannot be read"),
            ),
            ("v=spf1 moo -all", Err("has `moo`, which is no mechanism")),
        ] {
            let found = Record::parse(text).map(|record| record.directives().count());
            assert_eq!(found, wanted.map_err(str::to_owned), "{text}");
        }
    }
}
