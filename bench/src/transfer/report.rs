//! The results, as tables for people and as JSON for scripts, and the verdict.

use std::fmt::Write as _;

use serde::Serialize;
use wire::MemberId;

use super::TransferError;
use super::figures::Figures;
use super::joiner::Told;
use super::state::Held;
use super::watch::Replica;

const MIB: f64 = (1 << 20) as f64;
const MS_PER_DAY: u64 = 24 * 60 * 60 * 1000;

/// Everything. The names are those of the JSON.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    /// Of the machine, shared by load, daemons and replicas.
    pub(super) processors: usize,
    /// What the group was filled with.
    pub(super) mib: u64,
    /// Writes per second.
    pub(super) rate: u64,
    /// The changes, in their order.
    pub(super) runs: Vec<Run>,
    /// What each member holds in the end.
    pub(super) held: Vec<Held>,
}

/// One change.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Run {
    /// What was done.
    pub(super) what: String,
    /// What clients saw in the seconds before.
    pub(super) steady: Figures,
    /// What they saw until all was over. After a kill the first of it is the kernel's: it takes the
    /// memory of a large process apart before it closes its sockets.
    pub(super) during: Figures,
    /// What they saw while a joiner got the state, from its admission until it was a member.
    pub(super) transfers: Figures,
    /// All writes, also those before and after these.
    pub(super) all: Figures,
    /// The transfers.
    pub(super) joined: Vec<Joined>,
}

/// One transfer.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Joined {
    /// Who got the state.
    pub(super) joiner: MemberId,
    /// Who gave it.
    pub(super) donor: MemberId,
    /// When it was admitted, in microseconds since 1970.
    pub(super) admitted_us: u64,
    /// When it was first seen as a member.
    pub(super) member_us: u64,
    /// How much came.
    pub(super) mib: f64,
    /// From its admission until it had the state, mapped.
    pub(super) state_s: f64,
    /// From its admission until it was a member.
    pub(super) member_s: f64,
    /// Megabytes (not MiB) per second, from its admission until it had the state.
    pub(super) mb_per_s: f64,
    /// What the joiner took of the processors until it was a member: decoding and digest.
    pub(super) joiner_user_s: f64,
    /// What the kernel took for it: sockets, and finding the memory for the state, which on a virtual
    /// machine can cost more than all else.
    pub(super) joiner_system_s: f64,
    /// The donor's memory before the change; absent if it was no member then.
    pub(super) donor_before_mib: Option<f64>,
    /// The most that the donor had since, in states.
    pub(super) donor_peak_states: f64,
    /// The most that the joiner had, in states.
    pub(super) joiner_peak_states: f64,
}

impl Joined {
    pub(super) fn new(
        joiner: MemberId,
        replica: &Replica,
        told: &Told,
        donor: Option<&Replica>,
        member_us: u64,
    ) -> Joined {
        // The clock may strike midnight between.
        let until = |later_ms: u64, ms: u64| (later_ms + MS_PER_DAY - ms) % MS_PER_DAY;
        let member_ms = until(member_us / 1000 % MS_PER_DAY, told.admitted_ms);
        let state_s = until(told.has_state_ms, told.admitted_ms) as f64 / 1e3;
        let states = |bytes: u64| bytes as f64 / told.bytes as f64;
        let before = donor.map(|donor| donor.before.now).filter(|now| *now > 0);
        Joined {
            joiner,
            donor: told.donor,
            admitted_us: member_us - member_ms * 1000,
            member_us,
            mib: told.bytes as f64 / MIB,
            state_s,
            member_s: member_ms as f64 / 1e3,
            mb_per_s: told.bytes as f64 / 1e6 / state_s.max(1e-3),
            joiner_user_s: replica.taken.user_s,
            joiner_system_s: replica.taken.system_s,
            donor_before_mib: before.map(|bytes| bytes as f64 / MIB),
            donor_peak_states: donor.map_or(0.0, |donor| states(donor.last.peak)),
            joiner_peak_states: states(replica.last.peak),
        }
    }
}

impl Report {
    pub(super) fn new(mib: u64, rate: u64) -> Report {
        Report {
            processors: std::thread::available_parallelism().map_or(1, usize::from),
            mib,
            rate,
            runs: Vec::new(),
            held: Vec::new(),
        }
    }

    pub(super) fn head(&self) -> String {
        format!(
            "{} processors, shared by load, daemons and replicas; {} writes/s",
            self.processors, self.rate
        )
    }

    /// One line: whether all is well.
    pub(super) fn verdict(&self) -> String {
        let same = match (self.same(), self.held.first()) {
            (true, Some(held)) => format!(
                "read one by one, all {} members hold the same {} entries (SHA-256 {}...)",
                self.held.len(),
                held.entries,
                &held.digest[..12.min(held.digest.len())]
            ),
            (_, _) => "the members do NOT hold the same".to_owned(),
        };
        format!("{} writes failed; {same}", self.failed())
    }

