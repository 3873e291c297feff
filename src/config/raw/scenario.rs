//! A scenario file.

use std::borrow::Cow;
use std::sync::LazyLock;

use postrider_probes::Probe;
use postrider_probes::kinds::deliver::{Family, MessageDefaults};
use postrider_probes::setting::{Period, Spanned, Template};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, Visitor};

/// A scenario: when it runs, what it sends, and its steps.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Scenario", title = "Postrider: a scenario")]
pub(crate) struct RawScenario {
    /// Version of this language.
    #[schemars(required, range(min = 1, max = 1), example = 1)]
    pub(crate) version: Option<Spanned<u32>>,
    /// Its name, unique among all scenarios.
    #[schemars(required, regex(pattern = super::super::resolve::NAME_PATTERN), example = &"mx-delivery")]
    pub(crate) name: Option<Spanned<String>>,
    /// One sentence for people: what holds when it passes.
    #[schemars(example = &"Inbound mail is accepted by every MX address and reaches the inbox")]
    pub(crate) title: Option<Spanned<String>>,
    /// Who cares.
    #[schemars(example = &"postmaster@example.net")]
    pub(crate) owner: Option<Spanned<String>>,
    /// Where to read on when it fails.
    #[schemars(example = &"https://wiki.example.net/mail/mx-delivery")]
    pub(crate) runbook: Option<Spanned<String>>,
    /// Words to select it by.
    #[serde(default)]
    #[schemars(example = ["smoke", "inbound"])]
    pub(crate) tags: Vec<Spanned<String>>,
    /// When `serve` runs it.
    #[schemars(example = example("{every: 5m, jitter: 30s}"))]
    pub(crate) schedule: Option<Spanned<RawSchedule>>,
    /// Time limit of a whole run; by default what the steps may take, and a minute more.
    #[schemars(example = &"12m")]
    pub(crate) timeout: Option<Spanned<Period>>,
    /// Order of the steps; `in-order` by default.
    #[serde(default)]
    #[schemars(example = &"together")]
    pub(crate) steps_run: RawStepsRun,
    /// Defaults for every mail of the scenario.
    #[schemars(example = example("{from: outside, to: alice, size: 8KiB}"))]
    pub(crate) message: Option<Spanned<MessageDefaults>>,
    /// The steps.
    #[schemars(required, length(min = 1), example = example("[{id: pause, wait: {for: 30s}}]"))]
    pub(crate) steps: Option<Spanned<Vec<Spanned<RawStep>>>>,
}

/// When `serve` runs a scenario.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Schedule", extend("oneOf" = [
    { "required": ["every"] },
    { "required": ["cron", "timezone"] },
]))]
pub(crate) struct RawSchedule {
    /// The interval between planned starts.
    #[schemars(example = &"5m")]
    pub(crate) every: Option<Spanned<Period>>,
    /// Planned starts: minute, hour, day of the month, month, day of the week.
    #[schemars(example = &"17 3 * * *")]
    pub(crate) cron: Option<Spanned<String>>,
    /// The time zone of `cron`, by its IANA name.
    #[schemars(example = &"Europe/Berlin")]
    pub(crate) timezone: Option<Spanned<String>>,
    /// A random delay of each start, at most this; none by default.
    #[schemars(example = &"30s")]
    pub(crate) jitter: Option<Spanned<Period>>,
    /// Runs at the same time; 1 by default. With more, a slow run does not hold back the next one.
    #[schemars(example = 3, range(min = 1))]
    pub(crate) max_in_flight: Option<Spanned<u32>>,
}

/// Order of the steps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "StepsRun")]
pub(crate) enum RawStepsRun {
    /// One after the other; after a failure the rest is skipped, but for `always` steps.
    #[default]
    InOrder,
    /// All at the planned moment.
    Together,
}

/// An expansion of MX records: one check for each address.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ForEach")]
pub(crate) struct RawForEach {
    /// The domain.
    #[schemars(example = &"example.net")]
    pub(crate) mx_of: Spanned<Template>,
    /// Which preferences; `any` by default.
    #[serde(default)]
    #[schemars(example = &"lowest")]
    pub(crate) preference: RawPreference,
    /// Which addresses; `both` by default.
    #[serde(default)]
    #[schemars(example = &"both")]
    pub(crate) family: Family,
    /// Whether an address that several MX hosts share is probed for each of them; `distinct` by default.
    #[serde(default)]
    #[schemars(example = &"all")]
    pub(crate) addresses: RawAddresses,
}

/// Which preferences an expansion takes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Preference")]
pub(crate) enum RawPreference {
    /// The lowest number: the primary MX.
    Lowest,
    /// All others: the fallback MX.
    NotLowest,
    /// Every one.
    #[default]
    Any,
}

