//! The binaries that lie on this host: every executable below the versions directory that describes
//! itself as a service.
//!
//! A binary is named by the digest of its bytes. What is started is a private copy under that
//! digest, so that a file that is replaced meanwhile changes nothing.

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use replica::Description;
use tokio::process::Command;
use tokio::sync::Mutex;
use wire::Build;
use wire::daemon::{Assignment, BinaryRecord};
use wire::member::Binary;

/// How deep below the versions directory binaries are looked for.
const DEPTH: u32 = 4;
/// How long a binary may take to describe itself.
const DESCRIBE_PATIENCE: Duration = Duration::from_secs(5);

/// Node, length and time of a file: as long as they are the same, so are its bytes.
type Mark = (u64, u64, i64, i64);

/// What was found at a path, as long as the file is the same.
#[derive(Clone, Debug)]
struct Known {
    mark: Mark,
    record: Result<(BinaryRecord, PathBuf), String>,
}

#[derive(Debug)]
pub(super) struct Catalogue {
    versions: PathBuf,
    copies: PathBuf,
    known: BTreeMap<PathBuf, Known>,
}

impl Catalogue {
    pub(super) fn new(versions: PathBuf, state: PathBuf) -> Catalogue {
        Catalogue {
            versions,
            copies: state.join("binaries"),
            known: BTreeMap::new(),
        }
    }

    /// Everything that can be started.
    pub(super) async fn look(catalogue: Arc<Mutex<Catalogue>>) -> Vec<BinaryRecord> {
        let mut catalogue = catalogue.lock().await;
        catalogue.refresh().await;
        let known = catalogue
            .known
            .values()
            .filter_map(|known| known.record.as_ref().ok());
        let mut records: Vec<BinaryRecord> = known.map(|(record, _)| record.clone()).collect();
        records.sort_by(|a, b| (&a.service, &a.binary).cmp(&(&b.service, &b.binary)));
        records.dedup();
        records
    }

    /// The private copy of what an assignment names, and its build.
    pub(super) async fn find(
        catalogue: Arc<Mutex<Catalogue>>,
        assignment: &Assignment,
    ) -> Result<(PathBuf, Build), String> {
        let mut catalogue = catalogue.lock().await;
        catalogue.refresh().await;
        let known = || {
            catalogue
                .known
                .values()
                .filter_map(|known| known.record.as_ref().ok())
        };
        let found = known().find(|(record, _)| {
            record.service == assignment.service
                && record.binary.version == assignment.version
                && assignment
                    .build
                    .is_none_or(|build| build == record.binary.build)
        });
        if let Some((record, path)) = found {
            return Ok((path.clone(), record.binary.build));
        }
        let wanted = match assignment.build {
            Some(build) => format!(
                "{} {} ({})",
                assignment.service,
                assignment.version,
                build.short()
            ),
            None => format!("{} {}", assignment.service, assignment.version),
        };
        let here: Vec<String> = known()
            .map(|(record, _)| format!("{} {}", record.service, record.binary))
            .collect();
        let faults: Vec<String> = catalogue
            .known
            .iter()
            .filter_map(|(path, known)| Some((path, known.record.as_ref().err()?)))
            .map(|(path, why)| format!("; {}: {why}", path.display()))
            .collect();
        Err(format!(
            "{wanted} does not lie below {}; there are: {}{}. Put the binary there",
            catalogue.versions.display(),
            if here.is_empty() {
                "none".to_owned()
            } else {
                here.join(", ")
            },
            faults.concat(),
        ))
    }

    async fn refresh(&mut self) {
        let mut files = Vec::new();
        executables(&self.versions, DEPTH, &mut files);
        let mut known = BTreeMap::new();
        for (path, mark) in files {
            let same = self.known.remove(&path).filter(|known| known.mark == mark);
            let entry = match same {
                Some(entry) => entry,
                None => Known {
                    mark,
                    record: self.describe(&path).await,
                },
            };
            known.insert(path, entry);
        }
        self.known = known;
    }

    async fn describe(&self, path: &Path) -> Result<(BinaryRecord, PathBuf), String> {
        let fault = |error: std::io::Error| error.to_string();
        let bytes = tokio::fs::read(path).await.map_err(fault)?;
        let build = Build::of(&bytes);
        std::fs::create_dir_all(&self.copies).map_err(fault)?;
        let copy = self.copies.join(build.to_string());
        if !copy.exists() {
            let beside = copy.with_extension("new");
            std::fs::write(&beside, &bytes).map_err(fault)?;
            std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o755))
                .map_err(fault)?;
            std::fs::rename(&beside, &copy).map_err(fault)?;
        }
        let said = Command::new(&copy)
            .arg("--describe")
            .kill_on_drop(true)
            .output();
        let said = tokio::time::timeout(DESCRIBE_PATIENCE, said)
            .await
            .map_err(|_| "it does not answer to --describe in time".to_owned())?
            .map_err(fault)?;
        if !said.status.success() {
            return Err(format!("--describe ends with {}", said.status));
        }
        let description: Description = serde_json::from_slice(&said.stdout)
            .map_err(|error| format!("--describe does not print a description: {error}"))?;
        let binary = Binary {
            version: description.version,
            build,
        };
        Ok((
            BinaryRecord {
                service: description.service,
                binary,
            },
            copy,
        ))
    }
}

fn executables(directory: &Path, depth: u32, found: &mut Vec<(PathBuf, Mark)>) {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(metadata) = std::fs::metadata(&path) else {
            continue;
        };
        if metadata.is_dir() {
            if depth > 0 {
                executables(&path, depth - 1, found);
            }
        } else if metadata.permissions().mode() & 0o111 != 0 {
            let mark = (
                metadata.ino(),
                metadata.len(),
                metadata.mtime(),
                metadata.mtime_nsec(),
            );
            found.push((path, mark));
        }
    }
}
