//! What the demo found, as a value, as a table for people and as JSON for scripts.
//!
//! The JSON's names are fixed: a script may compare the runs of two releases.

use std::fmt::{self, Write};

use serde::{Deserialize, Serialize};

use super::statistics::{Figures, Window};

/// Everything that the demo found.
#[derive(Debug)]
pub(crate) struct Report {
    /// The stretches of the run in order: steady, upgrade, steady and so on.
    pub(crate) phases: Vec<Phase>,
    /// The figures of all steady phases together.
    pub(crate) steady: Figures,
    /// The upgrades in order.
    pub(crate) upgrades: Vec<Upgrade>,
    /// What happened to the membership, by the group's own history.
    pub(crate) views: Vec<View>,
    /// Figures of the whole run.
    pub(crate) total: Total,
    /// What the audit of the final state found; the reason if it could not be made.
    pub(crate) audit: Result<Audit, String>,
    /// Everything else that is not as it must be, each in a sentence.
    pub(crate) faults: Vec<String>,
}

/// One stretch of the run.
#[derive(Debug)]
pub(crate) struct Phase {
    /// Its name for people.
    pub(crate) name: String,
    /// When it was.
    pub(crate) window: Window,
    /// What clients saw.
    pub(crate) figures: Figures,
}

/// One upgrade.
#[derive(Debug)]
pub(crate) struct Upgrade {
    /// The version before it.
    pub(crate) from: String,
    /// The version after it.
    pub(crate) to: String,
    /// From the command until every seat runs the target and no old process is left.
    pub(crate) window: Window,
    /// What clients saw from the command until one second after the end.
    pub(crate) figures: Figures,
    /// Who was killed in the middle of it.
    pub(crate) killed: Option<Kill>,
    /// How each seat was filled anew, in order.
    pub(crate) replacements: Vec<Replacement>,
    /// What was checked afterwards, each in a sentence.
    pub(crate) proofs: Vec<String>,
}

/// One process killed on purpose.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Kill {
    /// When, in microseconds since the load began.
    pub(crate) at_us: u64,
    /// What its part was: holder of the turn, successor, leader, follower.
    pub(crate) role: String,
    /// Who, for people.
    pub(crate) who: String,
}

/// One seat that was filled anew.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Replacement {
    /// The seat's number.
    pub(crate) seat: u32,
    /// Who left and who came, for people.
    pub(crate) what: String,
    /// When the turn or the recovery was first seen.
    pub(crate) began_us: u64,
    /// When the successor was a member and the old one was gone.
    pub(crate) ended_us: u64,
}

/// One entry of the group's history.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct View {
    /// When, in microseconds since the load began; negative before it.
    pub(crate) at_us: i64,
    /// What happened and who is in the group from there on.
    pub(crate) what: String,
}

/// Figures of the whole run; in this order and under these names in the JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Total {
    /// Requests that were meant to be sent.
    pub(crate) requests: usize,
    /// Not answered within their time.
    pub(crate) failed: usize,
    /// Acknowledged transfers that the final state lacks.
    pub(crate) lost: u64,
    /// Transfers that the final state holds more than once, or although they were refused.
    pub(crate) duplicated: u64,
    /// Requests whose outcome nobody could say.
    pub(crate) unresolved: usize,
    /// Sendings after a request's first.
    pub(crate) retried: usize,
    /// Requests that were meant to be sent, per second.
    pub(crate) offered_per_s: f64,
    /// Replies per second.
    pub(crate) achieved_per_s: f64,
}

/// What the load's audit of the final state found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Audit {
    /// Transfers that were acknowledged to a client.
    pub(crate) acknowledged: u64,
    /// Of these, how many the final state lacks.
    pub(crate) lost: u64,
    /// Transfers that it holds more than once.
    pub(crate) duplicated: u64,
    /// Transfers that it holds although they were refused or never sent.
    pub(crate) phantom: u64,
    /// Transfers without a known outcome that it holds.
    pub(crate) unresolved_present: u64,
    /// Accounts that hold something else than the transfers leave in them.
    pub(crate) accounts_wrong: u64,
    /// What all accounts held together at the beginning.
    pub(crate) sum_expected: u64,
    /// What they hold now.
    pub(crate) sum_found: u64,
}

/// The latencies and gaps of a stretch, as the JSON names them.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Milliseconds {
    longest_gap_ms: f64,
    longest_session_gap_ms: f64,
    p50_ms: f64,
    p99_ms: f64,
    p999_ms: f64,
    max_ms: f64,
}

