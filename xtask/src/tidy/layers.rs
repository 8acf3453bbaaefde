//! No layer of the stack names another: they speak by closed events alone, through the replica.

use crate::tree::Tree;
use crate::verdict::Verdict;

/// Where the built-in layers live, one file each.
const LAYERS: &str = "crates/replica/src/layers/";
/// What several layers are made of; no layer itself.
const SHARED: [&str; 1] = ["attempt"];
/// How one file of the folder names another.
const PATHS: [&str; 2] = ["crate::layers::", "super::"];

/// Checks that no layer's file names another layer's.
pub(crate) fn check(tree: &Tree) -> Verdict {
    let files: Vec<(&str, &str)> = tree
        .ending(".rs")
        .filter(|(path, _)| path.starts_with(LAYERS))
        .collect();
    let mut faults = Vec::new();
    for (path, text) in &files {
        let tests = text.find("#[cfg(test)]").unwrap_or(text.len());
        let named = PATHS
            .iter()
            .flat_map(|start| text[..tests].split(start).skip(1));
        for rest in named {
            let name: String = rest
                .chars()
                .take_while(|letter| letter.is_alphanumeric() || *letter == '_')
                .collect();
            if !SHARED.contains(&name.as_str()) {
                faults.push(format!(
                    "{path}: a layer names \"{name}\" of another one; let it come as an event or \
                     from the ordered state"
                ));
            }
        }
    }
    if files.is_empty() {
        faults.push(format!("{LAYERS}: no layers are found there any more"));
    }
    Verdict::of(faults, format!("{} files", files.len()))
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
    fn a_layer_that_knows_another_is_red() {
        let path = "crates/replica/src/layers/upgrade.rs";
        assert_eq!(faults(path, "use crate::layers::attempt::Attempts;\n"), 0);
        assert_eq!(faults(path, "use crate::layers::Invocation;\n"), 1);
        assert_eq!(faults(path, "use super::recovery::Recovery;\n"), 1);
        assert_eq!(faults(path, "use crate::layers::{Invocation};\n"), 1);
        assert_eq!(faults("crates/replica/src/layer.rs", ""), 1);
    }
}
