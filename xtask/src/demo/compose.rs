//! From what was seen and the load's record to the report.

use super::flight::{Flown, Upgraded};
use super::record::{Outcome, Record};
use super::report::{Phase, Report, Total, Upgrade};
use super::statistics::{Edges, Window, figures};

/// How long after its end an upgrade is still charged with what clients see: those of the member
/// that left last have to find another one.
const AFTERMATH_US: u64 = 1_000_000;

/// The report of a flight.
pub(super) fn report(mut flown: Flown, record: &Record) -> Report {
    if record.head.began_us != flown.began_us {
        let fault = "the record is of another load than the one that was started";
        flown.faults.push(fault.to_owned());
    }
    let steady = steady(&flown.upgrades, flown.stopped_us);
    let (lost, duplicated) = flown.audit.as_ref().map_or((0, 0), |audit| {
        (audit.lost, audit.duplicated + audit.phantom)
    });
    Report {
        phases: phases(&flown.upgrades, &steady, record),
        steady: figures(record, &steady, Edges::Inside),
        upgrades: flown
            .upgrades
            .into_iter()
            .map(|u| upgrade(u, record))
            .collect(),
        views: flown.views,
        total: total(record, lost, duplicated),
        audit: flown.audit,
        faults: flown.faults,
    }
}

/// Steady stretches and upgrades in turn.
fn phases(upgrades: &[Upgraded], steady: &[Window], record: &Record) -> Vec<Phase> {
    let mut phases = Vec::new();
    for (index, window) in steady.iter().enumerate() {
        let next = upgrades.get(index);
        let version = next.map(|upgrade| &upgrade.from);
        let version = version.or(upgrades.last().map(|upgrade| &upgrade.to));
        phases.push(Phase {
            name: version.map_or("steady".to_owned(), |version| format!("steady, {version}")),
            window: *window,
            figures: figures(record, &[*window], Edges::Inside),
        });
        phases.extend(next.map(|upgrade| Phase {
            name: format!("upgrade to {}", upgrade.to),
            window: upgrade.charged(),
            figures: figures(record, &[upgrade.charged()], Edges::Touching),
        }));
    }
    phases
}

impl Upgraded {
    fn window(&self) -> Window {
        Window {
            from_us: self.from_us,
            to_us: self.to_us,
        }
    }

    /// From the command until the last client can have felt it.
    fn charged(&self) -> Window {
        Window {
            from_us: self.from_us,
            to_us: self.to_us + AFTERMATH_US,
        }
    }
}

/// What lies before, between and after the upgrades.
fn steady(upgrades: &[Upgraded], stopped_us: u64) -> Vec<Window> {
    let begins = [0]
        .into_iter()
        .chain(upgrades.iter().map(|upgrade| upgrade.charged().to_us));
    let ends = upgrades
        .iter()
        .map(|upgrade| upgrade.from_us)
        .chain([stopped_us]);
    let window = |(from_us, to_us)| Window { from_us, to_us };
    begins.zip(ends).map(window).collect()
}

fn upgrade(upgraded: Upgraded, record: &Record) -> Upgrade {
    Upgrade {
        from: upgraded.from.to_string(),
        to: upgraded.to.to_string(),
        window: upgraded.window(),
        figures: figures(record, &[upgraded.charged()], Edges::Touching),
        killed: upgraded.killed,
        replacements: upgraded.replacements,
        proofs: upgraded.proofs,
    }
}

fn total(record: &Record, lost: u64, duplicated: u64) -> Total {
    let limit_us = record.limit_us();
    let of = |outcome| record.requests.iter().filter(move |r| r.outcome == outcome);
    let requests = record.requests.len();
    let last_at = record.requests.last().map_or(0, |request| request.at);
    let answered = of(Outcome::Answered);
    let last_done = answered
        .clone()
        .map(|request| request.done)
        .max()
        .unwrap_or(0);
    Total {
        requests,
        failed: record
            .requests
            .iter()
            .filter(|r| r.failed(limit_us))
            .count(),
        lost,
        duplicated,
        unresolved: of(Outcome::Unresolved).count(),
        retried: record.resent.iter().map(|resent| resent.count).sum(),
        offered_per_s: per_second(requests, last_at),
        achieved_per_s: per_second(answered.count(), last_done),
    }
}

