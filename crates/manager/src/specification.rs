//! Application specifications: what an operator wishes of one replicated server (§4.1, Figure 3).
//!
//! Two forms are read, the paper's XML and TOML. Both are first brought into one list of keys with
//! values and places, and one reader makes the [`Specification`] of it, so that they cannot differ in
//! meaning. All faults of a file are found at once, each with its line and column.

mod faults;
mod form;
mod read;
mod toml;
mod xml;

use std::fmt;

use semver::Version;

pub use faults::{Fault, Faults, Place, What};
pub use read::is_name;

/// What an operator wishes of one replicated server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Specification {
    /// The group's name.
    pub name: String,
    /// Another name of the group, a number that stays: `group` of Figure 3.
    pub alias: Option<u32>,
    /// The service's name in the version store: `Class name` of Figure 3.
    pub service: String,
    /// The version to begin with; the highest that all hosts have if absent.
    pub version: Option<Version>,
    /// The program's arguments.
    pub arguments: Vec<String>,
    /// The layers, from the group to the service.
    pub stack: String,
    /// What becomes of a lost replica.
    pub strategy: Strategy,
    /// How many members the group wants; at least 1.
    pub initial: u32,
    /// How many members must serve for anything to be taken out of service; at most `initial`.
    pub minimal: u32,
    /// Where members may run.
    pub placement: Placement,
}

/// What becomes of a lost replica, always in the primary partition only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Strategy {
    /// `initial` members are restored as hosts allow; below `minimal` that goes before everything.
    #[default]
    KeepMinimalInPartition,
    /// The same, and no turn of an upgrade takes the group below `initial`.
    KeepInitial,
}

impl Strategy {
    /// All strategies.
    pub const ALL: [Strategy; 2] = [Strategy::KeepMinimalInPartition, Strategy::KeepInitial];

    /// Its name in a specification.
    pub const fn name(self) -> &'static str {
        match self {
            Strategy::KeepMinimalInPartition => "KeepMinimalInPartition",
            Strategy::KeepInitial => "KeepInitial",
        }
    }
}

impl fmt::Display for Strategy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where members may run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Only on these hosts; on all if empty.
    pub hosts: Vec<String>,
    /// Over as many different values of this label as can be: a zone, a rack.
    pub spread: Option<String>,
    /// Whether two members of the group may run on one host.
    pub together: bool,
}

impl Specification {
    /// Reads a file's text: XML if it begins with `<`, else TOML.
    ///
    /// # Errors
    /// All faults of the text, in the order of their places.
    pub fn parse(text: &str) -> Result<Specification, Faults> {
        let entries = if text
            .trim_start_matches('\u{feff}')
            .trim_start()
            .starts_with('<')
        {
            xml::entries(text)
        } else {
            toml::entries(text)
        };
        read::read(entries)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
mod tests;
