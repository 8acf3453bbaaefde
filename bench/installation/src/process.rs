//! What the kernel says of processes: whether they run, and what.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sha2::{Digest, Sha256};
use wire::Build;

/// How much of an executable is read before a pause: its digest takes a fraction of a millisecond.
const BLOCK: usize = 128 << 10;
/// The pause: others get most of the processor.
const PAUSE: Duration = Duration::from_millis(1);

/// Whether a process with this number runs; one that ended and was not reaped yet does not.
pub fn runs(process: u32) -> bool {
    fs::read_to_string(format!("/proc/{process}/stat"))
        .ok()
        .is_some_and(|stat| state(&stat).is_some_and(|state| state != 'Z' && state != 'X'))
}

/// The digest of the executable that a process runs, read from the running process and not from
/// the path that it was started from.
///
/// It takes its time: on a machine with few cores a digest of tens of megabytes in one go would be
/// felt by those whose latency is measured meanwhile.
///
/// # Errors
/// It does not run, or is not ours to look at.
pub fn build(process: u32) -> io::Result<Build> {
    let mut executable = File::open(format!("/proc/{process}/exe"))?;
    let mut digest = Sha256::new();
    let mut block = vec![0; BLOCK];
    loop {
        match executable.read(&mut block)? {
            0 => return Ok(Build(digest.finalize().into())),
            length => digest.update(&block[..length]),
        }
        thread::sleep(PAUSE);
    }
}

/// What the kernel says of a process's memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// What is resident now.
    pub now: u64,
    /// The most that was resident since the process began, or since [`forget_peak`].
    pub peak: u64,
}

/// A process's memory.
///
/// # Errors
/// It does not run.
pub fn memory(process: u32) -> io::Result<Memory> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let missing = || io::Error::new(io::ErrorKind::InvalidData, "it has no memory any more");
    Ok(Memory {
        now: kibibytes(&status, "VmRSS:").ok_or_else(missing)? << 10,
        peak: kibibytes(&status, "VmHWM:").ok_or_else(missing)? << 10,
    })
}

/// Lets the peak of a process's memory begin again at what is resident now.
///
/// # Errors
/// It does not run, or is not ours.
pub fn forget_peak(process: u32) -> io::Result<()> {
    fs::write(format!("/proc/{process}/clear_refs"), "5")
}

/// How often the kernel's clock for processors ticks per second: Linux promises this to programs.
const TICKS_PER_SECOND: f64 = 100.0;

/// What a process has taken of the processors since it began, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Processors {
    /// In its own code.
    pub user_s: f64,
    /// In the kernel, on its behalf.
    pub system_s: f64,
}

/// What a process has taken of the processors.
///
/// # Errors
/// It does not run.
pub fn processors(process: u32) -> io::Result<Processors> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    let strange = || io::Error::new(io::ErrorKind::InvalidData, "not what the kernel documents");
    let [user_s, system_s] = ticks(&stat)
        .ok_or_else(strange)?
        .map(|ticks| ticks / TICKS_PER_SECOND);
    Ok(Processors { user_s, system_s })
}

/// The ticks in a line of `/proc/N/stat`, own and the kernel's: the eleventh and twelfth word behind
/// the state, which follows the name.
fn ticks(stat: &str) -> Option<[f64; 2]> {
    let mut words = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some([words.next()?.parse().ok()?, words.next()?.parse().ok()?])
}

/// A line of `/proc/N/status`, as `VmHWM:     1234 kB`.
fn kibibytes(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.trim().strip_suffix(" kB")?.parse().ok()
}

/// Kills a process on the spot, without a chance to clean up.
///
/// # Errors
/// It does not run.
pub fn kill(process: u32) -> io::Result<()> {
    signal(process, Signal::KILL)
}

/// Asks a process to end.
///
/// # Errors
/// It does not run.
pub fn terminate(process: u32) -> io::Result<()> {
    signal(process, Signal::TERM)
}

/// Stops a process where it stands: it lives, holds what it has, and does nothing.
///
/// # Errors
/// It does not run.
pub fn pause(process: u32) -> io::Result<()> {
    signal(process, Signal::STOP)
}

/// Lets a process that was stopped go on.
///
/// # Errors
/// It does not run.
pub fn resume(process: u32) -> io::Result<()> {
    signal(process, Signal::CONT)
}