/// Whether an address that several MX hosts share is probed for each of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Addresses")]
pub(crate) enum RawAddresses {
    /// Once for each MX host.
    All,
    /// Once.
    #[default]
    Distinct,
}

/// The keys that every step has beside its verb.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "StepKeys")]
pub(crate) struct StepKeys {
    /// Its name, unique in the scenario.
    #[schemars(required, regex(pattern = super::super::resolve::NAME_PATTERN), example = &"primary")]
    pub(crate) id: Option<Spanned<String>>,
    /// One sentence for people: what holds when it passes.
    #[schemars(example = &"Primary MX, each address")]
    pub(crate) title: Option<Spanned<String>>,
    /// Makes one check for each MX address.
    #[schemars(example = example("{mx_of: example.net, preference: lowest}"))]
    pub(crate) for_each: Option<Spanned<RawForEach>>,
    /// Time limit of each check.
    #[schemars(example = &"2m")]
    pub(crate) timeout: Option<Spanned<Period>>,
    /// Run it even after a failure or a cancellation.
    #[serde(default)]
    #[schemars(example = true)]
    pub(crate) always: bool,
}

/// One step: the common keys, and verbs. How many verbs there are is checked later, for all of them at once.
#[derive(Debug, Clone, Default)]
pub(crate) struct RawStep {
    pub(crate) keys: StepKeys,
    pub(crate) verbs: Vec<(Spanned<String>, Probe)>,
}

/// Every key that a step may have: the common ones, then the verbs.
pub(crate) static STEP_KEYS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let verbs = Probe::CATALOGUE.iter().map(|(verb, _)| *verb);
    ["id", "title", "for_each", "timeout", "always"]
        .into_iter()
        .chain(verbs)
        .collect()
});

impl<'de> Deserialize<'de> for RawStep {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = RawStep;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a step: its id and one verb")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawStep, A::Error> {
                let mut step = RawStep::default();
                while let Some(key) = map.next_key_seed(StepKey)? {
                    match key.value.as_str() {
                        "id" => step.keys.id = Some(map.next_value()?),
                        "title" => step.keys.title = Some(map.next_value()?),
                        "for_each" => step.keys.for_each = Some(map.next_value()?),
                        "timeout" => step.keys.timeout = Some(map.next_value()?),
                        "always" => step.keys.always = map.next_value()?,
                        _ => {
                            let probe = map.next_value_seed(Verb(&key.value))?;
                            step.verbs.push((key, probe));
                        }
                    }
                }
                Ok(step)
            }
        }
        deserializer.deserialize_struct("Step", &STEP_KEYS, Keys)
    }
}

/// Reads a key of a step and refuses unknown ones, at the key.
struct StepKey;

impl<'de> DeserializeSeed<'de> for StepKey {
    type Value = Spanned<String>;

    fn deserialize<D: Deserializer<'de>>(self, key: D) -> Result<Self::Value, D::Error> {
        let key = Spanned::<Word>::deserialize(key)?;
        if !STEP_KEYS.contains(&key.value.0.as_str()) {
            return Err(D::Error::unknown_field(&key.value.0, &STEP_KEYS));
        }
        Ok(Spanned {
            value: key.value.0,
            at: key.at,
        })
    }
}

/// A key as written, whatever YAML takes it for.
struct Word(String);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Word;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a key")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Word, E> {
                Ok(Word(text.to_owned()))
            }
        }
        deserializer.deserialize_identifier(Text)
    }
}

/// Reads the value of the verb that it names.
struct Verb<'k>(&'k str);

impl<'de> DeserializeSeed<'de> for Verb<'_> {
    type Value = Probe;

    fn deserialize<D: Deserializer<'de>>(self, value: D) -> Result<Probe, D::Error> {
        match Probe::read(self.0, value) {
            Some(result) => result,
            None => Err(D::Error::unknown_field(self.0, &STEP_KEYS)),
        }
    }
}

impl schemars::JsonSchema for RawStep {
    fn schema_name() -> Cow<'static, str> {
        "Step".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let mut schema = StepKeys::json_schema(generator);
        schema.insert(
            "description".to_owned(),
            "One step: the common keys and exactly one verb.".into(),
        );
        let mut one_of = Vec::new();
        for (verb, value) in Probe::schemas(generator) {
            one_of.push(serde_json::json!({ "required": [verb] }));
            if let Some(properties) = schema
                .get_mut("properties")
                .and_then(serde_json::Value::as_object_mut)
            {
                properties.insert(verb.to_owned(), value.to_value());
            }
        }
        schema.insert("oneOf".to_owned(), one_of.into());
        let shown = example("{id: pause, wait: {for: 30s}}");
        schema.insert("examples".to_owned(), vec![shown].into());
        schema
    }
}

fn example(text: &'static str) -> serde_json::Value {
    super::super::example_value(text)
}
