//! Reads the main file and everything that it includes.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use postrider_probes::kind::{Names, Places};
use postrider_probes::kinds::deliver::MessageDefaults;
use postrider_probes::setting::{Place, Problem, Severity, Spanned};

use super::include::{FILES_LIMIT, matching};
use super::loaded::Loaded;
use super::plan::{Plan, Scenario};
use super::raw::{RawMain, RawScenario};
use super::resolve::{self, Found, MainFile, Scope};
use super::source::{self, Sources};
use super::yaml::{self, Node, SECRET_KEYS, Value};

/// What to read.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The main file; without one, scenarios can name no sender and no mailbox.
    pub main: Option<PathBuf>,
    /// Scenarios beside the main file's own.
    pub extra: Vec<Extra>,
    /// The environment variables.
    pub environment: BTreeMap<String, String>,
}

/// A scenario that was given on the command line, taken as if the main file included it.
#[derive(Debug, Clone)]
pub enum Extra {
    /// A file.
    File(PathBuf),
    /// A text, as from standard input.
    Text(String),
}

impl Request {
    /// The main file alone, with this process's environment.
    #[must_use]
    pub fn new(main: &Path) -> Self {
        Self {
            main: Some(main.to_path_buf()),
            extra: Vec::new(),
            environment: std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
        }
    }
}

/// Reads a configuration with this process's environment. Contacts nothing and needs no secret.
#[must_use]
pub fn load(main: &Path) -> Loaded {
    Request::new(main).load()
}

/// As [`load`], with scenarios from the command line.
#[must_use]
pub fn load_with(main: &Path, extra: &[Extra]) -> Loaded {
    Request {
        extra: extra.to_vec(),
        ..Request::new(main)
    }
    .load()
}

impl Request {
    /// Reads it all. Contacts nothing and needs no secret.
    #[must_use]
    pub fn load(&self) -> Loaded {
        let mut loader = Loader {
            sources: Sources::default(),
            scope: Scope {
                environment: &self.environment,
                used_environment: BTreeSet::new(),
                problems: Vec::new(),
            },
            names: HashMap::new(),
            known: Known::default(),
            paths: HashMap::new(),
            whole: true,
            written: serde_json::Value::Null,
        };
        let main = match &self.main {
            Some(path) => loader.main_file(path),
            None => MainFile::default(),
        };
        let mut scenarios = Vec::new();
        for (path, at) in loader.included(self.main.as_deref(), &main.include) {
            scenarios.extend(loader.scenario_file(&path, at).1);
        }
        let mut extra_names = Vec::new();
        for one in &self.extra {
            let (name, scenario) = match one {
                Extra::File(path) => loader.scenario_file(path, Place::default()),
                Extra::Text(text) => loader.scenario_text(Path::new("<stdin>"), text),
            };
            extra_names.extend(name);
            scenarios.extend(scenario);
        }
        loader.unused_mailboxes();
        loader.finish(main, scenarios, extra_names)
    }
}

struct Loader<'a> {
    sources: Sources,
    scope: Scope<'a>,
    /// Scenario names and where they stand.
    names: HashMap<String, Place>,
    known: Known,
    /// Scenario files that were read, and the names in them.
    paths: HashMap<PathBuf, Option<String>>,
    /// Every file could be read, so that what is not used anywhere is really unused.
    whole: bool,
    /// The main file as it is written.
    written: serde_json::Value,
}

/// What the main file defines, right or wrong: a sender with a mistake in it is still a sender.
#[derive(Default)]
struct Known {
    senders: BTreeMap<String, Place>,
    mailboxes: BTreeMap<String, Place>,
    readable_mailboxes: BTreeSet<String>,
    nodes: BTreeMap<String, Place>,
    has_domains: bool,
    used_mailboxes: RefCell<BTreeSet<String>>,
}

