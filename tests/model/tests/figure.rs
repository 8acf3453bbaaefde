//! The paper's algorithm under every order of events and at every pace: the numbers, and mistakes
//! that are found.

use model::paper::{Defect, Rules};
use model::search::{Explored, Wrong, search};

/// Far above what is asserted: a model that has grown out of hand ends here.
const MOST: usize = 400_000;

/// Everything that can happen; panics with a shortest way to what must not.
fn all(rules: Rules) -> Explored {
    match search(&rules, MOST) {
        Ok(explored) => explored,
        Err(fault) => panic!("{fault}"),
    }
}

/// What is found if the mistake is put in.
fn found(defect: Defect, rules: Rules) -> Wrong {
    let rules = Rules {
        defect: Some(defect),
        ..rules
    };
    match search(&rules, MOST) {
        Ok(explored) => panic!("{defect:?} is not found: {explored:?}"),
        Err(fault) => fault.wrong,
    }
}

fn breaks(sentence: &str) -> Wrong {
    Wrong::Unsafe(vec![sentence.to_owned()])
}

/// §3.1, §3.4. Three members, one crash of anybody, a new version that starts or not.
#[test]
fn figure_1_ends_at_any_pace_with_one_crash_of_anybody() {
    assert_eq!(
        all(Rules::three()),
        Explored {
            states: 75_658,
            steps: 275_025,
            longest: 114,
            ends: vec![("done", 12), ("given up", 23)],
        }
    );
}

/// How far replicas lag makes more ways, and no other ends.
#[test]
fn how_far_replicas_lag_changes_no_end() {
    for (behind, states) in [(1, 14_323), (3, 260_336)] {
        let explored = all(Rules {
            behind,
            ..Rules::three()
        });
        assert_eq!(explored.states, states, "{behind} behind");
        assert_eq!(explored.ends, [("done", 12), ("given up", 23)]);
    }
}

#[test]
fn turns_that_run_together_end_too() {
    let explored = all(Rules {
        parallel: 2,
        crashes: 0,
        ..Rules::three()
    });
    assert_eq!((explored.states, explored.longest), (60_812, 89));
    assert_eq!(explored.ends, [("done", 2), ("given up", 6)]);
}

// Mistakes. Each must be found, and by the sentence that it breaks.

#[test]
fn a_minimum_that_is_ignored_is_found() {
    let rules = Rules {
        minimal: 2,
        parallel: 2,
        ..Rules::three()
    };
    assert_eq!(
        found(Defect::MinimalIgnored, rules),
        breaks("a turn leaves `l` members that serve")
    );
}

/// It was its turn when it said so. Meanwhile a member has crashed.
#[test]
fn a_turn_by_an_old_view_is_found() {
    let rules = Rules {
        minimal: 2,
        ..Rules::three()
    };
    assert_eq!(
        found(Defect::TurnNotChecked, rules),
        breaks("a turn leaves `l` members that serve")
    );
}

#[test]
fn a_last_old_member_that_is_released_early_is_found() {
    assert_eq!(
        found(Defect::LastOldReleased, Rules::three()),
        breaks("the last old member stays until activation")
    );
}

#[test]
fn tries_without_a_bound_are_found() {
    let wrong = found(Defect::TriesNotCounted, Rules::three());
    assert!(matches!(wrong, Wrong::Endless(_)), "{wrong:?}");
}

#[test]
fn behaviour_that_changes_with_a_restart_is_found() {
    assert_eq!(
        found(Defect::BehavesAtStart, Rules::three()),
        breaks("behaviour changes at one position on all replicas")
    );
}

#[test]
fn a_turn_that_outlives_its_holder_is_found() {
    let wrong = found(Defect::TurnOutlivesHolder, Rules::three());
    assert!(matches!(wrong, Wrong::Stuck(_)), "{wrong:?}");
}
