//! The checkout as a value: every text that the checks read, by its path.
//!
//! The checks take a [`Tree`] and not a folder, so that their tests can write a small tree down and
//! show that the check goes red.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What the checks read; everything else (pictures, golden bytes) is none of their business.
const TEXTS: [&str; 3] = ["rs", "md", "toml"];

/// Paths, relative to the root and with `/`, and the texts that lie there.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    texts: BTreeMap<String, String>,
}

impl Tree {
    /// Reads the checkout that this command belongs to.
    pub(crate) fn read() -> io::Result<Tree> {
        let root = root();
        let mut tree = Tree::default();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                let path = entry.path();
                if entry.file_type()?.is_dir() {
                    let name = entry.file_name();
                    let hidden = name.to_string_lossy().starts_with('.') && name != ".cargo";
                    if name != "target" && !hidden {
                        folders.push(path);
                    }
                } else if is_text(&path)
                    && let Ok(relative) = path.strip_prefix(&root)
                {
                    let name = relative.to_string_lossy().replace('\\', "/");
                    tree.texts.insert(name, fs::read_to_string(&path)?);
                }
            }
        }
        Ok(tree)
    }

    /// A tree for a test, written down as (path, text).
    #[cfg(test)]
    pub(crate) fn of(texts: &[(&str, &str)]) -> Tree {
        let owned = |(path, text): &(&str, &str)| ((*path).to_owned(), (*text).to_owned());
        Tree {
            texts: texts.iter().map(owned).collect(),
        }
    }

    /// The text at `path`.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// Whether a text lies at `path`, or a folder with texts in it.
    pub(crate) fn has(&self, path: &str) -> bool {
        let folder = format!("{}/", path.trim_end_matches('/'));
        self.texts.contains_key(path) || self.texts.keys().any(|key| key.starts_with(&folder))
    }

    /// All texts whose path ends so, in the order of their paths.
    pub(crate) fn ending(&self, ending: &str) -> impl Iterator<Item = (&str, &str)> {
        let ending = ending.to_owned();
        self.texts
            .iter()
            .filter(move |(path, _)| path.ends_with(&ending))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }
}

fn is_text(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| TEXTS.iter().any(|known| extension == *known))
}

/// The root of the checkout: the folder above this package's.
pub(crate) fn root() -> PathBuf {
    // Cargo tells a running command where its package lies now; the path of the build is only the
    // answer for a binary that is started by hand.
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    package
        .parent()
        .map_or_else(|| package.clone(), Path::to_path_buf)
}

/// A cargo command at the root of the checkout, by the same cargo that started this one.
pub(crate) fn cargo(arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root()).args(arguments);
    command
}

/// Whether `cargo <subcommand>` is installed here.
pub(crate) fn has_cargo(subcommand: &str) -> bool {
    cargo(&[subcommand, "--version"])
        .output()
        .is_ok_and(|output| output.status.success())
}
