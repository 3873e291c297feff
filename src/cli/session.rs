//! The composition root of one-shot commands: configuration, store, pipeline, watches and engine, opened and closed in order.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context as _;
use postrider_probes::net::Net;
use postrider_probes::slots::Slots;
use postrider_probes::tls::load_system_roots;
use tokio::task::JoinHandle;

use super::{Global, Output, Problem};
use crate::clock::{self, Clock};
use crate::config::plan::Plan;
use crate::config::{self, Format};
use crate::mailbox::{self, Watches};
use crate::pipeline::{self, PipelineHandle, Settings};
use crate::run::Engine;
use crate::store::{Retention, Store};
use crate::vantage::Vantage;

/// Everything that is open.
pub(super) struct Session {
    pub(super) engine: Arc<Engine>,
    pub(super) pipeline: PipelineHandle,
    store: Store,
    task: JoinHandle<()>,
}

impl Session {
    /// Opens everything. Must be called inside the runtime.
    pub(super) async fn open(plan: Plan, storage: &Path) -> Result<Self, Problem> {
        let store = Store::open(storage).await.map_err(Problem::not_tested)?;
        let positions = store.positions().await.map_err(Problem::not_tested)?;
        let settings = Settings {
            lost_after: plan.lost_after,
            clock: Clock::system(),
        };
        let (pipeline, task) = pipeline::start(store.clone(), settings)
            .await
            .map_err(Problem::not_tested)?;
        pipeline.set_rules(Arc::clone(&plan.changes)).await;
        if plan.trusts_the_system() {
            // Reading the system's authorities must not count as the first server's handshake.
            let _ = tokio::task::spawn_blocking(load_system_roots).await;
        }
        let net: Arc<dyn Net> = Arc::new(plan.network());
        let interests = pipeline.clone();
        let watches = Watches::start(mailbox::Setup {
            net: Arc::clone(&net),
            accounts: plan.mailboxes.clone(),
            news: pipeline.news(),
            interest: move |mailbox: &str| interests.interest(mailbox),
            positions,
            now: clock::now,
            seed: rand::random(),
        });
        let vantage = Arc::new(Vantage::new(
            plan.canaries.clone(),
            Arc::clone(&net),
            clock::now,
        ));
        let slots = Slots::new(plan.connections_per_address);
        let engine = Engine {
            vantage,
            plan: Arc::new(plan),
            net,
            pipeline: pipeline.clone(),
            watches,
            slots: Arc::new(slots),
            now: clock::now,
        };
        Ok(Self {
            engine: Arc::new(engine),
            pipeline,
            store,
            task,
        })
    }

    /// Removes own mail, logs out, commits, closes.
    pub(super) async fn close(self) -> Result<(), Problem> {
        self.engine.watches.shutdown().await;
        // Where nothing runs for long, this is the only time to close hours and to remove what is too old.
        let maintained = self.store.maintain(clock::now(), Retention::default());
        if let Err(error) = maintained.await {
            tracing::warn!(%error, "the store was not tidied up");
        }
        let closed = self.pipeline.shutdown().await;
        // The task ends with the shutdown; its panic would have closed the inbox before.
        let _ = self.task.await;
        closed.map_err(|failure| Problem::not_tested(anyhow::anyhow!("{}", failure.line())))
    }
}

/// The runtime of commands that touch the network.
pub(super) fn runtime() -> Result<tokio::runtime::Runtime, Problem> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the runtime cannot be started")
        .map_err(Problem::not_tested)
}

/// Loads the configuration; mistakes are printed as `validate` prints them.
pub(super) fn load(global: &Global, output: &Output) -> Result<Plan, Problem> {
    let main = main_file(global)?;
    let loaded = config::load(&main);
    accept(loaded, output)
}

/// The plan, when there is no mistake in it.
pub(super) fn accept(loaded: config::Loaded, output: &Output) -> Result<Plan, Problem> {
    let text = loaded.render(Format::Full, output.style.colour);
    match loaded.plan {
        Some(plan) => Ok(plan),
        None => {
            output.tell(text.trim_end());
            Err(Problem::usage(anyhow::anyhow!(
                "the configuration has mistakes; nothing ran"
            )))
        }
    }
}

/// The main file: the one that was named, else the first that exists.
pub(super) fn main_file(global: &Global) -> Result<PathBuf, Problem> {
    if let Some(file) = &global.config {
        return Ok(file.clone());
    }
    let user = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".config")))
        .map(|directory| directory.join("postrider/postrider.yaml"));
    let candidates = [
        Some(PathBuf::from("postrider.yaml")),
        user,
        Some(PathBuf::from("/etc/postrider/postrider.yaml")),
    ];
    let tried: Vec<PathBuf> = candidates.into_iter().flatten().collect();
    tried.iter().find(|file| file.is_file()).cloned().ok_or_else(|| {
        let list: Vec<String> = tried.iter().map(|file| file.display().to_string()).collect();
        Problem::usage(anyhow::anyhow!(
            "no configuration: none of {} exists; name one with --config, or start with `postrider demo --keep DIR`",
            list.join(", ")
        ))
    })
}

/// The directory of the ledger and the results.
pub(super) fn storage(global: &Global) -> Result<PathBuf, Problem> {
    if let Some(directory) = &global.storage {
        return Ok(directory.clone());
    }
    let state = std::env::var_os("XDG_STATE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".local/state")));
    state
        .map(|directory| directory.join("postrider"))
        .ok_or_else(|| {
            Problem::usage(anyhow::anyhow!(
                "neither XDG_STATE_HOME nor HOME is set: name a directory with --storage.path"
            ))
        })
}

/// The directory to read from: when no directory is named and this user has no store, that of the daemon.
pub(super) fn stored(global: &Global) -> Result<PathBuf, Problem> {
    let own = storage(global);
    if global.storage.is_some() || own.as_ref().is_ok_and(|own| own.exists()) {
        return own;
    }
    let daemons = PathBuf::from(super::serve::STORAGE);
    match daemons.exists() {
        true => Ok(daemons),
        false => own,
    }
}

/// The command that finds what this one stores: it names the store unless the environment or the default does.
pub(super) fn show_command(global: &Global) -> String {
    let from_environment = std::env::var_os("POSTRIDER_STORAGE_PATH").map(PathBuf::from);
    match &global.storage {
        Some(storage) if from_environment.as_ref() != Some(storage) => show_in(storage),
        _ => "postrider show".to_owned(),
    }
}

/// The command that shows what is in this store.
pub(super) fn show_in(storage: &Path) -> String {
    format!("postrider show --storage.path {}", shell_word(storage))
}

/// A path as a shell takes it.
pub(super) fn shell_word(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = |c: char| c.is_alphanumeric() || "/._-+@%:=,".contains(c);
    match !text.is_empty() && text.chars().all(plain) {
        true => text,
        false => format!("'{}'", text.replace('\'', "'\\''")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_word_of_a_shell() {
        for (path, word) in [
            ("lab/state-1", "lab/state-1"),
            ("", "''"),
            ("my lab", "'my lab'"),
            ("it's $HOME", r"'it'\''s $HOME'"),
            ("~/x", "'~/x'"),
        ] {
            assert_eq!(shell_word(Path::new(path)), word);
        }
    }
}
