//! From keys and values to a specification, or to all that is wrong with them.

use std::ops::RangeInclusive;

use replica::Stack;
use replica::ordered::INITIAL_MAX;
use semver::Version;

use super::faults::{Faults, NAME_MAX, Place, What};
use super::form::{Entries, Form, KEYS, Key, Value};
use super::{Placement, Specification, Strategy};

/// Where what is missing is missing.
const BEGIN: Place = Place { line: 1, column: 1 };

/// Makes a specification of what stands in a text.
///
/// # Errors
/// All faults, in the order of their places.
pub(super) fn read(entries: Entries) -> Result<Specification, Faults> {
    let syntax = |what: &What| matches!(what, What::Syntax(_));
    let broken = entries.faults.iter().any(|fault| syntax(&fault.what));
    let mut reader = Reader(entries);
    // Of a broken text nobody can say what is missing.
    let specification = (!broken).then(|| reader.specification()).flatten();
    let mut faults = reader.0.faults;
    match specification {
        Some(specification) if faults.is_empty() => Ok(specification),
        _ => {
            faults.sort_by_key(|fault| fault.place);
            Err(Faults(faults))
        }
    }
}

struct Reader(Entries);

/// What is given for a key, and where.
type Given<T> = Option<(T, Place)>;

impl Reader {
    /// `None` if something that must be there is missing or wrong; a fault says what.
    fn specification(&mut self) -> Option<Specification> {
        let name = self.name("application.name");
        self.demand("application.name");
        let alias = self.number("application.group", 1..=u32::MAX);
        let service = self.name("application.service");
        let version = self.version();
        let arguments = self.list("application.args");
        self.durability();
        let stack = self.stack();
        let strategy = self.strategy();
        let initial = self.number("recovery.redundancy.initial", 1..=INITIAL_MAX);
        self.demand("recovery.redundancy.initial");
        let minimal = self.number("recovery.redundancy.minimal", 0..=INITIAL_MAX);
        let placement = self.placement(initial.as_ref().map(|(initial, _)| *initial));
        if let (Some((stack, place)), Some(strategy)) = (&stack, strategy)
            && !stack.split(':').any(|layer| layer == "Recovery")
        {
            let stack = stack.clone();
            self.0.fault(*place, What::NoRecovery { strategy, stack });
        }
        if let (Some((initial, _)), Some((minimal, place))) = (initial, minimal)
            && minimal > initial
        {
            let what = What::MinimalAboveInitial { minimal, initial };
            self.0.fault(place, what);
        }
        let (name, _) = name?;
        Some(Specification {
            service: service.map_or_else(|| name.clone(), |(service, _)| service),
            name,
            alias: alias.map(|(alias, _)| alias),
            version: version.map(|(version, _)| version),
            arguments: arguments.map(|(list, _)| list).unwrap_or_default(),
            stack: stack?.0,
            strategy: strategy?,
            initial: initial?.0,
            minimal: minimal.map_or(1, |(minimal, _)| minimal),
            placement,
        })
    }

    fn version(&mut self) -> Given<Version> {
        let (found, place, key) = self.text("application.version")?;
        match Version::parse(&found) {
            Ok(version) => Some((version, place)),
            Err(why) => {
                let why = why.to_string();
                self.0.fault(place, What::NoVersion { key, found, why });
                None
            }
        }
    }

    fn durability(&mut self) {
        if let Some((found, place, _)) = self.text("application.durability")
            && found != "memory"
        {
            self.0.fault(place, What::NoDurability { found });
        }
    }

    /// The usual stack if none is given; `None` if the one that is given is none.
    fn stack(&mut self) -> Given<String> {
        if !self.gives("application.stack") {
            return Some((replica::USUAL.to_owned(), BEGIN));
        }
        let (stack, place, _) = self.text("application.stack")?;
        match Stack::parse(&stack, Vec::new()) {
            Ok(_) => Some((stack, place)),
            Err(error) => {
                self.0.fault(place, What::Stack(error));
                None
            }
        }
    }

    fn strategy(&mut self) -> Option<Strategy> {
        if !self.gives("recovery.strategy") {
            return Some(Strategy::default());
        }
        let (found, place, _) = self.text("recovery.strategy")?;
        let strategy = Strategy::ALL
            .into_iter()
            .find(|known| known.name() == found);
        if strategy.is_none() {
            self.0.fault(place, What::NoStrategy { found });
        }
        strategy
    }

