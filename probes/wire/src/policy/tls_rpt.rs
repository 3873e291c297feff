//! TLS-RPT records (RFC 8460 §3).

use crate::policy::Fault;
use crate::policy::report_uri::ReportUri;
use crate::policy::tag_list::TagList;

/// Where reports about TLS go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsRptRecord {
    /// `rua=`
    pub reports: Vec<ReportUri>,
    /// What is wrong with single addresses, each a sentence.
    pub faults: Vec<Fault>,
}

/// Whether a TXT record counts at all: others are passed over.
pub fn is_record(text: &str) -> bool {
    text.starts_with("v=TLSRPTv1;")
}

impl TlsRptRecord {
    /// # Errors
    /// When nothing can be made of it, as a sentence without its subject.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let tags = TagList::parse(text)?;
        if !tags.begins_with_version("TLSRPTv1") {
            return Err(Fault::new("does not begin with `v=TLSRPTv1;`"));
        }
        let list = tags.get("rua").ok_or_else(|| Fault::new("has no `rua=`"))?;
        let (reports, faults) = ReportUri::parse_list(list, false);
        Ok(Self { reports, faults })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_names_where_reports_go() {
        assert!(is_record("v=TLSRPTv1;rua=mailto:a@b.test"));
        assert!(
            !is_record("v=TLSRPTv1 ;rua=x")
                && !is_record("v=TLSRPTv2;")
                && !is_record("v=TLSRPTv1")
        );
        let record =
            TlsRptRecord::parse("v=TLSRPTv1; rua=mailto:a@b.test,https://c.test/v1; ext=1")
                .unwrap();
        let shown: Vec<String> = record.reports.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["mailto:a@b.test", "https://c.test/v1"]);
        assert_eq!(record.faults, []);
        for (text, fault) in [
            ("v=TLSRPTv1;", "has no `rua=`"),
            ("v=TLSRPTv1; rua", "has `rua`, which is no `tag=value`"),
            ("rua=mailto:a@b.test", "does not begin with `v=TLSRPTv1;`"),
        ] {
            assert_eq!(TlsRptRecord::parse(text).unwrap_err().to_string(), fault);
        }
        let record = TlsRptRecord::parse("v=TLSRPTv1; rua=http://b.test/").unwrap();
        assert_eq!(
            record.faults[0].to_string(),
            "`http://b.test/` is neither `mailto:` nor `https:`"
        );
    }
}
