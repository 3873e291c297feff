//! A scenario: its references, its steps, its arithmetic.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::time::Duration;

use postrider_probes::Probe;
use postrider_probes::kind::{Names, Places};
use postrider_probes::kinds::deliver::MessageDefaults;
use postrider_probes::setting::{Period, Place, Problem, Spanned};

use super::Scope;
use super::variables::Items;
use crate::config::plan::{ForEach, Preference, Scenario, Source, Step, StepsRun};
use crate::config::raw::{
    RawAddresses, RawForEach, RawPreference, RawScenario, RawStep, RawStepsRun,
};
use crate::config::yaml::{Node, Read, to_json};

/// Test mail goes to a target at most so often.
const MAIL_EVERY: Duration = Duration::from_secs(60);

/// What the main file defines, and what the scenarios use of it.
pub(in crate::config) struct Found<'a> {
    pub(in crate::config) senders: &'a BTreeMap<String, Place>,
    pub(in crate::config) mailboxes: &'a BTreeMap<String, Place>,
    pub(in crate::config) readable_mailboxes: &'a BTreeSet<String>,
    pub(in crate::config) nodes: &'a BTreeMap<String, Place>,
    pub(in crate::config) has_domains: bool,
    pub(in crate::config) used_mailboxes: &'a RefCell<BTreeSet<String>>,
}

/// What was wrong in the file and was left out of it.
struct Cuts<'a>(&'a BTreeSet<(Place, String)>);

impl Cuts<'_> {
    /// Whether this key was left out of the map at this place.
    fn has(&self, map: Place, key: &str) -> bool {
        self.0.contains(&(map, key.to_owned()))
    }

    /// Whether anything was left out of the map at this place.
    fn any(&self, map: Place) -> bool {
        self.0.iter().any(|(place, _)| *place == map)
    }

    /// Whether what a problem asks for is something that was left out.
    fn explain(&self, problem: &Problem) -> bool {
        let help = problem.help.as_deref().unwrap_or_default();
        self.0
            .iter()
            .any(|(_, key)| !key.is_empty() && help.contains(&format!("`{key}:")))
    }
}

/// Resolves one scenario file. The result counts only when no error was reported.
pub(in crate::config) fn scenario(
    read: &Read<RawScenario>,
    tree: &Node,
    file: &Path,
    found: &Found<'_>,
    scope: &mut Scope<'_>,
) -> Option<Scenario> {
    let raw = read.value.as_ref()?;
    let root = tree.place;
    let cuts = Cuts(&read.cuts);
    let cut = |at: Place, key: &str| cuts.has(at, key);
    if raw.version.is_some() || !cut(root, "version") {
        scope.version(raw.version, root, "a scenario");
    }
    match &raw.name {
        Some(name) => scope.name("the name of a scenario", name),
        None if cut(root, "name") => {}
        None => scope.missing("name", root, "a scenario", "name: …"),
    }
    for (what, text) in [
        ("`title`", &raw.title),
        ("`owner`", &raw.owner),
        ("`runbook`", &raw.runbook),
    ] {
        if let Some(text) = text {
            scope.line(what, text);
        }
    }
    for tag in &raw.tags {
        scope.name("a tag", tag);
    }
    let schedule = raw
        .schedule
        .as_ref()
        .and_then(|schedule| scope.schedule(schedule, schedule.at));

    let no_defaults = MessageDefaults::default();
    let message = raw
        .message
        .as_ref()
        .map_or(&no_defaults, |message| &message.value);
    let names = Names {
        senders: found.senders,
        mailboxes: found.mailboxes,
        message,
        for_each: false,
        places: Places(&|_| None),
        readable_mailboxes: found.readable_mailboxes,
        nodes: found.nodes,
        has_domains: found.has_domains,
        used_mailboxes: found.used_mailboxes,
    };
    message.check(&names, &mut scope.problems);

    if raw.steps.is_none() && !cut(root, "steps") {
        scope.missing("steps", root, "a scenario", "steps:");
    }
    let written = raw.steps.as_ref().map_or(&[][..], |steps| &steps.value);
    if let (true, Some(steps)) = (written.is_empty(), &raw.steps)
        && !cut(steps.at, "")
    {
        scope.error(
            "missing-key",
            steps.at,
            "a scenario needs at least one step",
        );
    }
    scope.unique_ids(written);
    let mut steps = Vec::new();
    // What was wrong was cut out of the tree, too: its steps are these.
    let nodes = tree.get("steps").map_or(&[][..], Node::items);
    for (step, node) in written.iter().zip(nodes) {
        let names = Names {
            for_each: step.keys.for_each.is_some(),
            ..names
        };
        steps.extend(scope.step(step, node, &names, file, &cuts));
    }
    scope.templates(tree, &read.templates, &items(tree, written));

    if let Some(every) = raw.schedule.as_ref().and_then(|schedule| schedule.every)
        && every.value.0 < MAIL_EVERY
        && steps
            .iter()
            .any(|step| step.probe.watches(message).is_some())
    {
        scope
            .warning(
                "schedule-too-often",
                every.at,
                "test mail goes to the same target more than once a minute",
            )
            .help = Some("write `every: 1m` or longer".to_owned());
    }

    let together = raw.steps_run == RawStepsRun::Together;
    let timeout = match raw.timeout {
        Some(written) => {
            let patience = longest(&steps, together, |probe| probe.patience(message));
            scope.timeout(written, patience, together);
            written.value.0
        }
        None => {
            longest(&steps, together, |probe| probe.longest(message)).0 + Duration::from_secs(60)
        }
    };
    Some(Scenario {
        name: raw.name.as_ref()?.value.clone(),
        title: raw.title.as_ref().map(|title| title.value.clone()),
        owner: raw.owner.as_ref().map(|owner| owner.value.clone()),
        runbook: raw.runbook.as_ref().map(|runbook| runbook.value.clone()),
        tags: raw.tags.iter().map(|tag| tag.value.clone()).collect(),
        schedule,
        timeout,
        steps_run: if together {
            StepsRun::Together
        } else {
            StepsRun::InOrder
        },
        message: message.clone(),
        steps,
        source: Source {
            file: file.to_path_buf(),
            line: raw.name.as_ref()?.at.line,
        },
        written: to_json(tree),
    })
}

