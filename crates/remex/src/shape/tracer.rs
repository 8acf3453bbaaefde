//! The decoder that invents values and writes down what was asked of it.

use std::fmt;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{
    self, DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;

use super::{BARE, Shape};

/// A type may lie in itself this often before it is taken as recursive: pairs of pairs and results
/// of results have one name and are not.
const NESTED_MAX: usize = 2;

/// Invented values deeper than this are given up: a type that asks for itself without end.
const DEPTH_MAX: usize = 200;

/// Why a type cannot be seen.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unseeable {
    /// The type asked for whatever comes.
    #[error("it decides by looking at the input")]
    Looks,
    /// The type refused an invented value.
    #[error("{0}")]
    Refused(String),
    /// The type has no values, or none that end.
    #[error("no value of it can be invented")]
    Endless,
}

impl de::Error for Unseeable {
    fn custom<T: fmt::Display>(why: T) -> Unseeable {
        Unseeable::Refused(why.to_string())
    }
}

/// The types around the one that is being decoded, innermost last.
struct Around<'a> {
    name: &'static str,
    outer: Option<&'a Around<'a>>,
    depth: usize,
}

impl<'a> Around<'a> {
    fn nested(&self, name: &str) -> usize {
        let outer = self.outer.map_or(0, |outer| outer.nested(name));
        outer + usize::from(self.name == name)
    }
}

/// Decodes one invented value, and notes in `shape` what was asked for.
pub(super) struct Tracer<'a> {
    shape: &'a mut Shape,
    around: Option<&'a Around<'a>>,
    /// Within a recursive type values only have to end; nothing is noted any more.
    ending: bool,
}

