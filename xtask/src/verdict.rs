//! What a check found, and how it is told: one line where green, everything where red.

use std::process::Command;

/// What a check found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// All is well; what was looked at, in a few words.
    Green(String),
    /// Not looked at, and why.
    Skipped(String),
    /// What is wrong, one fault per entry, each saying what to do.
    Red(Vec<String>),
}

impl Verdict {
    /// Green with this summary if there are no faults, red otherwise.
    pub(crate) fn of(faults: Vec<String>, summary: String) -> Verdict {
        if faults.is_empty() {
            Verdict::Green(summary)
        } else {
            Verdict::Red(faults)
        }
    }

    /// Prints the verdict under the check's name; whether the work may go on.
    pub(crate) fn tell(&self, name: &str) -> bool {
        match self {
            Verdict::Green(summary) if summary.is_empty() => println!("ok       {name}"),
            Verdict::Green(summary) => println!("ok       {name}: {summary}"),
            Verdict::Skipped(why) => println!("skipped  {name}: {why}"),
            Verdict::Red(faults) => {
                println!("FAILED   {name}");
                for fault in faults {
                    println!("{}", fault.trim_end());
                }
            }
        }
        !matches!(self, Verdict::Red(_))
    }
}

/// Runs a command and keeps its output for the case that it fails.
pub(crate) fn quietly(command: &mut Command) -> Verdict {
    match command.output() {
        Ok(output) if output.status.success() => Verdict::Green(String::new()),
        Ok(output) => Verdict::Red(vec![
            String::from_utf8_lossy(&output.stdout).into_owned(),
            String::from_utf8_lossy(&output.stderr).into_owned(),
            format!("{command:?} ended with {}", output.status),
        ]),
        Err(error) => Verdict::Red(vec![format!("{command:?} could not be started: {error}")]),
    }
}

/// Runs a command whose output goes straight to the terminal; whether it succeeded.
pub(crate) fn aloud(command: &mut Command) -> bool {
    match command.status() {
        Ok(status) => status.success(),
        Err(error) => {
            eprintln!("{command:?} could not be started: {error}");
            false
        }
    }
}