impl Scope<'_> {
    fn unique_ids(&mut self, steps: &[Spanned<RawStep>]) {
        let mut seen: HashMap<&str, Place> = HashMap::new();
        for id in steps.iter().filter_map(|step| step.keys.id.as_ref()) {
            if let Some(first) = seen.get(id.value.as_str()) {
                let problem = self.error(
                    "duplicate-id",
                    id.at,
                    format!("another step is called `{}`, too", id.value),
                );
                problem.related = Some((*first, "the first one".to_owned()));
            } else {
                seen.insert(&id.value, id.at);
            }
        }
    }

    fn step(
        &mut self,
        raw: &Spanned<RawStep>,
        node: &Node,
        names: &Names<'_>,
        file: &Path,
        cuts: &Cuts<'_>,
    ) -> Option<Step> {
        match &raw.keys.id {
            Some(id) => self.name("the id of a step", id),
            None if cuts.has(raw.at, "id") => {}
            None => self.missing("id", raw.at, "a step", "id: …"),
        }
        if let Some(title) = &raw.keys.title {
            self.line("`title`", title);
        }
        for (verb, probe) in &raw.verbs {
            let below = |keys: &str| {
                let value = keys
                    .split('.')
                    .try_fold(node.get(verb)?, |node, key| node.get(key));
                value.map(|value| value.place)
            };
            let names = Names {
                places: Places(&below),
                ..*names
            };
            let mut found = Vec::new();
            probe.check(&names, verb.at, &mut found);
            // What seems to be missing may be what was wrong, and has been said.
            found.retain(|problem| problem.code != "missing-key" || !cuts.explain(problem));
            self.problems.extend(found);
        }
        let verbs: Vec<&str> = Probe::CATALOGUE.iter().map(|(verb, _)| *verb).collect();
        let (verb, probe) = match raw.verbs.as_slice() {
            [(verb, probe)] => (verb, probe),
            // What was cut out may have been the verb; then its own mistake is enough.
            [] if cuts.any(raw.at) => return None,
            [] => {
                let at = raw.keys.id.as_ref().map_or(raw.at, |id| id.at);
                let problem =
                    self.error("verb-count", at, "this step does nothing: it has no verb");
                problem.help = Some("add one of the verbs below the step's `id`".to_owned());
                problem.note = Some(format!("verbs are {}", verbs.join(", ")));
                return None;
            }
            [(first, _), .., (last, _)] => {
                let (first, title) = (
                    first.at,
                    format!(
                        "this step has {} verbs, and a step does one thing",
                        raw.verbs.len()
                    ),
                );
                let problem = self.error("verb-count", last.at, title);
                problem.help = Some("make a step of each".to_owned());
                problem.related = Some((first, "the first one".to_owned()));
                return None;
            }
        };
        let own = probe.patience(names.message);
        if let Some(timeout) = raw.keys.timeout
            && timeout.0 < own
        {
            let problem = self.warning(
                "timeout-too-short",
                timeout.at,
                "this step can never report its own result",
            );
            problem.label = format!("`{}` may wait up to {}", verb.value, Period(own));
            problem.help = Some(format!(
                "set `timeout: {}`, or lower `within`",
                rounded_up(own)
            ));
        }
        Some(Step {
            id: raw.keys.id.as_ref()?.value.clone(),
            title: raw.keys.title.as_ref().map(|title| title.value.clone()),
            for_each: raw
                .keys
                .for_each
                .as_ref()
                .map(|for_each| expansion(for_each)),
            timeout: raw.keys.timeout.map(|timeout| timeout.0),
            always: raw.keys.always,
            probe: probe.clone(),
            source: Source {
                file: file.to_path_buf(),
                line: raw.at.line,
            },
        })
    }

    /// Warns when the run's limit ends it before its steps have met theirs.
    fn timeout(
        &mut self,
        written: Spanned<Period>,
        (longest, who): (Duration, String),
        together: bool,
    ) {
        if written.0 >= longest {
            return;
        }
        let problem = self.warning(
            "timeout-too-short",
            written.at,
            "this scenario can never report its own result",
        );
        problem.help = Some(format!(
            "set `timeout: {}`, or lower `within`",
            rounded_up(longest)
        ));
        let together = if together { "" } else { "one after the other " };
        problem.label = format!(
            "the steps may wait {together}up to {} ({who})",
            Period(longest)
        );
    }
}

