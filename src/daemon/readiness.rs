//! Whether the daemon can do its work: a function of facts. The mail platform is none of them, or an orchestrator would
//! restart the probe in the very outage that it should record.

use std::time::Duration;

/// The scheduler goes round every two seconds; this long without is no load any more.
const TICKS_WITHIN: Duration = Duration::from_secs(15);

/// What is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    /// Why the store cannot be written.
    pub store: Option<String>,
    /// Since the scheduler went round last.
    pub since_tick: Duration,
    /// Nothing is started any more.
    pub ending: bool,
}

/// One thing that keeps the daemon from its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotReady {
    /// The part: `store`, `scheduler`, `program`.
    pub what: &'static str,
    /// What is wrong with it, in one sentence.
    pub why: String,
}

/// Everything that keeps the daemon from its work; empty when it is ready.
#[must_use]
pub fn readiness(facts: &Facts) -> Vec<NotReady> {
    let mut reasons = Vec::new();
    if let Some(problem) = &facts.store {
        reasons.push(NotReady {
            what: "store",
            why: format!("{problem}; nothing is sent until it can be written again"),
        });
    }
    if facts.since_tick > TICKS_WITHIN {
        reasons.push(NotReady {
            what: "scheduler",
            why: format!("it has not gone round for {} s", facts.since_tick.as_secs()),
        });
    }
    if facts.ending {
        reasons.push(NotReady {
            what: "program",
            why: "it is ending".to_owned(),
        });
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_fact_has_its_reason_and_good_facts_have_none() {
        assert_eq!(readiness(&Facts::default()), []);
        let facts = Facts {
            store: Some("the store /s failed: disk full".to_owned()),
            since_tick: Duration::from_secs(61),
            ending: true,
        };
        let what: Vec<&str> = readiness(&facts).iter().map(|reason| reason.what).collect();
        assert_eq!(what, ["store", "scheduler", "program"]);
        assert!(readiness(&facts)[1].why.contains("61 s"));
    }
}
