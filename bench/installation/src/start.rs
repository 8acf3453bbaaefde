//! Starting an installation, and ending everything that came of it.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde::Deserialize;
use wire::Version;
use wire::daemon::{Assignment, Foundation, HostRecord, Role};
use wire::status::GroupStatus;

use crate::line::LineError;
use crate::{Daemon, Group, Inventory, process};

/// How long the daemons may take to answer, and a new group to be complete: starting a process
/// takes milliseconds, but this machine may be building something else.
const START_PATIENCE: Duration = Duration::from_secs(20);
/// How long the installation may take to end by itself before its processes are killed.
const STOP_PATIENCE: Duration = Duration::from_secs(8);
/// Between two looks at something that is awaited.
const LOOK: Duration = Duration::from_millis(20);
/// The layers of the groups that are founded here: all of the paper's.
const STACK: &str = "PGMS:EGMI:Recovery:Upgrade";

/// Daemons on this machine, all of whose processes come from one directory.
#[derive(Debug)]
pub struct Installation {
    directory: PathBuf,
    development: Child,
    hosts: Vec<HostRecord>,
    /// Daemons that were started again: they are ours to end.
    daemons: Vec<Child>,
}

/// Why an installation or a group does not come up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A file or a process.
    #[error("{what}: {why}")]
    System {
        /// What was attempted.
        what: String,
        /// What the system says.
        why: io::Error,
    },
    /// Somebody else uses the directory.
    #[error("processes {processes:?} still run from {directory}; wait for them or end them")]
    Occupied {
        /// The directory.
        directory: PathBuf,
        /// Their numbers.
        processes: Vec<u32>,
    },
    /// `remex dev` ended.
    #[error("`remex dev` ended by itself ({how}); its last words:\n{words}")]
    Ended {
        /// How.
        how: String,
        /// What it printed last.
        words: String,
    },
    /// It took too long.
    #[error("{what} did not happen within {START_PATIENCE:?}: {last}")]
    Late {
        /// What was awaited.
        what: String,
        /// What was seen last.
        last: String,
    },
    /// A daemon or a member.
    #[error(transparent)]
    Line(#[from] LineError),
}

/// What `remex dev` writes down, as far as it matters here.
#[derive(Debug, Deserialize)]
struct Development {
    hosts: Vec<HostRecord>,
}

/// What a daemon writes down of itself, as far as it matters here.
#[derive(Debug, Deserialize)]
struct DaemonFile {
    process: u32,
}

impl Installation {
    /// Starts `hosts` daemons in `directory`, which is emptied first, with copies of these
    /// binaries: `remex` itself, and the versions that can be run.
    ///
    /// # Errors
    /// See [`StartError`]; nothing is left running.
    pub fn start(
        directory: &Path,
        remex: &Path,
        versions: &[&Path],
        hosts: u32,
    ) -> Result<Installation, StartError> {
        let processes = process::running_from(directory);
        if !processes.is_empty() {
            let directory = directory.to_owned();
            return Err(StartError::Occupied {
                directory,
                processes,
            });
        }
        let remex = lay_out(directory, remex, versions)?;
        let log = directory.join("dev.log");
        let opened = File::create(&log).and_then(|out| Ok((out.try_clone()?, out)));
        let (out, err) = opened.map_err(system(format!("creating {}", log.display())))?;
        let development = Command::new(&remex)
            .arg("dev")
            .args(["--hosts", &hosts.to_string()])
            .arg("--versions")
            .arg(directory.join("versions"))
            .arg("--state")
            .arg(directory.join("state"))
            // Ctrl-C is its starter's to answer: it ends the installation in order.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(system(format!("starting {}", remex.display())))?;
        // From here on dropping the value ends what was started.
        let mut installation = Installation {
            directory: directory.to_owned(),
            development,
            hosts: Vec::new(),
            daemons: Vec::new(),
        };
        installation.hosts = installation.await_hosts(hosts as usize)?;
        Ok(installation)
    }

    /// The hosts and their daemons.
    pub fn hosts(&self) -> &[HostRecord] {
        &self.hosts
    }

