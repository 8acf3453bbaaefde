//! Seeds of trouble: the ledger upgraded under load, with faults at every step.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]
#![allow(
    clippy::disallowed_methods,
    reason = "fresh seeds come from the clock, and are printed if they fail"
)]

use std::time::{SystemTime, UNIX_EPOCH};

use campaign::count::{self, Seeds, Total};
use campaign::{ledger, targets};
use simulator::random_plan;

/// Enough to try every fault on every role in every phase.
const FIXED: u64 = 440;
const FRESH: u64 = 60;
/// Seeds that are run twice.
const TWICE: u64 = 100;

fn run(from: u64, count: u64) -> Total {
    let seeds = Seeds {
        from,
        count,
        at_most: None,
    };
    count::run(ledger, random_plan, &targets(), seeds)
}

fn assert_none_failed(total: &Total) {
    if let Some((seed, what)) = total.failed.first() {
        panic!(
            "{} of {} seeds failed; again: cargo xtask simulate --seeds 1 --from {seed} \
             --transcript\n{what}",
            total.failed.len(),
            total.seeds
        );
    }
}

#[test]
fn fixed_seeds_find_nothing_and_try_everything() {
    let mut total = run(1, FIXED);
    count::run_missing(ledger, random_plan, &targets(), &mut total);
    assert_none_failed(&total);
    let missing: Vec<String> = total
        .table
        .missing()
        .iter()
        .map(|(fault, role, phase)| format!("{fault} {role} in {phase}"))
        .collect();
    assert!(missing.is_empty(), "never tried: {}", missing.join(", "));
    assert!(
        total.counted * 100 >= FIXED * 90,
        "only {} seeds count",
        total.counted
    );
}

#[test]
fn fresh_seeds_find_nothing() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let total = run(1_000_000 + now.as_secs(), FRESH);
    assert_none_failed(&total);
}

#[test]
fn the_same_seed_is_the_same_run() {
    let installation = ledger();
    for seed in 1..=TWICE {
        let plan = random_plan(seed, &targets());
        let (first, second) = (
            simulator::run(&installation, &plan),
            simulator::run(&installation, &plan),
        );
        assert_eq!(first.digest, second.digest, "seed {seed}");
        assert_eq!(first.lines, second.lines, "seed {seed}");
        assert_eq!(plan.to_string().parse(), Ok(plan), "seed {seed}");
    }
}
