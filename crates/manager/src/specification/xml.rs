//! Specifications in the paper's XML (Figure 3).

use roxmltree::{Document, Node};

use super::What;
use super::faults::Place;
use super::form::{Entries, Form, KEYS, Value};

/// Which element stands in which.
const ELEMENTS: &[(&str, &str)] = &[
    ("Class", "Application"),
    ("LayerStack", "Application"),
    ("RecoveryStrategy", "Application"),
    ("Redundancy", "RecoveryStrategy"),
    ("Placement", "Application"),
];

/// What stands in an XML text.
pub(super) fn entries(text: &str) -> Entries {
    let mut entries = Entries::new(Form::Xml);
    match Document::parse(text) {
        Ok(document) => {
            let root = document.root_element();
            if root.tag_name().name() == "Application" {
                enter(text, root, &mut entries);
            } else {
                let what = What::UnknownKey {
                    key: format!("element <{}>", root.tag_name().name()),
                    known: "<Application>, which holds all others".to_owned(),
                };
                entries.fault(place(text, root), what);
            }
        }
        Err(error) => {
            let at = error.pos();
            let place = Place {
                line: at.row,
                column: at.col,
            };
            let what = What::Syntax(format!("this is no XML that is taken: {error}"));
            entries.fault(place, what);
        }
    }
    entries
}

fn place(text: &str, node: Node<'_, '_>) -> Place {
    Place::of(text, node.range().start)
}

fn enter(text: &str, element: Node<'_, '_>, entries: &mut Entries) {
    let name = element.tag_name().name();
    for attribute in element.attributes() {
        let at = Place::of(text, attribute.range().start);
        let mut keys = KEYS.iter().filter(|key| key.element == name);
        match keys.clone().find(|key| key.attribute == attribute.name()) {
            Some(key) => {
                let value = Value::Attribute(attribute.value().to_owned());
                entries.given.push((key, value, at));
            }
            None => {
                let known: Vec<&str> = keys.by_ref().map(|key| key.attribute).collect();
                let what = What::UnknownKey {
                    key: format!("attribute {} of <{name}>", attribute.name()),
                    known: known.join(", "),
                };
                entries.fault(at, what);
            }
        }
    }
    let mut seen: Vec<&str> = Vec::new();
    for child in element.children() {
        if child.is_element() {
            let inner = child.tag_name().name();
            if !ELEMENTS.contains(&(inner, name)) {
                let known = ELEMENTS.iter().filter(|(_, parent)| *parent == name);
                let known: Vec<String> = known.map(|(name, _)| format!("<{name}>")).collect();
                let known = if known.is_empty() {
                    format!("no elements in <{name}>")
                } else {
                    known.join(", ")
                };
                let key = format!("element <{inner}> in <{name}>");
                entries.fault(place(text, child), What::UnknownKey { key, known });
            } else if seen.contains(&inner) {
                let key = format!("<{inner}>");
                entries.fault(place(text, child), What::Twice { key });
            } else {
                seen.push(inner);
                enter(text, child, entries);
            }
        } else if child.is_text() && child.text().is_some_and(|text| !text.trim().is_empty()) {
            let element = name.to_owned();
            entries.fault(place(text, child), What::StrayText { element });
        }
    }
}
