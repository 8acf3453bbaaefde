//! The binaries that fly: built here, optimised, as a user would run them.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::tree::cargo;
use crate::verdict::aloud;

/// The packages whose binaries are needed.
const PACKAGES: [&str; 5] = [
    "remex-cli",
    "ledger-v1",
    "ledger-v2",
    "ledger-v3",
    "ledger-load",
];

/// Where they lie.
#[derive(Debug)]
pub(crate) struct Binaries {
    release: PathBuf,
}

impl Binaries {
    /// Builds them.
    pub(crate) fn build() -> Result<Binaries, String> {
        let mut command = cargo(&["build", "--release", "--bins"]);
        for package in PACKAGES {
            command.args(["--package", package]);
        }
        if !aloud(&mut command) {
            return Err("the binaries could not be built".to_owned());
        }
        let release = target_directory()?.join("release");
        Ok(Binaries { release })
    }

    /// The `remex` command.
    pub(crate) fn remex(&self) -> PathBuf {
        self.release.join("remex")
    }

    /// The versions of the ledger.
    pub(crate) fn versions(&self) -> [PathBuf; 3] {
        ["ledger-v1", "ledger-v2", "ledger-v3"].map(|name| self.release.join(name))
    }

    /// The load.
    pub(crate) fn load(&self) -> PathBuf {
        self.release.join("ledger-load")
    }
}

/// Where cargo builds: what the demo leaves lies there too.
pub(crate) fn target_directory() -> Result<PathBuf, String> {
    let arguments = ["metadata", "--no-deps", "--format-version", "1"];
    let output = cargo(&arguments).output();
    let output = output.map_err(|why| format!("cargo metadata could not be started: {why}"))?;
    let metadata: Value = serde_json::from_slice(&output.stdout)
        .map_err(|why| format!("cargo metadata is not as expected: {why}"))?;
    let directory = metadata["target_directory"].as_str();
    let directory = directory.ok_or("cargo metadata names no target directory")?;
    Ok(Path::new(directory).to_owned())
}
