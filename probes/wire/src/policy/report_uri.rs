//! Where reports go to: `rua=` and `ruf=` of DMARC (RFC 7489 §6.2), `rua=` of TLS-RPT (RFC 8460 §3).

use std::fmt;

use crate::address::{HostName, Mailbox};
use crate::policy::{Fault, quoted};

/// More addresses than this in one tag are not read.
pub const MAX_URIS: usize = 50;

/// A place for reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReportUri {
    /// `mailto:`
    Mail(Mailbox),
    /// `https:`, with its host.
    Https {
        /// As it is written.
        uri: String,
        /// The host.
        host: HostName,
    },
}

impl ReportUri {
    /// One address without white space around it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let wrong = |why: &str| Fault::new(format!("{} {why}", quoted(text)));
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong("holds something that a URI cannot hold"));
        }
        let Some((scheme, rest)) = text.split_once(':') else {
            return Err(wrong("has no scheme: write `mailto:` before an address"));
        };
        match scheme.to_ascii_lowercase().as_str() {
            "mailto" => {
                let address = rest.split('?').next().unwrap_or_default();
                let decoded =
                    decoded(address).ok_or_else(|| wrong("has a `%` without two digits"))?;
                decoded
                    .parse()
                    .map(Self::Mail)
                    .map_err(|error| wrong(&format!("is no address: {error}")))
            }
            "https" => {
                let authority = rest
                    .strip_prefix("//")
                    .and_then(|rest| rest.split(['/', '?', '#']).next())
                    .unwrap_or_default();
                let host = authority.split(':').next().unwrap_or_default();
                let host = host
                    .parse()
                    .map_err(|_| wrong("names no host behind `https://`"))?;
                Ok(Self::Https {
                    uri: text.to_owned(),
                    host,
                })
            }
            _ => Err(wrong("is neither `mailto:` nor `https:`")),
        }
    }

    /// A comma-separated list; `sized` allows DMARC's `!10m` at the end of each. What is good comes back beside what is
    /// wrong.
    pub fn parse_list(text: &str, sized: bool) -> (Vec<Self>, Vec<Fault>) {
        let (mut uris, mut faults) = (Vec::new(), Vec::new());
        for (number, item) in text.split(',').map(str::trim).enumerate() {
            if number == MAX_URIS {
                faults.push(Fault::new(format!("names more than {MAX_URIS} addresses")));
                break;
            }
            let (uri, size) = match item.split_once('!') {
                Some((uri, size)) if sized => (uri, Some(size)),
                _ => (item, None),
            };
            match Self::parse(uri) {
                Ok(uri) => uris.push(uri),
                Err(fault) => faults.push(fault),
            }
            if size.is_some_and(|size| !is_size(size)) {
                faults.push(Fault::new(format!(
                    "{} has a size that is no number with k, m, g or t",
                    quoted(item)
                )));
            }
        }
        (uris, faults)
    }

    /// The domain that the reports go to.
    pub fn domain(&self) -> &str {
        match self {
            Self::Mail(address) => address.domain(),
            Self::Https { host, .. } => host.as_str(),
        }
    }
}

impl fmt::Display for ReportUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mail(address) => {
                f.write_str("mailto:")?;
                // What ends an address in a list, and what is left of another encoding.
                address
                    .to_string()
                    .chars()
                    .try_for_each(|character| match character {
                        '%' | ',' | '!' | ';' | '?' => write!(f, "%{:02X}", u32::from(character)),
                        _ => write!(f, "{character}"),
                    })
            }
            Self::Https { uri, .. } => f.write_str(uri),
        }
    }
}

fn is_size(text: &str) -> bool {
    let digits = text
        .strip_suffix(|unit: char| "kmgtKMGT".contains(unit))
        .unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

/// Percent-encoding undone.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? << 4 | digit()?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_or_refused() {
        for (text, wanted) in [
            (
                "mailto:dmarc@example.net",
                "mailto:dmarc@example.net @ example.net",
            ),
            (
                "MAILTO:a%2Cb@Example.net?subject=x",
                "`MAILTO:a%2Cb@Example.net?subject=x` is no address: ",
            ),
            (
                "mailto:a%2Bb@Example.net?subject=x",
                "mailto:a+b@example.net @ example.net",
            ),
            (
                "https://reports.example.net:8443/v1?x",
                "https://reports.example.net:8443/v1?x @ reports.example.net",
            ),
            (
                "http://reports.example.net",
                "`http://reports.example.net` is neither `mailto:` nor `https:`",
            ),
            (
                "dmarc@example.net",
                "`dmarc@example.net` has no scheme: write `mailto:` before an address",
            ),
            ("mailto:%4", "`mailto:%4` has a `%` without two digits"),
            ("mailto:nobody", "`mailto:nobody` is no address: "),
            ("https:///x", "`https:///x` names no host behind `https://`"),
            (
                "mailto:ä@b.test",
                "`mailto:ä@b.test` holds something that a URI cannot hold",
            ),
            ("", "`` has no scheme"),
        ] {
            let found = match ReportUri::parse(text) {
                Ok(uri) => format!("{uri} @ {}", uri.domain()),
                Err(fault) => fault.to_string(),
            };
            assert!(found.starts_with(wanted), "{text}: {found}");
        }
    }

    #[test]
    fn a_list_gives_the_good_ones_beside_the_faults() {
        let (uris, faults) =
            ReportUri::parse_list("mailto:a@b.test!10m , b@c.test,mailto:d@e.test!x", true);
        let uris: Vec<String> = uris.iter().map(ToString::to_string).collect();
        assert_eq!(uris, ["mailto:a@b.test", "mailto:d@e.test"]);
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(
            faults,
            [
                "`b@c.test` has no scheme: write `mailto:` before an address",
                "`mailto:d@e.test!x` has a size that is no number with k, m, g or t",
            ]
        );
        let (uris, faults) = ReportUri::parse_list(&"mailto:a@b.test,".repeat(MAX_URIS + 1), false);
        assert_eq!((uris.len(), faults.len()), (MAX_URIS, 1));
    }
}
