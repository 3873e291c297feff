//! `doctor`: is this vantage point fit?

use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

use postrider_probes::net::Net;
use postrider_probes::outcome::Status;
use postrider_probes::reason::Reason;
use tokio::time::Instant;

use super::output::Output;
use super::{Exit, Global, Problem, session};
use crate::clock;
use crate::config::plan::Plan;
use crate::doctor::{self, Sign};
use crate::run::document::status_word;
use crate::store::{Store, StoreError};
use crate::vantage::Vantage;

/// Below this much room in the state directory the ledger is at risk.
const ROOM: u64 = 1 << 30;
const WIDTH: usize = 8;

/// Arguments of `doctor`.
#[derive(Debug, Clone, clap::Args)]
pub(super) struct Args {
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Form::Human)]
    format: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Form {
    /// One line for each thing.
    Human,
    /// One document.
    Json,
}

pub(super) fn main(global: &Global, args: &Args, output: &Output) -> Result<Exit, Problem> {
    let plan = session::load(global, output)?;
    let storage = session::storage(global)?;
    let signs = session::runtime()?.block_on(examine(&plan, &storage));
    let worst = signs
        .iter()
        .map(|sign| sign.status)
        .max()
        .unwrap_or(Status::Pass);
    let text = match args.format {
        Form::Json => {
            let document = json(&plan, &signs);
            serde_json::to_string_pretty(&document).map_err(Problem::not_tested)? + "\n"
        }
        Form::Human => human(&plan, &signs, output),
    };
    output.print(&text)?;
    Ok(match worst {
        Status::Error | Status::Fail => Exit::NotTested,
        Status::Pass | Status::Degraded | Status::Skip => Exit::Ok,
    })
}

async fn examine(plan: &Plan, storage: &Path) -> Vec<Sign> {
    let net: Arc<dyn Net> = Arc::new(plan.network());
    let vantage = Vantage::new(plan.canaries.clone(), Arc::clone(&net), clock::now);
    let health = vantage.health(Instant::now()).await;
    let mut signs = doctor::examine(plan, net.as_ref(), &health).await;
    signs.extend(store(storage).await);
    signs
}

/// Opens the ledger as a run would, and looks at the room that is left.
async fn store(storage: &Path) -> Vec<Sign> {
    let mut signs = Vec::new();
    match Store::open(storage).await {
        Ok(store) => {
            store.close().await;
            signs.push(Sign::good(
                "store",
                format!("{} can be read and written", storage.display()),
            ));
        }
        Err(StoreError::InUse { pid, .. }) => {
            let who = pid.map_or_else(
                || "another process".to_owned(),
                |pid| format!("process {pid}"),
            );
            signs.push(Sign::good(
                "store",
                format!("{} is in use by {who}", storage.display()),
            ));
        }
        Err(error) => signs.push(Sign::unfit("store", Reason::StoreFailed, error.to_string())),
    }
    if let Ok(disk) = rustix::fs::statvfs(storage) {
        let room = disk.f_bavail.saturating_mul(disk.f_frsize);
        let text = format!("{} MiB free in {}", room >> 20, storage.display());
        signs.push(match room < ROOM {
            true => Sign::limit("disk", text),
            false => Sign::good("disk", text),
        });
    }
    signs
}

fn human(plan: &Plan, signs: &[Sign], output: &Output) -> String {
    let style = output.style;
    let mut text = style.text(&format!("vantage {}\n", plan.vantage));
    for sign in signs {
        let reason = sign
            .reason
            .map(|reason| format!("{reason}: "))
            .unwrap_or_default();
        let _ = writeln!(
            text,
            "  {} {:WIDTH$} {}",
            style.sign(status_word(sign.status)),
            sign.subject,
            style.text(&format!("{reason}{}", sign.text)),
        );
    }
    let count = |status| signs.iter().filter(|sign| sign.status == status).count();
    let verdict = match (count(Status::Error), count(Status::Degraded)) {
        (0, 0) => "this vantage is fit".to_owned(),
        (0, limits) => format!(
            "this vantage is fit, with {limits} {}",
            plural(limits, "limit")
        ),
        (faults, _) => format!(
            "this vantage is not fit: {faults} {}",
            plural(faults, "fault")
        ),
    };
    let _ = write!(text, "\n{verdict}\n");
    text
}

fn plural(count: usize, word: &str) -> String {
    match count {
        1 => word.to_owned(),
        _ => format!("{word}s"),
    }
}

fn json(plan: &Plan, signs: &[Sign]) -> serde_json::Value {
    let signs: Vec<serde_json::Value> = signs
        .iter()
        .map(|sign| {
            serde_json::json!({
                "subject": sign.subject,
                "status": sign.status.name(),
                "reason": sign.reason.map(Reason::code),
                "text": sign.text,
            })
        })
        .collect();
    serde_json::json!({ "schema_version": "1.0", "vantage": plan.vantage, "signs": signs })
}