impl<'a> Tracer<'a> {
    pub(super) fn new(shape: &'a mut Shape) -> Tracer<'a> {
        Tracer {
            shape,
            around: None,
            ending: false,
        }
    }

    fn plain(self, name: &'static str) {
        *self.shape = Shape::Plain(name);
    }

    fn depth(&self) -> usize {
        self.around.map_or(0, |around| around.depth)
    }

    /// Enters the type `name`: a copy of the surroundings with it, and where its shape is noted.
    fn enter<R>(
        mut self,
        name: &'static str,
        inside: impl FnOnce(Tracer<'_>) -> Result<R, Unseeable>,
    ) -> Result<R, Unseeable> {
        let depth = self.depth() + 1;
        if depth > DEPTH_MAX {
            return Err(Unseeable::Endless);
        }
        let nested = self.around.map_or(0, |around| around.nested(name));
        let mut unnoted = Shape::Unseen;
        if nested >= NESTED_MAX {
            if !self.ending {
                *self.shape = Shape::Again(name);
            }
            self.ending = true;
        }
        let around = Around {
            name,
            outer: self.around,
            depth,
        };
        inside(Tracer {
            shape: if self.ending {
                &mut unnoted
            } else {
                self.shape
            },
            around: Some(&around),
            ending: self.ending,
        })
    }
}

macro_rules! plain {
    ($($method:ident $visit:ident $name:literal $value:expr;)*) => {
        $(fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unseeable> {
            self.plain($name);
            visitor.$visit($value)
        })*
    };
}

impl<'de> Deserializer<'de> for Tracer<'_> {
    type Error = Unseeable;

    // Ones and not zeros: some numbers must not be zero.
    plain! {
        deserialize_bool visit_bool "bool" true;
        deserialize_i8 visit_i8 "i8" 1;
        deserialize_i16 visit_i16 "i16" 1;
        deserialize_i32 visit_i32 "i32" 1;
        deserialize_i64 visit_i64 "i64" 1;
        deserialize_i128 visit_i128 "i128" 1;
        deserialize_u8 visit_u8 "u8" 1;
        deserialize_u16 visit_u16 "u16" 1;
        deserialize_u32 visit_u32 "u32" 1;
        deserialize_u64 visit_u64 "u64" 1;
        deserialize_u128 visit_u128 "u128" 1;
        deserialize_f32 visit_f32 "f32" 1.0;
        deserialize_f64 visit_f64 "f64" 1.0;
        deserialize_char visit_char "char" 'a';
        deserialize_str visit_borrowed_str "text" "";
        deserialize_string visit_string "text" String::new();
        deserialize_bytes visit_borrowed_bytes "bytes" b"";
        deserialize_byte_buf visit_byte_buf "bytes" Vec::new();
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unseeable> {
        self.plain("unit");
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unseeable> {
        self.deserialize_unit(visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Unseeable> {
        self.enter(name, |inside| visitor.visit_newtype_struct(inside))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unseeable> {
        if self.ending {
            return visitor.visit_none();
        }
        if let Shape::Unseen = self.shape {
            *self.shape = Shape::Option(Box::new(Shape::Unseen));
        }
        let Shape::Option(inner) = self.shape else {
            return Err(Unseeable::Looks);
        };
        visitor.visit_some(Tracer {
            shape: inner,
            around: self.around,
            ending: false,
        })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unseeable> {
        if self.ending {
            return visitor.visit_seq(Parts::none());
        }
        if let Shape::Unseen = self.shape {
            *self.shape = Shape::Sequence(Box::new(Shape::Unseen));
        }
        let Shape::Sequence(inner) = self.shape else {
            return Err(Unseeable::Looks);
        };
        visitor.visit_seq(Parts {
            parts: vec![&mut **inner].into_iter(),
            around: self.around,
            ending: false,
        })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unseeable> {
        if self.ending {
            return visitor.visit_map(Parts::none());
        }
        if let Shape::Unseen = self.shape {
            *self.shape = Shape::Map(Box::new(Shape::Unseen), Box::new(Shape::Unseen));
        }
        let Shape::Map(key, value) = self.shape else {
            return Err(Unseeable::Looks);
        };
        visitor.visit_map(Parts {
            parts: vec![&mut **key, &mut **value].into_iter(),
            around: self.around,
            ending: false,
        })
    }

    fn deserialize_tuple<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Unseeable> {
        if let Shape::Unseen = self.shape {
            *self.shape = Shape::Tuple((0..length).map(|_| Shape::Unseen).collect());
        }
        let Shape::Tuple(parts) = self.shape else {
            return Err(Unseeable::Looks);
        };
        visitor.visit_seq(Parts {
            parts: parts.iter_mut().collect::<Vec<_>>().into_iter(),
            around: self.around,
            ending: self.ending,
        })
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Unseeable> {
        self.enter(name, |inside| inside.deserialize_tuple(length, visitor))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unseeable> {
        self.enter(name, |inside| inside.structure(fields, visitor))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unseeable> {
        self.enter(name, |inside| {
            let depth = inside.depth();
            if let Shape::Unseen = inside.shape {
                let unseen = variants.iter().map(|&name| (name, Shape::Unseen));
                *inside.shape = Shape::Enumeration(unseen.collect());
            }
            let Shape::Enumeration(variants) = inside.shape else {
                return Err(Unseeable::Looks);
            };
            let unseen = variants.iter().position(|(_, shape)| !shape.is_complete());
            let chosen = match inside.ending {
                // By depth, so that a recursive type comes to a variant that ends.
                true => depth.checked_rem(variants.len()),
                false => unseen.or((!variants.is_empty()).then_some(0)),
            };
            let chosen = chosen.ok_or(Unseeable::Endless)?;
            let (name, shape) = &mut variants[chosen];
            visitor.visit_enum(Variant {
                name,
                inside: Tracer {
                    shape,
                    around: inside.around,
                    ending: inside.ending,
                },
            })
        })
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Unseeable> {
        Err(Unseeable::Looks)
    }

    fn is_human_readable(&self) -> bool {
        false
    }

    forward_to_deserialize_any! { identifier ignored_any }
}

impl Tracer<'_> {
    fn structure<'de, V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unseeable> {
        if let Shape::Unseen = self.shape {
            let unseen = fields.iter().map(|&name| (name, Shape::Unseen));
            *self.shape = Shape::Structure(unseen.collect());
        }
        let Shape::Structure(fields) = self.shape else {
            return Err(Unseeable::Looks);
        };
        let parts = fields.iter_mut().map(|(_, shape)| shape);
        visitor.visit_seq(Parts {
            parts: parts.collect::<Vec<_>>().into_iter(),
            around: self.around,
            ending: self.ending,
        })
    }
}

/// The parts of an invented value, one after the other.
struct Parts<'a> {
    parts: std::vec::IntoIter<&'a mut Shape>,
    around: Option<&'a Around<'a>>,
    ending: bool,
}

impl Parts<'_> {
    fn none() -> Self {
        Parts {
            parts: Vec::new().into_iter(),
            around: None,
            ending: true,
        }
    }

    fn next<'de, S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Unseeable> {
        let Some(shape) = self.parts.next() else {
            return Ok(None);
        };
        seed.deserialize(Tracer {
            shape,
            around: self.around,
            ending: self.ending,
        })
        .map(Some)
    }
}

impl<'de> SeqAccess<'de> for Parts<'_> {
    type Error = Unseeable;

    fn next_element_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Unseeable> {
        self.next(seed)
    }
}

impl<'de> MapAccess<'de> for Parts<'_> {
    type Error = Unseeable;

    fn next_key_seed<S: DeserializeSeed<'de>>(
        &mut self,
        seed: S,
    ) -> Result<Option<S::Value>, Unseeable> {
        self.next(seed)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Unseeable> {
        self.next(seed)?.ok_or(Unseeable::Looks)
    }
}

/// One variant of an invented value.
struct Variant<'a> {
    name: &'static str,
    inside: Tracer<'a>,
}

impl<'de, 'a> EnumAccess<'de> for Variant<'a> {
    type Error = Unseeable;
    type Variant = Tracer<'a>;

    fn variant_seed<S: DeserializeSeed<'de>>(
        self,
        seed: S,
    ) -> Result<(S::Value, Tracer<'a>), Unseeable> {
        let name: BorrowedStrDeserializer<'de, Unseeable> = BorrowedStrDeserializer::new(self.name);
        Ok((seed.deserialize(name)?, self.inside))
    }
}

impl<'de> VariantAccess<'de> for Tracer<'_> {
    type Error = Unseeable;

    fn unit_variant(self) -> Result<(), Unseeable> {
        self.plain(BARE);
        Ok(())
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Unseeable> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(
        self,
        length: usize,
        visitor: V,
    ) -> Result<V::Value, Unseeable> {
        self.deserialize_tuple(length, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unseeable> {
        self.structure(fields, visitor)
    }
}
