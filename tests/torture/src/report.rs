//! The report: what was done, what clients saw, and what is not as it must be.

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

use crate::audit::{self, Audit};
use crate::judge::Judged;
use crate::load::Ended;
use crate::strike::{Act, Strike};
use crate::tally::Counts;
use crate::upgrade::Done;
use crate::usage::{Mebibytes, Taken};

/// What came of strikes of a kind.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Came {
    /// How many.
    pub(crate) count: u64,
    /// How long the group took at most until it was whole again.
    pub(crate) longest_s: f64,
}

/// What was done.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    pub(crate) strikes: BTreeMap<Strike, Came>,
}

/// Everything that a run came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) seed: u64,
    pub(crate) lasted_s: f64,
    pub(crate) seen: Seen,
    pub(crate) upgrades: Done,
    pub(crate) counts: Counts,
    pub(crate) judged: Judged,
    pub(crate) ended: Option<Ended>,
    /// What all accounts must hold together.
    pub(crate) sum: u64,
    pub(crate) taken: Vec<Taken>,
}

/// The report.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) seed: u64,
    pub(crate) lasted_s: f64,
    pub(crate) kills: u64,
    pub(crate) stops: u64,
    pub(crate) strikes: BTreeMap<String, Came>,
    pub(crate) upgrades_forth: u64,
    pub(crate) upgrades_back: u64,
    /// Why upgrades were given up.
    pub(crate) upgrades_failed: Vec<String>,
    pub(crate) writes: u64,
    pub(crate) reads: u64,
    pub(crate) failed: u64,
    pub(crate) retried: u64,
    pub(crate) slow: u64,
    pub(crate) longest_request_ms: f64,
    pub(crate) longest_gap_ms: f64,
    pub(crate) longest_gap_ended_s: f64,
    pub(crate) histories: u64,
    pub(crate) judged_operations: u64,
    pub(crate) audit: Option<Audit>,
    pub(crate) usage: Vec<Taken>,
    /// What is not as it must be; without any, everything was verified.
    pub(crate) faults: Vec<String>,
}

impl Outcome {
    /// Judges what was not judged yet.
    pub(crate) fn report(self, mut faults: Vec<String>) -> Report {
        let acts = |act: Act| {
            let of = self
                .seen
                .strikes
                .iter()
                .filter(|(strike, _)| strike.act == act);
            of.map(|(_, came)| came.count).sum()
        };
        let (kills, stops) = (acts(Act::Kill), acts(Act::Stop));
        let named = self
            .seen
            .strikes
            .iter()
            .map(|(s, came)| (s.to_string(), *came));
        let strikes = named.collect();
        faults.extend(self.nothing_happened(kills, stops));
        faults.extend(
            self.counts
                .words
                .iter()
                .map(|why| format!("a request failed: {why}")),
        );
        faults.extend(self.judged.faults.iter().take(5).cloned());
        let audit = self.audit(&mut faults);
        faults.extend(self.taken.iter().flat_map(Taken::faults));
        let Outcome {
            counts,
            upgrades,
            judged,
            ..
        } = self;
        Report {
            seed: self.seed,
            lasted_s: self.lasted_s,
            kills,
            stops,
            strikes,
            upgrades_forth: upgrades.forth,
            upgrades_back: upgrades.back,
            upgrades_failed: upgrades.failed,
            writes: counts.writes,
            reads: counts.reads,
            failed: counts.failed,
            retried: self.ended.as_ref().map_or(0, |ended| ended.retried),
            slow: counts.slow,
            longest_request_ms: counts.longest_us as f64 / 1e3,
            longest_gap_ms: counts.gap_us as f64 / 1e3,
            longest_gap_ended_s: counts.gap_ended_us as f64 / 1e6,
            histories: judged.histories,
            judged_operations: judged.operations,
            audit,
            usage: self.taken,
            faults,
        }
    }