fn expansion(raw: &RawForEach) -> ForEach {
    ForEach {
        mx_of: raw.mx_of.clone(),
        preference: match raw.preference {
            RawPreference::Lowest => Preference::Lowest,
            RawPreference::NotLowest => Preference::NotLowest,
            RawPreference::Any => Preference::Any,
        },
        family: raw.family,
        distinct: raw.addresses == RawAddresses::Distinct,
    }
}

/// How long a run takes when each step takes `limit`, and which of them makes most of it. The checks of one step run
/// beside each other.
fn longest(
    steps: &[Step],
    together: bool,
    limit: impl Fn(&Probe) -> Duration,
) -> (Duration, String) {
    let each: Vec<(Duration, &str)> = steps
        .iter()
        .map(|step| {
            let own = limit(&step.probe);
            (
                step.timeout.map_or(own, |limit| limit.min(own)),
                step.id.as_str(),
            )
        })
        .collect();
    let Some((most, who)) = each.iter().max_by_key(|(time, _)| *time) else {
        return (Duration::ZERO, String::new());
    };
    let all = if together {
        *most
    } else {
        each.iter().map(|(time, _)| *time).sum()
    };
    (all, format!("{who}: {}", Period(*most)))
}

/// The next whole minute, or second below one.
fn rounded_up(time: Duration) -> Period {
    let step = if time > Duration::from_secs(60) {
        60
    } else {
        1
    };
    let seconds = time.as_millis().div_ceil(step * 1000) * step;
    Period(Duration::from_secs(
        u64::try_from(seconds).unwrap_or(u64::MAX),
    ))
}

/// Where `${item.…}` has a value.
fn items(tree: &Node, steps: &[Spanned<RawStep>]) -> Items {
    let mut items = Items {
        defined: Vec::new(),
        undefined: Vec::new(),
    };
    for node in tree.get("steps").map_or(&[][..], Node::items) {
        if let Some(for_each) = node.get("for_each") {
            items.defined.push(node.id..=node.last_id());
            items.undefined.push(for_each.id..=for_each.last_id());
        }
    }
    // The defaults of mails are filled in by each step that sends one.
    let senders_have_items = steps
        .iter()
        .filter(|step| step.verbs.iter().any(|(verb, _)| verb.value == "deliver"))
        .all(|step| step.keys.for_each.is_some());
    if let (true, Some(message)) = (senders_have_items, tree.get("message")) {
        items.defined.push(message.id..=message.last_id());
    }
    items
}
