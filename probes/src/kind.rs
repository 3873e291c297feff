//! What a probe kind is, and the list of kinds.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

use crate::context::Context;
use crate::kinds::deliver::MessageDefaults;
use crate::outcome::Failure;
use crate::setting::{Place, Problem, Spanned, Template};
use crate::target::Target;

/// A probe kind. The type that implements it *is* its configuration: what stands under the verb in YAML.
pub trait Kind {
    /// The verb.
    const NAME: &'static str;

    /// What the type system could not check: references, contradictions. Contacts nothing.
    fn check(&self, names: &Names<'_>, at: Place, problems: &mut Vec<Problem>);

    /// The longest that one check may take by its own limits: then it is cut off.
    fn longest(&self, message: &MessageDefaults) -> Duration;

    /// The longest that a check takes which meets its limits: a run must leave time for it.
    fn patience(&self, message: &MessageDefaults) -> Duration {
        self.longest(message)
    }

    /// The mailbox and the folder in which its mail turns up, by their names: they are watched as long as the run lasts.
    fn watches(&self, _: &MessageDefaults) -> Option<(String, String)> {
        None
    }

    /// The sender that it sends as, by its name: its bounces are read.
    fn sender(&self, _: &MessageDefaults) -> Option<String> {
        None
    }

    /// Whether a check waits for its mail in there; then they must be watched before anything is sent.
    fn awaits_arrival(&self) -> bool {
        false
    }

    /// The TCP port that it contacts on a target, when it is not the default.
    fn port(&self) -> Option<u16> {
        None
    }

    /// The hosts, addresses and domains that it names, as they are written.
    fn contacts(&self) -> Vec<&Template> {
        Vec::new()
    }

    /// What a check would do, for `--dry-run`. Contacts nothing.
    fn preview(&self, message: &MessageDefaults, target: Option<&Target>) -> Preview;

    /// One attempt. Findings, times and evidence go to the context; an `Err` ends the check.
    fn run(&self, cx: &Context<'_>) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// Finds where something below a verb is written, by its keys joined with dots.
#[derive(Clone, Copy)]
pub struct Places<'a>(pub &'a dyn Fn(&str) -> Option<Place>);

impl std::fmt::Debug for Places<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Places")
    }
}

/// What a check would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preview {
    /// One line for people.
    pub text: String,
    /// Whether a message would be sent.
    pub sends: bool,
}

impl Preview {
    /// A check that sends nothing.
    pub fn reads(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            sends: false,
        }
    }
}

/// What the rest of the configuration defines, for `check`.
#[derive(Debug, Clone, Copy)]
pub struct Names<'a> {
    /// Senders, with the place of their definition.
    pub senders: &'a BTreeMap<String, Place>,
    /// Mailboxes, with the place of their definition.
    pub mailboxes: &'a BTreeMap<String, Place>,
    /// The scenario's `message:` section.
    pub message: &'a MessageDefaults,
    /// Whether the step has `for_each`, so that `${item.…}` is defined.
    pub for_each: bool,
    /// Where the keys of the verb are written.
    pub places: Places<'a>,
    /// Mailboxes that say where they are read.
    pub readable_mailboxes: &'a BTreeSet<String>,
    /// Nodes of the inventory, with the place of their definition.
    pub nodes: &'a BTreeMap<String, Place>,
    /// Whether the inventory names mail domains.
    pub has_domains: bool,
    /// Gathers the mailboxes that something looks into or sends to.
    pub used_mailboxes: &'a RefCell<BTreeSet<String>>,
}

impl Names<'_> {
    /// Where the value of a key below the verb is written, as `expect.accepted.within`; `otherwise` when it is not.
    #[must_use]
    pub fn place(&self, keys: &str, otherwise: Place) -> Place {
        self.places.0(keys).unwrap_or(otherwise)
    }

    /// Checks the name of a sender.
    pub fn sender(&self, name: &Spanned<String>, problems: &mut Vec<Problem>) {
        if !self.senders.contains_key(&name.value) {
            problems.push(Self::unknown("sender", name, name.at, self.senders));
        }
    }

    /// Checks the name of a mailbox, and notes that it is used.
    pub fn mailbox(&self, name: &Spanned<String>, problems: &mut Vec<Problem>) {
        if self.mailboxes.contains_key(&name.value) {
            self.used_mailboxes.borrow_mut().insert(name.value.clone());
        } else {
            problems.push(Self::unknown("mailbox", name, name.at, self.mailboxes));
        }
    }

    /// Checks that a mailbox says where it is read; its name is checked by [`mailbox`](Self::mailbox).
    pub fn readable(&self, name: &Spanned<String>, at: Place, problems: &mut Vec<Problem>) {
        if self.mailboxes.contains_key(&name.value)
            && !self.readable_mailboxes.contains(&name.value)
        {
            let mut problem = Problem::error(
                "missing-key",
                at,
                format!("nobody can look into `{}`: it has no `imap`", name.value),
            )
            .help("add `imap:` to the mailbox in the main file");
            problem.related = self
                .mailboxes
                .get(&name.value)
                .map(|place| (*place, "this one".to_owned()));
            problems.push(problem);
        }
    }

    /// Reports a reference to something that is not defined, with the nearest name as a hint.
    pub fn unknown(what: &str, name: &str, at: Place, known: &BTreeMap<String, Place>) -> Problem {
        let mut problem = Problem::error(
            "unknown-reference",
            at,
            format!("no {what} is called `{name}`"),
        );
        let nearest = known
            .iter()
            .map(|(candidate, place)| {
                (
                    strsim::damerau_levenshtein(candidate, name),
                    candidate,
                    place,
                )
            })
            .filter(|(distance, candidate, _)| *distance <= candidate.len().max(name.len()) / 2)
            .min_by_key(|(distance, ..)| *distance);
        if let Some((_, candidate, place)) = nearest {
            problem.help = Some(format!("did you mean `{candidate}`?"));
            problem.related = Some((*place, "did you mean this one?".to_owned()));
        } else if known.is_empty() {
            problem.help = Some(format!("no {what} is defined at all"));
        } else {
            let list: Vec<String> = known
                .keys()
                .map(|candidate| format!("`{candidate}`"))
                .collect();
            problem.help = Some(format!("there are {}", list.join(", ")));
        }
        problem
    }
}

