//! Processes: started in a session of their own so that they outlive the daemon, watched by a
//! descriptor that names the process and not only its number, and found again by a new daemon.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags};
use rustix::process::{Pid, PidfdFlags, Signal, WaitOptions};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, mpsc};
use wire::daemon::Assignment;
use wire::{Build, MemberId};

use ::daemon::Who;

use super::catalogue::Catalogue;
use super::{News, log_file};
use crate::DaemonArgs;
use crate::installation::write_whole;
use crate::outcome::told;

/// The record of a started process: what a new daemon needs to take it over.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    schema: u32,
    process: u32,
    /// When it started, by the system's clock ticks: a number that is used again is another one.
    started: u64,
    /// Which boot of the system that was.
    boot: String,
    build: Build,
    assignment: Assignment,
    /// Which member it is, once it has said so.
    #[serde(default)]
    who: Option<RecordOfMember>,
}

#[derive(Debug, Serialize, Deserialize)]
struct RecordOfMember {
    group: String,
    incarnation: u64,
    member: MemberId,
}

/// What an earlier daemon of this host has left.
pub(super) struct Found {
    /// Processes that run.
    pub(super) running: Vec<(u32, Assignment, Build)>,
    /// Members whose processes do not run any more.
    pub(super) gone: Vec<Who>,
}

/// What is about to be started: it is on disk before the process is there, so that a daemon that is
/// killed in between leaves no replica behind that nobody knows.
#[derive(Debug, Serialize, Deserialize)]
struct Intent {
    schema: u32,
    boot: String,
    build: Build,
    assignment: Assignment,
}

/// The variable in a replica's environment by which its intent is found again.
const START: &str = "REMEX_START";
/// What the files of intents are called: this, the start's mark, and `.json`.
const INTENT: &str = "start-";

/// Output files that are kept of processes that have ended.
const LOGS_KEPT: usize = 64;

pub(super) struct Processes {
    host: String,
    ip: std::net::IpAddr,
    state: PathBuf,
    socket: PathBuf,
    news: mpsc::UnboundedSender<News>,
}

impl Processes {
    pub(super) fn new(
        args: &DaemonArgs,
        state: &Path,
        socket: &Path,
        news: mpsc::UnboundedSender<News>,
    ) -> Processes {
        Processes {
            host: args.host.clone(),
            ip: args.ip,
            state: state.to_owned(),
            socket: socket.to_owned(),
            news,
        }
    }

    /// Starts a binary and says what came of it.
    pub(super) fn spawn(
        &self,
        start: u64,
        assignment: Assignment,
        catalogue: Arc<Mutex<Catalogue>>,
    ) {
        let (host, ip) = (self.host.clone(), self.ip);
        let (state, socket) = (self.state.clone(), self.socket.clone());
        let news = self.news.clone();
        tokio::spawn(async move {
            let started = async {
                let (binary, build) = Catalogue::find(catalogue, &assignment).await?;
                let mark = intend(&state, start, build, &assignment)?;
                let process =
                    start_process(&binary, &assignment, &host, ip, &state, &socket, &mark);
                if process.is_err()
                    || process
                        .as_ref()
                        .is_ok_and(|process| record(&state, *process, build, &assignment))
                {
                    let _ = std::fs::remove_file(intent_file(&state, &mark));
                }
                Ok::<_, String>((process?, build))
            };
            let said = match started.await {
                Ok((process, build)) => News::Started(start, process, build),
                Err(why) => News::NotStarted(start, why),
            };
            // The daemon may be ending; a new one finds the record.
            let _ = news.send(said);
        });
    }

    /// Says when a process ends, whether it is our child or not.
    pub(super) fn watch(&self, process: u32) {
        self.watch_for(process, false);
    }

    /// The same for one that is known by its registration alone.
    pub(super) fn watch_met(&self, process: u32) {
        self.watch_for(process, true);
    }

    fn watch_for(&self, process: u32, met: bool) {
        let news = self.news.clone();
        tokio::spawn(async move {
            let how = wait(process, met).await;
            let _ = news.send(News::Ended(process, how));
        });
    }

    /// Writes down which member a process is by now.
    pub(super) fn remember(&self, process: u32, who: Who) {
        let file = record_file(&self.state, process);
        let record = std::fs::read(&file)
            .ok()
            .and_then(|bytes| read::<Record>(&bytes));
        if let Some(mut record) = record {
            record.who = Some(RecordOfMember {
                group: who.group,
                incarnation: who.incarnation,
                member: who.member,
            });
            // Without it a death that no daemon watches is never told for certain.
            let _ = serde_json::to_string(&record).map(|text| write_whole(&file, &text));
        }
    }