    /// Where its processes keep what they write.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The process of a host's daemon, as the last one that listened there wrote it down.
    ///
    /// # Errors
    /// There is no such host, or it wrote nothing.
    pub fn daemon_process(&self, host: &str) -> Result<u32, StartError> {
        let file = self.state(host).join("daemon.json");
        let read = fs::read_to_string(&file).map_err(system(format!("reading {}", file.display())));
        let written: DaemonFile = serde_json::from_str(&read?)
            .map_err(|why| system(format!("reading {}", file.display()))(why.into()))?;
        Ok(written.process)
    }

    /// Starts a host's daemon again, after the one before it ended; its process. It may take a while
    /// until it answers.
    ///
    /// # Errors
    /// There is no such host, or the process does not start.
    pub fn start_daemon(&mut self, host: &str) -> Result<u32, StartError> {
        // Those that ended meanwhile are reaped, so that they do not count as running.
        self.daemons
            .retain_mut(|daemon| !matches!(daemon.try_wait(), Ok(Some(_))));
        let what = format!("starting the daemon of {host}");
        let record = self.hosts.iter().find(|record| record.name == host);
        let record = record.ok_or_else(|| system(what.clone())(io::ErrorKind::NotFound.into()))?;
        let state = self.state(host);
        let log = File::options().append(true).open(state.join("daemon.log"));
        let opened = log.and_then(|out| Ok((out.try_clone()?, out)));
        let (out, err) = opened.map_err(system(what.clone()))?;
        let daemon = Command::new(self.directory.join("remex"))
            .args(["daemon", "--host", host])
            .args(["--ip", &record.daemon.ip().to_string()])
            .args(["--port", &record.daemon.port().to_string()])
            .arg("--versions")
            .arg(self.directory.join("versions"))
            .arg("--state")
            .arg(state)
            // As with the others, Ctrl-C is its starter's to answer.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            .spawn()
            .map_err(system(what))?;
        let process = daemon.id();
        self.daemons.push(daemon);
        Ok(process)
    }

    fn state(&self, host: &str) -> PathBuf {
        self.directory.join("state").join(host)
    }