    fn placement(&mut self, initial: Option<u32>) -> Placement {
        let hosts = self.list("placement.hosts");
        let spread = self.name("placement.spread");
        let together = self.boolean("placement.together");
        let placement = Placement {
            spread: spread.map(|(spread, _)| spread),
            together: together.is_some_and(|(together, _)| together),
            hosts: Vec::new(),
        };
        let Some((hosts, place)) = hosts else {
            return placement;
        };
        if let Some(initial) = initial
            && hosts.len() < initial as usize
            && !placement.together
        {
            let hosts = hosts.len();
            self.0.fault(place, What::TooFewHosts { initial, hosts });
        }
        Placement { hosts, ..placement }
    }

    // Values of one type.

    fn form(&self) -> Form {
        self.0.form
    }

    fn gives(&self, path: &str) -> bool {
        self.0.given.iter().any(|(key, ..)| key.path == path)
    }

    fn given(&self, path: &str) -> Option<(&'static Key, Value, Place)> {
        let given = self.0.given.iter().find(|(key, ..)| key.path == path);
        given.map(|(key, value, place)| (*key, value.clone(), *place))
    }

    /// Says so if nothing at all is given for this key.
    fn demand(&mut self, path: &str) {
        let key = KEYS.iter().find(|key| key.path == path);
        if let Some(key) = key.filter(|_| !self.gives(path)) {
            let what = What::Missing {
                key: key.name(self.form()),
                example: key.example(self.form()),
            };
            self.0.fault(BEGIN, what);
        }
    }

    fn wrong<T>(&mut self, key: &Key, wanted: &'static str, value: &Value, at: Place) -> Option<T> {
        let what = What::WrongType {
            key: key.name(self.form()),
            wanted,
            found: value.describe(),
        };
        self.0.fault(at, what);
        None
    }

    /// A text, its place, and its key's name.
    fn text(&mut self, path: &str) -> Option<(String, Place, String)> {
        let (key, value, place) = self.given(path)?;
        match value {
            Value::Text(text) | Value::Attribute(text) => {
                Some((text, place, key.name(self.form())))
            }
            Value::Integer(_) | Value::Boolean(_) | Value::List(_) | Value::Other(_) => {
                self.wrong(key, "a text", &value, place)
            }
        }
    }

    fn name(&mut self, path: &str) -> Given<String> {
        let (found, place, key) = self.text(path)?;
        if is_name(&found) {
            return Some((found, place));
        }
        self.0.fault(place, What::NoName { key, found });
        None
    }

    fn number(&mut self, path: &str, range: RangeInclusive<u32>) -> Given<u32> {
        let (key, value, place) = self.given(path)?;
        let number = match &value {
            Value::Integer(number) => Some(*number),
            Value::Attribute(text) => text.trim().parse().ok(),
            Value::Text(_) | Value::Boolean(_) | Value::List(_) | Value::Other(_) => None,
        };
        let Some(number) = number else {
            return self.wrong(key, "a whole number", &value, place);
        };
        let found = u32::try_from(number).ok();
        if let Some(number) = found.filter(|number| range.contains(number)) {
            return Some((number, place));
        }
        let what = What::OutOfRange {
            key: key.name(self.form()),
            least: *range.start(),
            most: *range.end(),
            found: number.to_string(),
        };
        self.0.fault(place, what);
        None
    }

    fn boolean(&mut self, path: &str) -> Given<bool> {
        let (key, value, place) = self.given(path)?;
        match &value {
            Value::Boolean(value) => Some((*value, place)),
            Value::Attribute(text) if text == "true" => Some((true, place)),
            Value::Attribute(text) if text == "false" => Some((false, place)),
            Value::Attribute(_)
            | Value::Text(_)
            | Value::Integer(_)
            | Value::List(_)
            | Value::Other(_) => self.wrong(key, "true or false", &value, place),
        }
    }

    /// A list of texts; in XML separated by white space.
    fn list(&mut self, path: &str) -> Given<Vec<String>> {
        let (key, value, place) = self.given(path)?;
        let values = match value {
            Value::Attribute(text) => {
                let texts = text.split_whitespace().map(str::to_owned);
                return Some((texts.collect(), place));
            }
            Value::List(values) => values,
            Value::Text(_) | Value::Integer(_) | Value::Boolean(_) | Value::Other(_) => {
                return self.wrong(key, "a list of texts", &value, place);
            }
        };
        let mut texts = Vec::new();
        for (value, place) in values {
            match value {
                Value::Text(text) => texts.push(text),
                Value::Attribute(_)
                | Value::Integer(_)
                | Value::Boolean(_)
                | Value::List(_)
                | Value::Other(_) => {
                    return self.wrong(key, "a list of texts", &value, place);
                }
            }
        }
        Some((texts, place))
    }
}

/// Whether this can name a group, a service, a host or a label: see [`What::NoName`].
pub fn is_name(text: &str) -> bool {
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    text.len() <= NAME_MAX
        && text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(inner)
}
