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
    use std::net::IpAddr;

    use mail_auth::spf::{Mechanism, Variables};
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

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

    /// Terms with pieces where they do not belong.
    fn hostile_record() -> impl Strategy<Value = String> {
        let words = vec![
            " ",
            "  ",
            "+",
            "-",
            "~",
            "?",
            "a",
            "mx",
            "ptr",
            "all",
            "include:",
            "exists:",
            "redirect=",
            "exp=",
            "ip4:",
            "ip6:",
            "192.0.2.1",
            "192.0.2.300",
            "2001:db8::",
            "::",
            ":",
            "/",
            "//",
            "/0",
            "/32",
            "/128",
            "/999999999999",
            "x.test",
            "%{",
            "}",
            "%{i}",
            "%{p}",
            "%{d999999999999r/-+}",
            "%{L4r-}",
            "%{t}",
            "%%",
            "%_",
            "%-",
            "%",
            "ra=",
            "rp=",
            "rr=",
            "999999999999999999999",
            "all:e:f:s:n",
            "=",
            ".",
            "..",
            "\t",
            "\u{e4}",
            "\u{202e}",
            "\0",
            "v=spf1 ",
        ];
        vec(select(words), 0..16).prop_map(|pieces| format!("v=spf1 {}", pieces.concat()))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

        /// The library's reader and its macros meet the same strangers as ours.
        #[test]
        fn hostile_records_are_read_or_refused(text in hostile_record()) {
            let Ok(record) = Record::parse(&text) else {
                // Refused by us, perhaps: the library must stand it all the same, since it names the wrong term.
                let _ = Spf::parse(text.as_bytes());
                return Ok(());
            };
            let mut variables = Variables::new();
            variables.set_ip(&IpAddr::from([192, 0, 2, 1]));
            variables.set_sender(&b"a.b-c+d@x.test"[..]);
            variables.set_helo_domain(&b"helo.test"[..]);
            let domain = "d.x.test";
            variables.set_domain(domain.as_bytes());
            for (directive, _) in record.directives() {
                if let Mechanism::A { macro_string, .. }
                | Mechanism::Mx { macro_string, .. }
                | Mechanism::Include { macro_string }
                | Mechanism::Ptr { macro_string }
                | Mechanism::Exists { macro_string } = &directive.mechanism
                {
                    macro_string.eval(&variables, domain, false);
                }
            }
            if let Some(redirect) = record.redirect() {
                redirect.eval(&variables, domain, false);
            }
        }
    }
}
