//! The serde format over a parsed file: strict scalars, and places for [`Spanned`](postrider_probes::setting::Spanned).

use std::cell::RefCell;

use postrider_probes::setting::{Place, SPANNED_NAME, TEMPLATE_NAME};
use serde::de::value::{StrDeserializer, U32Deserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, IntoDeserializer, MapAccess, SeqAccess,
    VariantAccess, Visitor,
};

use super::fault::{Fault, What};
use super::scalar::{Meaning, ambiguity, meaning};
use super::tree::{Entry, Node, Scalar, Value};

/// Ids of the nodes that were read as templates.
pub(super) type Templates = RefCell<Vec<u32>>;

/// Reads one node.
#[derive(Clone, Copy)]
pub(super) struct Reader<'t> {
    pub(super) node: &'t Node,
    pub(super) templates: &'t Templates,
}

type Res<T> = Result<T, Fault>;

impl<'t> Reader<'t> {
    fn with(self, node: &'t Node) -> Self {
        Self { node, ..self }
    }

    /// Runs `read` and marks what goes wrong with this node, unless something inside it was to blame.
    fn blame<T>(self, read: impl FnOnce() -> Res<T>) -> Res<T> {
        read().map_err(|fault| fault.at(self.node.id))
    }

    fn fault<T>(self, what: What) -> Res<T> {
        Err(Fault::new(what).at(self.node.id))
    }

    /// The scalar; a fault in serde's words when it is a list or a map.
    fn scalar<V: Visitor<'t>>(self, visitor: &V) -> Res<&'t Scalar> {
        let found = match &self.node.value {
            Value::Scalar(scalar) if meaning(scalar) == Meaning::Null => {
                return self.fault(What::Empty);
            }
            Value::Scalar(scalar) => return Ok(scalar),
            Value::List(_) => serde::de::Unexpected::Seq,
            Value::Map(_) => serde::de::Unexpected::Map,
        };
        Err(<Fault as serde::de::Error>::invalid_type(found, visitor).at(self.node.id))
    }

    fn text<V: Visitor<'t>>(self, visitor: V) -> Res<V::Value> {
        let scalar = self.scalar(&visitor)?;
        if let Some(taken_for) = ambiguity(scalar) {
            return self.fault(What::Ambiguous {
                text: scalar.text.clone(),
                taken_for,
            });
        }
        self.blame(|| visitor.visit_borrowed_str(&scalar.text))
    }

    fn number<V: Visitor<'t>>(self, visitor: V) -> Res<V::Value> {
        let scalar = self.scalar(&visitor)?;
        self.blame(|| visit_scalar(scalar, visitor))
    }

    fn list<V: Visitor<'t>>(self, visitor: V) -> Res<V::Value> {
        let Value::List(items) = &self.node.value else {
            return self.number(visitor);
        };
        self.blame(|| {
            visitor.visit_seq(Items {
                reader: self,
                left: items.iter(),
            })
        })
    }

    fn map<V: Visitor<'t>>(self, visitor: V) -> Res<V::Value> {
        let Value::Map(entries) = &self.node.value else {
            return self.number(visitor);
        };
        self.blame(|| {
            visitor.visit_map(Entries {
                reader: self,
                left: entries.iter(),
                value: None,
            })
        })
    }
}

fn visit_scalar<'t, V: Visitor<'t>>(scalar: &'t Scalar, visitor: V) -> Res<V::Value> {
    match meaning(scalar) {
        Meaning::Null => visitor.visit_unit(),
        Meaning::Bool(value) => visitor.visit_bool(value),
        Meaning::Int(value) => match u64::try_from(value) {
            Ok(value) => visitor.visit_u64(value),
            Err(_) => visitor.visit_i64(value),
        },
        Meaning::Large(value) => visitor.visit_u64(value),
        Meaning::Float(value) => visitor.visit_f64(value),
        Meaning::Text => visitor.visit_borrowed_str(&scalar.text),
    }
}

macro_rules! forward {
    ($($method:ident)* => $to:ident) => {$(
        fn $method<V: Visitor<'t>>(self, visitor: V) -> Res<V::Value> {
            self.$to(visitor)
        }
    )*};
}

