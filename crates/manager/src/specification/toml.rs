//! Specifications in TOML.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::What;
use super::faults::Place;
use super::form::{Entries, Form, KEYS, Value};

/// What stands in a TOML text. What cannot be parsed is a fault, and the rest is read on.
pub(super) fn entries(text: &str) -> Entries {
    let mut entries = Entries::new(Form::Toml);
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let at = error.span().map_or(0, |span| span.start);
        let what = What::Syntax(format!("this is no TOML: {}", error.message()));
        entries.fault(Place::of(text, at), what);
    }
    // What was recovered of a broken text may lack what is there.
    if errors.is_empty() {
        enter(text, "", table.get_ref(), &mut entries);
    }
    entries
}

fn enter(text: &str, path: &str, table: &DeTable<'_>, entries: &mut Entries) {
    for (key, value) in table {
        let path = match path {
            "" => key.get_ref().to_string(),
            path => format!("{path}.{}", key.get_ref()),
        };
        let below = format!("{path}.");
        let has_keys = KEYS.iter().any(|known| known.path.starts_with(&below));
        if let (true, DeValue::Table(table)) = (has_keys, value.get_ref()) {
            enter(text, &path, table, entries);
        } else if let Some(known) = KEYS.iter().find(|known| known.path == path) {
            let at = Place::of(text, value.span().start);
            entries.given.push((known, read(text, value), at));
        } else if has_keys {
            let what = What::WrongType {
                key: path,
                wanted: "a table",
                found: read(text, value).describe(),
            };
            entries.fault(Place::of(text, value.span().start), what);
        } else {
            let what = What::UnknownKey {
                known: beside(&path),
                key: path,
            };
            entries.fault(Place::of(text, key.span().start), what);
        }
    }
}

/// The keys and tables that could stand where this one does.
fn beside(path: &str) -> String {
    let parent = path.rfind('.').map_or("", |dot| &path[..=dot]);
    let mut names: Vec<&str> = Vec::new();
    for known in KEYS {
        if let Some(rest) = known.path.strip_prefix(parent) {
            let end = rest.find('.').unwrap_or(rest.len());
            let name = &known.path[..parent.len() + end];
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    names.join(", ")
}

fn read(text: &str, value: &Spanned<DeValue<'_>>) -> Value {
    match value.get_ref() {
        DeValue::String(value) => Value::Text(value.to_string()),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(number) => Value::Integer(number),
            Err(_) => Value::Other("a number beyond 64 bits"),
        },
        DeValue::Boolean(value) => Value::Boolean(*value),
        DeValue::Array(list) => {
            let place = |value: &Spanned<DeValue<'_>>| Place::of(text, value.span().start);
            let values = list.iter().map(|value| (read(text, value), place(value)));
            Value::List(values.collect())
        }
        DeValue::Float(_) => Value::Other("a fraction"),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Table(_) => Value::Other("a table"),
    }
}
