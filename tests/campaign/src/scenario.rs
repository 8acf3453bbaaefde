//! Situations as transcripts: what is done, and below a line what then happens to the group.
//!
//! A scenario is a text file named after what happens in it: a plan, in the words of
//! [`simulator::Plan`], a line of `---`, and the expected transcript: faults, what the operator asks
//! for, and each entry of the group's history with the members that stood then. Times and positions
//! are left out: they change with everything, and mean nothing here.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use simulator::{Line, Plan, PlanError, Report};

/// What parts the plan from the transcript.
const RULE: &str = "---\n";

/// One file.
#[derive(Debug)]
pub struct Scenario {
    /// Named after what happens.
    pub name: String,
    path: PathBuf,
    /// What is done, as it is written.
    script: String,
    /// What is expected to happen.
    pub expected: String,
}

/// Why a scenario cannot be played. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// It cannot be read or written.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// What is done is not understood.
    #[error("{path}: {error}")]
    Plan {
        /// Which.
        path: PathBuf,
        /// Why not.
        error: PlanError,
    },
}

impl Scenario {
    /// All scenarios of a folder, by name.
    ///
    /// # Errors
    ///
    /// [`ScenarioError::File`], if one cannot be read.
    pub fn all(folder: &Path) -> Result<Vec<Scenario>, ScenarioError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |error| ScenarioError::File { path, error }
        };
        let mut all = Vec::new();
        for entry in fs::read_dir(folder).map_err(failed(folder))? {
            let path = entry.map_err(failed(folder))?.path();
            let text = fs::read_to_string(&path).map_err(failed(&path))?;
            let (script, expected) = text.split_once(RULE).unwrap_or((&text, ""));
            let name = path.file_stem().unwrap_or_default().to_string_lossy();
            all.push(Scenario {
                name: name.into_owned(),
                script: script.to_owned(),
                expected: expected.to_owned(),
                path,
            });
        }
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }

    /// Does what is written, and tells what happened.
    ///
    /// # Errors
    ///
    /// [`ScenarioError::Plan`], if it is not understood.
    pub fn play(&self) -> Result<String, ScenarioError> {
        let plan: Plan = self.script.parse().map_err(|error| ScenarioError::Plan {
            path: self.path.clone(),
            error,
        })?;
        Ok(transcript(&simulator::run(&crate::ledger(), &plan)))
    }

    /// Makes what happens what is expected.
    ///
    /// # Errors
    ///
    /// [`ScenarioError::File`], if it cannot be written.
    pub fn rewrite(&self, transcript: &str) -> Result<(), ScenarioError> {
        let text = format!("{}{RULE}{transcript}", self.script);
        fs::write(&self.path, text).map_err(|error| ScenarioError::File {
            path: self.path.clone(),
            error,
        })
    }
}

fn transcript(report: &Report) -> String {
    let begins = |line: &&Line| line.who == "plan";
    let from = report.lines.iter().position(|line| begins(&line));
    let lines = report.lines.iter().skip(from.map_or(0, |at| at + 1));
    let mut text = String::new();
    for line in lines {
        // What each process says of itself is for `--transcript`.
        let who = match (line.place.as_str(), line.who.as_str()) {
            ("group", _) => "group",
            ("", who) => who,
            (_, _) => continue,
        };
        text += &format!("{who:<8}  {}\n", without_positions(&line.what));
    }
    text += &match &report.fault {
        None => "all seats are filled, every request was answered, and nothing was found\n".into(),
        Some(fault) => format!("FOUND: {fault}\n"),
    };
    text
}

/// Positions are numbers behind an `@`.
fn without_positions(what: &str) -> String {
    let mut parts = what.split('@');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        text.push('@');
        text += part.trim_start_matches(|digit: char| digit.is_ascii_digit());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_left_out_and_members_are_not() {
        let line = "upgrade @84 is done [1v1.0.0 2v2.0.0] after @9";
        let expected = "upgrade @ is done [1v1.0.0 2v2.0.0] after @";
        assert_eq!(without_positions(line), expected);
    }
}