    /// # Errors
    /// Not content, and why.
    pub(super) fn judge(&self, fills: u64) -> Result<(), TransferError> {
        if self.failed() > 0 {
            return Err(TransferError::Failed(self.failed()));
        }
        let writes: usize = self.runs.iter().map(|run| run.all.writes).sum();
        let expected = fills + writes as u64;
        let counted = self.held.first().map_or(0, |held| held.writes);
        if !self.same() || counted != expected {
            let why = format!("{expected} writes were acknowledged; {:#?}", self.held);
            return Err(TransferError::Differ(why));
        }
        Ok(())
    }

    pub(super) fn json(&self) -> String {
        let text = serde_json::to_string_pretty(self).expect("names and numbers are JSON");
        text + "\n"
    }

    fn failed(&self) -> usize {
        self.runs.iter().map(|run| run.all.failed).sum()
    }

    fn same(&self) -> bool {
        self.held.windows(2).all(|pair| pair[0] == pair[1]) && !self.held.is_empty()
    }
}

impl Run {
    /// Its two tables.
    pub(super) fn table(&self) -> String {
        let mut text = format!(
            "\n{:<18} {:>7} {:>8} {:>8} {:>9} {:>8} {:>8} {:>7}\n",
            self.what, "writes", "p50 ms", "p99 ms", "p99.9 ms", "max ms", "gap ms", "failed"
        );
        for (name, figures) in [
            ("  before", self.steady),
            ("  during", self.during),
            ("  of it, transfers", self.transfers),
        ] {
            let Figures {
                writes,
                failed,
                p50_ms,
                p99_ms,
                p999_ms,
                max_ms,
                longest_gap_ms,
            } = figures;
            writeln!(
                text,
                "{name:<18} {writes:>7} {p50_ms:>8.2} {p99_ms:>8.2} {p999_ms:>9.2} {max_ms:>8.2} \
                 {longest_gap_ms:>8.2} {failed:>7}"
            )
            .expect("writing to memory does not fail");
        }
        text += "  joiner donor     MiB state s member s  user s system s   MB/s  memory at most, in states\n";
        for joined in &self.joined {
            let (joiner, donor) = (joined.joiner.to_string(), joined.donor.to_string());
            writeln!(
                text,
                "  {joiner:<6} {donor:<6} {:>6.0} {:>7.2} {:>8.2} {:>7.2} {:>8.2} {:>6.0}  donor {:.2}, \
                 joiner {:.2}",
                joined.mib,
                joined.state_s,
                joined.member_s,
                joined.joiner_user_s,
                joined.joiner_system_s,
                joined.mb_per_s,
                joined.donor_peak_states,
                joined.joiner_peak_states,
            )
            .expect("writing to memory does not fail");
        }
        text.pop();
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(failed: usize, writes: usize, held: &[(&str, u64)]) -> Report {
        let all = Figures {
            writes,
            failed,
            ..Figures::default()
        };
        let run = Run {
            what: "m3 killed".to_owned(),
            steady: Figures::default(),
            during: Figures::default(),
            transfers: Figures::default(),
            all,
            joined: Vec::new(),
        };
        let held = held.iter().map(|(digest, writes)| Held {
            digest: (*digest).to_owned(),
            entries: 7,
            writes: *writes,
        });
        Report {
            runs: vec![run.clone(), run],
            held: held.collect(),
            ..Report::new(8, 1000)
        }
    }

    /// Eight values were filled in, and two loads wrote a hundred each.
    #[test]
    fn only_equal_members_that_counted_each_write_once_are_content() {
        let judged = |failed, held: &[(&str, u64)]| report(failed, 100, held).judge(8);
        assert!(judged(0, &[("ab", 208), ("ab", 208), ("ab", 208)]).is_ok());
        let failed = judged(1, &[("ab", 208), ("ab", 208)]);
        assert!(matches!(failed, Err(TransferError::Failed(2))));
        for held in [
            &[("ab", 208), ("cd", 208)][..],
            &[("ab", 208), ("ab", 209)],
            &[("ab", 207), ("ab", 207)],
            &[],
        ] {
            let differ = judged(0, held);
            assert!(matches!(differ, Err(TransferError::Differ(_))), "{held:?}");
        }
    }

    #[test]
    fn times_of_day_are_counted_over_midnight() {
        let replica = Replica {
            host: "host-1".to_owned(),
            process: 1,
            member_us: None,
            before: Default::default(),
            last: Default::default(),
            taken: Default::default(),
        };
        let told = Told {
            admitted_ms: MS_PER_DAY - 500,
            donor: MemberId::new(2).expect("not zero"),
            has_state_ms: 1500,
            bytes: 1 << 30,
        };
        let joiner = MemberId::new(4).expect("not zero");
        let member_us = 3 * MS_PER_DAY * 1000 + 2_000_000;
        let joined = Joined::new(joiner, &replica, &told, None, member_us);
        assert!((joined.state_s - 2.0).abs() < 1e-9);
        assert!((joined.member_s - 2.5).abs() < 1e-9);
        assert_eq!(joined.admitted_us, member_us - 2_500_000);
        assert!((joined.mb_per_s - 536.870_912).abs() < 1e-6);
    }
}
