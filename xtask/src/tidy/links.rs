//! Links between our documents lead somewhere.

use std::path::Path;

use crate::markdown;
use crate::tree::{self, Tree};
use crate::verdict::Verdict;

/// Checks every relative link of every document.
pub(crate) fn check(tree: &Tree) -> Verdict {
    let root = tree::root();
    faults(tree, |path| root.join(path).exists())
}

/// `exists` is asked about what is no text, such as a licence or a picture.
fn faults(tree: &Tree, exists: impl Fn(&str) -> bool) -> Verdict {
    let mut seen = 0;
    let mut faults = Vec::new();
    for (path, text) in tree.ending(".md") {
        for (line, target) in markdown::links(text) {
            let file = target.split('#').next().unwrap_or_default();
            if file.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            seen += 1;
            let meant = resolve(path, file);
            if !tree.has(&meant) && !exists(&meant) {
                faults.push(format!(
                    "{path}:{line}: links to {target}, but {meant} is not there"
                ));
            }
        }
    }
    Verdict::of(faults, format!("{seen} links"))
}

/// The path from the root of what `target` means in the document at `path`.
fn resolve(path: &str, target: &str) -> String {
    let folder = Path::new(path).parent().unwrap_or(Path::new(""));
    let mut parts: Vec<&str> = folder.iter().filter_map(|part| part.to_str()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_to_nowhere_is_red() {
        let tree = Tree::of(&[
            (
                "README.md",
                "[a](docs/a.md#part) [b](https://b.example) [c](#c) [d](docs)",
            ),
            ("docs/a.md", "[up](../README.md) [gone](gone.md)"),
        ]);
        let expected = "docs/a.md:1: links to gone.md, but docs/gone.md is not there";
        assert_eq!(
            faults(&tree, |_| false),
            Verdict::Red(vec![expected.to_owned()])
        );
        assert_eq!(
            faults(&tree, |_| true),
            Verdict::Green("4 links".to_owned())
        );
    }
}
