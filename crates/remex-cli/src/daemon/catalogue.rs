//! The binaries that lie on this host: every executable below the versions directory that describes
//! itself as a service.
//!
//! A binary is named by the digest of its bytes. What is started is a private copy under that
//! digest, so that a file that is replaced meanwhile changes nothing. Anything may lie there: what is
//! no service is executed all the same, once, so that it gets no input, little time and little room.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use replica::Description;
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;
use tokio::process::Command;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use wire::Build;
use wire::daemon::{Assignment, BinaryRecord};
use wire::member::Binary;

use crate::outcome::told;

/// How deep below the versions directory binaries are looked for.
const DEPTH: u32 = 4;
/// How long a binary may take to describe itself. All new ones are asked at once: whoever asks the
/// daemon waits for the slowest, and is more patient than this.
const DESCRIBE_PATIENCE: Duration = Duration::from_secs(5);
/// The longest description: what prints without end must not fill our memory.
const DESCRIPTION_MAX: u64 = 4 << 20;
/// After this time a file that could not be examined is tried again: the fault may have been this
/// busy machine's. Not at once, so that a file that hangs does not slow everything that is asked.
const RETRY_AFTER: Duration = Duration::from_secs(30);
/// Files that are no service are told to whoever misses one, up to this many.
const FAULTS_TOLD: usize = 8;
/// Bytes copied at once.
const PIECE: usize = 1 << 20;

/// Node, length and time of a file: as long as they are the same, so are its bytes.
type Mark = (u64, u64, i64, i64);

/// What was found at a path, as long as the file is the same.
#[derive(Clone, Debug)]
struct Known {
    mark: Mark,
    record: Result<(BinaryRecord, PathBuf), Fault>,
}

/// Why a file is none that can be started.
#[derive(Clone, Debug, thiserror::Error)]
enum Fault {
    /// It is no service, and will be none as long as it is the same file.
    #[error("{0}")]
    Refused(String),
    /// It could not be examined; when to try again.
    #[error("{why}")]
    Unexamined { why: String, again: Instant },
}

impl Fault {
    fn unexamined(why: impl ToString) -> Fault {
        Fault::Unexamined {
            why: why.to_string(),
            again: Instant::now() + RETRY_AFTER,
        }
    }

    /// Whether it stands as long as the file is the same.
    fn stands(&self) -> bool {
        match self {
            Fault::Refused(_) => true,
            Fault::Unexamined { again, .. } => Instant::now() < *again,
        }
    }
}

#[derive(Debug)]
pub(super) struct Catalogue {
    versions: PathBuf,
    copies: PathBuf,
    /// How long a binary may take to describe itself.
    patience: Duration,
    known: BTreeMap<PathBuf, Known>,
    /// Files that cannot be executed.
    unusable: BTreeSet<PathBuf>,
}

