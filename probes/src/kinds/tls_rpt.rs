//! `tls_rpt`: where reports about TLS between mail servers go (RFC 8460).

use std::collections::BTreeSet;
use std::time::Duration;

use postrider_wire::policy::report_uri::ReportUri;
use postrider_wire::policy::tls_rpt::{TlsRptRecord, is_record};
use postrider_wire::text::RemoteText;
use serde::Deserialize;

use crate::context::Context;
use crate::kind::{Kind, Names, Preview};
use crate::kinds::deliver::MessageDefaults;
use crate::net::{Question, published};
use crate::outcome::{Failure, Finding};
use crate::phase::Phase;
use crate::reason::Reason;
use crate::setting::{NameServer, Parsed, Period, Place, Problem, Spanned, Template, check_domain};
use crate::target::Target;

/// How long the question may take unless `within` says otherwise.
const WITHIN: Duration = Duration::from_secs(5);

/// Reads the record that says where reports about TLS go to, and judges its addresses.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TlsRpt {
    /// The mail domain.
    #[schemars(example = &"example.net")]
    pub domain: Spanned<Template>,
    /// Address of the resolver for this step, port 53 by default; the main file's `resolver` by default.
    #[schemars(example = &"192.0.2.53:53")]
    pub resolver: Option<Parsed<NameServer>>,
    /// How long to wait for the answer; 5s by default.
    pub within: Option<Period>,
    /// What must hold. Always: one record, with addresses that reports can go to.
    pub expect: Option<Expect>,
    /// What should hold: broken, the check is degraded.
    pub prefer: Option<Expect>,
}

/// What the record must say.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expect {
    /// Exactly these addresses, in any order.
    #[schemars(example = ["mailto:tls-reports@example.net"])]
    pub reports_to: Option<Vec<Spanned<String>>>,
}

impl Kind for TlsRpt {
    const NAME: &'static str = "tls_rpt";

    fn check(&self, _: &Names<'_>, _: Place, problems: &mut Vec<Problem>) {
        problems.extend(check_domain(&self.domain));
        for expect in [&self.expect, &self.prefer].into_iter().flatten() {
            for uri in expect.reports_to.iter().flatten() {
                if let Err(fault) = ReportUri::parse(uri) {
                    problems.push(
                        Problem::error("bad-value", uri.at, fault.to_string())
                            .help("write it as `mailto:tls-reports@example.net`"),
                    );
                }
            }
        }
    }

    fn preview(&self, _: &MessageDefaults, _: Option<&Target>) -> Preview {
        Preview::reads(format!(
            "read the TLS-RPT record of {}",
            self.domain.source()
        ))
    }

    fn longest(&self, _: &MessageDefaults) -> Duration {
        self.within() + Duration::from_secs(1)
    }

    async fn run(&self, cx: &Context<'_>) -> Result<(), Failure> {
        let name = format!("_smtp._tls.{}", cx.fill(&self.domain)?);
        let question = Question::new(name, "TXT", self.within());
        let server = self.resolver.map(|server| server.0.0);
        let found = cx
            .phase(Phase::Dns, published(cx.around.net, server, question))
            .await?;
        cx.evidence(|evidence| evidence.answers.extend(found.lines()));
        let texts: Vec<&str> = found.texts().collect();
        let record = record(&found.question.name, &texts)
            .map_err(|fault| Finding::new(Reason::TlsRptMismatch, fault))?;
        let reports: BTreeSet<String> = record.reports.iter().map(ToString::to_string).collect();
        for uri in &reports {
            cx.note(RemoteText::new(uri.as_bytes(), 100).to_string());
        }
        for fault in &record.faults {
            cx.find(Finding::new(
                Reason::TlsRptMismatch,
                format!(
                    "the record of {} has `rua=` where {fault}",
                    found.question.name
                ),
            ));
        }
        for (expect, is_preference) in [(&self.expect, false), (&self.prefer, true)] {
            let wanted = expect
                .as_ref()
                .and_then(|expect| expect.reports_to.as_ref());
            for text in wanted
                .map(|wanted| differences(wanted, &reports))
                .unwrap_or_default()
            {
                let finding = Finding::new(Reason::TlsRptMismatch, text);
                cx.find(match is_preference {
                    true => finding.as_preference(),
                    false => finding,
                });
            }
        }
        Ok(())
    }
}

impl TlsRpt {
    fn within(&self) -> Duration {
        self.within.map_or(WITHIN, |within| within.0)
    }
}

/// The one record; senders take several for none.
fn record(name: &str, texts: &[&str]) -> Result<TlsRptRecord, String> {
    let records: Vec<&&str> = texts.iter().filter(|text| is_record(text)).collect();
    match records.as_slice() {
        [text] => {
            TlsRptRecord::parse(text).map_err(|fault| format!("the record of {name} {fault}"))
        }
        [] => Err(match texts.first() {
            Some(text) => format!(
                "{name} has the text `{}`, which does not begin with `v=TLSRPTv1;`",
                RemoteText::new(text.as_bytes(), 80)
            ),
            None => format!("{name} has no TLS-RPT record"),
        }),
        several => Err(format!(
            "{name} has {} TLS-RPT records, and senders then use none",
            several.len()
        )),
    }
}

fn differences(wanted: &[Spanned<String>], found: &BTreeSet<String>) -> Vec<String> {
    let wanted: BTreeSet<String> = wanted
        .iter()
        .map(|uri| ReportUri::parse(uri).map_or_else(|_| uri.value.clone(), |uri| uri.to_string()))
        .collect();
    let missing = wanted
        .difference(found)
        .map(|uri| format!("no reports go to {uri}"));
    let surplus = found.difference(&wanted).map(|uri| {
        format!(
            "reports go to {}, which is not expected",
            RemoteText::new(uri.as_bytes(), 100)
        )
    });
    missing.chain(surplus).collect()
}