#[derive(Serialize)]
struct JsonUpgrade<'a> {
    from: &'a str,
    to: &'a str,
    duration_ms: f64,
    killed: Option<&'a str>,
    #[serde(flatten)]
    figures: Milliseconds,
}

#[derive(Serialize)]
struct Json<'a> {
    steady: Milliseconds,
    upgrades: Vec<JsonUpgrade<'a>>,
    total: &'a Total,
}

impl From<Figures> for Milliseconds {
    fn from(figures: Figures) -> Milliseconds {
        Milliseconds {
            longest_gap_ms: ms(figures.longest_gap_us),
            longest_session_gap_ms: ms(figures.longest_session_gap_us),
            p50_ms: ms(figures.p50_us),
            p99_ms: ms(figures.p99_us),
            p999_ms: ms(figures.p999_us),
            max_ms: ms(figures.max_us),
        }
    }
}

impl<'a> From<&'a Upgrade> for JsonUpgrade<'a> {
    fn from(upgrade: &'a Upgrade) -> JsonUpgrade<'a> {
        JsonUpgrade {
            from: &upgrade.from,
            to: &upgrade.to,
            duration_ms: ms(upgrade.window.to_us - upgrade.window.from_us),
            killed: upgrade.killed.as_ref().map(|kill| kill.role.as_str()),
            figures: Milliseconds::from(upgrade.figures),
        }
    }
}

impl Report {
    /// Everything that keeps the demo from being a success, each in a sentence.
    pub(crate) fn faults(&self) -> Vec<String> {
        let mut faults = self.faults.clone();
        let counts = [
            (self.total.failed as u64, "requests failed"),
            (self.total.unresolved as u64, "requests stayed unresolved"),
        ];
        faults.extend(told(&counts));
        match &self.audit {
            Err(why) => faults.push(format!("the final state was not verified: {why}")),
            Ok(audit) => faults.extend(audit.faults()),
        }
        if self.total.requests == 0 {
            faults.push("the load sent nothing".to_owned());
        }
        faults
    }

    fn as_json(&self) -> Json<'_> {
        Json {
            steady: self.steady.into(),
            upgrades: self.upgrades.iter().map(JsonUpgrade::from).collect(),
            total: &self.total,
        }
    }
}

/// The report as JSON, under names that do not change; of several, a list.
pub(crate) fn json(reports: &[Report]) -> String {
    let all: Vec<Json<'_>> = reports.iter().map(Report::as_json).collect();
    let text = match all.as_slice() {
        [one] => serde_json::to_string_pretty(one),
        all => serde_json::to_string_pretty(all),
    };
    text.expect("names and numbers are JSON") + "\n"
}

impl Audit {
    fn faults(&self) -> Vec<String> {
        let counts = [
            (self.lost, "acknowledged transfers are missing"),
            (self.duplicated, "transfers are there more than once"),
            (
                self.phantom,
                "transfers are there that were refused or never sent",
            ),
            (
                self.accounts_wrong,
                "accounts hold something else than their transfers leave in them",
            ),
        ];
        let mut faults = told(&counts);
        if self.acknowledged == 0 {
            faults.push("no transfer was acknowledged, so that nothing was verified".to_owned());
        }
        if self.sum_found != self.sum_expected {
            faults.push(format!(
                "the accounts hold {} together and began with {}",
                self.sum_found, self.sum_expected
            ));
        }
        faults
    }
}

fn told(counts: &[(u64, &str)]) -> Vec<String> {
    let wrong = counts.iter().filter(|(count, _)| *count > 0);
    wrong
        .map(|(count, what)| format!("{count} {what}"))
        .collect()
}

/// Microseconds as milliseconds.
pub(crate) fn ms(us: u64) -> f64 {
    us as f64 / 1000.0
}

/// Microseconds as seconds, for people.
pub(crate) fn seconds(us: i64) -> String {
    format!("{:.3} s", us as f64 / 1e6)
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.table())?;
        for upgrade in &self.upgrades {
            write!(f, "\n{upgrade}")?;
        }
        writeln!(f, "\nViews (seconds since the load began)")?;
        for view in &self.views {
            writeln!(f, "  {:>10}  {}", seconds(view.at_us), view.what)?;
        }
        let total = &self.total;
        writeln!(
            f,
            "\n{} requests, {} failed, {} retried, {} unresolved; {:.0}/s offered, {:.0}/s answered",
            total.requests,
            total.failed,
            total.retried,
            total.unresolved,
            total.offered_per_s,
            total.achieved_per_s,
        )?;
        match &self.audit {
            Ok(audit) => writeln!(f, "{audit}"),
            Err(why) => writeln!(f, "The final state was not verified: {why}"),
        }
    }
}