fn per_second(count: usize, within_us: u64) -> f64 {
    count as f64 * 1e6 / within_us.max(1) as f64
}

#[cfg(test)]
mod tests {
    use wire::Version;

    use super::super::record::{Head, Kind, Request, Resent};
    use super::super::report::Audit;
    use super::*;

    /// 1,000 requests per second for 40 seconds; those meant to start in these milliseconds are
    /// never answered.
    fn record(unanswered_ms: std::ops::Range<u64>) -> Record {
        let request = |at_ms: u64| Request {
            at: at_ms * 1000,
            done: at_ms * 1000 + 300,
            kind: Kind::Write,
            session: 0,
            outcome: if unanswered_ms.contains(&at_ms) {
                Outcome::Unresolved
            } else {
                Outcome::Answered
            },
        };
        Record {
            head: Head {
                schema: 1,
                began_us: 0,
                sessions: 1,
                rate: 1000,
                limit_ms: 1000,
            },
            requests: (0..40_000).map(request).collect(),
            resent: vec![Resent {
                at: 10_500_000,
                count: 7,
            }],
        }
    }

    fn flown() -> Flown {
        let upgraded = |from, to, from_us, to_us| Upgraded {
            from: Version::new(from, 0, 0),
            to: Version::new(to, 0, 0),
            from_us,
            to_us,
            killed: None,
            replacements: Vec::new(),
            proofs: Vec::new(),
        };
        Flown {
            began_us: 0,
            stopped_us: 40_000_000,
            upgrades: vec![
                upgraded(1, 2, 10_000_000, 11_000_000),
                upgraded(2, 3, 20_000_000, 22_000_000),
            ],
            views: Vec::new(),
            audit: Ok(Audit {
                acknowledged: 40_000,
                ..Audit::default()
            }),
            faults: Vec::new(),
        }
    }

    #[test]
    fn steady_phases_and_upgrades_take_turns() {
        let report = report(flown(), &record(0..0));
        let phases: Vec<(&str, usize)> = report
            .phases
            .iter()
            .map(|phase| (phase.name.as_str(), phase.figures.requests))
            .collect();
        assert_eq!(
            phases,
            [
                ("steady, 1.0.0", 10_000),
                ("upgrade to 2.0.0", 2_000),
                ("steady, 2.0.0", 8_000),
                ("upgrade to 3.0.0", 3_000),
                ("steady, 3.0.0", 17_000),
            ]
        );
        assert_eq!(report.steady.requests, 35_000);
        assert_eq!(report.upgrades[0].figures.retried, 7);
        assert_eq!(report.total.requests, 40_000);
        assert!((report.total.achieved_per_s - 1000.0).abs() < 1.0);
        assert_eq!(report.faults(), Vec::<String>::new());
    }

    #[test]
    fn what_failed_in_an_upgrade_is_charged_to_it() {
        let report = report(flown(), &record(10_400..10_420));
        assert_eq!(report.upgrades[0].figures.failed, 20);
        assert_eq!(report.upgrades[0].figures.max_us, 1_000_000);
        assert_eq!(report.steady.failed, 0);
        assert_eq!((report.total.failed, report.total.unresolved), (20, 20));
        assert_eq!(report.faults().len(), 2);
    }

    #[test]
    fn what_is_there_although_it_was_refused_counts_as_duplicated() {
        let mut flown = flown();
        flown.audit = Ok(Audit {
            acknowledged: 1,
            lost: 2,
            duplicated: 3,
            phantom: 4,
            ..Audit::default()
        });
        let total = report(flown, &record(0..0)).total;
        assert_eq!((total.lost, total.duplicated), (2, 7));
    }
}
