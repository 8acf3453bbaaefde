//! Every source file begins with `//!`: what it is and why it is apart.

use crate::tree::Tree;
use crate::verdict::Verdict;

/// Folders of snippets that are compiled to see what the compiler says; they are data of a test.
const SNIPPETS: [&str; 2] = ["/tests/ui/", "/tests/snippets/"];

/// Checks that every source file begins with its documentation.
pub(crate) fn check(tree: &Tree) -> Verdict {
    let mut seen = 0;
    let mut faults = Vec::new();
    for (path, text) in tree.ending(".rs") {
        if SNIPPETS.iter().any(|folder| path.contains(folder)) {
            continue;
        }
        seen += 1;
        if !text.trim_start().starts_with("//!") {
            faults.push(format!(
                "{path}: begin the file with `//!`: what it is, why it is apart"
            ));
        }
    }
    Verdict::of(faults, format!("{seen} files"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(path: &str, text: &str) -> usize {
        match check(&Tree::of(&[(path, text)])) {
            Verdict::Red(faults) => faults.len(),
            Verdict::Green(_) | Verdict::Skipped(_) => 0,
        }
    }

    #[test]
    fn a_file_without_a_head_is_red() {
        assert_eq!(faults("crates/a/src/lib.rs", "//! A.\n"), 0);
        assert_eq!(faults("crates/a/src/lib.rs", "\n//! A.\n"), 0);
        assert_eq!(faults("crates/a/src/lib.rs", "use b::c;\n//! A.\n"), 1);
        assert_eq!(faults("crates/a/src/lib.rs", "// A.\n"), 1);
        assert_eq!(faults("crates/a/src/lib.rs", ""), 1);
    }

    #[test]
    fn snippets_are_data() {
        assert_eq!(faults("crates/a/tests/ui/no_self.rs", "struct S;"), 0);
        assert_eq!(faults("crates/a/tests/uix.rs", "struct S;"), 1);
    }
}
