//! Whether an evaluation gave what was wanted. Pure.

use crate::kinds::spf::SpfResult;
use crate::kinds::spf::evaluate::Evaluation;
use crate::outcome::Finding;
use crate::reason::Reason;

/// What an evaluation must give.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) result: Option<SpfResult>,
    pub(super) lookups_at_most: Option<u8>,
    pub(super) voids_at_most: Option<u8>,
}

/// Everything that does not hold.
pub(super) fn judge(wanted: &Wanted, evaluation: &Evaluation) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(expected) = wanted.result
        && expected != evaluation.result
    {
        // Why DNS could not be asked has a reason of its own.
        let reason = evaluation
            .cause
            .as_ref()
            .map_or(Reason::SpfMismatch, |cause| cause.reason);
        findings.push(Finding::new(
            reason,
            format!(
                "{} (expected {expected}): {}",
                evaluation.result, evaluation.by
            ),
        ));
    }
    let mut at_most = |limit: Option<u8>, count: u8, what: &str| {
        if let Some(limit) = limit
            && count > limit
        {
            findings.push(Finding::new(
                Reason::SpfMismatch,
                format!("{count} {what}, at most {limit} are wanted"),
            ));
        }
    };
    at_most(
        wanted.lookups_at_most,
        evaluation.lookups,
        "terms asked DNS",
    );
    at_most(
        wanted.voids_at_most,
        evaluation.voids,
        "terms found nothing in DNS",
    );
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn evaluation(result: SpfResult, cause: Option<Finding>) -> Evaluation {
        Evaluation {
            result,
            by: "`-all` of example.test".to_owned(),
            cause,
            lookups: 4,
            voids: 1,
            answers: Vec::new(),
        }
    }

    #[test]
    fn another_result_and_too_many_lookups_are_findings() {
        let lines = |wanted: Wanted, evaluation: &Evaluation| {
            judge(&wanted, evaluation)
                .iter()
                .map(Finding::line)
                .collect::<Vec<_>>()
                .join("\n")
        };
        let fail = evaluation(SpfResult::Fail, None);
        let result = |result| Wanted {
            result: Some(result),
            ..Wanted::default()
        };
        assert_eq!(lines(result(SpfResult::Fail), &fail), "");
        assert_eq!(
            lines(result(SpfResult::Pass), &fail),
            "spf-mismatch: fail (expected pass): `-all` of example.test"
        );
        let exact = Wanted {
            result: None,
            lookups_at_most: Some(4),
            voids_at_most: Some(1),
        };
        assert_eq!(lines(exact, &fail), "");
        let few = Wanted {
            result: None,
            lookups_at_most: Some(3),
            voids_at_most: Some(0),
        };
        assert_eq!(
            lines(few, &fail),
            "spf-mismatch: 4 terms asked DNS, at most 3 are wanted\n\
             spf-mismatch: 1 terms found nothing in DNS, at most 0 are wanted"
        );
        let cause = Finding::new(Reason::DnsServfail, "…");
        let failed = evaluation(SpfResult::Temperror, Some(cause));
        assert_eq!(lines(result(SpfResult::Temperror), &failed), "");
        assert_eq!(
            lines(result(SpfResult::Pass), &failed),
            "dns-servfail: temperror (expected pass): `-all` of example.test"
        );
    }
}
