//! Whose turn, which vacancy, which promotion, when activation: one table each.

use super::situation::{Situation, group, upgrading};
use crate::ordered::{activation, promotion, turn, vacancy};

/// Whose turn it is, or why nobody's.
fn whose(situation: &Situation) -> String {
    match turn(&situation.ordered, &situation.membership) {
        Ok(turn) => format!("{}, attempt {}", turn.by(), turn.attempt()),
        Err(why) => why.to_string(),
    }
}

/// Who has which binary started for which vacant seat, or why nobody does.
fn who_recovers(situation: &Situation) -> String {
    match vacancy(&situation.ordered, &situation.membership) {
        Ok(found) => format!(
            "{}: {} starts {}",
            found.seat(),
            found.by(),
            found.binary().version
        ),
        Err(why) => why.to_string(),
    }
}

/// Who becomes a member in whose place, or why nobody does.
fn who_comes_in(situation: &Situation) -> String {
    match promotion(&situation.ordered, &situation.membership) {
        Ok(found) => match found.replaces() {
            Some(old) => format!("{} for {old}", found.joiner()),
            None => found.joiner().to_string(),
        },
        Err(why) => why.to_string(),
    }
}

fn whether_active(situation: &Situation) -> String {
    match activation(&situation.ordered, &situation.membership) {
        Ok(found) => format!("behave as {}", found.version()),
        Err(why) => why.to_string(),
    }
}

/// §4.2: "the first member of the group will be upgraded first and so on".
#[test]
fn the_eldest_old_member_goes_first() {
    for (view, expected) in [
        ("1v1 2v1 3v1*", "m1, attempt 1"),
        ("2v1 3v1* 4v2", "m2, attempt 1"),
        ("7v1 3v1* 4v2", "m7, attempt 1"),
        ("4v2* 5v2 6v2", "all members run the target"),
    ] {
        assert_eq!(whose(&upgrading(view)), expected, "{view}");
    }
    assert_eq!(whose(&group("1v1* 2v1 3v1")), "no upgrade runs");
}

#[test]
fn the_leader_goes_last_after_handing_over() {
    for (view, expected) in [
        ("1v1* 2v1 3v1", "m2, attempt 1"),
        ("1v1* 3v1 4v2", "m3, attempt 1"),
        (
            "1v1* 4v2 5v2",
            "m1 leads: its turn comes after it has handed over to m4",
        ),
        ("1v1 4v2* 5v2", "m1, attempt 1"),
        (
            "1v1 2v1 3v1",
            "the next turn waits until a leader is of record",
        ),
    ] {
        assert_eq!(whose(&upgrading(view)), expected, "{view}");
    }
    let none_yet = upgrading("1v1* 2v1 3v1 | 4v2@1 5v2@2")
        .with_parallel(3)
        .with_foundation(0);
    assert_eq!(
        whose(&none_yet),
        "m1 leads: its turn waits until another member at the target serves"
    );
}

#[test]
fn a_turn_that_may_not_start_says_why() {
    for (view, expected) in [
        (
            "1v1 2v1? 3v1*",
            "the next turn waits until seat 1 is recovered",
        ),
        (
            "1v1 2v1@2*",
            "the next turn waits until seat 1 is recovered",
        ),
        (
            "1v1 2v1@2* | 4v1@1+",
            "the next turn waits until seat 1 is recovered",
        ),
        (
            "1v1- 2v1 3v1* 4v2@0",
            "the next turn waits until m1 has left",
        ),
        (
            "1v1 2v1 3v1* | 4v2@0",
            "m2's turn comes after m1's: 1 of at most 1 turns at a time run",
        ),
    ] {
        assert_eq!(whose(&upgrading(view)), expected, "{view}");
    }
}

#[test]
fn a_turn_needs_more_than_the_minimum() {
    for (minimal, expected) in [
        (0, "m1, attempt 1"),
        (1, "m1, attempt 1"),
        (
            2,
            "m1's turn waits: 2 members serve, 0 turns run, and a turn needs more than 2 (minimal) \
             without them",
        ),
    ] {
        let situation = upgrading("1v1 2v1*").with_foundation(minimal);
        assert_eq!(whose(&situation), expected, "minimal {minimal}");
    }
}

#[test]
fn as_many_turns_run_as_the_request_and_the_minimum_allow() {
    let running = "1v1 2v1 3v1 4v1* | 5v2@0";
    for (parallel, minimal, expected) in [
        (
            1,
            0,
            "m2's turn comes after m1's: 1 of at most 1 turns at a time run",
        ),
        (2, 0, "m2, attempt 1"),
        (2, 2, "m2, attempt 1"),
        (
            2,
            3,
            "m2's turn waits: 4 members serve, 1 turns run, and a turn needs more than 3 (minimal) \
             without them",
        ),
    ] {
        let situation = upgrading(running)
            .with_parallel(parallel)
            .with_foundation(minimal);
        assert_eq!(whose(&situation), expected, "{parallel} {minimal}");
    }
}

