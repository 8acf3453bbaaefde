//! Situations that have a name: what happens in them is what is written.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::path::Path;

use campaign::scenario::Scenario;

#[test]
fn what_happens_is_what_is_written() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    let all = Scenario::all(&folder).unwrap();
    assert!(all.len() >= 25, "there are {} scenarios", all.len());
    let mut other = Vec::new();
    for scenario in all {
        let happened = scenario.play().unwrap();
        if happened != scenario.expected {
            let difference = happened
                .lines()
                .zip(scenario.expected.lines())
                .find(|(happened, expected)| happened != expected);
            other.push(match difference {
                Some((happened, expected)) => format!(
                    "{}: instead of\n  {expected}\nthis happened:\n  {happened}",
                    scenario.name
                ),
                None => format!("{}: it ends otherwise", scenario.name),
            });
        }
    }
    assert!(
        other.is_empty(),
        "{}\nIf that is meant: cargo xtask scenarios --rewrite, and read the difference",
        other.join("\n")
    );
}