impl<'t> Deserializer<'t> for Reader<'t> {
    type Error = Fault;

    forward! { deserialize_str deserialize_string deserialize_char deserialize_bytes deserialize_byte_buf => text }
    forward! { deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
    deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128 deserialize_f32
    deserialize_f64 deserialize_unit => number }
    forward! { deserialize_seq => list }
    forward! { deserialize_map => map }

    fn deserialize_any<V: Visitor<'t>>(self, visitor: V) -> Res<V::Value> {
        match &self.node.value {
            Value::Scalar(_) => self.number(visitor),
            Value::List(_) => self.list(visitor),
            Value::Map(_) => self.map(visitor),
        }
    }

    fn deserialize_ignored_any<V: Visitor<'t>>(self, visitor: V) -> Res<V::Value> {
        visitor.visit_unit()
    }

    // A key without a value is a mistake, not a way to leave a value out: so there is no "none".
    fn deserialize_option<V: Visitor<'t>>(self, visitor: V) -> Res<V::Value> {
        self.blame(|| visitor.visit_some(self))
    }

    fn deserialize_newtype_struct<V: Visitor<'t>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Res<V::Value> {
        if name == SPANNED_NAME {
            return self.blame(|| {
                visitor.visit_seq(Parts {
                    reader: self,
                    next: 0,
                })
            });
        }
        if name == TEMPLATE_NAME {
            self.templates.borrow_mut().push(self.node.id);
        }
        self.blame(|| visitor.visit_newtype_struct(self))
    }

    fn deserialize_unit_struct<V: Visitor<'t>>(self, _: &'static str, visitor: V) -> Res<V::Value> {
        self.number(visitor)
    }

    fn deserialize_tuple<V: Visitor<'t>>(self, _: usize, visitor: V) -> Res<V::Value> {
        self.list(visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'t>>(
        self,
        _: &'static str,
        _: usize,
        visitor: V,
    ) -> Res<V::Value> {
        self.list(visitor)
    }

    fn deserialize_struct<V: Visitor<'t>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Res<V::Value> {
        match &self.node.value {
            Value::Map(_) => self.map(visitor),
            Value::Scalar(scalar) if meaning(scalar) == Meaning::Null => self.fault(What::Empty),
            _ => self.fault(What::NoMap { known: fields }),
        }
    }

    fn deserialize_enum<V: Visitor<'t>>(
        self,
        _: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Res<V::Value> {
        match &self.node.value {
            Value::Map(entries) if entries.len() == 1 => self.blame(|| {
                visitor.visit_enum(Variant {
                    reader: self,
                    entry: &entries[0],
                })
            }),
            Value::Scalar(scalar) => {
                if meaning(scalar) == Meaning::Null {
                    return self.fault(What::Empty);
                }
                self.blame(|| {
                    visitor.visit_enum(<&str as IntoDeserializer<Fault>>::into_deserializer(
                        &scalar.text,
                    ))
                })
            }
            Value::List(_) | Value::Map(_) => self.fault(What::WrongType {
                found: "list".to_owned(),
                wanted: format!("one of {}", super::describe::list(words)),
            }),
        }
    }

    fn deserialize_identifier<V: Visitor<'t>>(self, visitor: V) -> Res<V::Value> {
        self.text(visitor)
    }
}

/// Place and value, as [`Spanned`](postrider_probes::setting::Spanned) wants them.
struct Parts<'t> {
    reader: Reader<'t>,
    next: usize,
}

impl<'t> SeqAccess<'t> for Parts<'t> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'t>>(&mut self, seed: T) -> Res<Option<T::Value>> {
        let Place {
            file,
            line,
            column,
            width,
        } = self.reader.node.place;
        let number = [file, line, column, width].get(self.next).copied();
        self.next += 1;
        match number {
            Some(number) => seed.deserialize(U32Deserializer::new(number)),
            None => seed.deserialize(self.reader),
        }
        .map(Some)
    }
}

struct Items<'t> {
    reader: Reader<'t>,
    left: std::slice::Iter<'t, Node>,
}

impl<'t> SeqAccess<'t> for Items<'t> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'t>>(&mut self, seed: T) -> Res<Option<T::Value>> {
        self.left
            .next()
            .map(|item| {
                let reader = self.reader.with(item);
                reader.blame(|| seed.deserialize(reader))
            })
            .transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.left.len())
    }
}

