//! What can be wrong with a specification, and where.

use std::fmt;

use replica::StackError;

use super::Strategy;

/// A place in a text. Both count from 1; columns are characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

impl Place {
    /// The place of a byte of a text.
    pub(super) fn of(text: &str, byte: usize) -> Place {
        let before = text.get(..byte).unwrap_or(text);
        let line = before.matches('\n').count();
        let column = before.rsplit('\n').next().unwrap_or(before).chars().count();
        let number = |count: usize| u32::try_from(count + 1).unwrap_or(u32::MAX);
        Place {
            line: number(line),
            column: number(column),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Where.
    pub place: Place,
    /// What.
    pub what: What,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

/// What is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum What {
    /// The text is neither TOML nor XML, or broken.
    #[error("{0}")]
    Syntax(String),
    /// A key that means nothing.
    #[error("there is no {key} in a specification; there are {known}")]
    UnknownKey {
        /// The key.
        key: String,
        /// All that there are.
        known: String,
    },
    /// Text where none belongs.
    #[error("text in <{element}> means nothing; values are attributes")]
    StrayText {
        /// The element.
        element: String,
    },
    /// A key that is given twice.
    #[error("{key} is given twice; leave one out")]
    Twice {
        /// The key.
        key: String,
    },
    /// A key that must be there.
    #[error("{key} is missing, for instance {example}")]
    Missing {
        /// The key.
        key: String,
        /// How it may look.
        example: &'static str,
    },
    /// A value of another type.
    #[error("{key} must be {wanted}, this is {found}")]
    WrongType {
        /// The key.
        key: String,
        /// What it must be.
        wanted: &'static str,
        /// What stands there.
        found: String,
    },
    /// A number out of range.
    #[error("{key} must lie between {least} and {most}, this is {found}")]
    OutOfRange {
        /// The key.
        key: String,
        /// The least.
        least: u32,
        /// The most.
        most: u32,
        /// What stands there.
        found: String,
    },
    /// A name that cannot be one.
    #[error(
        "{key} \"{found}\" is no name: 1 to {NAME_MAX} letters, digits, dots, hyphens or underscores, the \
         first a letter or a digit"
    )]
    NoName {
        /// The key.
        key: String,
        /// What stands there.
        found: String,
    },
    /// Not a version.
    #[error("{key} \"{found}\" is no version: {why}; a version looks like 1.2.0")]
    NoVersion {
        /// The key.
        key: String,
        /// What stands there.
        found: String,
        /// Why not.
        why: String,
    },
    /// A strategy that nobody knows.
    #[error("there is no strategy \"{found}\"; there are {}", strategies())]
    NoStrategy {
        /// What stands there.
        found: String,
    },
    /// A durability that is not offered.
    #[error("there is no durability \"{found}\"; there is \"memory\"")]
    NoDurability {
        /// What stands there.
        found: String,
    },
    /// The layers do not fit together.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// Nobody would restore what the strategy wants.
    #[error(
        "the strategy {strategy} needs the layer Recovery in the stack \"{stack}\"; the usual one is {}",
        replica::USUAL
    )]
    NoRecovery {
        /// The strategy.
        strategy: Strategy,
        /// The stack.
        stack: String,
    },
    /// More members must remain than there are.
    #[error(
        "the minimal redundancy {minimal} is more than the initial {initial}: lower the one or raise the \
         other"
    )]
    MinimalAboveInitial {
        /// How many must remain.
        minimal: u32,
        /// How many there are.
        initial: u32,
    },
    /// More members than hosts that they are pinned to.
    #[error(
        "{initial} members cannot run on {hosts} hosts, one on each: name more hosts, lower the initial \
         redundancy, or allow members to run together"
    )]
    TooFewHosts {
        /// How many members.
        initial: u32,
        /// How many hosts.
        hosts: usize,
    },
}

/// The longest name.
pub(super) const NAME_MAX: usize = 64;

fn strategies() -> String {
    Strategy::ALL.map(Strategy::name).join(", ")
}

/// All faults of a text, in the order of their places; at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Faults(pub Vec<Fault>);

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, fault) in self.0.iter().enumerate() {
            if number > 0 {
                writeln!(f)?;
            }
            fault.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}
