//! From what is known and what is seen to what is to be remembered and told.

use std::time::Duration;

use jiff::Timestamp;
use postrider_probes::observation::{Observation, Values};
use postrider_probes::outcome::{Finding, Status};
use postrider_probes::reason::Reason;

use super::rules::{Rules, Severity};
use super::{Baseline, Change, FIRST, Key, MOST_ACCEPTED, Move, SeenBy, sentence};

/// When it was seen last is written down so seldom: each look would otherwise be a write.
const SEEN_TO: Duration = Duration::from_secs(3600);
/// Who accepts what is only listed.
const RULE: &str = "platform.changed";

/// What follows from one look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// What is to be remembered, when it is something else than what is known.
    pub remember: Option<Baseline>,
    /// What happened with this look.
    pub change: Option<Change>,
    /// How things stand.
    pub verdict: Verdict,
}

/// How things stand after a look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is as it should be.
    AllRight,
    /// It became another one, and that is all right: one sentence.
    Noted(String),
    /// It is another one than it should be.
    Changed {
        /// What the check gets.
        finding: Finding,
        /// What should be.
        before: Values,
        /// Since when.
        since: Timestamp,
    },
}

/// Judges one look. The first one that saw something is all right. Later, only where the value has become another one than at the last look is there a change; what is not all
/// right is found at each look.
#[must_use]
pub fn look(
    known: Option<&Baseline>,
    seen: &Observation,
    seen_by: &SeenBy,
    now: Timestamp,
    rules: &Rules,
) -> Judgement {
    let severity = rules.severity(seen.what);
    if severity == Severity::Ignore {
        return nothing();
    }
    let Some(known) = known else {
        // Nothing is seen during an outage, too: it must not become what should be.
        return Judgement {
            remember: (!seen.values.is_empty()).then(|| first(seen, seen_by, now)),
            ..nothing()
        };
    };
    let key = Key::of(seen);
    let mut after = known.clone();
    close_window(&mut after, now);
    let is_other = seen.values != known.current;
    if is_other {
        after.current = seen.values.clone();
        after.current_since = now;
        after.seen_by = seen_by.clone();
    }
    let base = after.accepted.first().cloned().unwrap_or_default();
    let how = if after.is_all_right() {
        // From one that is all right to another one nothing happened that anybody would want to hear of.
        (is_other && !known.is_all_right()).then_some(Move::Returned)
    } else if let Some(window) = rules.window(now, &key, &base, &seen.values) {
        after.windowed.push(seen.values.clone());
        push_accepted(&mut after, seen.values.clone());
        after.several_until = after.several_until.max(Some(window.until));
        after.accepted_at = now;
        after.accepted_by = window.name();
        Some(Move::Expected)
    } else if severity == Severity::Pass {
        only(&mut after, seen.values.clone());
        after.accepted_at = now;
        RULE.clone_into(&mut after.accepted_by);
        Some(Move::Listed)
    } else {
        is_other.then_some(Move::Changed)
    };
    let change = how.map(|how| {
        let (before, before_since) = match is_other {
            true => (known.current.clone(), known.current_since),
            // It is there for a while already, and only now all right.
            false => (base, known.accepted_at),
        };
        Change {
            at: now,
            key: key.clone(),
            how,
            before,
            before_since,
            after: seen.values.clone(),
            seen_by: seen_by.clone(),
            accepted_by: matches!(how, Move::Expected | Move::Listed)
                .then(|| after.accepted_by.clone()),
        }
    });
    let verdict = match &change {
        _ if !after.is_all_right() => wrong(&key, &after, severity),
        Some(change) if change.how.is_news() => Verdict::Noted(format!(
            "{} (accepted by {})",
            change.sentence(),
            after.accepted_by
        )),
        _ => Verdict::AllRight,
    };
    let seen_late = now.duration_since(known.last_seen_at).unsigned_abs() >= SEEN_TO;
    if seen_late || after != *known {
        after.last_seen_at = now;
    }
    Judgement {
        remember: (after != *known).then_some(after),
        change,
        verdict,
    }
}

