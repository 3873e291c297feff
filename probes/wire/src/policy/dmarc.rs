//! DMARC policy records (RFC 7489 §6.3, §6.4).
//!
//! A library reads them too, but knows no `pct`, and leaves out what it cannot read without a word. Here each fault is
//! named, and so is what a receiver does all the same (§6.6.3).

use crate::policy::report_uri::ReportUri;
use crate::policy::tag_list::TagList;
use crate::policy::{Fault, quoted};

/// What receivers are asked to do with mail that fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Policy {
    /// Nothing.
    None,
    /// Treat it as suspicious.
    Quarantine,
    /// Refuse it.
    Reject,
}

impl Policy {
    /// The word of `p=`.
    pub fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Quarantine => "quarantine",
            Self::Reject => "reject",
        }
    }

    fn read(text: &str) -> Option<Self> {
        [Self::None, Self::Quarantine, Self::Reject]
            .into_iter()
            .find(|policy| text.eq_ignore_ascii_case(policy.word()))
    }
}

/// How close the authenticated domain must be to that of `From`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Alignment {
    /// The same organisational domain.
    #[default]
    Relaxed,
    /// The same domain.
    Strict,
}

/// What a record says, with the defaults for what it does not say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DmarcRecord {
    /// `p=`. Without a valid one the record counts as `none` if it asks for reports, and as no record if it does not.
    pub policy: Option<Policy>,
    /// `sp=`, for the domains below.
    pub subdomain_policy: Option<Policy>,
    /// `pct=`
    pub percent: u8,
    /// `adkim=`
    pub dkim: Alignment,
    /// `aspf=`
    pub spf: Alignment,
    /// `rua=`
    pub aggregate: Vec<ReportUri>,
    /// `ruf=`
    pub failure: Vec<ReportUri>,
    /// `psd=y` (RFC 9989): the record of a public suffix, not of an organisation.
    pub is_public_suffix: bool,
    /// `psd=n` (RFC 9989): the organisation's own record, whatever is above it.
    pub is_organisation: bool,
    /// What is wrong, each a sentence without its subject.
    pub faults: Vec<Fault>,
}

/// Whether a TXT record is a DMARC record at all: others are passed over (§6.6.3).
pub fn is_record(text: &str) -> bool {
    let first = text.split(';').next().unwrap_or_default();
    first
        .split_once('=')
        .is_some_and(|(name, value)| name.trim_end() == "v" && value.trim() == "DMARC1")
}

impl DmarcRecord {
    /// # Errors
    /// When it is no list of tags; a receiver can make nothing of it.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let tags = TagList::parse(text)?;
        let mut record = Self {
            policy: None,
            subdomain_policy: None,
            percent: 100,
            dkim: Alignment::Relaxed,
            spf: Alignment::Relaxed,
            aggregate: Vec::new(),
            failure: Vec::new(),
            is_public_suffix: false,
            is_organisation: false,
            faults: Vec::new(),
        };
        if tags.get("p").is_none() {
            record.faults.push(Fault::new("has no `p=`"));
        }
        for (name, value) in tags.iter() {
            record.take(name, value);
        }
        Ok(record)
    }

    /// The policy that a receiver applies to the domain itself, or (`below`) to one below it. `None`: no DMARC at all.
    pub fn applied(&self, below: bool) -> Option<Policy> {
        let policy = match (below, self.subdomain_policy) {
            (true, Some(policy)) => Some(policy),
            _ => self.policy,
        };
        let asks_for_reports = !self.aggregate.is_empty();
        policy.or_else(|| asks_for_reports.then_some(Policy::None))
    }

    /// Takes one tag; an unknown one means nothing.
    fn take(&mut self, name: &str, value: &str) {
        let is_right = match name {
            "p" => {
                self.policy = Policy::read(value);
                self.policy.is_some()
            }
            "sp" => {
                self.subdomain_policy = Policy::read(value);
                self.subdomain_policy.is_some()
            }
            "np" => Policy::read(value).is_some(),
            "pct" => match value.parse() {
                Ok(percent) if percent <= 100 => {
                    self.percent = percent;
                    true
                }
                _ => false,
            },
            "adkim" => alignment(value)
                .map(|alignment| self.dkim = alignment)
                .is_some(),
            "aspf" => alignment(value)
                .map(|alignment| self.spf = alignment)
                .is_some(),
            "fo" => value
                .split(':')
                .all(|option| matches!(option.trim(), "0" | "1" | "d" | "s" | "D" | "S")),
            "ri" => value.parse::<u32>().is_ok(),
            "psd" => {
                self.is_public_suffix = value.eq_ignore_ascii_case("y");
                self.is_organisation = value.eq_ignore_ascii_case("n");
                true
            }
            "rua" | "ruf" => {
                let (uris, faults) = ReportUri::parse_list(value, true);
                let said = faults
                    .into_iter()
                    .map(|fault| Fault::new(format!("has `{name}=` where {fault}")));
                self.faults.extend(said);
                match name {
                    "rua" => self.aggregate = uris,
                    _ => self.failure = uris,
                }
                true
            }
            _ => true,
        };
        if !is_right {
            self.faults.push(Fault::new(format!(
                "has {}, which means nothing",
                quoted(&format!("{name}={value}"))
            )));
        }
    }
}