struct Entries<'t> {
    reader: Reader<'t>,
    left: std::slice::Iter<'t, Entry>,
    value: Option<&'t Node>,
}

impl<'t> MapAccess<'t> for Entries<'t> {
    type Error = Fault;

    fn next_key_seed<K: DeserializeSeed<'t>>(&mut self, seed: K) -> Res<Option<K::Value>> {
        let Some(entry) = self.left.next() else {
            return Ok(None);
        };
        self.value = Some(&entry.value);
        seed.deserialize(KeyReader(entry))
            .map(Some)
            .map_err(|fault| fault.at(entry.key.id))
    }

    fn next_value_seed<S: DeserializeSeed<'t>>(&mut self, seed: S) -> Res<S::Value> {
        let Some(value) = self.value.take() else {
            return Err(serde::de::Error::custom(
                "a value was asked for before its key",
            ));
        };
        let reader = self.reader.with(value);
        reader.blame(|| seed.deserialize(reader))
    }
}

/// Reads a key: any scalar as its text for a struct's field, only certain text for a name of the user's own.
struct KeyReader<'de>(&'de Entry);

impl<'de> Deserializer<'de> for KeyReader<'de> {
    type Error = Fault;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Res<V::Value> {
        let key = &self.0.key.scalar;
        if let Some(taken_for) = ambiguity(key) {
            return Err(Fault::new(What::Ambiguous {
                text: key.text.clone(),
                taken_for,
            }));
        }
        visitor.visit_borrowed_str(&key.text)
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Res<V::Value> {
        visitor.visit_borrowed_str(&self.0.key.scalar.text)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Res<V::Value> {
        if name == SPANNED_NAME {
            return visitor.visit_seq(KeyParts {
                entry: self.0,
                next: 0,
            });
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Res<V::Value> {
        visitor.visit_some(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct map struct enum ignored_any
    }
}

struct KeyParts<'t> {
    entry: &'t Entry,
    next: usize,
}

impl<'t> SeqAccess<'t> for KeyParts<'t> {
    type Error = Fault;

    fn next_element_seed<T: DeserializeSeed<'t>>(&mut self, seed: T) -> Res<Option<T::Value>> {
        let Place {
            file,
            line,
            column,
            width,
        } = self.entry.key.place;
        let number = [file, line, column, width].get(self.next).copied();
        self.next += 1;
        match number {
            Some(number) => seed.deserialize(U32Deserializer::new(number)),
            None => seed.deserialize(KeyReader(self.entry)),
        }
        .map(Some)
    }
}

/// `word: {…}`: a variant with content.
struct Variant<'t> {
    reader: Reader<'t>,
    entry: &'t Entry,
}

impl<'t> EnumAccess<'t> for Variant<'t> {
    type Error = Fault;
    type Variant = Self;

    fn variant_seed<S: DeserializeSeed<'t>>(self, seed: S) -> Res<(S::Value, Self)> {
        let word: StrDeserializer<'t, Fault> =
            self.entry.key.scalar.text.as_str().into_deserializer();
        let value = seed
            .deserialize(word)
            .map_err(|fault| fault.at(self.entry.key.id))?;
        Ok((value, self))
    }
}

impl<'t> VariantAccess<'t> for Variant<'t> {
    type Error = Fault;

    fn unit_variant(self) -> Res<()> {
        Err(Fault::new(What::Said(format!(
            "`{}` stands alone: write it without a colon",
            self.entry.key.scalar.text
        )))
        .at(self.entry.value.id))
    }

    fn newtype_variant_seed<T: DeserializeSeed<'t>>(self, seed: T) -> Res<T::Value> {
        let reader = self.reader.with(&self.entry.value);
        reader.blame(|| seed.deserialize(reader))
    }

    fn tuple_variant<V: Visitor<'t>>(self, _: usize, visitor: V) -> Res<V::Value> {
        self.reader.with(&self.entry.value).list(visitor)
    }

    fn struct_variant<V: Visitor<'t>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Res<V::Value> {
        self.reader
            .with(&self.entry.value)
            .deserialize_struct("", fields, visitor)
    }
}