/// Makes, from one list of kinds: the `Verbs` part of a step as it is written (one optional key for each kind),
/// and the [`Probe`] that runs.
macro_rules! probe_kinds {
    ($($(#[doc = $doc:literal])* $module:ident :: $type:ident,)*) => {
        /// One step's verb.
        #[derive(Debug, Clone)]
        pub enum Probe { $($(#[doc = $doc])* $type(Box<$module::$type>),)* }

        impl Probe {
            /// Every verb and its one-line description, sorted by name.
            pub const CATALOGUE: &'static [(&'static str, &'static str)] =
                &[$((<$module::$type as Kind>::NAME, concat!($($doc),*)),)*];

            /// The verb's name.
            #[must_use]
            pub fn name(&self) -> &'static str {
                match self { $(Self::$type(_) => <$module::$type as Kind>::NAME,)* }
            }

            /// See [`Kind::check`].
            pub fn check(&self, names: &Names<'_>, at: Place, problems: &mut Vec<Problem>) {
                match self { $(Self::$type(kind) => kind.check(names, at, problems),)* }
            }

            /// See [`Kind::longest`].
            #[must_use]
            pub fn longest(&self, message: &MessageDefaults) -> Duration {
                match self { $(Self::$type(kind) => kind.longest(message),)* }
            }

            /// See [`Kind::patience`].
            #[must_use]
            pub fn patience(&self, message: &MessageDefaults) -> Duration {
                match self { $(Self::$type(kind) => kind.patience(message),)* }
            }

            /// See [`Kind::watches`].
            #[must_use]
            pub fn watches(&self, message: &MessageDefaults) -> Option<(String, String)> {
                match self { $(Self::$type(kind) => kind.watches(message),)* }
            }

            /// See [`Kind::sender`].
            #[must_use]
            pub fn sender(&self, message: &MessageDefaults) -> Option<String> {
                match self { $(Self::$type(kind) => kind.sender(message),)* }
            }

            /// See [`Kind::awaits_arrival`].
            #[must_use]
            pub fn awaits_arrival(&self) -> bool {
                match self { $(Self::$type(kind) => kind.awaits_arrival(),)* }
            }

            /// See [`Kind::preview`].
            #[must_use]
            pub fn preview(&self, message: &MessageDefaults, target: Option<&Target>) -> Preview {
                match self { $(Self::$type(kind) => kind.preview(message, target),)* }
            }

            /// See [`Kind::port`].
            #[must_use]
            pub fn port(&self) -> Option<u16> {
                match self { $(Self::$type(kind) => kind.port(),)* }
            }

            /// See [`Kind::contacts`].
            #[must_use]
            pub fn contacts(&self) -> Vec<&Template> {
                match self { $(Self::$type(kind) => kind.contacts(),)* }
            }

            /// One attempt within `limits`, given up when `cancelled` completes. Everything that came of it
            /// is in the context, however it ended.
            pub async fn run(&self, cx: &Context<'_>, limits: Limits, cancelled: impl Future<Output = ()>) {
                let ended = tokio::select! {
                    biased;
                    () = cancelled => Err(Failure::new(Reason::Cancelled, format!("the run was cancelled{}", cx.whereabouts()))),
                    ended = self.attempt(cx) => ended,
                    limit = limits.over(cx) => Err(cut_off(cx, limit)),
                };
                if let Err(failure) = ended {
                    cx.find(failure);
                }
            }

            // Each arm's future is boxed: otherwise the match is as large as its largest arm.
            async fn attempt(&self, cx: &Context<'_>) -> Result<(), Failure> {
                match self { $(Self::$type(kind) => Box::pin(kind.run(cx)).await,)* }
            }

            /// Reads the verb named `verb` from its YAML value; `None` when no kind has that name.
            ///
            /// # Errors
            /// The reader's own, with its place.
            pub fn read<'de, D: serde::Deserializer<'de>>(verb: &str, value: D) -> Option<Result<Self, D::Error>> {
                $(if verb == <$module::$type as Kind>::NAME {
                    return Some(serde::Deserialize::deserialize(value).map(|kind| Self::$type(Box::new(kind))));
                })*
                None
            }

            /// The JSON Schema of each verb's value.
            pub fn schemas(generator: &mut schemars::SchemaGenerator) -> Vec<(&'static str, schemars::Schema)> {
                vec![$((<$module::$type as Kind>::NAME, generator.subschema_for::<$module::$type>()),)*]
            }
        }
    };
}
pub(crate) use probe_kinds;