    /// What a process on one of the hosts printed, by line; its daemon keeps it.
    pub fn printed(&self, host: &str, process: u32) -> Vec<String> {
        let log = self.state(host).join("logs").join(format!("{process}.log"));
        let text = fs::read_to_string(&log).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Founds a group and waits until it has all its members.
    ///
    /// # Errors
    /// See [`StartError`].
    pub fn found(
        &mut self,
        group: &str,
        service: &str,
        version: &Version,
        initial: u32,
    ) -> Result<Group, StartError> {
        let first = Daemon::at(self.hosts[0].daemon).start(Assignment {
            group: group.to_owned(),
            service: service.to_owned(),
            version: version.clone(),
            build: None,
            role: Role::Found(Foundation {
                stack: STACK.to_owned(),
                initial,
                minimal: u32::from(initial > 1),
                hosts: self.hosts.clone().into(),
            }),
        });
        let (founder, _) = first?;
        let contact = self.await_value(&format!("\"{group}\" listening"), |hosts| {
            address(hosts, founder)
        })?;
        let mut asked = Group::at(group, vec![contact]);
        self.await_value(&format!("\"{group}\" with {initial} members"), |_| {
            let status = asked.status().map_err(|why| why.to_string())?;
            complete(&status, initial)
        })?;
        Ok(asked)
    }

    /// Ends all of its processes and waits until they are gone; which had to be killed.
    pub fn stop(&mut self) -> Vec<u32> {
        if self
            .development
            .try_wait()
            .is_ok_and(|ended| ended.is_none())
        {
            // It may end in this very moment.
            let _ = process::terminate(self.development.id());
        }
        let until = Instant::now() + STOP_PATIENCE;
        loop {
            // Reaps it, so that it does not count as running.
            if let Ok(Some(_)) = self.development.try_wait() {
                // It asks all daemons to end their replicas, and ends only those that it started.
                self.daemons.retain_mut(|daemon| {
                    let ended = matches!(daemon.try_wait(), Ok(Some(_)));
                    if !ended {
                        let _ = process::terminate(daemon.id());
                    }
                    !ended
                });
            }
            let left = process::running_from(&self.directory);
            if left.is_empty() {
                return Vec::new();
            }
            if Instant::now() >= until {
                for process in &left {
                    // It may end in this very moment.
                    let _ = process::kill(*process);
                }
                let _ = self.development.wait();
                for mut daemon in self.daemons.drain(..) {
                    let _ = daemon.wait();
                }
                return left;
            }
            thread::sleep(LOOK);
        }
    }

    fn await_hosts(&mut self, count: usize) -> Result<Vec<HostRecord>, StartError> {
        let record = self.directory.join("state").join("dev.json");
        self.await_value("the daemons answering", |_| {
            let text = fs::read_to_string(&record).map_err(|why| why.to_string())?;
            let development: Development =
                serde_json::from_str(&text).map_err(|why| why.to_string())?;
            let hosts = development.hosts;
            for host in &hosts {
                let answer = Daemon::at(host.daemon).inventory();
                answer.map_err(|why| why.to_string())?;
            }
            if hosts.len() == count {
                Ok(hosts)
            } else {
                Err(format!("{} of {count} hosts", hosts.len()))
            }
        })
    }

    /// Looks until there is a value; `look` says what is missing.
    fn await_value<T>(
        &mut self,
        what: &str,
        mut look: impl FnMut(&[HostRecord]) -> Result<T, String>,
    ) -> Result<T, StartError> {
        let until = Instant::now() + START_PATIENCE;
        loop {
            let last = match look(&self.hosts) {
                Ok(value) => return Ok(value),
                Err(missing) => missing,
            };
            if let Ok(Some(how)) = self.development.try_wait() {
                return Err(StartError::Ended {
                    how: how.to_string(),
                    words: last_lines(&self.directory.join("dev.log"), 20),
                });
            }
            if Instant::now() >= until {
                let what = what.to_owned();
                return Err(StartError::Late { what, last });
            }
            thread::sleep(LOOK);
        }
    }
}

impl Drop for Installation {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Empties the directory and copies the binaries; where `remex` lies then.
fn lay_out(directory: &Path, remex: &Path, versions: &[&Path]) -> Result<PathBuf, StartError> {
    let at = |path: &Path| path.display().to_string();
    match fs::remove_dir_all(directory) {
        Err(why) if why.kind() != io::ErrorKind::NotFound => {
            return Err(system(format!("emptying {}", at(directory)))(why));
        }
        Ok(()) | Err(_) => {}
    }
    let copied = directory.join("remex");
    let lies = directory.join("versions");
    fs::create_dir_all(&lies).map_err(system(format!("creating {}", at(&lies))))?;
    let named = versions
        .iter()
        .filter_map(|from| Some((*from, lies.join(from.file_name()?))));
    for (from, to) in named.chain([(remex, copied.clone())]) {
        fs::copy(from, &to).map_err(system(format!("copying {} to {}", at(from), at(&to))))?;
    }
    Ok(copied)
}

/// Where a process listens, once its daemon knows.
fn address(hosts: &[HostRecord], wanted: u32) -> Result<SocketAddr, String> {
    let inventories = hosts.iter().map(|host| Daemon::at(host.daemon).inventory());
    let replicas = inventories
        .flatten()
        .flat_map(|Inventory { replicas, .. }| replicas);
    let mut wanted = replicas.filter(|replica| replica.process == wanted);
    let replica = wanted
        .next()
        .ok_or("its process is gone; see its output in the state directory")?;
    replica
        .address
        .ok_or_else(|| "it has not said where it listens".to_owned())
}

/// Whether a group has all its members, all of them serving.
fn complete(status: &GroupStatus, initial: u32) -> Result<(), String> {
    let serving = status
        .members
        .iter()
        .filter(|member| member.doing == "serving")
        .count();
    if serving == initial as usize && status.members.len() == serving && status.joiners.is_empty() {
        return Ok(());
    }
    let waits = status.waits.join("; ");
    Err(format!("{serving} members serve; {waits}"))
}

fn system(what: String) -> impl FnOnce(io::Error) -> StartError {
    move |why| StartError::System { what, why }
}

/// The last lines of a file, for an error; what can be read of it.
fn last_lines(path: &Path, count: usize) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
