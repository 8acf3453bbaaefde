//! What both forms have in common: keys with values, and where they stand.

use super::faults::{Fault, Place};

/// Which form a text has: keys are named as they are written there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Toml,
    Xml,
}

/// A value as it is written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// A text.
    Text(String),
    /// An attribute of XML: a text, which may be meant as anything.
    Attribute(String),
    Integer(i64),
    Boolean(bool),
    List(Vec<(Value, Place)>),
    /// What no key may be: the name of its type.
    Other(&'static str),
}

impl Value {
    /// What a reader of the text would call it.
    pub(super) fn describe(&self) -> String {
        match self {
            Value::Text(text) | Value::Attribute(text) => format!("the text \"{text}\""),
            Value::Integer(number) => format!("the number {number}"),
            Value::Boolean(value) => value.to_string(),
            Value::List(_) => "a list".to_owned(),
            Value::Other(name) => (*name).to_owned(),
        }
    }
}

/// A key that there is.
#[derive(Debug)]
pub(super) struct Key {
    /// Its path in TOML.
    pub(super) path: &'static str,
    /// Its element in XML.
    pub(super) element: &'static str,
    /// Its attribute there.
    pub(super) attribute: &'static str,
    /// How it may look, by form.
    pub(super) example: [&'static str; 2],
}

macro_rules! key {
    ($path:literal, $element:literal, $attribute:literal, $toml:literal, $xml:literal) => {
        Key {
            path: $path,
            element: $element,
            attribute: $attribute,
            example: [$toml, $xml],
        }
    };
}

/// All keys. `Class`, `LayerStack`, `RecoveryStrategy` and `Placement` stand in `Application`,
/// `Redundancy` in `RecoveryStrategy`: the elements of Figure 3, and one of ours.
pub(super) const KEYS: &[Key] = &[
    key!(
        "application.name",
        "Application",
        "name",
        "name = \"ledger\"",
        "name=\"ledger\""
    ),
    key!(
        "application.group",
        "Application",
        "group",
        "group = 103",
        "group=\"103\""
    ),
    key!(
        "application.durability",
        "Application",
        "durability",
        "durability = \"memory\"",
        "durability=\"memory\""
    ),
    key!(
        "application.service",
        "Class",
        "name",
        "service = \"ledger\"",
        "name=\"ledger\""
    ),
    key!(
        "application.version",
        "Class",
        "version",
        "version = \"1.0.0\"",
        "version=\"1.0.0\""
    ),
    key!(
        "application.args",
        "Class",
        "args",
        "args = [\"--fast\"]",
        "args=\"--fast\""
    ),
    key!(
        "application.stack",
        "LayerStack",
        "order",
        "stack = \"PGMS:EGMI:Recovery:Upgrade\"",
        "order=\"PGMS:EGMI:Recovery:Upgrade\""
    ),
    key!(
        "recovery.strategy",
        "RecoveryStrategy",
        "name",
        "strategy = \"KeepMinimalInPartition\"",
        "name=\"KeepMinimalInPartition\""
    ),
    key!(
        "recovery.redundancy.initial",
        "Redundancy",
        "initial",
        "redundancy = { initial = 3, minimal = 1 }",
        "initial=\"3\""
    ),
    key!(
        "recovery.redundancy.minimal",
        "Redundancy",
        "minimal",
        "redundancy = { initial = 3, minimal = 1 }",
        "minimal=\"1\""
    ),
    key!(
        "placement.hosts",
        "Placement",
        "hosts",
        "hosts = [\"alpha\", \"beta\"]",
        "hosts=\"alpha beta\""
    ),
    key!(
        "placement.spread",
        "Placement",
        "spread",
        "spread = \"zone\"",
        "spread=\"zone\""
    ),
    key!(
        "placement.together",
        "Placement",
        "together",
        "together = true",
        "together=\"true\""
    ),
];

impl Key {
    /// As it is written in this form.
    pub(super) fn name(&self, form: Form) -> String {
        match form {
            Form::Toml => self.path.to_owned(),
            Form::Xml => format!("{} of <{}>", self.attribute, self.element),
        }
    }

    pub(super) fn example(&self, form: Form) -> &'static str {
        match form {
            Form::Toml => self.example[0],
            Form::Xml => self.example[1],
        }
    }
}

/// What stands in a text.
#[derive(Debug)]
pub(super) struct Entries {
    pub(super) form: Form,
    /// Keys that there are, with what is given for them.
    pub(super) given: Vec<(&'static Key, Value, Place)>,
    /// What is wrong already.
    pub(super) faults: Vec<Fault>,
}

impl Entries {
    pub(super) fn new(form: Form) -> Entries {
        Entries {
            form,
            given: Vec::new(),
            faults: Vec::new(),
        }
    }

    pub(super) fn fault(&mut self, place: Place, what: super::What) {
        self.faults.push(Fault { place, what });
    }
}