impl Catalogue {
    pub(super) fn new(versions: PathBuf, state: PathBuf) -> Catalogue {
        Catalogue {
            versions,
            copies: state.join("binaries"),
            patience: DESCRIBE_PATIENCE,
            known: BTreeMap::new(),
            unusable: BTreeSet::new(),
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
        let here: BTreeSet<String> = known()
            .map(|(record, _)| format!("{} {}", record.service, record.binary))
            .collect();
        let here = Vec::from_iter(here);
        Err(format!(
            "{wanted} does not lie below {}; there are: {}{}. Put the binary there",
            catalogue.versions.display(),
            if here.is_empty() {
                "none".to_owned()
            } else {
                here.join(", ")
            },
            catalogue.faults(),
        ))
    }

    /// What else lies there, and why it cannot be started.
    fn faults(&self) -> String {
        let refused = self
            .known
            .iter()
            .filter_map(|(path, known)| Some((path, known.record.as_ref().err()?.to_string())));
        let why = "it is not executable; chmod +x makes it so";
        let unusable = self.unusable.iter().map(|path| (path, why.to_owned()));
        let faults = refused.chain(unusable);
        let more = faults.clone().count().saturating_sub(FAULTS_TOLD);
        let told = faults.take(FAULTS_TOLD);
        let mut told: Vec<String> = told
            .map(|(path, why)| format!("; {}: {why}", path.display()))
            .collect();
        if more > 0 {
            told.push(format!("; and {more} other files that are no service"));
        }
        told.concat()
    }

    async fn refresh(&mut self) {
        let mut files = Vec::new();
        let mut unusable = BTreeSet::new();
        files_below(&self.versions, DEPTH, &mut BTreeSet::new(), &mut files);
        let mut known = BTreeMap::new();
        let mut asked = JoinSet::new();
        for (path, mark, executable) in files {
            // Not among what is known: the right to execute changes no mark.
            if !executable {
                unusable.insert(path);
                continue;
            }
            let same = self.known.remove(&path).filter(|known| {
                let stands = known.record.as_ref().err().is_none_or(Fault::stands);
                known.mark == mark && stands
            });
            if let Some(same) = same {
                known.insert(path, same);
                continue;
            }
            // Copied one after the other: a copy is not executed while a file is open for writing
            // that a process which is being started would keep open for a moment.
            let (from, copies) = (path.clone(), self.copies.clone());
            let copied = tokio::task::spawn_blocking(move || copy(&from, &copies)).await;
            match copied {
                Ok(Ok((build, copy))) => {
                    let patience = self.patience;
                    asked.spawn(async move {
                        let record = describe(build, copy, patience).await;
                        (path, Known { mark, record })
                    });
                }
                Ok(Err(error)) => {
                    let record = Err(Fault::unexamined(told(&error)));
                    known.insert(path, Known { mark, record });
                }
                // The daemon is ending.
                Err(_) => {}
            }
        }
        while let Some(answer) = asked.join_next().await {
            known.extend(answer);
        }
        self.known = known;
        self.unusable = unusable;
    }
}

/// The private copy of a file, under the digest of its bytes.
fn copy(from: &Path, copies: &Path) -> io::Result<(Build, PathBuf)> {
    fs::create_dir_all(copies)?;
    let beside = copies.join("new");
    let mut file = File::open(from)?;
    let mut written = File::create(&beside)?;
    let mut digest = Sha256::new();
    let mut piece = vec![0; PIECE];
    loop {
        let read = file.read(&mut piece)?;
        if read == 0 {
            break;
        }
        digest.update(&piece[..read]);
        written.write_all(&piece[..read])?;
    }
    drop(written);
    let build = Build(digest.finalize().into());
    let copy = copies.join(build.to_string());
    if copy.exists() {
        fs::remove_file(&beside)?;
    } else {
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o755))?;
        fs::rename(&beside, &copy)?;
    }
    Ok((build, copy))
}

/// Asks a binary what it is.
async fn describe(
    build: Build,
    copy: PathBuf,
    patience: Duration,
) -> Result<(BinaryRecord, PathBuf), Fault> {
    let described = tokio::time::timeout(patience, described(&copy));
    let late = |_| Fault::unexamined("it does not answer to --describe in time");
    let Description {
        service, version, ..
    } = described.await.map_err(late)??;
    let binary = Binary { version, build };
    Ok((BinaryRecord { service, binary }, copy))
}

async fn described(copy: &Path) -> Result<Description, Fault> {
    let mut child = Command::new(copy)
        .arg("--describe")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| {
            // Another machine's code, or no code at all.
            if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) {
                return Fault::Refused(error.to_string());
            }
            Fault::unexamined(error)
        })?;
    let mut said = Vec::new();
    if let Some(output) = child.stdout.take() {
        let mut output = output.take(DESCRIPTION_MAX + 1);
        let read = output.read_to_end(&mut said).await;
        read.map_err(Fault::unexamined)?;
    }
    if said.len() as u64 > DESCRIPTION_MAX {
        let why = format!("--describe prints more than {DESCRIPTION_MAX} bytes");
        return Err(Fault::Refused(why));
    }
    let status = child.wait().await.map_err(Fault::unexamined)?;
    if !status.success() {
        return Err(Fault::Refused(format!("--describe ends with {status}")));
    }
    understood(&said)
}

fn understood(said: &[u8]) -> Result<Description, Fault> {
    serde_json::from_slice(said).map_err(|error| {
        Fault::Refused(format!("--describe does not print a description: {error}"))
    })
}

/// The files below a directory, and whether they are executable; each directory once: links may lead
/// around in a circle.
fn files_below(
    directory: &Path,
    depth: u32,
    seen: &mut BTreeSet<(u64, u64)>,
    found: &mut Vec<(PathBuf, Mark, bool)>,
) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    if let Ok(itself) = fs::metadata(directory)
        && !seen.insert((itself.dev(), itself.ino()))
    {
        return;
    }
    for entry in entries.flatten() {
        let path = entry.path();
        let Ok(metadata) = fs::metadata(&path) else {
            continue;
        };
        if metadata.is_dir() {
            if depth > 0 {
                files_below(&path, depth - 1, seen, found);
            }
        } else if metadata.is_file() {
            let mark = (
                metadata.ino(),
                metadata.len(),
                metadata.mtime(),
                metadata.mtime_nsec(),
            );
            let executable = metadata.permissions().mode() & 0o111 != 0;
            found.push((path, mark, executable));
        }
    }
}
