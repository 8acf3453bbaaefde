//! The real ordered state under every order of events: the numbers, and mistakes that are found.

use model::ordered::{Defect, Misfortune, Ordered, Setup};
use model::search::{Explored, Wrong, search};

/// Far above what is asserted: a model that has grown out of hand ends here.
const MOST: usize = 400_000;

/// Nothing goes wrong.
const NONE: Misfortune = Misfortune {
    deaths: 0,
    starts: 0,
    doubts: 0,
    impatience: 0,
    depositions: 0,
    repeats: 0,
    bad_version: false,
};

/// One process, daemon or host dies.
const A_DEATH: Misfortune = Misfortune { deaths: 1, ..NONE };

/// Three members, and what befalls them.
fn three(misfortune: Misfortune) -> Setup {
    Setup {
        misfortune,
        ..Setup::three()
    }
}

/// Everything that can happen; panics with a shortest way to what must not.
fn all(setup: Setup) -> Explored {
    match search(&Ordered::new(setup), MOST) {
        Ok(explored) => explored,
        Err(fault) => panic!("{fault}"),
    }
}

/// What is found if the mistake is put in, and the last step that led to it.
fn found(defect: Defect, setup: Setup) -> (Wrong, String) {
    let setup = Setup {
        defect: Some(defect),
        ..setup
    };
    match search(&Ordered::new(setup), MOST) {
        Ok(explored) => panic!("{defect:?} is not found: {explored:?}"),
        Err(fault) => (fault.wrong, fault.way.last().cloned().unwrap_or_default()),
    }
}

/// §3.1, §3.4: "the upgrade continues even in presence of crashes". With two tries for each seat no
/// single death, of whom and whenever, makes an upgrade be given up.
#[test]
fn an_upgrade_is_done_whichever_process_or_host_dies_at_whichever_moment() {
    let model = Ordered::new(three(A_DEATH));
    assert_eq!(
        search(&model, MOST),
        Ok(Explored {
            states: 124_474,
            steps: 407_613,
            longest: 100,
            ends: vec![("done", 103)],
        })
    );
    // So many values of the group are behind them.
    assert_eq!(model.groups(), 4_345);
}

/// Design 4.9: no format leads from version 3 back, so that who dies closes the way.
#[test]
fn an_upgrade_without_a_way_back_is_done_whoever_dies() {
    let explored = all(Setup {
        targets: vec![2, 3],
        ..three(A_DEATH)
    });
    assert_eq!((explored.states, explored.longest), (124_474, 100));
    assert_eq!(explored.ends, [("done", 103)]);
}

#[test]
fn the_way_down_is_done_whoever_dies() {
    let explored = all(Setup {
        targets: vec![2, 1],
        ..three(A_DEATH)
    });
    assert_eq!((explored.states, explored.longest), (195_371, 90));
    assert_eq!(explored.ends, [("done", 124)]);
}

#[test]
fn an_upgrade_is_done_whoever_is_suspected_and_lives() {
    for (targets, states, longest) in [(vec![2], 65_415, 90), (vec![2, 1], 92_989, 82)] {
        let doubt = Misfortune { doubts: 1, ..NONE };
        let explored = all(Setup {
            targets,
            ..three(doubt)
        });
        assert_eq!((explored.states, explored.longest), (states, longest));
        assert_eq!(explored.ends.len(), 1);
    }
}

/// Design 4.19. The bound: each of three seats is tried twice at most.
#[test]
fn a_bad_version_is_given_up_or_done_after_bounded_steps() {
    let bad = Misfortune {
        bad_version: true,
        impatience: 1,
        repeats: 1,
        ..NONE
    };
    let explored = all(Setup {
        may_give_up: true,
        ..three(bad)
    });
    assert_eq!((explored.states, explored.longest), (106_915, 78));
    assert_eq!(explored.ends, [("done", 96), ("given up", 74)]);
}