/// Makes what was seen last the value that should be; with `also`, beside those that are all right already. `None` when
/// it is so already.
#[must_use]
pub fn accept(
    key: &Key,
    known: &Baseline,
    also: bool,
    by: &str,
    now: Timestamp,
) -> Option<(Baseline, Change)> {
    let is_so = match also {
        true => !known.windowed.contains(&known.current),
        false => known.accepted.len() == 1 && known.windowed.is_empty(),
    };
    if known.is_all_right() && is_so {
        return None;
    }
    let mut after = known.clone();
    let before = known.accepted.first().cloned().unwrap_or_default();
    match also {
        true => {
            after.windowed.retain(|values| *values != known.current);
            push_accepted(&mut after, known.current.clone());
        }
        false => only(&mut after, known.current.clone()),
    }
    after.accepted_at = now;
    by.clone_into(&mut after.accepted_by);
    let change = Change {
        at: now,
        key: key.clone(),
        how: Move::Accepted,
        before,
        before_since: known.accepted_at,
        after: known.current.clone(),
        seen_by: known.seen_by.clone(),
        accepted_by: Some(by.to_owned()),
    };
    Some((after, change))
}

fn nothing() -> Judgement {
    Judgement {
        remember: None,
        change: None,
        verdict: Verdict::AllRight,
    }
}

fn first(seen: &Observation, seen_by: &SeenBy, now: Timestamp) -> Baseline {
    Baseline {
        accepted: vec![seen.values.clone()],
        windowed: Vec::new(),
        several_until: None,
        accepted_at: now,
        accepted_by: FIRST.to_owned(),
        first_seen_at: now,
        current: seen.values.clone(),
        current_since: now,
        last_seen_at: now,
        seen_by: seen_by.clone(),
    }
}

/// After its end, of what was let in only the value that was seen last stays; when that is none of those that are all
/// right, the newest. It takes the place of a single value; several that were right for good stay.
fn close_window(baseline: &mut Baseline, now: Timestamp) {
    if baseline.several_until.is_none_or(|until| now < until) {
        return;
    }
    baseline.several_until = None;
    let windowed = std::mem::take(&mut baseline.windowed);
    let last = match baseline.is_all_right() {
        true => Some(&baseline.current),
        false => baseline.accepted.first(),
    };
    let last = last.filter(|last| windowed.contains(last)).cloned();
    baseline
        .accepted
        .retain(|values| !windowed.contains(values));
    let Some(last) = last else {
        return;
    };
    match baseline.accepted.len() {
        0 | 1 => only(baseline, last),
        _ => push_accepted(baseline, last),
    }
}

/// One value, for good.
fn only(baseline: &mut Baseline, values: Values) {
    baseline.accepted = vec![values];
    baseline.windowed.clear();
    baseline.several_until = None;
}

/// Beside the others. Where there are too many, the oldest goes that was let in by a window, then the oldest.
fn push_accepted(baseline: &mut Baseline, values: Values) {
    let Baseline {
        accepted, windowed, ..
    } = baseline;
    accepted.retain(|known| *known != values);
    if accepted.len() >= MOST_ACCEPTED {
        let let_in = accepted.iter().rposition(|known| windowed.contains(known));
        accepted.remove(let_in.unwrap_or(accepted.len() - 1));
    }
    accepted.insert(0, values);
    windowed.retain(|known| accepted.contains(known));
    if windowed.is_empty() {
        baseline.several_until = None;
    }
}

/// What should be, since it was accepted.
fn wrong(key: &Key, after: &Baseline, severity: Severity) -> Verdict {
    let before = after.accepted.first().cloned().unwrap_or_default();
    let since = after.accepted_at;
    let mut finding = Finding::new(
        Reason::Changed,
        sentence(key, &before, since, &after.current),
    );
    if severity == Severity::Fail {
        finding.status = Status::Fail;
    }
    Verdict::Changed {
        finding,
        before,
        since,
    }
}
