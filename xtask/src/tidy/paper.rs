//! docs/paper.md against code and tests: every sentence of the paper that we claim has both. So has
//! every row of docs/bad-input.md.
//!
//! A row whose test is not written yet says so with `open:` before the test's name. It is counted
//! and told, and turns red as soon as the test exists: a row cannot stay open by oversight.

use std::collections::BTreeSet;
use std::fs;

use clap::Args;

use super::museum;
use crate::markdown::{self, Row};
use crate::tree::{self, Tree};
use crate::verdict::Verdict;

/// The table of requirements.
pub(crate) const DOCUMENT: &str = "docs/paper.md";
/// The column that names the defect which turns the row's test red.
pub(crate) const DEFECT: &str = "Defect";
/// Stands there if no defect makes sense; the head of the document says when.
const NONE: &str = "-";
/// What is told when something is wrong; its rows name code and tests too.
const BAD_INPUT: &str = "docs/bad-input.md";
/// Stands before the test of a row whose test is not written yet.
const OPEN: &str = "open:";
/// Tests in files of this name are there for the paper: each must be named by a row.
const TESTS_OF_THE_PAPER: &str = "/tests/paper.rs";

/// What to do with the document.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Close the open rows whose tests exist by now.
    #[arg(long)]
    close: bool,
}

/// `cargo xtask paper`: checks the document, after closing rows if asked; whether it is green.
pub(crate) fn run(arguments: Arguments) -> bool {
    let read = Tree::read().and_then(|tree| {
        let Some(document) = tree.text(DOCUMENT).filter(|_| arguments.close) else {
            return Ok(tree);
        };
        fs::write(
            tree::root().join(DOCUMENT),
            closed(document, &known_tests(&tree)),
        )?;
        Tree::read()
    });
    match read {
        Ok(tree) => check(&tree).tell("paper"),
        Err(error) => Verdict::Red(vec![error.to_string()]).tell("checkout"),
    }
}

/// The document without the mark on open rows whose tests all exist.
fn closed(document: &str, known: &BTreeSet<&str>) -> String {
    let open_rows: Vec<usize> = markdown::rows(document)
        .into_iter()
        .filter(|row| {
            let test = row.cell("Test").unwrap_or_default();
            let tests = markdown::code_spans(test);
            let exist = !tests.is_empty() && tests.iter().all(|test| known.contains(test));
            test.starts_with(OPEN) && exist
        })
        .map(|row| row.line)
        .collect();
    let mut closed = String::new();
    for (at, line) in document.lines().enumerate() {
        match line.rsplit_once(&format!("{OPEN} ")) {
            Some((before, after)) if open_rows.contains(&(at + 1)) => {
                closed.push_str(before);
                closed.push_str(after);
            }
            Some(_) | None => closed.push_str(line),
        }
        closed.push('\n');
    }
    closed
}

/// Checks every row of every table that has the columns `Code` and `Test`.
pub(crate) fn check(tree: &Tree) -> Verdict {
    let Some(document) = tree.text(DOCUMENT) else {
        return Verdict::Red(vec![format!("{DOCUMENT} is missing")]);
    };
    let known: BTreeSet<&str> = tree
        .ending(".rs")
        .flat_map(|(_, text)| tests_in(text))
        .collect();
    let defects: BTreeSet<&str> = museum::defects(tree)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    let mut named = BTreeSet::new();
    let mut faults = Vec::new();
    let (mut rows, mut open) = (0, 0);
    let documents = [
        (DOCUMENT, Some(document)),
        (BAD_INPUT, tree.text(BAD_INPUT)),
    ];
    let all = documents
        .into_iter()
        .filter_map(|(name, text)| Some((name, text?)))
        .flat_map(|(name, text)| markdown::rows(text).into_iter().map(move |row| (name, row)));
    for (document, row) in all {
        let (Some(code), Some(test)) = (row.cell("Code"), row.cell("Test")) else {
            continue;
        };
        rows += 1;
        let is_open = test.starts_with(OPEN);
        open += usize::from(is_open);
        let mut fault = |what: String| faults.push(format!("{document}:{}: {what}", row.line));
        check_quote(&row).map(&mut fault);
        check_code(code, is_open, tree)
            .into_iter()
            .for_each(&mut fault);
        check_tests(test, is_open, &known)
            .into_iter()
            .for_each(&mut fault);
        if document == DOCUMENT {
            check_defect(row.cell(DEFECT), is_open, &defects).map(&mut fault);
        }
        named.extend(markdown::code_spans(test).into_iter().map(str::to_owned));
    }
    for (path, text) in tree.ending(TESTS_OF_THE_PAPER) {
        for test in tests_in(text)
            .into_iter()
            .filter(|test| !named.contains(*test))
        {
            faults.push(format!(
                "{path}: no row of {DOCUMENT} names the test {test}"
            ));
        }
    }
    if rows == 0 {
        faults.push(format!(
            "{DOCUMENT} has no table with the columns Code and Test"
        ));
    }
    Verdict::of(faults, format!("{rows} rows, {open} open"))
}