#[test]
fn an_upgrade_ends_under_leaders_that_are_deposed_and_hasty() {
    let hasty = Misfortune {
        starts: 1,
        impatience: 1,
        depositions: 1,
        ..NONE
    };
    let explored = all(Setup {
        may_give_up: true,
        ..three(hasty)
    });
    assert_eq!((explored.states, explored.longest), (82_250, 74));
    // Two tries of one seat that fail are the two that the request allows.
    assert_eq!(explored.ends, [("done", 275), ("given up", 71)]);
}

/// §3.2: "the same algorithm may also be used to upgrade multiple replicas simultaneously".
#[test]
fn turns_that_run_together_end_done() {
    let a_start = Misfortune { starts: 1, ..NONE };
    let explored = all(Setup {
        parallel: 2,
        ..three(a_start)
    });
    assert_eq!((explored.states, explored.longest), (83_140, 84));
    assert_eq!(explored.ends, [("done", 48)]);
}

/// `l` is what limits turns here: the second would leave fewer.
#[test]
fn as_many_turns_run_together_as_the_minimum_allows() {
    let one_by_one = all(three(NONE));
    let two = |minimal| {
        all(Setup {
            parallel: 2,
            minimal,
            ..three(NONE)
        })
    };
    assert_eq!(two(2), one_by_one);
    assert_eq!(one_by_one.states, 44);
    assert_eq!(two(1).states, 9_159);
}

#[test]
fn a_group_of_two_is_upgraded_though_a_successor_or_a_daemon_dies() {
    let explored = all(Setup {
        initial: 2,
        minimal: 0,
        ..three(A_DEATH)
    });
    assert_eq!((explored.states, explored.longest), (1_485, 52));
    assert_eq!(explored.ends, [("done", 13)]);
}

// Mistakes. Each must be found, and by the sentence that it breaks.

#[test]
fn a_last_old_member_that_is_released_early_is_found() {
    let (wrong, last) = found(Defect::LastOldReleased, three(NONE));
    let Wrong::Unsafe(broken) = wrong else {
        panic!("{wrong:?}");
    };
    let sentence = "the last old member stays until activation".to_owned();
    assert!(broken.contains(&sentence), "{broken:?}");
    assert_eq!(last, "ordered: m6 is a member for m1");
}

#[test]
fn a_minimum_that_is_ignored_is_found() {
    let (wrong, last) = found(
        Defect::MinimalIgnored,
        Setup {
            minimal: 2,
            parallel: 2,
            ..three(NONE)
        },
    );
    let sentence = "a turn leaves `l` members that serve".to_owned();
    assert_eq!(wrong, Wrong::Unsafe(vec![sentence]));
    assert_eq!(last, "ordered: m3 takes seat 2, attempt 2");
}

#[test]
fn a_joiner_that_stays_after_its_attempt_is_found() {
    let hasty = Misfortune {
        impatience: 1,
        ..NONE
    };
    let (wrong, _) = found(Defect::IntrudersStay, three(hasty));
    let sentence = "somebody is in the group who should not be".to_owned();
    assert_eq!(wrong, Wrong::Stuck(sentence));
}

#[test]
fn an_attempt_that_nobody_passes_is_found() {
    let a_start = Misfortune { starts: 1, ..NONE };
    let (wrong, last) = found(Defect::NoPatience, three(a_start));
    assert_eq!(wrong, Wrong::Stuck("the upgrade runs".to_owned()));
    assert_eq!(last, "not started: the v2 of seat 1, attempt 2, on h1");
}

#[test]
fn a_request_that_was_lost_with_its_leader_is_found() {
    let (wrong, _) = found(Defect::RequestNotRepeated, three(A_DEATH));
    assert_eq!(wrong, Wrong::Stuck("no upgrade was begun".to_owned()));
}

#[test]
fn a_dead_member_that_stays_is_found() {
    let (wrong, _) = found(Defect::DeadStay, three(A_DEATH));
    assert!(matches!(wrong, Wrong::Stuck(_)), "{wrong:?}");
}