fn alignment(text: &str) -> Option<Alignment> {
    match text {
        "r" | "R" => Some(Alignment::Relaxed),
        "s" | "S" => Some(Alignment::Strict),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_version_in_front_makes_a_dmarc_record() {
        for (text, is) in [
            ("v=DMARC1; p=none", true),
            ("v = DMARC1 ;p=none", true),
            ("v=DMARC1", true),
            ("v=DMARC1;", true),
            ("v=dmarc1; p=none", false),
            ("v=DMARC1 p=none", false),
            (" v=DMARC1; p=none", false),
            ("p=none; v=DMARC1", false),
            ("v=DMARC12; p=none", false),
            ("v=spf1 -all", false),
            ("", false),
        ] {
            assert_eq!(is_record(text), is, "{text}");
        }
    }

    #[test]
    fn tags_are_read_and_faults_are_named() {
        let record = DmarcRecord::parse(
            "v=DMARC1; p=Reject; sp=quarantine; pct=50; adkim=s; aspf=r; fo=1:d; ri=3600; rua=mailto:a@b.test!10m; ruf=mailto:c@d.test; new=1",
        )
        .unwrap();
        assert_eq!(record.applied(false), Some(Policy::Reject));
        assert_eq!(record.applied(true), Some(Policy::Quarantine));
        assert_eq!(
            (record.percent, record.dkim, record.spf),
            (50, Alignment::Strict, Alignment::Relaxed)
        );
        assert_eq!(
            (
                record.aggregate.len(),
                record.failure.len(),
                record.faults.len()
            ),
            (1, 1, 0)
        );
        for (text, applied, faults) in [
            ("v=DMARC1", None, "has no `p=`"),
            ("v=DMARC1; p=no", None, "has `p=no`, which means nothing"),
            (
                "v=DMARC1; p=no; rua=mailto:a@b.test",
                Some(Policy::None),
                "has `p=no`, which means nothing",
            ),
            (
                "v=DMARC1; p=none; pct=101",
                Some(Policy::None),
                "has `pct=101`, which means nothing",
            ),
            (
                "v=DMARC1; p=none; adkim=strict",
                Some(Policy::None),
                "has `adkim=strict`, which means nothing",
            ),
            (
                "v=DMARC1; p=none; fo=2",
                Some(Policy::None),
                "has `fo=2`, which means nothing",
            ),
            (
                "v=DMARC1; p=none; rua=a@b.test",
                Some(Policy::None),
                "has `rua=` where `a@b.test` has no scheme: write `mailto:` before an address",
            ),
        ] {
            let record = DmarcRecord::parse(text).unwrap();
            let said: Vec<String> = record.faults.iter().map(ToString::to_string).collect();
            assert_eq!(
                (record.applied(false), said.join("; ").as_str()),
                (applied, faults),
                "{text}"
            );
        }
        assert!(DmarcRecord::parse("v=DMARC1; p=none; p=reject").is_err());
        for (text, is) in [
            ("v=DMARC1; p=none", (false, false)),
            ("v=DMARC1; p=none; psd=u", (false, false)),
            ("v=DMARC1; p=none; psd=y", (true, false)),
            ("v=DMARC1; p=none; psd=N", (false, true)),
        ] {
            let record = DmarcRecord::parse(text).unwrap();
            assert_eq!(
                (record.is_public_suffix, record.is_organisation),
                is,
                "{text}"
            );
        }
    }
}
