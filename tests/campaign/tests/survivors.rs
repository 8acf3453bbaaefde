//! Survivors in whole installations: more dies than a majority bears, at every step of an upgrade.
//!
//! The checkers prove that nothing acknowledged is lost, that no member goes on while another may
//! still act, and that no two incarnations serve at once.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(clippy::print_stderr, reason = "a failed test tells what it saw")]

use campaign::{ledger, survivors_targets};
use simulator::{Plan, Report, survivors_plan};

/// Seeds of each kind.
const SEEDS: u64 = 150;

struct Runs {
    survivals: usize,
    lost: Vec<String>,
    failed: Vec<u64>,
}

fn runs(reckless: bool) -> Runs {
    let installation = ledger();
    let mut runs = Runs {
        survivals: 0,
        lost: Vec::new(),
        failed: Vec::new(),
    };
    let one = std::env::var("REMEX_SEED").ok();
    let one: Option<u64> = one.and_then(|seed| seed.parse().ok());
    let seeds = one.map_or(1..=SEEDS, |seed| seed..=seed);
    for seed in seeds {
        let plan = survivors_plan(seed, &survivors_targets(), reckless);
        let report = simulator::run(&installation, &plan);
        runs.survivals += report.survivals;
        if let Some(fault) = &report.fault {
            if one.is_some() {
                report.lines.iter().for_each(|line| eprintln!("{line}"));
            }
            eprintln!("seed {seed}: {fault}\n{plan}");
            runs.failed.push(seed);
        }
        runs.lost.extend(report.lost);
    }
    runs
}

#[test]
fn whatever_survivors_bear_is_borne() {
    let runs = runs(false);
    assert!(runs.failed.is_empty(), "seeds {:?}", runs.failed);
    assert!(runs.survivals > 30, "{}", runs.survivals);
    // Only where no daemon ran that could have written down who died.
    let uncertain = |why: &String| why == "a death is not certain";
    assert!(runs.lost.iter().all(uncertain), "{:?}", runs.lost);
    assert!(runs.lost.len() < 3, "{:?}", runs.lost);
}

#[test]
fn whatever_they_do_not_bear_is_waited_for() {
    let runs = runs(true);
    assert!(runs.failed.is_empty(), "seeds {:?}", runs.failed);
    assert!(runs.survivals > 20, "{}", runs.survivals);
    let uncertain = runs.lost.iter().filter(|why| why.contains("not certain"));
    let decided = runs.lost.iter().filter(|why| why.contains("were enough"));
    assert!(
        uncertain.count() > 3 && decided.count() > 0,
        "{:?}",
        runs.lost
    );
}

fn run(plan: &str) -> Report {
    let plan: Plan = plan.parse().unwrap();
    let report = simulator::run(&ledger(), &plan);
    assert_eq!(report.fault, None, "{:#?}", report.lines);
    report
}

#[test]
fn one_of_two_goes_on_and_the_group_grows_again() {
    for role in ["leader", "member"] {
        let report = run(&format!("group 2 hosts 4 minimal 1\nat 100 crash {role}"));
        assert_eq!((report.survivals, report.lost), (1, None));
        assert!(report.longest_gap_us < 100_000, "{}", report.longest_gap_us);
    }
}

/// The swap's end stands in its log, and would take it out; but nobody had decided that.
#[test]
fn who_goes_on_stays_though_its_own_log_takes_it_out() {
    for seed in 1..=6 {
        let plan = format!(
            "seed {seed}\ngroup 2 hosts 4 minimal 1\nupgrade to 2.0.0\non swap crash leader"
        );
        let report = run(&plan);
        assert_eq!((report.survivals, report.lost), (1, None));
        assert_eq!(report.upgrades, ["done"]);
    }
}

/// Without power nobody holds an exit: silence is no death, however long it lasts.
#[test]
fn one_of_two_waits_if_the_others_host_lost_its_power() {
    for role in ["leader", "member"] {
        let plan = format!("group 2 hosts 4 minimal 1\nreckless\nat 100 power-off {role}");
        let report = run(&plan);
        assert_eq!(report.survivals, 0);
        assert_eq!(report.lost.as_deref(), Some("a death is not certain"));
    }
}

#[test]
fn one_of_three_waits_if_the_others_are_dead() {
    let plan = "group 3 hosts 5 minimal 1\nreckless\nat 100 crash leader\nat 100 crash member";
    let report = run(plan);
    assert_eq!(report.survivals, 0);
    assert!(report.lost.unwrap().contains("were enough"));
}

/// The daemon that would tell is dead when the member dies; the next one tells.
#[test]
fn a_death_without_a_daemon_is_told_by_the_next_one() {
    let plan = "group 2 hosts 2 minimal 1\nseed 2\nat 100 crash daemon\nat 101 crash leader";
    let report = run(plan);
    let plan = "group 2 hosts 2 minimal 1\nseed 1\nat 100 crash daemon\nat 101 crash leader";
    let other = run(plan);
    assert_eq!((report.survivals, other.survivals), (1, 1));
    // One of them had to wait for a daemon.
    let longest = report.longest_gap_us.max(other.longest_gap_us);
    assert!(longest > 500_000, "{longest}");
}

#[test]
fn a_group_of_one_survives_its_successor_in_every_phase_of_an_upgrade() {
    let mut survivals = 0;
    for seed in 1..=10 {
        for phase in [
            "turn-start",
            "turn-transfer",
            "turn-catch-up",
            "turn-ready",
            "swap",
        ] {
            for (from, to) in [("", "2.0.0"), ("upgrade to 2.0.0\n", "1.0.0")] {
                let plan = format!(
                    "seed {seed}\ngroup 1 hosts 3 minimal 0\n{from}upgrade to {to} after 50 ms \
                     parallel 1 attempts 6 patience 1000 ms\non {phase} crash new"
                );
                let report = run(&plan);
                survivals += report.survivals;
                assert_eq!(report.lost, None, "{plan}");
                assert!(report.upgrades.iter().all(|how| how == "done"), "{plan}");
            }
        }
    }
    assert!(survivals >= 10, "{survivals}");
}