/// The first column says what is claimed.
fn check_quote(row: &Row) -> Option<String> {
    let empty = row.cells.iter().take(2).any(String::is_empty);
    empty.then(|| "a cell of the row is empty".to_owned())
}

/// Every path must exist. An open row may name the place where its code will be.
fn check_code(cell: &str, is_open: bool, tree: &Tree) -> Vec<String> {
    let paths = markdown::code_spans(cell);
    if paths.is_empty() {
        return vec!["the row names no code".to_owned()];
    }
    paths
        .into_iter()
        .filter(|path| !is_open && !tree.has(path))
        .map(|path| format!("the code {path} does not exist"))
        .collect()
}

/// Every test must exist and run; those of an open row must not.
fn check_tests(cell: &str, is_open: bool, known: &BTreeSet<&str>) -> Vec<String> {
    let tests = markdown::code_spans(cell);
    if tests.is_empty() {
        return vec!["the row names no test".to_owned()];
    }
    let missing = tests.iter().filter(|test| !known.contains(*test)).count();
    if is_open && missing == 0 {
        return vec!["the row is open but its test exists: cargo xtask paper --close".to_owned()];
    }
    tests
        .into_iter()
        .filter(|test| !is_open && !known.contains(test))
        .map(|test| format!("there is no test function {test} that runs"))
        .collect()
}

/// The row names a defect of the museum that turns its test red, or says that none makes sense.
/// Whether it does turn it red is seen by `cargo xtask museum --paper`.
fn check_defect(cell: Option<&str>, is_open: bool, known: &BTreeSet<&str>) -> Option<String> {
    let cell = cell.unwrap_or_default();
    let named = markdown::code_spans(cell);
    if let Some(name) = named.iter().find(|name| !known.contains(*name)) {
        return Some(format!("the museum has no defect {name}"));
    }
    let silent = named.is_empty() && cell != NONE && !is_open;
    silent.then(|| format!("the row names no defect that turns its test red, nor {NONE}"))
}

/// The names of all tests of the checkout.
fn known_tests(tree: &Tree) -> BTreeSet<&str> {
    tree.ending(".rs")
        .flat_map(|(_, text)| tests_in(text))
        .collect()
}

/// The names of the functions that are marked as tests and not ignored.
fn tests_in(text: &str) -> Vec<&str> {
    let mut tests = Vec::new();
    let (mut marked, mut ignored) = (false, false);
    for line in text.lines().map(str::trim) {
        if let Some(attribute) = line.strip_prefix("#[") {
            marked |= attribute.starts_with("test]") || attribute.starts_with("tokio::test");
            ignored |= attribute.starts_with("ignore");
        } else if let Some(name) = function(line) {
            if marked && !ignored {
                tests.push(name);
            }
            (marked, ignored) = (false, false);
        }
    }
    tests
}