#[test]
fn a_group_of_one_is_upgraded() {
    let alone = |view| upgrading(view).with_foundation(0);
    assert_eq!(whose(&alone("1v1*")), "m1, attempt 1");
    assert_eq!(
        whether_active(&alone("1v1* | 2v2@0")),
        "seat 0 has no member at the target yet"
    );
    assert_eq!(whether_active(&alone("1v1* | 2v2@0+")), "behave as 2.0.0");
    assert_eq!(
        who_comes_in(&alone("1v1* | 2v2@0+").activated()),
        "m2 for m1"
    );
}

#[test]
fn the_eldest_serving_member_recovers_the_first_vacant_seat() {
    for (view, expected) in [
        ("1v1* 2v1 3v1", "every seat has a member that serves"),
        ("1v1* 2v1@2", "seat 1: m1 starts 1.0.0"),
        ("1v1? 2v1* 3v1", "seat 0: m2 starts 1.0.0"),
        (
            "1v1? 2v1?",
            "seat 0 is vacant, and no member serves that could have a replica started",
        ),
        (
            "1v1* 2v1@2 | 4v1@1",
            "seat 1 is being filled: attempt 1 of m1 runs",
        ),
        ("1v1* 2v1@3 | 4v1@1", "seat 2: m1 starts 1.0.0"),
    ] {
        assert_eq!(who_recovers(&group(view)), expected, "{view}");
    }
}

/// A version that nobody has seen work is not what a repair begins with.
#[test]
fn recovery_starts_what_the_plan_of_the_seat_says() {
    for (view, expected) in [
        ("1v1* 2v1@2", "seat 1: m1 starts 1.0.0"),
        ("1v1* 4v2@2", "seat 1: m1 starts 2.0.0"),
        ("4v2@1* 5v2@2", "seat 0: m4 starts 2.0.0"),
    ] {
        assert_eq!(who_recovers(&upgrading(view)), expected, "{view}");
    }
    let spent = upgrading("1v1 4v2* 5v2").activated();
    assert_eq!(who_recovers(&spent), "seat 0: m4 starts 2.0.0");
}

#[test]
fn a_ready_joiner_takes_the_place_that_it_came_for() {
    for (view, expected) in [
        ("1v1* 2v1 3v1 | 4v1@1", "no joiner is ready"),
        ("1v1* 2v1@2 | 4v1@1+", "m4"),
        ("1v1* 2v1? 3v1 | 4v1@1+", "m4 for m2"),
        ("1v1- 2v1* 3v1 5v1@0 | 4v1@1+", "m1 leaves first"),
    ] {
        assert_eq!(who_comes_in(&group(view)), expected, "{view}");
    }
}

/// Design 4.15: it is the way back, as long as there is one.
#[test]
fn the_last_old_member_stays_until_activation() {
    let held = "m6 is ready and waits beside m1, the last old member, until activation";
    for (view, expected) in [
        ("1v1 2v1 3v1* | 4v2@0+", "m4 for m1"),
        ("1v1 4v2* 5v2 | 6v2@0+", held),
        // A silent member is no way back for one that serves, but any is for a silent one.
        ("1v1 2v1? 5v2* | 6v2@0+", held),
        ("1v1 2v1? 5v2* | 6v2@1+", "m6 for m2"),
        ("1v1? 2v1? 4v2* 5v2 | 6v2@0+", "m6 for m1"),
        ("1v1? 4v2* 5v2 | 6v2@0+", held),
        // Another joiner of the old version takes its place.
        ("1v1? 4v2* 5v2 | 6v1@0+", "m6 for m1"),
    ] {
        assert_eq!(who_comes_in(&upgrading(view)), expected, "{view}");
    }
    let after = upgrading("1v1 4v2* 5v2 | 6v2@0+").activated();
    assert_eq!(who_comes_in(&after), "m6 for m1");
}

#[test]
fn activation_waits_for_all_seats_but_one_and_its_ready_successor() {
    for (view, expected) in [
        ("1v1 4v2* 5v2 | 6v2@0+", "behave as 2.0.0"),
        ("1v1? 4v2* 5v2 | 6v2@0+", "behave as 2.0.0"),
        ("4v2 5v2* 6v2", "behave as 2.0.0"),
        (
            "1v1 4v2* 5v2 | 6v2@0",
            "seat 0 has no member at the target yet",
        ),
        ("1v1 4v2* 5v2", "seat 0 has no member at the target yet"),
        (
            "1v1 4v2@2* | 6v2@0+",
            "seat 1 has no member at the target yet",
        ),
        (
            "1v1 2v1 4v2* | 5v2@0+ 6v2@1+",
            "seat 1 has no member at the target yet",
        ),
        (
            "1v1 4v2* 5v2? | 6v2@0+",
            "seat 2 has no member at the target yet",
        ),
        ("1v1- 4v2* 5v2 6v2@0", "m1 leaves first"),
    ] {
        assert_eq!(whether_active(&upgrading(view)), expected, "{view}");
    }
    let again = upgrading("4v2 5v2* 6v2").activated();
    assert_eq!(
        whether_active(&again),
        "no upgrade waits for its activation"
    );
}