impl Report {
    /// What clients saw, phase by phase.
    fn table(&self) -> String {
        let mut rows = vec![
            [
                "", "from", "requests", "failed", "retried", "p50", "p99", "p99.9", "max", "gap",
                "session",
            ]
            .map(str::to_owned),
        ];
        let steady = ("steady, together".to_owned(), String::new(), self.steady);
        let phases = self.phases.iter().map(|phase| {
            let from = seconds(phase.window.from_us.cast_signed());
            (phase.name.clone(), from, phase.figures)
        });
        for (name, from, figures) in phases.chain([steady]) {
            let Milliseconds {
                longest_gap_ms,
                longest_session_gap_ms,
                p50_ms,
                p99_ms,
                p999_ms,
                max_ms,
            } = figures.into();
            let time = |ms: f64| format!("{ms:.2}");
            rows.push([
                name,
                from,
                figures.requests.to_string(),
                figures.failed.to_string(),
                figures.retried.to_string(),
                time(p50_ms),
                time(p99_ms),
                time(p999_ms),
                time(max_ms),
                time(longest_gap_ms),
                time(longest_session_gap_ms),
            ]);
        }
        let mut text = "What clients saw (ms; gap: the longest without a reply, to anybody and to \
                        one session)\n"
            .to_owned();
        text.push_str(&aligned(&rows));
        text
    }
}

/// Rows under each other: the first column to the left, the others to the right.
pub(crate) fn aligned<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: [usize; N] = std::array::from_fn(|column| width(column).unwrap_or(0));
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(widths).enumerate() {
            let cell = if column == 0 {
                format!("  {cell:<width$}")
            } else {
                format!("  {cell:>width$}")
            };
            line.push_str(&cell);
        }
        writeln!(text, "{}", line.trim_end()).expect("writing to memory does not fail");
    }
    text
}

