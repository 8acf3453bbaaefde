//! The example keeps its promise: a few lines, and a binary that can say what it is.

#![allow(clippy::disallowed_methods, reason = "the binary itself is under test")]

use std::process::Command;

/// What the README promises of this example.
const LINES_MAX: usize = 60;

#[test]
fn a_replicated_store_is_a_few_lines() {
    let lines = include_str!("../src/main.rs").lines().count();
    assert!(lines <= LINES_MAX, "{lines} lines");
}

#[test]
fn the_binary_says_what_it_is() {
    let output = Command::new(env!("CARGO_BIN_EXE_kv"))
        .arg("--describe")
        .output();
    let output = output.expect("the binary that cargo built starts");
    assert!(output.status.success());
    let text = String::from_utf8_lossy(&output.stdout);
    for part in [
        r#""service": "kv""#,
        r#""name": "put""#,
        r#""arguments_shape": "{key: text, value: text}""#,
        r#""reply_shape": "{value: text, written: u64}?""#,
        r#""state_shape": "{entries: {text => {value: text, written: u64}}}""#,
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[test]
fn a_wrong_command_line_ends_with_a_code_of_its_own() {
    let output = Command::new(env!("CARGO_BIN_EXE_kv"))
        .arg("--describes")
        .output();
    let output = output.expect("the binary that cargo built starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("unknown argument `--describes`"));
}