/// How many files, sockets among them, a process has open.
///
/// # Errors
/// It does not run, or is not ours to look at.
pub fn files(process: u32) -> io::Result<usize> {
    Ok(fs::read_dir(format!("/proc/{process}/fd"))?.count())
}

fn signal(process: u32, signal: Signal) -> io::Result<()> {
    let number = i32::try_from(process).ok().filter(|number| *number > 0);
    let pid = number
        .and_then(Pid::from_raw)
        .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "not a process number"))?;
    Ok(kill_process(pid, signal)?)
}

/// The running processes whose executable lies below this directory.
///
/// Whoever copies binaries into a directory of its own finds exactly the processes that came of
/// them, however many parents lie between.
pub fn running_from(directory: &Path) -> Vec<u32> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    let numbers = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let below =
        |process: &u32| executable(*process).is_some_and(|path| path.starts_with(directory));
    numbers
        .filter(|process| below(process) && runs(*process))
        .collect()
}

/// What a process runs, if it runs.
pub fn executable(process: u32) -> Option<PathBuf> {
    fs::read_link(format!("/proc/{process}/exe")).ok()
}

/// The state in a line of `/proc/N/stat`: it follows the name, which may contain anything.
fn state(stat: &str) -> Option<char> {
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::process::Command;

    use super::*;

    #[test]
    fn the_state_follows_a_name_that_may_contain_anything() {
        assert_eq!(state("4711 (a) Z (b) S 1 2"), Some('S'));
        assert_eq!(state("4711 (ledger) Z 1"), Some('Z'));
        assert_eq!(state("nothing"), None);
    }

    #[test]
    fn ticks_are_where_the_kernel_documents_them() {
        let stat = "4711 (a) Z (b) S 1 2 3 4 5 6 7 8 9 10 1234 56 7 8";
        assert_eq!(ticks(stat), Some([1234.0, 56.0]));
        assert_eq!(ticks("4711 (ledger) S 1"), None);
        assert!(processors(std::process::id()).is_ok());
    }

    #[test]
    fn a_process_runs_until_it_is_killed_even_if_nobody_reaps_it() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        assert!(runs(child.id()));
        kill(child.id()).unwrap();
        // The wait leaves no zombie, and ends at once because the process was killed.
        child.wait().unwrap();
        assert!(!runs(child.id()));
        assert!(kill(0).is_err());
    }

    #[test]
    fn a_process_that_is_paused_stands_until_it_is_resumed() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let is = |wanted: char| {
            let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
            state(&stat) == Some(wanted)
        };
        pause(child.id()).unwrap();
        while !is('T') {
            thread::yield_now();
        }
        assert!(runs(child.id()));
        resume(child.id()).unwrap();
        while is('T') {
            thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(pause(child.id()).is_err());
    }

    #[test]
    fn an_open_file_counts_until_it_is_closed() {
        // Other tests of this process open and close files too.
        let mut opened = Vec::new();
        let before = files(std::process::id()).unwrap();
        for _ in 0..100 {
            opened.push(File::open("/dev/null").unwrap());
        }
        let with = files(std::process::id()).unwrap();
        assert!(with > before + 50, "{before} before, {with} with them");
        drop(opened);
        assert!(files(std::process::id()).unwrap() < with - 50);
        assert!(files(0).is_err());
    }

    #[test]
    fn a_peak_stays_until_it_is_forgotten() {
        let me = std::process::id();
        // The kernel counts pages in batches: half of what was allocated is far from any of them.
        let large = vec![1_u8; 64 << 20];
        let half = large.len() as u64 / 2;
        let with = memory(me).unwrap().now;
        assert!(with > half);
        drop(large);
        assert!(memory(me).unwrap().peak > with - half);
        forget_peak(me).unwrap();
        assert!(memory(me).unwrap().peak < with - half);
        assert!(memory(0).is_err());
    }

    #[test]
    fn this_process_runs_what_its_file_says_and_is_found_by_it() {
        let me = std::process::id();
        let path = std::env::current_exe().unwrap();
        assert_eq!(build(me).unwrap(), Build::of(&fs::read(&path).unwrap()));
        assert!(running_from(path.parent().unwrap()).contains(&me));
        assert!(!running_from(Path::new("/nowhere")).contains(&me));
    }
}