impl Loader<'_> {
    fn main_file(&mut self, path: &Path) -> MainFile {
        let Some((mut tree, _)) = self.tree(path, Place::default()) else {
            return MainFile::default();
        };
        self.known.senders = names_in(&tree, "senders");
        self.known.mailboxes = names_in(&tree, "mailboxes");
        self.known.readable_mailboxes = tree
            .get("mailboxes")
            .map_or(&[][..], Node::entries)
            .iter()
            .filter(|entry| entry.value.get("imap").is_some())
            .map(|entry| entry.key.scalar.text.clone())
            .collect();
        if let Some(platform) = tree.get("platform") {
            self.known.nodes = names_in(platform, "nodes");
            self.known.has_domains = platform
                .get("domains")
                .is_some_and(|domains| !domains.items().is_empty());
        }
        self.written = yaml::to_json(&tree);
        let read = yaml::read::<RawMain>(&mut tree, "the main file", &mut self.scope.problems);
        let Some(mut raw) = read.value else {
            self.whole = false;
            return MainFile::default();
        };
        // What was wrong with it has been said.
        if read.cuts.contains(&(tree.place, "version".to_owned())) {
            raw.version = Some(Spanned::unplaced(1));
        }
        let mut main = resolve::main_file(&raw, tree.place, &read.cuts, &mut self.scope);
        for mailbox in raw
            .senders
            .0
            .iter()
            .filter_map(|(_, raw)| raw.bounces_to.as_ref())
        {
            self.returns(mailbox, &mut main);
        }
        main
    }

    /// A mailbox that bounces are looked for in.
    fn returns(&mut self, mailbox: &Spanned<String>, main: &mut MainFile) {
        let names = Names {
            senders: &self.known.senders,
            mailboxes: &self.known.mailboxes,
            message: &MessageDefaults::default(),
            for_each: false,
            places: Places(&|_| None),
            readable_mailboxes: &self.known.readable_mailboxes,
            nodes: &self.known.nodes,
            has_domains: self.known.has_domains,
            used_mailboxes: &self.known.used_mailboxes,
        };
        names.mailbox(mailbox, &mut self.scope.problems);
        names.readable(mailbox, mailbox.at, &mut self.scope.problems);
        if let Some(account) = main.mailboxes.get_mut(&mailbox.value) {
            account.takes_bounces = true;
        }
    }

    /// The files that the patterns of `include` match, each once.
    fn included(
        &mut self,
        main: Option<&Path>,
        patterns: &[Spanned<String>],
    ) -> Vec<(PathBuf, Place)> {
        let Some(main) = main else {
            return Vec::new();
        };
        let base = main.parent().unwrap_or(Path::new(""));
        let mut files = Vec::new();
        let mut seen = BTreeSet::new();
        for pattern in patterns {
            let matches = match matching(base, pattern) {
                Ok(matches) => matches,
                Err(problem) => {
                    self.scope.problems.push(*problem);
                    continue;
                }
            };
            for path in matches {
                let real = path.canonicalize().unwrap_or_else(|_| path.clone());
                if main.canonicalize().is_ok_and(|main| main == real) {
                    self.scope
                        .error(
                            "bad-value",
                            pattern.at,
                            "`include` matches the main file itself, which is no scenario",
                        )
                        .help = Some("keep scenarios in a directory of their own".to_owned());
                } else if seen.insert(real) {
                    files.push((path, pattern.at));
                }
            }
        }
        if files.len() > FILES_LIMIT {
            let at = patterns
                .first()
                .map_or_else(Place::default, |pattern| pattern.at);
            self.scope.error(
                "too-many-files",
                at,
                format!(
                    "`include` matches {} files, the limit is {FILES_LIMIT}",
                    files.len()
                ),
            );
            files.truncate(FILES_LIMIT);
        }
        files
    }

    fn scenario_file(&mut self, path: &Path, at: Place) -> (Option<String>, Option<Scenario>) {
        let real = path.canonicalize().unwrap_or_else(|_| path.to_path_buf());
        if let Some(name) = self.paths.get(&real) {
            return (name.clone(), None);
        }
        let (name, scenario) = match self.tree(path, at) {
            Some((tree, _)) => self.scenario(tree, path),
            None => (None, None),
        };
        self.paths.insert(real, name.clone());
        (name, scenario)
    }

    fn scenario_text(&mut self, name: &Path, text: &str) -> (Option<String>, Option<Scenario>) {
        if let Err(problem) = source::check_size(name, text.len()) {
            self.scope.problems.push(*problem);
            return (None, None);
        }
        let file = self.sources.add(name, text);
        match self.parse(file, text, Path::new("")) {
            Some(tree) => self.scenario(tree, name),
            None => (None, None),
        }
    }

    fn scenario(&mut self, mut tree: Node, path: &Path) -> (Option<String>, Option<Scenario>) {
        let read = yaml::read::<RawScenario>(&mut tree, "a scenario", &mut self.scope.problems);
        let name = read.value.as_ref().and_then(|raw| raw.name.clone());
        self.whole &= read.value.is_some();
        if let Some(name) = &name {
            match self.names.get(&name.value) {
                Some(first) => {
                    let first = *first;
                    self.scope
                        .error(
                            "duplicate-id",
                            name.at,
                            format!("another scenario is called `{}`, too", name.value),
                        )
                        .related = Some((first, "the first one".to_owned()));
                }
                None => {
                    self.names.insert(name.value.clone(), name.at);
                }
            }
        }
        let shown = self
            .sources
            .file(tree.place)
            .map_or_else(|| path.to_path_buf(), |file| file.path.clone());
        let found = Found {
            senders: &self.known.senders,
            mailboxes: &self.known.mailboxes,
            readable_mailboxes: &self.known.readable_mailboxes,
            nodes: &self.known.nodes,
            has_domains: self.known.has_domains,
            used_mailboxes: &self.known.used_mailboxes,
        };
        let scenario = resolve::scenario(&read, &tree, &shown, &found, &mut self.scope);
        (name.map(|name| name.value), scenario)
    }

    fn tree(&mut self, path: &Path, at: Place) -> Option<(Node, u32)> {
        let (file, text) = match source::read(path, at, &mut self.sources) {
            Ok(read) => read,
            Err(problem) => {
                self.whole = false;
                self.scope.problems.push(*problem);
                return None;
            }
        };
        let base = path.parent().unwrap_or(Path::new(""));
        Some((self.parse(file, &text, base)?, file))
    }

    fn parse(&mut self, file: u32, text: &str, base: &Path) -> Option<Node> {
        self.sources.mask_secrets(file, &SECRET_KEYS);
        let Some(mut tree) = yaml::parse(file, text, &mut self.scope.problems) else {
            self.whole = false;
            return None;
        };
        self.files_in(&mut tree, base);
        Some(tree)
    }

    /// Paths are relative to the file that they stand in; certificates must be there.
    fn files_in(&mut self, tree: &mut Node, base: &Path) {
        let problems = &mut self.scope.problems;
        tree.for_each_entry_mut(&mut |entry| {
            let key = entry.key.scalar.text.as_str();
            let Value::Scalar(path) = &mut entry.value.value else {
                return;
            };
            if !key.ends_with("_file") || path.text.is_empty() {
                return;
            }
            let full = base.join(&path.text);
            // Secrets are looked at by `validate --secrets`: this must work where there are none.
            if ["ca_file", "trust_anchor_file"].contains(&key) && !full.is_file() {
                problems.push(
                    Problem::error(
                        "missing-file",
                        entry.value.place,
                        format!("there is no file `{}`", path.text),
                    )
                    .help("paths are relative to the file that they stand in"),
                );
            }
            if let Some(full) = full.to_str() {
                path.text = full.to_owned();
            }
        });
    }

    fn unused_mailboxes(&mut self) {
        // Mistakes elsewhere may be the reason, and are worse.
        let errors = self
            .scope
            .problems
            .iter()
            .any(|problem| problem.severity == Severity::Error);
        if errors || !self.whole || self.names.is_empty() {
            return;
        }
        let used = self.known.used_mailboxes.borrow();
        for (name, place) in &self.known.mailboxes {
            if !used.contains(name) {
                self.scope.problems.push(
                    Problem::warning("unused-mailbox", *place, format!("no step uses `{name}`"))
                        .help("remove it, or name it in a step"),
                );
            }
        }
    }

    fn finish(self, main: MainFile, scenarios: Vec<Scenario>, extra_names: Vec<String>) -> Loaded {
        let problems = self.scope.problems;
        let broken = problems
            .iter()
            .any(|problem| problem.severity == Severity::Error);
        let environment = self
            .scope
            .used_environment
            .iter()
            .filter_map(|name| {
                let value = self.scope.environment.get(name)?;
                Some((format!("env.{name}"), value.clone()))
            })
            .collect();
        let plan = (!broken).then(|| Plan {
            files: self.sources.iter().map(|file| file.path.clone()).collect(),
            sha256: self.sources.sha256(),
            vantage: main.vantage,
            resolver: main.resolver,
            trust_anchors: main.trust_anchors,
            inventory: main.inventory,
            changes: Arc::new(main.changes),
            platform: main.platform,
            senders: main.senders,
            mailboxes: main.mailboxes,
            lost_after: main.lost_after,
            canaries: main.canaries,
            connections_per_address: main.connections_per_address,
            scenarios,
            environment,
            written: self.written,
        });
        let mut loaded = Loaded {
            plan,
            problems,
            sources: self.sources,
            extra_names,
            secret_places: main.secret_places,
            contacted: false,
        };
        loaded.sort();
        loaded
    }
}

/// Names under a key of the main file, whether or not what they stand for is right.
fn names_in(tree: &Node, key: &str) -> BTreeMap<String, Place> {
    tree.get(key)
        .map_or(&[][..], Node::entries)
        .iter()
        .map(|entry| (entry.key.scalar.text.clone(), entry.key.place))
        .collect()
}
