//! What each code means, what usually causes it, and what to do: the pages of `postrider explain`.
//!
//! There is a page for every [`Reason`], by a match that the compiler keeps complete, and for every diagnostic of the
//! configuration reader, by a table that a test compares with its list. Pure text; how a page looks on a
//! terminal is the command's affair.

mod configuration;
mod delivery;
mod dns;
mod mailbox;
mod ours;
mod policy;
mod quarantine;
mod reasons;
mod smtp;
mod soft;
mod tls;
mod web;

use postrider_probes::outcome::Status;
use postrider_probes::reason::Reason;
use postrider_probes::setting::Severity;

/// Everything that is known about one code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// The code, as results and diagnostics show it.
    pub code: &'static str,
    /// The group that the code is listed in.
    pub area: Area,
    /// What it does to a check or to a configuration.
    pub effect: Effect,
    /// One sentence.
    pub summary: &'static str,
    /// The rest.
    pub text: Text,
    /// No probe kind of this version gives the code; its name is reserved.
    pub is_reserved: bool,
}

/// What to know about a code beside its one-sentence summary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    /// More exactly: what was observed, and what was not.
    pub meaning: &'static str,
    /// What usually causes it, the likeliest first.
    pub causes: &'static [&'static str],
    /// What to look at or to do next, in this order.
    pub advice: &'static [&'static str],
}

/// What a code does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It gives a check this status by itself.
    Check(Status),
    /// It is told by `validate`, and by `run` before it starts.
    Configuration(Severity),
}

/// The groups of codes, in the order in which a mail meets them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Area {
    /// Names.
    Dns,
    /// TCP.
    Connect,
    /// The SMTP dialogue.
    Smtp,
    /// Encryption and certificates.
    Tls,
    /// From the final reply to the mailbox.
    Delivery,
    /// Held mail.
    Quarantine,
    /// Reading mail.
    Mailbox,
    /// Web mail and calendars.
    Web,
    /// It works, but.
    Soft,
    /// Nothing was tried, and why.
    Skipped,
    /// The probe's own side.
    Ours,
    /// The files.
    Configuration,
}

impl Area {
    /// Every area, in order.
    pub const ALL: [Self; 12] = [
        Self::Dns,
        Self::Connect,
        Self::Smtp,
        Self::Tls,
        Self::Delivery,
        Self::Quarantine,
        Self::Mailbox,
        Self::Web,
        Self::Soft,
        Self::Skipped,
        Self::Ours,
        Self::Configuration,
    ];

    /// The heading.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Dns => "Names (DNS)",
            Self::Connect => "Connections",
            Self::Smtp => "SMTP dialogue",
            Self::Tls => "TLS and certificates",
            Self::Delivery => "Delivery",
            Self::Quarantine => "Quarantine",
            Self::Mailbox => "Mailbox",
            Self::Web => "Web mail and calendar",
            Self::Soft => "It works, but",
            Self::Skipped => "Not tried",
            Self::Ours => "On the probe's side",
            Self::Configuration => "Configuration",
        }
    }
}

/// Every page, by area.
#[must_use]
pub fn pages() -> Vec<Page> {
    let mut pages: Vec<Page> = Reason::ALL
        .iter()
        .map(|reason| reasons::page(*reason))
        .collect();
    pages.extend(
        configuration::PAGES
            .iter()
            .map(configuration::Diagnostic::page),
    );
    pages.sort_by_key(|page| page.area);
    pages
}

/// The page of one code.
#[must_use]
pub fn page(code: &str) -> Option<Page> {
    pages().into_iter().find(|page| page.code == code)
}

/// The code that was probably meant: a third of the letters may be wrong, or it is a part of one code alone.
#[must_use]
pub fn nearest(word: &str) -> Option<&'static str> {
    let word = word.to_ascii_lowercase();
    let codes: Vec<&'static str> = pages().into_iter().map(|page| page.code).collect();
    let by_letters = codes
        .iter()
        .map(|code| (strsim::damerau_levenshtein(code, &word), *code))
        .filter(|(distance, code)| *distance * 3 <= code.len().max(word.len()))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, code)| code);
    by_letters.or_else(|| {
        let mut holding = codes
            .iter()
            .filter(|code| word.len() >= 3 && code.contains(word.as_str()));
        holding.next().filter(|_| holding.next().is_none()).copied()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_code_has_one_page_with_something_to_do() {
        let mut seen = BTreeSet::new();
        for page in pages() {
            assert!(seen.insert(page.code), "{} has two pages", page.code);
            assert!(page.summary.ends_with('.'), "{}", page.code);
            assert!(!page.text.meaning.is_empty(), "{}", page.code);
            assert!(!page.text.causes.is_empty(), "{}", page.code);
            assert!(!page.text.advice.is_empty(), "{}", page.code);
            let lines = page.text.causes.iter().chain(page.text.advice);
            for line in lines.chain([&page.text.meaning, &page.summary]) {
                assert!(line.ends_with(['.', ')', '`']), "{}: {line}", page.code);
                assert!(
                    !line.contains("  ") && line.trim() == *line,
                    "{}: {line}",
                    page.code
                );
            }
        }
        for reason in Reason::ALL {
            assert!(seen.contains(reason.code()), "{reason} has no page");
        }
    }

    #[test]
    fn a_page_names_only_codes_that_exist() {
        let codes: BTreeSet<&str> = pages().iter().map(|page| page.code).collect();
        // Words in back quotes that look like a code: `area-word`, with an area that codes begin with.
        let areas: BTreeSet<&str> = codes
            .iter()
            .filter_map(|code| Some(code.split_once('-')?.0))
            .collect();
        for page in pages() {
            let lines = page
                .text
                .causes
                .iter()
                .chain(page.text.advice)
                .chain([&page.text.meaning]);
            for quoted in lines.flat_map(|line| line.split('`').skip(1).step_by(2)) {
                let looks_like_a_code = quoted.split_once('-').is_some_and(|(area, rest)| {
                    areas.contains(area)
                        && rest
                            .bytes()
                            .all(|byte| byte.is_ascii_lowercase() || byte == b'-')
                });
                if looks_like_a_code && !PHASES_AND_VALUES.contains(&quoted) {
                    assert!(codes.contains(quoted), "{} speaks of `{quoted}`", page.code);
                }
            }
        }
    }

    /// Words of other lists that begin like a code.
    const PHASES_AND_VALUES: [&str; 5] = [
        "imap-login",
        "imap-select",
        "imap-fetch",
        "not-lowest",
        "dane-required",
    ];

    #[test]
    fn a_wrong_code_finds_the_right_one() {
        for (word, code) in [
            ("smtp-5x", Some("smtp-5xx")),
            ("conect-refused", Some("connect-refused")),
            ("Not_Delivered", Some("not-delivered")),
            ("greeting", Some("greeting-rejected")),
            ("timeout", None),
            ("zzz", None),
        ] {
            assert_eq!(nearest(word), code, "{word}");
        }
    }
}