    /// The recorded processes: those that still run, and those that do not.
    pub(super) fn found(&self) -> Found {
        let mut running = Vec::new();
        let mut gone = Vec::new();
        let Ok(entries) = std::fs::read_dir(self.state.join("replicas")) else {
            return Found { running, gone };
        };
        let entries: Vec<_> = entries.flatten().collect();
        for entry in &entries {
            if let Some(mark) = mark_of(&entry.file_name()) {
                running.extend(fulfilled(&self.state, &entry.path(), &mark));
            }
        }
        for entry in entries {
            if mark_of(&entry.file_name()).is_some() {
                continue;
            }
            let record = std::fs::read(entry.path())
                .ok()
                .and_then(|bytes| read::<Record>(&bytes));
            match record {
                Some(record) if runs(&record) == Some(true) => {
                    running.push((record.process, record.assignment, record.build));
                }
                // It may run, and nobody can tell: it is neither ours nor certainly dead.
                Some(record) if runs(&record).is_none() => {}
                Some(record) => {
                    gone.extend(record.who.map(|who| Who {
                        group: who.group,
                        incarnation: who.incarnation,
                        member: who.member,
                    }));
                    let _ = std::fs::remove_file(entry.path());
                }
                // A file of another release is left for that release.
                None => {}
            }
        }
        // Its daemon may have ended between writing the record and forgetting the intent.
        running.sort_by_key(|(process, _, _)| *process);
        running.dedup_by_key(|(process, _, _)| *process);
        Found { running, gone }
    }

    pub(super) fn forget(&self, process: u32) {
        let _ = std::fs::remove_file(record_file(&self.state, process));
        let Ok(entries) = std::fs::read_dir(self.state.join("logs")) else {
            return;
        };
        // Whose record is there may still write.
        let runs = |log: &Path| {
            let process = log.file_stem().and_then(|stem| stem.to_str()?.parse().ok());
            process.is_some_and(|process| record_file(&self.state, process).exists())
        };
        let mut logs: Vec<_> = entries
            .flatten()
            .filter(|entry| !runs(&entry.path()))
            .filter_map(|entry| Some((entry.metadata().ok()?.modified().ok()?, entry.path())))
            .collect();
        logs.sort();
        let surplus = logs.len().saturating_sub(LOGS_KEPT);
        for (_, log) in logs.into_iter().take(surplus) {
            let _ = std::fs::remove_file(log);
        }
    }

    pub(super) fn has_output(&self, process: u32) -> bool {
        log_file(&self.state, process).exists()
    }

    /// The last lines that a process printed.
    pub(super) fn lines(&self, process: u32, count: usize) -> Vec<String> {
        let bytes = std::fs::read(log_file(&self.state, process)).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        let skip = lines.len().saturating_sub(count);
        lines.into_iter().skip(skip).map(str::to_owned).collect()
    }
}

fn start_process(
    binary: &Path,
    assignment: &Assignment,
    host: &str,
    ip: std::net::IpAddr,
    state: &Path,
    socket: &Path,
    mark: &str,
) -> Result<u32, String> {
    let fault =
        |what: &'static str| move |error: std::io::Error| format!("{what}: {}", told(&error));
    let logs = state.join("logs");
    std::fs::create_dir_all(&logs).map_err(fault("the directory of logs"))?;
    let starting = logs.join(format!("starting-{}", std::process::id()));
    let log = std::fs::File::create(&starting).map_err(fault("a log file"))?;
    let text = serde_json::to_string(assignment).map_err(|error| error.to_string())?;
    let mut command = std::process::Command::new(binary);
    command
        .args([
            "--assignment",
            &text,
            "--host",
            host,
            "--ip",
            &ip.to_string(),
        ])
        .arg("--daemon")
        .arg(socket)
        .env(START, mark)
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(fault("a log file"))?)
        .stderr(log);
    // A group of its own: what ends the daemon does not end the replica.
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let child = command
        .spawn()
        .map_err(|error| format!("{}: {}", binary.display(), told(&error)))?;
    let process = child.id();
    std::fs::rename(starting, log_file(state, process)).map_err(fault("a log file"))?;
    Ok(process)
}

fn record_file(state: &Path, process: u32) -> PathBuf {
    state.join("replicas").join(format!("{process}.json"))
}

/// What stands in a file of ours; nothing if it is no such file.
fn read<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    serde_json::from_slice(bytes).ok()
}

/// Writes down what is about to be started; the mark under which it is found again.
fn intend(
    state: &Path,
    start: u64,
    build: Build,
    assignment: &Assignment,
) -> Result<String, String> {
    let daemon = std::process::id();
    let began = started(daemon).unwrap_or(0);
    let mark = format!("{daemon}-{began}-{start}");
    let intent = Intent {
        schema: 1,
        boot: boot(),
        build,
        assignment: assignment.clone(),
    };
    let file = intent_file(state, &mark);
    let text = serde_json::to_string(&intent).map_err(|error| error.to_string())?;
    let unwritten =
        |why: String| format!("the start cannot be written down, so nothing was started: {why}");
    std::fs::create_dir_all(state.join("replicas")).map_err(|why| unwritten(told(&why)))?;
    write_whole(&file, &text).map_err(|why| unwritten(why.to_string()))?;
    Ok(mark)
}

fn intent_file(state: &Path, mark: &str) -> PathBuf {
    state.join("replicas").join(format!("{INTENT}{mark}.json"))
}

