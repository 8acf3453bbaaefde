//! Memory and open files of every replica and daemon, and whether they are flat.
//!
//! The load adds nothing that a ledger would have to keep: accounts, sessions and streams are as many
//! at the end as at the beginning. So what a process takes depends on its age alone, and on that only
//! until its buffers have met the load. Replicas live for seconds here, because others take their
//! place: lives of the first half of a run are compared with lives of the second half at the same age,
//! and long lives with themselves.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;

use installation::process;
use serde::Serialize;

/// At this age a process has joined, has its state, and has met the load, in seconds.
const GROWN_S: (f64, f64) = (2.0, 8.0);
/// A life that is longer than this by another time as much is compared with itself.
const LONG_S: f64 = 10.0;
/// Lives of each half without which nothing is compared: a median of fewer says nothing.
const LIVES_MIN: usize = 3;
/// What may come on top of an early median, besides a quarter of it, in bytes: the allocator takes
/// pages by the hundred, and the log of the order grows to its bound. A life that outlasts a calm meets
/// some ten thousand requests, one of ten minutes' long calm some fifty thousand: what is lost with
/// each shows from some five hundred, or a hundred, bytes on.
const MEMORY_SLACK: u64 = 4 << 20;
/// Files that may come on top: connections of clients and of peers that come and go.
const FILES_SLACK: u64 = 16;

/// What kind of process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Replica,
    Daemon,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Replica => "replicas",
            Kind::Daemon => "daemons",
        })
    }
}

/// What a process took at some age.
#[derive(Clone, Copy, Debug)]
struct Sample {
    age_s: f64,
    memory: u64,
    files: u64,
}

/// One process from its start to its end.
#[derive(Clone, Debug)]
struct Life {
    kind: Kind,
    born_s: f64,
    samples: Vec<Sample>,
}

/// Looks at processes now and then.
#[derive(Debug, Default)]
pub(crate) struct Usage {
    /// Those that ran at the last look.
    running: BTreeMap<u32, Life>,
    ended: Vec<Life>,
}

/// What the processes of a kind took.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Taken {
    pub(crate) kind: Kind,
    /// How many were looked at.
    pub(crate) lives: usize,
    /// The most that any of them took.
    pub(crate) memory_peak: u64,
    pub(crate) files_peak: u64,
    /// What lives of the first and of the second half took at the same age: medians.
    pub(crate) halves: Option<Compared>,
    /// What the long lives took when they were grown and in the end: that which grew most.
    pub(crate) longest: Option<Compared>,
}

/// Memory and files, early and late.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Compared {
    pub(crate) memory: (u64, u64),
    pub(crate) files: (u64, u64),
}

impl Compared {
    /// What is not flat.
    fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let (early, late) = self.memory;
        if late > early + early / 4 + MEMORY_SLACK {
            faults.push(format!(
                "memory grows from {} to {}",
                Mebibytes(early),
                Mebibytes(late)
            ));
        }
        let (early, late) = self.files;
        if late > early + FILES_SLACK {
            faults.push(format!("open files grow from {early} to {late}"));
        }
        faults
    }
}

/// A size, for people.
pub(crate) struct Mebibytes(pub(crate) u64);

impl fmt::Display for Mebibytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} MiB", self.0 as f64 / f64::from(1 << 20))
    }
}

impl Usage {
    /// Looks at these processes, at this time since the run began.
    pub(crate) fn look(&mut self, now_s: f64, processes: &[u32]) {
        let gone: Vec<u32> = self
            .running
            .keys()
            .filter(|known| !processes.contains(known))
            .copied()
            .collect();
        for process in gone {
            self.ended.extend(self.running.remove(&process));
        }
        for process in processes {
            // It may end in this very moment.
            let (Some(kind), Ok(memory), Ok(files)) = (
                kind(*process),
                process::memory(*process),
                process::files(*process),
            ) else {
                continue;
            };
            let life = self.running.entry(*process).or_insert(Life {
                kind,
                born_s: now_s,
                samples: Vec::new(),
            });
            life.samples.push(Sample {
                age_s: now_s - life.born_s,
                memory: memory.now,
                files: files as u64,
            });
        }
    }

    /// What was seen until now, in a run that began to count at `from_s` and ends at `to_s`.
    pub(crate) fn taken(&self, from_s: f64, to_s: f64) -> Vec<Taken> {
        let lives: Vec<&Life> = self.running.values().chain(&self.ended).collect();
        [Kind::Replica, Kind::Daemon]
            .into_iter()
            .map(|kind| {
                let lives: Vec<&Life> = lives.iter().copied().filter(|l| l.kind == kind).collect();
                taken(kind, &lives, (from_s + to_s) / 2.0)
            })
            .collect()
    }
}

