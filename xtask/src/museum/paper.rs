//! The rows of docs/paper.md under their defects: a test that stays green proves less than it says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::build;
use crate::markdown;
use crate::tidy::paper::{DEFECT, DOCUMENT};
use crate::tree::Tree;
use crate::verdict::aloud;

/// Names the defect to a process; only the museum's build reads it.
const VARIABLE: &str = "REMEX_DEFECT";
/// How long a test may take before it counts as red: some wait for what a defect keeps away.
const PATIENCE: Duration = Duration::from_secs(600);
/// How often a running test is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// One test of the build: its program, its full name there, and the folder that it runs in.
#[derive(Clone, Debug)]
struct Test {
    program: PathBuf,
    name: String,
    folder: PathBuf,
}

/// Runs the tests; whether each is green without a defect, and each row has one that its defect turns
/// red.
pub(super) fn run(only: &[String]) -> bool {
    let tree = match Tree::read() {
        Ok(tree) => tree,
        Err(error) => {
            eprintln!("{error}");
            return false;
        }
    };
    let rows = rows(tree.text(DOCUMENT).unwrap_or_default(), only);
    let Some(tests) = tests() else {
        return false;
    };
    let mut known: BTreeMap<(String, Option<String>), bool> = BTreeMap::new();
    let mut red = |test: &str, defect: Option<&str>| {
        let key = (test.to_owned(), defect.map(str::to_owned));
        *known.entry(key).or_insert_with(|| match tests.get(test) {
            Some(tests) => tests.iter().any(|test| is_red(test, defect)),
            None => true,
        })
    };
    let mut faults = Vec::new();
    println!("| test | without | defect | with it |");
    println!("| --- | --- | --- | --- |");
    for (row_tests, defect) in &rows {
        let mut turned = false;
        for test in row_tests {
            let (without, with) = (red(test, None), red(test, Some(defect)));
            let word = |red| if red { "red" } else { "green" };
            println!("| {test} | {} | {defect} | {} |", word(without), word(with));
            turned |= with && !without;
            if without {
                faults.push(format!("{test} is red without any defect"));
            }
        }
        if !turned {
            let tests: Vec<&str> = row_tests.iter().map(String::as_str).collect();
            let tests = tests.join(", ");
            faults.push(format!("{defect} does not turn {tests} red"));
        }
    }
    println!();
    for fault in &faults {
        println!("{fault}");
    }
    let (rows, faults) = (rows.len(), faults.len());
    println!("{rows} pairs of tests and their defect, {faults} faults.");
    faults == 0
}

/// The tests of each row with the defect that it names; each once.
fn rows(document: &str, only: &[String]) -> BTreeSet<(Vec<String>, String)> {
    let own = |text: &str| -> Vec<String> {
        let spans = markdown::code_spans(text);
        spans.into_iter().map(str::to_owned).collect()
    };
    markdown::rows(document)
        .into_iter()
        .flat_map(|row| {
            let tests = own(row.cell("Test").unwrap_or_default());
            let defects = own(row.cell(DEFECT).unwrap_or_default());
            defects
                .into_iter()
                .map(move |defect| (tests.clone(), defect))
        })
        .filter(|(_, defect)| only.is_empty() || only.contains(defect))
        .collect()
}

/// All tests of the museum's build, by their own names; several may have the same.
fn tests() -> Option<BTreeMap<String, Vec<Test>>> {
    // Tests on real processes start binaries of other packages.
    if !aloud(&mut build(&["build", "--quiet", "--workspace", "--bins"])) {
        return None;
    }
    let arguments = [
        "test",
        "--quiet",
        "--workspace",
        "--bins",
        "--lib",
        "--tests",
        "--no-run",
        "--message-format=json",
    ];
    let output = build(&arguments).stderr(Stdio::inherit()).output().ok()?;
    if !output.status.success() {
        return None;
    }
    let mut tests: BTreeMap<String, Vec<Test>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Some((program, folder)) = program(line) else {
            continue;
        };
        let listed = Command::new(&program).arg("--list").output().ok()?;
        for line in String::from_utf8_lossy(&listed.stdout).lines() {
            let Some(name) = line.strip_suffix(": test") else {
                continue;
            };
            let last = name.rsplit("::").next().unwrap_or(name);
            let test = Test {
                program: program.clone(),
                name: name.to_owned(),
                folder: folder.clone(),
            };
            tests.entry(last.to_owned()).or_default().push(test);
        }
    }
    Some(tests)
}

/// The program that this line of cargo's says was built for tests, and its package's folder.
fn program(line: &str) -> Option<(PathBuf, PathBuf)> {
    let message: Value = serde_json::from_str(line).ok()?;
    if message["profile"]["test"] != true {
        return None;
    }
    let program = PathBuf::from(message["executable"].as_str()?);
    let manifest = Path::new(message["manifest_path"].as_str()?);
    Some((program, manifest.parent()?.to_path_buf()))
}

/// Whether the test fails, or does not end.
fn is_red(test: &Test, defect: Option<&str>) -> bool {
    let mut command = Command::new(&test.program);
    command
        .args(["--exact", &test.name, "--quiet"])
        .current_dir(&test.folder)
        .env_remove(VARIABLE)
        // A case that fails by a defect is none to try again from now on.
        .env("PROPTEST_DISABLE_FAILURE_PERSISTENCE", "true")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    if let Some(defect) = defect {
        command.env(VARIABLE, defect);
    }
    let Ok(mut child) = command.spawn() else {
        return true;
    };
    let end = Instant::now() + PATIENCE;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return !status.success(),
            Ok(None) if Instant::now() < end => thread::sleep(LOOK_EVERY),
            Ok(None) | Err(_) => {
                // Whether it could be killed or had just ended: it is red.
                let _ = child.kill();
                let _ = child.wait();
                return true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_its_tests_and_each_defect_that_it_names() {
        let document = "| Sentence | Code | Test | Defect |\n|-|-|-|-|\n\
            | On. | `x` | `goes`, `stays` | `Stops` |\n| Off. | `x` | `rests` | - |\n\
            | On. | `x` | `goes`, `stays` | `Stops` |\n";
        let rows: Vec<_> = rows(document, &[]).into_iter().collect();
        let tests = vec!["goes".to_owned(), "stays".to_owned()];
        assert_eq!(rows, [(tests, "Stops".to_owned())]);
    }

    #[test]
    fn programs_of_tests_are_read_as_cargo_names_them() {
        let line =
            r#"{"profile":{"test":true},"executable":"/t/x","manifest_path":"/p/Cargo.toml"}"#;
        let expected = (PathBuf::from("/t/x"), PathBuf::from("/p"));
        assert_eq!(program(line), Some(expected));
        assert_eq!(program(&line.replace("true", "false")), None);
    }
}