impl fmt::Display for Upgrade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let duration = ms(self.window.to_us - self.window.from_us);
        writeln!(f, "Upgrade {} -> {}: {duration:.0} ms", self.from, self.to)?;
        if let Some(kill) = &self.killed {
            let after = ms(kill.at_us.saturating_sub(self.window.from_us));
            writeln!(
                f,
                "  killed after {after:.0} ms: the {}, {}",
                kill.role, kill.who
            )?;
        }
        for replacement in &self.replacements {
            let Replacement {
                seat,
                what,
                began_us,
                ended_us,
            } = replacement;
            let duration = ms(ended_us - began_us);
            writeln!(f, "  seat {seat}: {what} in {duration:.0} ms")?;
        }
        for proof in &self.proofs {
            writeln!(f, "  {proof}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Final state: {} acknowledged transfers, {} lost, {} duplicated, {} never acknowledged \
             but present; {} unresolved ones present; {} accounts are wrong; the accounts hold {} \
             of {}",
            self.acknowledged,
            self.lost,
            self.duplicated,
            self.phantom,
            self.unresolved_present,
            self.accounts_wrong,
            self.sum_found,
            self.sum_expected,
        )
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    /// A run without a fault.
    pub(crate) fn green() -> Report {
        let figures = Figures {
            requests: 20_000,
            p50_us: 250,
            p99_us: 900,
            p999_us: 3200,
            max_us: 5100,
            longest_gap_us: 4200,
            longest_session_gap_us: 36_000,
            ..Figures::default()
        };
        let window = Window {
            from_us: 10_000_000,
            to_us: 10_640_500,
        };
        Report {
            phases: vec![Phase {
                name: "steady before".to_owned(),
                window: Window {
                    from_us: 0,
                    to_us: 10_000_000,
                },
                figures,
            }],
            steady: figures,
            upgrades: vec![Upgrade {
                from: "1.0.0".to_owned(),
                to: "2.0.0".to_owned(),
                window,
                figures,
                killed: Some(Kill {
                    at_us: 10_100_000,
                    role: "holder".to_owned(),
                    who: "m1 on host-1, process 4711".to_owned(),
                }),
                replacements: vec![Replacement {
                    seat: 0,
                    what: "m4 (2.0.0) for m1 (1.0.0)".to_owned(),
                    began_us: 10_050_000,
                    ended_us: 10_230_000,
                }],
                proofs: vec!["3 of 3 processes are new".to_owned()],
            }],
            views: vec![View {
                at_us: 10_120_000,
                what: "m1 died".to_owned(),
            }],
            total: Total {
                requests: 40_000,
                failed: 0,
                lost: 0,
                duplicated: 0,
                unresolved: 0,
                retried: 12,
                offered_per_s: 2000.0,
                achieved_per_s: 1999.5,
            },
            audit: Ok(Audit {
                acknowledged: 28_000,
                lost: 0,
                duplicated: 0,
                phantom: 0,
                unresolved_present: 0,
                accounts_wrong: 0,
                sum_expected: 64_000,
                sum_found: 64_000,
            }),
            faults: Vec::new(),
        }
    }

    /// The faults of a run after something was spoiled in it.
    fn faults(spoil: impl FnOnce(&mut Report)) -> Vec<String> {
        let mut report = green();
        spoil(&mut report);
        report.faults()
    }

    /// The faults of a run whose audit found something.
    fn audited(spoil: impl FnOnce(&mut Audit)) -> Vec<String> {
        faults(|report| spoil(report.audit.as_mut().unwrap()))
    }

    #[test]
    fn a_run_without_fault_is_green() {
        assert_eq!(green().faults(), Vec::<String>::new());
    }

    #[test]
    fn every_way_to_fail_is_red() {
        assert_eq!(faults(|r| r.total.failed = 1), ["1 requests failed"]);
        assert_eq!(faults(|r| r.total.unresolved = 2).len(), 1);
        assert_eq!(faults(|r| r.total.requests = 0).len(), 1);
        assert_eq!(faults(|r| r.audit = Err("no answer".to_owned())).len(), 1);
        assert_eq!(faults(|r| r.faults.push("two members".to_owned())).len(), 1);
        assert_eq!(audited(|a| a.lost = 1).len(), 1);
        assert_eq!(audited(|a| a.duplicated = 1).len(), 1);
        assert_eq!(audited(|a| a.phantom = 1).len(), 1);
        assert_eq!(audited(|a| a.accounts_wrong = 1).len(), 1);
        assert_eq!(audited(|a| a.sum_found += 1).len(), 1);
        assert_eq!(
            audited(|a| a.acknowledged = 0).len(),
            1,
            "an audit of nothing verifies nothing"
        );
    }

    #[test]
    fn the_json_has_exactly_the_agreed_names() {
        let json: serde_json::Value = serde_json::from_str(&json(&[green()])).unwrap();
        let names = |value: &serde_json::Value| {
            let mut names: Vec<String> = value.as_object().unwrap().keys().cloned().collect();
            names.sort();
            names.join(" ")
        };
        assert_eq!(names(&json), "steady total upgrades");
        let figures = "longest_gap_ms longest_session_gap_ms max_ms p50_ms p999_ms p99_ms";
        assert_eq!(names(&json["steady"]), figures);
        assert_eq!(
            names(&json["upgrades"][0]),
            format!("duration_ms from killed {figures} to")
        );
        assert_eq!(
            names(&json["total"]),
            "achieved_per_s duplicated failed lost offered_per_s requests retried unresolved"
        );
        assert_eq!(json["upgrades"][0]["duration_ms"], 640.5);
        assert_eq!(json["upgrades"][0]["killed"], "holder");
        assert_eq!(json["steady"]["p999_ms"], 3.2);
        let two: serde_json::Value =
            serde_json::from_str(&super::json(&[green(), green()])).unwrap();
        assert_eq!(two.as_array().map(Vec::len), Some(2));
    }

    #[test]
    fn the_text_names_what_was_killed_and_how_long_things_took() {
        let text = green().to_string();
        for told in [
            "Upgrade 1.0.0 -> 2.0.0: 640 ms",
            "killed after 100 ms: the holder, m1 on host-1, process 4711",
            "seat 0: m4 (2.0.0) for m1 (1.0.0) in 180 ms",
            "10.120 s  m1 died",
            "40000 requests, 0 failed, 12 retried, 0 unresolved",
        ] {
            assert!(text.contains(told), "{told:?} is missing in\n{text}");
        }
    }
}
