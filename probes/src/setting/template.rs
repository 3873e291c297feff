//! Text with `${…}` in it, filled in after the YAML was parsed, so that a value can never add structure.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

/// The newtype name by which the configuration reader knows that a text may use variables, so that it can check
/// every one of them.
pub const TEMPLATE_NAME: &str = "$postrider::Template";

/// Names and values that a template may use: `run.id`, `item.address`, `env.HOME`.
pub type Variables = BTreeMap<String, String>;

/// A text that may hold `${name}`; `$$` is a dollar sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    source: String,
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Variable(String),
}

/// A template uses a name that nothing defines here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`${{{0}}}` is not defined here")]
pub struct UnknownVariable(pub String);

impl Template {
    /// A text in which nothing is filled in, whatever it holds.
    #[must_use]
    pub fn plain(text: &str) -> Self {
        Self {
            source: text.replace('$', "$$"),
            parts: vec![Part::Text(text.to_owned())],
        }
    }

    /// The text as it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The names that it uses.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The text itself when no name is used.
    #[must_use]
    pub fn literal(&self) -> Option<String> {
        self.names()
            .next()
            .is_none()
            .then(|| self.fill(&Variables::new()).unwrap_or_default())
    }

    /// The text with every name replaced.
    ///
    /// # Errors
    /// When a name is not in `variables`.
    pub fn fill(&self, variables: &Variables) -> Result<String, UnknownVariable> {
        let mut text = String::with_capacity(self.source.len());
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Variable(name) => {
                    text.push_str(
                        variables
                            .get(name)
                            .ok_or_else(|| UnknownVariable(name.clone()))?,
                    );
                }
            }
        }
        Ok(text)
    }
}

impl std::str::FromStr for Template {
    type Err = String;

    fn from_str(source: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut text = String::new();
        let mut rest = source;
        while let Some(dollar) = rest.find('$') {
            text.push_str(&rest[..dollar]);
            rest = &rest[dollar + 1..];
            if let Some(after) = rest.strip_prefix('$') {
                text.push('$');
                rest = after;
            } else if let Some(after) = rest.strip_prefix('{') {
                let (name, tail) = after.split_once('}').ok_or("`${` without `}`")?;
                let known = name.split_once('.').is_some_and(|(area, key)| {
                    ["run", "item", "env"].contains(&area)
                        && !key.is_empty()
                        && key
                            .bytes()
                            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
                });
                if !known {
                    return Err(format!(
                        "`${{{name}}}` is not known: there are `${{run.id}}`, `${{item.…}}` and `${{env.NAME}}`"
                    ));
                }
                if !text.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut text)));
                }
                parts.push(Part::Variable(name.to_owned()));
                rest = tail;
            } else {
                return Err("a lone `$`: write `$$` for a dollar sign, or `${name}`".to_owned());
            }
        }
        text.push_str(rest);
        if !text.is_empty() {
            parts.push(Part::Text(text));
        }
        Ok(Self {
            source: source.to_owned(),
            parts,
        })
    }
}

impl std::fmt::Display for Template {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.source)
    }
}

impl<'de> Deserialize<'de> for Template {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl<'de> serde::de::Visitor<'de> for Text {
            type Value = Template;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text")
            }
            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                inner: D,
            ) -> Result<Template, D::Error> {
                String::deserialize(inner)?
                    .parse()
                    .map_err(serde::de::Error::custom)
            }
        }
        deserializer.deserialize_newtype_struct(TEMPLATE_NAME, Text)
    }
}

impl schemars::JsonSchema for Template {
    fn schema_name() -> Cow<'static, str> {
        "Template".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(source: &str) -> Result<String, String> {
        let variables = Variables::from([
            ("run.id".to_owned(), "01".to_owned()),
            ("item.address".to_owned(), "::1".to_owned()),
        ]);
        source
            .parse::<Template>()?
            .fill(&variables)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn names_are_replaced_and_two_dollars_are_one() {
        assert_eq!(
            fill("a ${run.id} [${item.address}] $$5").unwrap(),
            "a 01 [::1] $5"
        );
        assert_eq!(fill("plain").unwrap(), "plain");
    }

    #[test]
    fn a_wrong_template_says_what_is_wrong() {
        assert_eq!(
            fill("${run.nothing}").unwrap_err(),
            "`${run.nothing}` is not defined here"
        );
        assert!(fill("${open").unwrap_err().contains("without"));
        assert!(fill("$HOME").unwrap_err().contains("lone"));
        assert!(fill("${HOME}").unwrap_err().contains("${env.NAME}"));
    }
}
