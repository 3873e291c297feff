//! A value that remembers where it was written.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};

/// A place in a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Place {
    /// Index of the file in the list of files that were loaded.
    pub file: u32,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Width in characters of the value on its first line, at least 1.
    pub width: u32,
}

/// The newtype name by which the configuration reader knows that a place is asked for.
pub const SPANNED_NAME: &str = "$postrider::Spanned";

/// A value and the place where it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it was written; all zero when it was not read from a file.
    pub at: Place,
}

impl<T> Spanned<T> {
    /// A value that was not read from a file.
    pub fn unplaced(value: T) -> Self {
        Self {
            value,
            at: Place::default(),
        }
    }
}

impl<T> std::ops::Deref for Spanned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Spanned<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Parts<T>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Parts<T> {
            type Value = Spanned<T>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a value with its place")
            }
            // The configuration reader hands over (file, line, column, width, value).
            fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<Spanned<T>, A::Error> {
                let missing = || serde::de::Error::custom("a place has five parts");
                let mut number = || parts.next_element::<u32>()?.ok_or_else(missing);
                let at = Place {
                    file: number()?,
                    line: number()?,
                    column: number()?,
                    width: number()?,
                };
                let value = parts.next_element::<T>()?.ok_or_else(missing)?;
                Ok(Spanned { value, at })
            }
            // Any other format: a value without a place.
            fn visit_newtype_struct<D: Deserializer<'de>>(
                self,
                inner: D,
            ) -> Result<Spanned<T>, D::Error> {
                T::deserialize(inner).map(Spanned::unplaced)
            }
        }
        deserializer.deserialize_newtype_struct(SPANNED_NAME, Parts(std::marker::PhantomData))
    }
}

impl<T: schemars::JsonSchema> schemars::JsonSchema for Spanned<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }
    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }
    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }
    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}
