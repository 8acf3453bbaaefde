//! The museum's defects: each is somewhere in the code, and no manifest puts one into a build.

use crate::tree::Tree;
use crate::verdict::Verdict;

/// Where the defects are listed.
const DEFECTS: &str = "crates/museum/src/defect.rs";
/// How the list begins.
const BEGIN: &str = "\ndefects! {";
/// The fewest that say something about the checkers.
const DEFECTS_MIN: usize = 20;
/// What a manifest or a build script would say to put defects into a build.
const SWITCHES: [&str; 3] = ["cfg museum", "cfg=museum", "--cfg"];

/// Checks that the defects are in use, enough, and in no ordinary build.
pub(crate) fn check(tree: &Tree) -> Verdict {
    let defects = defects(tree);
    let mut faults = Vec::new();
    for (name, _) in &defects {
        let code = format!("museum::on(Defect::{name})");
        // A call may be broken over lines.
        let used = tree.ending(".rs").any(|(path, text)| {
            path != DEFECTS
                && (text.contains(&code) || {
                    let dense: String = text.chars().filter(|c| !c.is_whitespace()).collect();
                    dense.contains(&code)
                })
        });
        if !used {
            faults.push(format!("{DEFECTS}: {name} is nowhere in the code"));
        }
    }
    let upgrades = defects.iter().filter(|(_, about)| *about == "Upgrade");
    if defects.len() < DEFECTS_MIN || 2 * upgrades.count() < defects.len() {
        faults.push(format!(
            "{DEFECTS}: at least {DEFECTS_MIN} defects, half of them about upgrades"
        ));
    }
    for (path, text) in tree.ending(".toml").chain(tree.ending("build.rs")) {
        if SWITCHES.iter().any(|switch| text.contains(switch)) {
            faults.push(format!(
                "{path}: only cargo xtask museum builds with defects"
            ));
        }
    }
    Verdict::of(faults, format!("{} defects", defects.len()))
}

/// The defects by name, and what each is about.
pub(super) fn defects(tree: &Tree) -> Vec<(&str, &str)> {
    let text = tree.text(DEFECTS).unwrap_or_default();
    let list = text.split_once(BEGIN).map_or("", |(_, list)| list);
    list.lines()
        .filter_map(|line| line.trim().strip_suffix(',')?.split_once(": "))
        .filter(|(name, _)| name.chars().all(char::is_alphanumeric))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(count: usize, code: &str, manifest: &str) -> Vec<String> {
        let entries: String = (0..count)
            .map(|n| {
                format!(
                    "    Defect{n}: Upgrade,\n        \"What: it is.\",\n        [\"order\"];\n"
                )
            })
            .collect();
        let list = format!("//! Defects.\n{BEGIN}\n{entries}}}\n");
        let uses: String = (0..count)
            .map(|n| format!("if museum::on(\n    Defect::Defect{n},\n) {{}}\n"))
            .collect();
        let uses = uses.replace(",\n)", "\n)");
        let tree = Tree::of(&[
            (DEFECTS, &list),
            ("crates/a/src/lib.rs", &format!("{uses}{code}")),
            ("Cargo.toml", manifest),
        ]);
        match check(&tree) {
            Verdict::Red(faults) => faults,
            Verdict::Green(_) | Verdict::Skipped(_) => Vec::new(),
        }
    }

    #[test]
    fn defects_that_are_used_and_enough_are_green() {
        assert_eq!(faults(20, "", "[workspace]"), [""; 0]);
    }

    #[test]
    fn too_few_defects_are_red() {
        assert_eq!(faults(19, "", "[workspace]").len(), 1);
    }

    #[test]
    fn a_defect_that_is_nowhere_is_red() {
        let list = format!("//! Defects.\n{BEGIN}\n    Lost: Upgrade,\n}}\n");
        let verdict = check(&Tree::of(&[(DEFECTS, &list)]));
        let Verdict::Red(faults) = verdict else {
            panic!("{verdict:?}");
        };
        assert_eq!(
            faults[0],
            "crates/museum/src/defect.rs: Lost is nowhere in the code"
        );
    }

    #[test]
    fn a_manifest_that_switches_defects_on_is_red() {
        let manifest = "[build]\nrustflags = [\"--cfg\", \"museum\"]";
        assert_eq!(faults(20, "", manifest).len(), 1);
    }
}
