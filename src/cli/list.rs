//! `list`, `run --list` and `run --dry-run`: what there is, and what would happen.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::Arc;

use super::output::Output;
use super::{Exit, Global, Problem, session};
use crate::config::plan::{ForEach, Plan, Preference, Step};
use crate::run::select::Selection;
use crate::run::steps::{self, What};

/// Arguments of `list`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// What to list
    #[arg(value_enum)]
    what: Option<Kind>,
    /// Form of the list
    #[arg(long, value_enum, default_value_t = Form::Human)]
    format: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    /// Scenarios and their steps.
    Scenarios,
    /// Mailboxes and senders.
    Mailboxes,
    /// Nodes and their addresses.
    Nodes,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// For people.
    Human,
    /// One document.
    Json,
}

pub(super) fn main(global: &Global, args: &Args, output: &Output) -> Result<Exit, Problem> {
    let plan = session::load(global, output)?;
    let wanted = |kind: Kind| args.what.is_none_or(|what| what == kind);
    let text = match args.format {
        Form::Json => {
            let text = serde_json::to_string_pretty(&json(&plan)).map_err(Problem::not_tested)?;
            text + "\n"
        }
        Form::Human => {
            let mut text = String::new();
            if wanted(Kind::Scenarios) {
                text.push_str(&scenarios(&plan, &Selection::default()));
            }
            if wanted(Kind::Mailboxes) {
                text.push_str(&mailboxes(&plan));
            }
            if wanted(Kind::Nodes) {
                text.push_str(&nodes(&plan));
            }
            text
        }
    };
    output.print(&output.style.text(&text))?;
    Ok(Exit::Ok)
}

/// The selected scenarios with their selected steps.
pub(super) fn scenarios(plan: &Plan, selection: &Selection) -> String {
    let mut text = String::new();
    for scenario in selection.scenarios(plan) {
        let tags = if scenario.tags.is_empty() {
            String::new()
        } else {
            format!("  [{}]", scenario.tags.join(", "))
        };
        let _ = writeln!(text, "{}{tags}", scenario.name);
        if let Some(title) = &scenario.title {
            let _ = writeln!(text, "  {title}");
        }
        for step in scenario
            .steps
            .iter()
            .filter(|step| selection.takes_step(step))
        {
            let each = step
                .for_each
                .as_ref()
                .map(|each| format!("  for each {}", expansion(each)))
                .unwrap_or_default();
            let _ = writeln!(text, "    {:<20} {}{each}", step.id, step.probe.name());
        }
    }
    text
}

fn expansion(each: &ForEach) -> String {
    let preference = match each.preference {
        Preference::Lowest => "lowest preference",
        Preference::NotLowest => "not the lowest preference",
        Preference::Any => "any preference",
    };
    format!("MX address of {}, {preference}", each.mx_of.source())
}

fn mailboxes(plan: &Plan) -> String {
    let mut text = String::new();
    for mailbox in plan.mailboxes.values() {
        let imap = mailbox
            .imap
            .as_ref()
            .map(|imap| format!("  imap {}:{}", imap.server, imap.port))
            .unwrap_or_default();
        let _ = writeln!(
            text,
            "mailbox {:<12} {}{imap}",
            mailbox.name, mailbox.address
        );
    }
    for sender in plan.senders.values() {
        let dkim = sender
            .dkim
            .as_ref()
            .map(|dkim| format!("  dkim {}", dkim.selector))
            .unwrap_or_default();
        let _ = writeln!(
            text,
            "sender  {:<12} {}  helo {}{dkim}",
            sender.name, sender.address, sender.helo
        );
    }
    text
}

fn nodes(plan: &Plan) -> String {
    let mut text = String::new();
    for node in &plan.inventory.nodes {
        let list = |addresses: &[std::net::IpAddr]| {
            addresses
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        };
        let _ = writeln!(
            text,
            "node    {:<12} primary {}  fallback {}",
            node.name,
            list(&node.primary),
            list(&node.fallback)
        );
    }
    text
}

fn json(plan: &Plan) -> serde_json::Value {
    let step = |step: &Step| serde_json::json!({ "id": step.id, "title": step.title, "kind": step.probe.name(), "for_each": step.for_each.is_some() });
    serde_json::json!({
        "files": plan.files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>(),
        "config_sha256": plan.sha256,
        "vantage": plan.vantage,
        "scenarios": plan.scenarios.iter().map(|scenario| serde_json::json!({
            "name": scenario.name,
            "title": scenario.title,
            "tags": scenario.tags,
            "steps": scenario.steps.iter().map(step).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "mailboxes": plan.mailboxes.values().map(|mailbox| serde_json::json!({
            "name": mailbox.name,
            "address": mailbox.address.to_string(),
        })).collect::<Vec<_>>(),
        "senders": plan.senders.values().map(|sender| serde_json::json!({
            "name": sender.name,
            "address": sender.address.to_string(),
        })).collect::<Vec<_>>(),
        "nodes": plan.inventory.nodes.iter().map(|node| serde_json::json!({
            "name": node.name,
            "primary": node.primary,
            "fallback": node.fallback,
        })).collect::<Vec<_>>(),
    })
}

/// Resolves the targets and prints what would be contacted and sent. Only the resolver is asked. This judges nothing, so
/// it never fails; but a step whose targets cannot be known is not tested.
pub(super) async fn dry_run(
    plan: Plan,
    selection: &Selection,
    output: &Output,
) -> Result<Exit, Problem> {
    let net = plan.network();
    let plan = Arc::new(plan);
    let scenarios = selection.scenarios(&plan);
    let planned = steps::plan(&plan, &net, selection, "DRYRUN", &scenarios).await;
    let mut text = String::new();
    let (mut checks, mut messages) = (0, 0);
    let (mut expanded, mut mentioned) = (BTreeSet::new(), BTreeSet::new());
    for check in &planned {
        let scenario = scenarios[check.scenario_index];
        let step = &scenario.steps[check.step_index];
        let label = format!("{}/{}", scenario.name, step.id);
        let at = (check.scenario_index, check.step_index);
        mentioned.insert(at);
        match &check.what {
            What::Findings(findings) => {
                for finding in findings {
                    let _ = writeln!(text, "  {label}: {}", finding.line());
                }
            }
            What::Probe(target) => {
                let preview = step.probe.preview(&scenario.message, target.as_ref());
                checks += 1;
                messages += usize::from(preview.sends);
                expanded.insert(at);
                let _ = writeln!(text, "  {label}: {}", preview.text);
            }
        }
    }
    let unknown = mentioned.difference(&expanded).count();
    let _ = writeln!(
        text,
        "{}, {}{} · nothing was sent, only the resolver was asked",
        counted(checks, "check"),
        counted(messages, "message"),
        match unknown {
            0 => String::new(),
            _ => format!(", {} without targets", counted(unknown, "step")),
        },
    );
    output.print(&output.style.text(&text))?;
    Ok(if planned.is_empty() {
        output.tell("nothing to run: no target matches");
        Exit::NothingToRun
    } else if unknown > 0 {
        Exit::NotTested
    } else {
        Exit::Ok
    })
}

fn counted(number: usize, word: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {word}{plural}")
}