/// The name of the function that begins on this line.
fn function(line: &str) -> Option<&str> {
    let line = line.strip_prefix("async ").unwrap_or(line);
    let (name, _) = line.strip_prefix("fn ")?.split_once('(')?;
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const CODE: &str = "//! Turn.\nfn turn() {}\n\
        #[cfg(test)]\nmod tests {\n    #[test]\n    fn it_goes_on() {}\n\
        \n    /// Later.\n    #[test]\n    #[ignore = \"slow\"]\n    fn it_sleeps() {}\n}\n";

    fn check_rows(rows: &str) -> Verdict {
        let document =
            format!("| § | Sentence | Code | Test | Defect |\n|---|---|---|---|---|\n{rows}\n");
        check(&Tree::of(&[
            ("crates/a/src/turn.rs", CODE),
            (
                "crates/museum/src/defect.rs",
                "\ndefects! {\n    Stops: Group,\n}\n",
            ),
            (DOCUMENT, &document),
        ]))
    }

    fn faults(rows: &str) -> Vec<String> {
        match check_rows(rows) {
            Verdict::Red(faults) => faults,
            Verdict::Green(_) | Verdict::Skipped(_) => Vec::new(),
        }
    }

    #[test]
    fn a_row_with_code_and_test_is_green() {
        assert_eq!(
            check_rows("| 3 | \"On.\" | `crates/a/src/turn.rs` | `it_goes_on` | `Stops` |"),
            Verdict::Green("1 rows, 0 open".to_owned())
        );
        assert!(faults("| 3 | \"On.\" | `crates/a` | `it_goes_on` | `Stops` |").is_empty());
    }

    #[test]
    fn a_row_whose_code_is_gone_is_red() {
        assert_eq!(
            faults("| 3 | \"On.\" | `crates/a/src/gone.rs` | `it_goes_on` | `Stops` |"),
            ["docs/paper.md:3: the code crates/a/src/gone.rs does not exist"]
        );
    }

    #[test]
    fn a_row_whose_test_is_gone_or_does_not_run_is_red() {
        for test in ["it_went", "it_sleeps", "turn"] {
            assert_eq!(
                faults(&format!("| 3 | \"On.\" | `crates/a` | `{test}` | - |")),
                [format!(
                    "docs/paper.md:3: there is no test function {test} that runs"
                )]
            );
        }
    }

    #[test]
    fn what_is_told_of_bad_input_has_code_and_test_too() {
        let paper = "| § | Sentence | Code | Test | Defect |\n|---|---|---|---|---|\n\
            | 3 | \"On.\" | `crates/a` | `it_goes_on` | - |\n";
        let inputs = "| What | Told | Code | Test |\n|---|---|---|---|\n\
            | It | why | `crates/a` | `it_goes_on` |\n| It | why | `crates/a` | `it_went` |\n";
        let tree = Tree::of(&[
            ("crates/a/src/turn.rs", CODE),
            (DOCUMENT, paper),
            (BAD_INPUT, inputs),
        ]);
        assert_eq!(
            check(&tree),
            Verdict::Red(vec![
                "docs/bad-input.md:4: there is no test function it_went that runs".to_owned()
            ])
        );
    }

    #[test]
    fn a_row_that_names_nothing_is_red() {
        assert_eq!(faults("| 3 | \"On.\" |  |  | - |").len(), 2);
        assert_eq!(
            faults("| 3 |  | `crates/a` | `it_goes_on` | `Stops` |").len(),
            1
        );
        assert_eq!(
            check(&Tree::of(&[(DOCUMENT, "# Paper\n")])),
            Verdict::Red(vec![
                "docs/paper.md has no table with the columns Code and Test".to_owned()
            ])
        );
    }

    #[test]
    fn a_row_without_a_defect_of_the_museum_is_red() {
        let row = "| 3 | \"On.\" | `crates/a` | `it_goes_on` |";
        assert_eq!(
            faults(&format!("{row} `Gone` |")),
            ["docs/paper.md:3: the museum has no defect Gone"]
        );
        assert_eq!(faults(&format!("{row} |")).len(), 1);
        assert!(faults(&format!("{row} - |")).is_empty());
    }

    #[test]
    fn an_open_row_is_counted_until_its_test_exists() {
        assert_eq!(
            check_rows("| 3 | \"On.\" | `crates/later.rs` | open: `it_will` | |"),
            Verdict::Green("1 rows, 1 open".to_owned())
        );
        assert_eq!(
            faults("| 3 | \"On.\" | `crates/a` | open: `it_goes_on` | `Stops` |"),
            ["docs/paper.md:3: the row is open but its test exists: cargo xtask paper --close"]
        );
    }

    #[test]
    fn closing_takes_the_mark_from_rows_whose_tests_exist() {
        let document = "| § | S | Code | Test |\n|-|-|-|-|\n\
            | 3 | a | `x` | open: `there` |\n| 3 | b | `x` | open: `there`, `not_there` |\n";
        let expected = document.replacen("open: ", "", 1);
        assert_eq!(closed(document, &BTreeSet::from(["there"])), expected);
    }

    #[test]
    fn a_test_of_the_paper_without_a_row_is_red() {
        let document = "| § | S | Code | Test | Defect |\n|-|-|-|-|-|\n| 3 | On. | `a/tests` | `named` | - |\n";
        let tests = "#[test]\nfn named() {}\n#[test]\nasync fn unnamed() {}\n";
        assert_eq!(
            check(&Tree::of(&[
                ("a/tests/paper.rs", tests),
                (DOCUMENT, document)
            ])),
            Verdict::Red(vec![
                "a/tests/paper.rs: no row of docs/paper.md names the test unnamed".to_owned()
            ])
        );
    }
}