fn mark_of(file: &std::ffi::OsStr) -> Option<String> {
    let name = file.to_str()?.strip_prefix(INTENT)?;
    Some(name.strip_suffix(".json")?.to_owned())
}

/// The process that an intent led to, if it runs: what its daemon could not write down any more is
/// written down now. An intent of another boot, or without a process, is over.
fn fulfilled(state: &Path, file: &Path, mark: &str) -> Option<(u32, Assignment, Build)> {
    let bytes = std::fs::read(file).ok()?;
    // A file of another release is left for that release.
    let intent: Intent = read(&bytes)?;
    let process = (intent.boot == boot()).then(|| carrying(mark)).flatten();
    let written =
        process.is_none_or(|process| record(state, process, intent.build, &intent.assignment));
    if written {
        let _ = std::fs::remove_file(file);
    }
    Some((process?, intent.assignment, intent.build))
}

/// The process that was started under this mark.
fn carrying(mark: &str) -> Option<u32> {
    let wanted = format!("{START}={mark}").into_bytes();
    let entries = std::fs::read_dir("/proc").ok()?;
    let processes = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    processes.into_iter().find(|process: &u32| {
        let environment = std::fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == wanted)
            && started(*process).is_some()
    })
}

/// Whether the record was written.
fn record(state: &Path, process: u32, build: Build, assignment: &Assignment) -> bool {
    let record = Record {
        schema: 1,
        process,
        started: started(process).unwrap_or(0),
        boot: boot(),
        build,
        assignment: assignment.clone(),
        who: None,
    };
    // Without it the intent stays, and does as well.
    serde_json::to_string(&record)
        .is_ok_and(|text| write_whole(&record_file(state, process), &text).is_ok())
}

/// Whether a recorded process runs, if that can be known: what cannot be read proves no death.
fn runs(record: &Record) -> Option<bool> {
    let boot = boot();
    if boot.is_empty() || record.boot.is_empty() {
        return None;
    }
    if record.boot != boot {
        return Some(false);
    }
    match std::fs::read_to_string(format!("/proc/{}/stat", record.process)) {
        Ok(_) if record.started == 0 => None,
        Ok(_) => Some(started(record.process) == Some(record.started)),
        Err(error) => {
            let gone = error.kind() == std::io::ErrorKind::NotFound
                || error.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error());
            gone.then_some(false)
        }
    }
}

fn boot() -> String {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    id.trim().to_owned()
}

/// When a process started, or nothing if it does not run (any more).
fn started(process: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The second field is the name in brackets, which may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    if state == "Z" {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

fn pid(process: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(process).ok()?)
}

/// How often a process is looked at that cannot be waited for, because descriptors are short.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Waits for the end of a process, and says how it ended. What cannot be found out is no end: others
/// take our word for certain, and go on without that member.
async fn wait(process: u32, met: bool) -> String {
    let waited = tokio::task::spawn_blocking(move || end_of(process, met));
    match waited.await {
        Ok(Some(how)) => how,
        Ok(None) | Err(_) => std::future::pending().await,
    }
}

/// Nothing if it cannot be known. `met`: it is known by its own word alone, which may be about
/// another system's numbers.
fn end_of(process: u32, met: bool) -> Option<String> {
    let pid = pid(process)?;
    let gone = || reap(pid).unwrap_or_else(|| "it is gone".to_owned());
    loop {
        match rustix::process::pidfd_open(pid, PidfdFlags::empty()) {
            Ok(descriptor) => {
                let mut ready = [PollFd::new(&descriptor, PollFlags::IN)];
                // Readable means ended; an interruption is no end.
                loop {
                    match rustix::event::poll(&mut ready, None) {
                        Ok(count) if count > 0 => return Some(gone()),
                        Ok(_) | Err(rustix::io::Errno::INTR) => {}
                        Err(_) => std::thread::sleep(LOOK_EVERY),
                    }
                }
            }
            Err(rustix::io::Errno::SRCH) if met => return None,
            Err(rustix::io::Errno::SRCH) => return Some(gone()),
            Err(_) => std::thread::sleep(LOOK_EVERY),
        }
    }
}

/// How our child ended; nothing if it was not our child.
fn reap(pid: Pid) -> Option<String> {
    let (_, status) = rustix::process::waitpid(Some(pid), WaitOptions::NOHANG).ok()??;
    let status = ExitStatus::from_raw(status.as_raw());
    Some(match (status.code(), status.signal()) {
        (Some(code), _) => format!("it ended with exit code {code}"),
        (None, Some(signal)) => format!("it was killed by signal {signal}"),
        (None, None) => status.to_string(),
    })
}

/// Asks a process to end.
pub(super) fn terminate(process: u32) {
    send(process, Signal::TERM);
}

/// Ends a process.
pub(super) fn kill(process: u32) {
    send(process, Signal::KILL);
}

fn send(process: u32, signal: Signal) {
    if let Some(pid) = pid(process) {
        // It may have ended a moment ago.
        let _ = rustix::process::kill_process(pid, signal);
    }
}

#[cfg(test)]
mod tests;