impl Taken {
    /// What is not flat.
    pub(crate) fn faults(&self) -> Vec<String> {
        let of = |compared: &Option<Compared>, what: &str| {
            let faults = compared.iter().flat_map(Compared::faults);
            let named = faults.map(|fault| format!("{} {what}: {fault}", self.kind));
            named.collect::<Vec<_>>()
        };
        let mut faults = of(&self.halves, "of the second half");
        faults.extend(of(&self.longest, "that live long"));
        faults
    }
}

fn taken(kind: Kind, lives: &[&Life], half_s: f64) -> Taken {
    let all = || lives.iter().flat_map(|life| &life.samples);
    let grown = |early: bool| {
        let of_half = lives.iter().filter(|life| (life.born_s < half_s) == early);
        let taken: Vec<(u64, u64)> = of_half.filter_map(|life| life.at(GROWN_S)).collect();
        (taken.len() >= LIVES_MIN)
            .then(|| medians(&taken))
            .flatten()
    };
    let halves = grown(true).zip(grown(false)).map(compared);
    let longest = lives
        .iter()
        .filter_map(|life| {
            let ends = life.samples.last()?.age_s;
            let late = (ends >= 2.0 * LONG_S).then_some((ends - LONG_S / 2.0, ends))?;
            let early = (LONG_S / 2.0, LONG_S);
            Some(compared((life.at(early)?, life.at(late)?)))
        })
        .max_by_key(|compared| compared.memory.1.saturating_sub(compared.memory.0));
    Taken {
        kind,
        lives: lives.len(),
        memory_peak: all().map(|sample| sample.memory).max().unwrap_or(0),
        files_peak: all().map(|sample| sample.files).max().unwrap_or(0),
        halves,
        longest,
    }
}

fn compared((early, late): ((u64, u64), (u64, u64))) -> Compared {
    Compared {
        memory: (early.0, late.0),
        files: (early.1, late.1),
    }
}

impl Life {
    /// Memory and files between two ages: medians.
    fn at(&self, (from_s, to_s): (f64, f64)) -> Option<(u64, u64)> {
        let within = |sample: &&Sample| (from_s..=to_s).contains(&sample.age_s);
        let samples = self.samples.iter().filter(within);
        medians(&samples.map(|s| (s.memory, s.files)).collect::<Vec<_>>())
    }
}

fn medians(of: &[(u64, u64)]) -> Option<(u64, u64)> {
    let median = |mut values: Vec<u64>| {
        values.sort_unstable();
        values.get(values.len() / 2).copied()
    };
    let (memory, files) = of.iter().copied().unzip();
    Some((median(memory)?, median(files)?))
}

/// What kind of process this is, by its command line; one that only describes itself is none.
fn kind(process: u32) -> Option<Kind> {
    let line = fs::read(format!("/proc/{process}/cmdline")).ok()?;
    let mut words = line.split(|byte| *byte == 0);
    let binary = words.next()?;
    let first = words.next().unwrap_or_default();
    match (binary.ends_with(b"/remex"), first) {
        (true, b"daemon") => Some(Kind::Daemon),
        (true, _) | (false, b"--describe") => None,
        (false, _) => Some(Kind::Replica),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    /// Replicas that are born every ten seconds of a run of two minutes and live for twenty, each
    /// taking what `memory` and `files` say of its birth and age.
    fn judged(memory: impl Fn(f64, f64) -> u64, files: impl Fn(f64, f64) -> u64) -> Vec<String> {
        let mut usage = Usage::default();
        for born in (0..120).step_by(10) {
            let born_s = f64::from(born);
            let sample = |age| {
                let age_s = f64::from(age);
                Sample {
                    age_s,
                    memory: memory(born_s, age_s),
                    files: files(born_s, age_s),
                }
            };
            // The first one lives to the end.
            let lasts = if born == 0 { 120 } else { 20 };
            usage.ended.push(Life {
                kind: Kind::Replica,
                born_s,
                samples: (0..=lasts).map(sample).collect(),
            });
        }
        let taken = usage.taken(0.0, 120.0);
        taken.iter().flat_map(Taken::faults).collect()
    }

    #[test]
    fn what_depends_on_the_age_alone_is_flat() {
        let none: [String; 0] = [];
        assert_eq!(
            judged(
                |_, age| (20 * MIB).min(10 * MIB + age as u64 * MIB),
                |_, _| 30
            ),
            none
        );
    }

    #[test]
    fn what_grows_from_life_to_life_is_found() {
        let found = judged(|born, _| 20 * MIB + born as u64 * MIB / 2, |_, _| 30);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].contains("second half: memory grows"), "{found:?}");
    }

    #[test]
    fn what_grows_within_a_life_is_found() {
        let found = judged(
            |_, age| 20 * MIB + age as u64 * MIB / 4,
            |_, age| 30 + age as u64,
        );
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found.iter().all(|fault| fault.contains("live long")),
            "{found:?}"
        );
    }
}