    /// A run in which something was left out proves nothing about it.
    fn nothing_happened(&self, kills: u64, stops: u64) -> Option<String> {
        let done = [
            ("kill", kills),
            ("stop", stops),
            ("upgrade", self.upgrades.forth),
            ("upgrade back", self.upgrades.back),
            ("history", self.judged.histories),
        ];
        let missing: Vec<&str> = done
            .into_iter()
            .filter_map(|(what, count)| (count == 0).then_some(what))
            .collect();
        let what = missing.join(", no ");
        (!missing.is_empty()).then(|| format!("there was no {what}: the run shows nothing of it"))
    }

    fn audit(&self, faults: &mut Vec<String>) -> Option<Audit> {
        let ended = self.ended.as_ref()?;
        let given_up = ended.given_up.iter();
        faults.extend(given_up.map(|island| {
            format!("island {island} is not judged to its end: too much of it is unknown")
        }));
        let held = match &ended.held {
            Ok(held) => held,
            Err(why) => {
                faults.push(format!("the ledger does not answer the audit: {why}"));
                return None;
            }
        };
        let audit = audit::judge(held, &ended.told, self.sum);
        if !audit.is_clean() {
            faults.push(format!("the ledger is not as it must be: {audit:?}"));
        }
        let unknown = ended
            .told
            .iter()
            .map(|told| told.unknown.len() as u64)
            .sum();
        faults.extend(self.judged.sequences(held.applied, unknown).err());
        Some(audit)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:.0} s, seed {}: {} kills, {} stops",
            self.lasted_s, self.seed, self.kills, self.stops
        )?;
        for (strike, came) in &self.strikes {
            let Came { count, longest_s } = came;
            write!(f, "  {count:5} x {strike}")?;
            if *longest_s > 0.0 {
                write!(f, ", whole again after at most {longest_s:.1} s")?;
            }
            writeln!(f)?;
        }
        let Report {
            upgrades_forth: forth,
            upgrades_back: back,
            ..
        } = self;
        writeln!(
            f,
            "upgrades: {forth} to the newer version, {back} back, {} given up",
            self.upgrades_failed.len()
        )?;
        for why in &self.upgrades_failed {
            writeln!(f, "  given up: {why}")?;
        }
        writeln!(
            f,
            "requests: {} transfers and {} balances answered, {} failed, {} sent again, {} took \
             longer than a second",
            self.writes, self.reads, self.failed, self.retried, self.slow
        )?;
        writeln!(
            f,
            "longest gap {:.0} ms (until {:.1} s), longest request {:.0} ms",
            self.longest_gap_ms, self.longest_gap_ended_s, self.longest_request_ms
        )?;
        writeln!(
            f,
            "judged: {} histories of {} operations",
            self.histories, self.judged_operations
        )?;
        if let Some(audit) = &self.audit {
            writeln!(
                f,
                "audit: {} transfers acknowledged, {} lost, {} duplicated, sum {} of {}",
                audit.acknowledged,
                audit.lost,
                audit.duplicated,
                audit.sum_found,
                audit.sum_expected
            )?;
        }
        for taken in &self.usage {
            write!(
                f,
                "{}: {} lives, at most {} and {} open files",
                taken.kind,
                taken.lives,
                Mebibytes(taken.memory_peak),
                taken.files_peak
            )?;
            let halves = taken.halves.map(|halves| ("first and second half", halves));
            let longest = taken.longest.map(|longest| ("within a life", longest));
            for (what, compared) in halves.into_iter().chain(longest) {
                let (memory, files) = (compared.memory, compared.files);
                let (early, late) = (Mebibytes(memory.0), Mebibytes(memory.1));
                write!(
                    f,
                    "; {what} {early} and {late}, {} and {} files",
                    files.0, files.1
                )?;
            }
            writeln!(f)?;
        }
        f.write_str(if self.faults.is_empty() {
            "everything was verified"
        } else {
            "NOT everything was as it must be"
        })
    }
}
