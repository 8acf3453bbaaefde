//! Shapes: what values of a type look like on the wire, read off its `Deserialize`.
//!
//! A type is asked to decode itself by a decoder that invents whatever is asked of it and writes
//! down what that was. An enum shows one variant at a time, so a type is decoded until each of its
//! variants has been seen. What decides by looking at the input (`serde(untagged)`, `flatten`), or
//! refuses invented values, cannot be seen: its shape is `opaque`, with the reason.
//!
//! The text is canonical: it has the names that travel (fields, variants) and not those that do
//! not (types), so that two versions whose texts are equal understand each other.

mod tracer;

use std::fmt::{self, Display, Formatter};

use serde::de::DeserializeOwned;

use tracer::Tracer;

/// After so many invented values a type is taken as it was seen: more than any sane enum's
/// variants, and the end of one that never settles.
const PASSES_MAX: usize = 4096;

/// The shape of a variant that has nothing but its name. One that has a unit travels otherwise.
const BARE: &str = "";

/// The shape of `T`, canonical text.
pub(crate) fn of<T: DeserializeOwned>() -> String {
    let mut shape = Shape::Unseen;
    for _ in 0..PASSES_MAX {
        if let Err(why) = T::deserialize(Tracer::new(&mut shape)) {
            return format!("opaque ({why})");
        }
        if shape.is_complete() {
            break;
        }
    }
    shape.to_string()
}

/// What values of a type look like, as far as they were seen.
#[derive(Debug)]
enum Shape {
    /// Not yet asked for.
    Unseen,
    /// A number, text, bytes or unit: its name.
    Plain(&'static str),
    /// A value or nothing.
    Option(Box<Shape>),
    /// Any number of values.
    Sequence(Box<Shape>),
    /// Values by keys.
    Map(Box<Shape>, Box<Shape>),
    /// Values by place.
    Tuple(Vec<Shape>),
    /// Values by name.
    Structure(Vec<(&'static str, Shape)>),
    /// One of several, by name; `Unseen` where it was not shown yet.
    Enumeration(Vec<(&'static str, Shape)>),
    /// A type within itself, by its name.
    Again(&'static str),
}

impl Shape {
    /// Whether nothing in it is left to be seen.
    fn is_complete(&self) -> bool {
        match self {
            Shape::Unseen => false,
            Shape::Plain(_) | Shape::Again(_) => true,
            Shape::Option(inner) | Shape::Sequence(inner) => inner.is_complete(),
            Shape::Map(key, value) => key.is_complete() && value.is_complete(),
            Shape::Tuple(parts) => parts.iter().all(Shape::is_complete),
            Shape::Structure(named) | Shape::Enumeration(named) => {
                named.iter().all(|(_, shape)| shape.is_complete())
            }
        }
    }
}

impl Display for Shape {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Unseen => f.write_str("opaque"),
            Shape::Plain(name) => f.write_str(name),
            Shape::Again(name) => write!(f, "again {name}"),
            Shape::Option(inner) => write!(f, "{inner}?"),
            Shape::Sequence(inner) => write!(f, "[{inner}]"),
            Shape::Map(key, value) => write!(f, "{{{key} => {value}}}"),
            Shape::Tuple(parts) => separated(f, "(", parts, ")", |f, part| write!(f, "{part}")),
            Shape::Structure(fields) => separated(f, "{", fields, "}", |f, (name, shape)| {
                write!(f, "{name}: {shape}")
            }),
            Shape::Enumeration(variants) => separated(f, "<", variants, ">", |f, (name, shape)| {
                if let Shape::Plain(BARE) = shape {
                    return f.write_str(name);
                }
                write!(f, "{name}: {shape}")
            }),
        }
    }
}

fn separated<T>(
    f: &mut Formatter<'_>,
    open: &str,
    parts: &[T],
    close: &str,
    each: impl Fn(&mut Formatter<'_>, &T) -> fmt::Result,
) -> fmt::Result {
    f.write_str(open)?;
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            f.write_str(", ")?;
        }
        each(f, part)?;
    }
    f.write_str(close)
}

#[cfg(test)]
mod tests {
    #![allow(dead_code, reason = "the types are only decoded")]

    use std::collections::{BTreeMap, BTreeSet};

    use serde::Deserialize;

    use super::of;

    #[derive(Deserialize)]
    struct Account {
        owner: String,
        #[serde(default)]
        limit: Option<u32>,
    }

    #[derive(PartialEq, Eq, PartialOrd, Ord, Deserialize)]
    struct Number(u64);

    #[derive(Deserialize)]
    enum Refused {
        Unknown,
        Short { missing: i64 },
        Both(u8, char),
        Of(Number),
    }

    #[test]
    fn what_travels_is_shown_and_names_of_types_are_not() {
        assert_eq!(of::<u64>(), "u64");
        assert_eq!(of::<Number>(), "u64");
        assert_eq!(of::<()>(), "unit");
        assert_eq!(of::<(bool, f64)>(), "(bool, f64)");
        assert_eq!(of::<Account>(), "{owner: text, limit: u32?}");
        assert_eq!(
            of::<BTreeMap<Number, Vec<Account>>>(),
            "{u64 => [{owner: text, limit: u32?}]}"
        );
        assert_eq!(of::<BTreeSet<u8>>(), "[u8]");
    }

    #[test]
    fn every_variant_is_seen_however_deep_it_lies() {
        let refused = "<Unknown, Short: {missing: i64}, Both: (u8, char), Of: u64>";
        assert_eq!(of::<Refused>(), refused);
        assert_eq!(
            of::<Result<(), Refused>>(),
            format!("<Ok: unit, Err: {refused}>")
        );
        assert_eq!(
            of::<Result<Vec<Option<Refused>>, Refused>>(),
            format!("<Ok: [{refused}?], Err: {refused}>")
        );
        assert_eq!(
            of::<BTreeMap<u8, (Refused, Refused)>>(),
            format!("{{u8 => ({refused}, {refused})}}")
        );
    }

    #[derive(Deserialize)]
    struct Tree {
        children: Vec<Tree>,
        parent: Option<Box<Tree>>,
    }

    #[derive(Deserialize)]
    enum List {
        Link(u8, Box<List>),
        End,
    }

    #[test]
    fn a_type_within_itself_ends() {
        assert!(of::<Tree>().contains("again Tree"), "{}", of::<Tree>());
        assert!(of::<List>().contains("again List"), "{}", of::<List>());
    }

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Loose {
        Text(String),
        Number(u64),
    }

    #[test]
    fn what_looks_at_its_input_is_opaque_and_says_why() {
        assert!(of::<Loose>().starts_with("opaque ("), "{}", of::<Loose>());
        assert!(of::<wire::Version>().starts_with("opaque ("));
    }
}
