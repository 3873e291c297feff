//! `validate --online`: resolves, connects, negotiates TLS, logs in; sends no mail and changes no mailbox. Underneath
//! it is a scenario of steps that stop early, so that it judges as a run would.

use std::fmt::Write as _;
use std::path::Path;

use postrider_probes::Probe;
use postrider_probes::outcome::Status;
use postrider_probes::setting::{Place, Problem as Mistake, Severity, Spanned, Template};

use super::hold::Holder;
use super::interrupt::Interrupt;
use super::output::Output;
use super::run::Manner;
use super::session::Session;
use super::{Exit, Problem};
use crate::config::plan::Plan;
use crate::config::{self, Extra, Loaded, quoted, quoted_template};
use crate::result::{CheckResult, StatusWord};
use crate::run::select::Selection;

const SCENARIO: &str = "validate-online";

/// One thing to look at, and where it is written.
struct Subject {
    step: String,
    at: Place,
    yaml: String,
}

/// What came of looking.
pub(super) struct Looked {
    /// The worst status.
    pub(super) worst: Status,
    /// The exit code, when a signal cut it short.
    pub(super) cut_short: Option<Exit>,
}

impl Looked {
    /// There was nothing to look at.
    pub(super) const NOTHING: Self = Self {
        worst: Status::Pass,
        cut_short: None,
    };
}

/// Looks, and adds what is wrong to the mistakes.
pub(super) async fn look(
    loaded: &mut Loaded,
    main: &Path,
    output: &Output,
) -> Result<Looked, Problem> {
    // Before anything is opened: from here on a signal ends the look in good order.
    let interrupt = Interrupt::listen(*output)?;
    let Some(plan) = &loaded.plan else {
        return Ok(Looked::NOTHING);
    };
    let subjects = subjects(plan, loaded);
    if subjects.is_empty() {
        return Ok(Looked::NOTHING);
    }
    let steps = subjects.iter().fold(String::new(), |mut steps, subject| {
        let _ = write!(steps, "  - id: {}\n{}", subject.step, subject.yaml);
        steps
    });
    let text =
        format!("version: 1\nname: {SCENARIO}\ntimeout: 2m\nsteps_run: together\nsteps:\n{steps}");
    let extended = config::load_with(main, &[Extra::Text(text)]);
    let plan = super::session::accept(extended, output)?;
    let directory = tempfile::Builder::new()
        .prefix("postrider-validate-")
        .tempdir()?;
    let session = Session::open(plan, directory.path()).await?;
    let selection = Selection {
        scenarios: vec![SCENARIO.to_owned()],
        ..Selection::default()
    };
    let holder = Holder {
        session: &session,
        selection: &selection,
        manner: &Manner::quiet(),
        show: None,
        interrupt: &interrupt,
        output,
    };
    let result = holder.once().await;
    session.close().await?;
    let result = result?;
    let mut worst = Status::Pass;
    let mut found = Vec::new();
    for check in &result.checks {
        let subject = subjects.iter().find(|subject| subject.step == check.step);
        let at = subject.map(|subject| subject.at).unwrap_or_default();
        worst = worst.max(check.status.into());
        found.extend(mistakes(check, at));
    }
    loaded.add_found_online(found);
    Ok(Looked {
        worst,
        cut_short: interrupt.cut_short(&result),
    })
}

fn mistakes(check: &CheckResult, at: Place) -> Vec<Mistake> {
    let target = check
        .target
        .as_ref()
        .map(|target| format!("{} [{}]: ", target.mx, target.address))
        .unwrap_or_default();
    let mut found = Vec::new();
    for finding in &check.findings {
        let Some(reason) = postrider_probes::reason::Reason::from_code(&finding.reason) else {
            continue;
        };
        let severity = match finding.status {
            StatusWord::Fail | StatusWord::Error => Severity::Error,
            StatusWord::Pass | StatusWord::Degraded | StatusWord::Skip => Severity::Warning,
        };
        let mistake = Mistake {
            severity,
            ..Mistake::error(reason.code(), at, format!("{target}{}", finding.message))
        };
        found.push(mistake.note(format!(
            "found online; see `postrider explain {}`",
            reason.code()
        )));
    }
    found
}

fn subjects(plan: &Plan, loaded: &Loaded) -> Vec<Subject> {
    let mut subjects = Vec::new();
    for mailbox in plan
        .mailboxes
        .values()
        .filter(|mailbox| mailbox.imap.is_some())
    {
        let at = mailbox
            .password
            .as_ref()
            .map(|secret| loaded.place_of(secret))
            .unwrap_or_default();
        subjects.push(Subject {
            step: format!("mailbox-{}", subjects.len() + 1),
            at,
            yaml: format!(
                "    imap: {{ in: {}, read: nothing }}\n",
                quoted(&mailbox.name)
            ),
        });
    }
    // A session needs a name for EHLO, and a transaction that never begins needs both its ends.
    if let (Some(sender), Some(mailbox)) =
        (plan.senders.keys().next(), plan.mailboxes.keys().next())
    {
        for (domain, at) in domains(plan) {
            subjects.push(Subject {
                step: format!("mx-{}", subjects.len() + 1),
                at,
                yaml: format!(
                    "    for_each: {{ mx_of: {} }}\n    deliver: {{ from: {}, to: {}, to_address: \"${{item.address}}\", \
                     tls: opportunistic, stop_after: ehlo, prefer: {{ certificate: {{ matches: mx-name }} }} }}\n",
                    quoted_template(&domain),
                    quoted(sender),
                    quoted(mailbox),
                ),
            });
        }
    }
    subjects
}

/// Every domain whose MX records a step uses, once.
fn domains(plan: &Plan) -> Vec<(String, Place)> {
    let mut domains: Vec<(String, Place)> = Vec::new();
    let mut add = |template: &Spanned<Template>| {
        if let Some(domain) = template
            .literal()
            .filter(|domain| !domains.iter().any(|(known, _)| known == domain))
        {
            domains.push((domain, template.at));
        }
    };
    for scenario in &plan.scenarios {
        if let Some(route) = &scenario.message.route {
            add(&route.mx_of);
        }
        for step in &scenario.steps {
            if let Some(for_each) = &step.for_each {
                add(&for_each.mx_of);
            }
            if let Probe::Deliver(deliver) = &step.probe
                && let Some(route) = &deliver.route
            {
                add(&route.mx_of);
            }
        }
    }
    domains
}
