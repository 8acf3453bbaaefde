//! Who answers clients, who donates state, and what members are doing.

use super::situation::{Situation, formats, group, id, upgrading};
use crate::ordered::{
    FigureState, answering, doing, donor, format_for, intruders, state, transfers, waits,
};
use wire::member::Formats;

fn who_answers(situation: &Situation) -> String {
    let answers = answering(&situation.ordered, &situation.membership);
    let answers: Vec<String> = answers.iter().map(ToString::to_string).collect();
    answers.join(" ")
}

/// Who gives its state to the last joiner.
fn who_donates(situation: &Situation) -> String {
    let joiner = situation.membership.joiners.last().expect("a joiner");
    match donor(&situation.ordered, &situation.membership, &joiner.member) {
        Ok(donor) => donor.to_string(),
        Err(why) => why.to_string(),
    }
}

#[test]
fn who_does_nothing_else_answers() {
    for (view, expected) in [
        ("1v1* 2v1 3v1", "m1 m2 m3"),
        ("1v1* 2v1? 3v1", "m1 m3"),
        ("1v1- 2v1* 3v1 4v1@0", "m2 m3 m4"),
        ("1v1* 2v1 3v1 | 4v1@1<2", "m1 m3"),
        ("1v1* 2v1 3v1 | 4v1@1+<2", "m1 m2 m3"),
        ("1v1* | 4v1@1<1", "m1"),
        ("1v1?", ""),
    ] {
        assert_eq!(who_answers(&group(view)), expected, "{view}");
    }
}

/// Design 4.14.
#[test]
fn only_old_members_answer_while_versions_are_mixed() {
    for (view, expected) in [
        ("1v1* 2v1 4v2", "m1 m2"),
        ("1v1* 2v1 3v1 | 4v2@1", "m1 m3"),
        ("1v1* 2v1 3v1 | 4v2@1<1", "m3"),
        ("1v1* 2v1@2 | 4v2@2<1", "m1"),
        // The last old member answers even in its turn, and while it exports.
        ("1v1 4v2* 5v2 | 6v2@0<1", "m1"),
        ("1v1? 4v2* 5v2 | 6v2@0<5", "m4"),
        ("4v2* 5v2@2", "m4 m5"),
    ] {
        assert_eq!(who_answers(&upgrading(view)), expected, "{view}");
    }
}

#[test]
fn after_activation_held_members_do_not_answer() {
    let held = upgrading("1v1 4v2* 5v2 | 6v2@0+").activated();
    assert_eq!(who_answers(&held), "m4 m5");
    let alone = upgrading("1v1* | 2v2@0+").activated();
    assert_eq!(who_answers(&alone), "m1");
}

/// Design 4.6: eligible, not answering, not leading, near, young.
#[test]
fn the_donor_is_the_member_that_is_missed_least() {
    for (view, expected) in [
        ("1v1* 2v1 3v1@3 | 4v1@2", "m3"),
        ("1v1* 2v1 3v1@3 | 4v1@1", "m2"),
        ("1v1 2v1@2* | 4v1@1", "m1"),
        ("1v1* | 4v1@1", "m1"),
        ("1v1* 2v1@3 | 4v1@1<2 5v1@2", "m1"),
        (
            "1v1* | 4v1@1<1 5v1@2",
            "m5 waits for the state: m1 gives it to another joiner first",
        ),
        (
            "1v1? | 4v1@1",
            "no member serves that could give m4 the state",
        ),
        (
            "3v3* | 4v1@1",
            "m4 reads state formats [1], the serving members write [3]",
        ),
    ] {
        assert_eq!(who_donates(&group(view)), expected, "{view}");
    }
    for (view, expected) in [
        // Its turn runs, so it answers nobody.
        ("1v1 2v1 3v1* | 4v2@0", "m1"),
        // The old members answer, the new one does not.
        ("1v1 2v1* 4v2 | 5v2@1", "m4"),
        // Version 2 writes format 1 too, but who works in it is asked first.
        ("1v1 2v1* 4v2 | 5v1@2", "m1"),
    ] {
        assert_eq!(who_donates(&upgrading(view)), expected, "{view}");
    }
    let spent = upgrading("1v1 4v2* 5v2@1 | 6v2@2").activated();
    assert_eq!(who_donates(&spent), "m5");
    // Nobody else has a state: what the activation left is better than none.
    let alone = upgrading("1v1* | 2v2@0").activated();
    assert_eq!(who_donates(&alone), "m1");
}

#[test]
fn the_donors_own_format_is_written_where_it_is_read() {
    let of = |own: u32, reads: &[u32], writes: &[u32]| Formats {
        own,
        reads: reads.to_vec(),
        writes: writes.to_vec(),
    };
    for (donor, joiner, expected) in [
        (formats(1), formats(1), Some(1)),
        (formats(1), formats(2), Some(1)),
        (formats(2), formats(1), Some(1)),
        (formats(1), formats(3), None),
        (of(3, &[3], &[1, 2, 3]), of(2, &[1, 2], &[2]), Some(2)),
        (of(3, &[3], &[2, 3]), of(4, &[2, 3, 4], &[4]), Some(3)),
    ] {
        assert_eq!(
            format_for(&donor, &joiner),
            expected,
            "{donor:?} {joiner:?}"
        );
    }
}

#[test]
fn a_transfer_begins_again_when_its_donor_cannot_go_on() {
    let due = |view: &str| {
        let situation = group(view);
        let due = transfers(&situation.ordered, &situation.membership);
        let due = due.into_iter().flatten();
        due.map(|due| format!("{} from {}", due.joiner(), due.donor()))
            .collect::<Vec<_>>()
    };
    assert_eq!(due("1v1* 2v1 3v1@3 | 4v1@2"), ["m4 from m3"]);
    assert!(due("1v1* 2v1 3v1@3 | 4v1@2<3").is_empty());
    assert_eq!(due("1v1* 2v1 3v1@3? | 4v1@2<3"), ["m4 from m2"]);
    assert_eq!(due("1v1* 2v1@3 | 4v1@2<9"), ["m4 from m2"]);
    assert!(due("1v1* 2v1 3v1@3? | 4v1@2+<3").is_empty());
}

#[test]
fn who_came_too_late_or_is_one_too_many_is_an_intruder() {
    let mut late = group("1v1* 2v1@2 | 4v1@1+");
    assert!(intruders(&late.ordered, &late.membership).is_empty());
    late.ordered.seats[1].current = None;
    let found = intruders(&late.ordered, &late.membership);
    assert_eq!(found, [(id(4), "attempt 1 for seat 1 is over".to_owned())]);

    let double = group("1v1* 2v1 3v1@1");
    let found = intruders(&double.ordered, &double.membership);
    assert_eq!(found, [(id(3), "seat 1 has another member".to_owned())]);
}

/// Figure 1, read off the ordered state.
#[test]
fn a_members_state_of_figure_1_follows_from_the_ordered_state() {
    let of = |situation: &Situation, number| {
        state(&situation.ordered, &situation.membership, id(number))
    };
    assert_eq!(of(&group("1v1* 2v1"), 2), FigureState::Idle);
    let running = upgrading("1v1 2v1* 4v2 | 5v2@0");
    assert_eq!(of(&running, 1), FigureState::Upgrading { attempt: 1 });
    assert_eq!(of(&running, 2), FigureState::IdleUpgrade);
    assert_eq!(of(&running, 4), FigureState::Idle);
    assert_eq!(of(&running, 5), FigureState::Init);
    assert_eq!(of(&running, 9), FigureState::Terminated);
    assert_eq!(of(&upgrading("1v1- 2v1* 4v2@0"), 1), FigureState::Leaving);
}

#[test]
fn what_members_are_doing_has_a_word() {
    let running = upgrading("1v1 2v1* 3v1? 4v2 | 5v2@0 6v1@2+");
    let words: Vec<&str> = (1..=7)
        .map(|number| doing(&running.ordered, &running.membership, id(number)).word())
        .collect();
    let expected = [
        "upgrading",
        "serving",
        "suspected",
        "serving",
        "joining",
        "ready",
        "gone",
    ];
    assert_eq!(words, expected);
}

#[test]
fn everything_that_waits_says_why() {
    for (situation, expected) in [
        (group("1v1* 2v1"), vec![]),
        (
            group("1v1* 2v1@2"),
            vec![format!(
                "seat 1 is vacant: m1 has a replica of {} started, attempt 1",
                super::situation::binary(1)
            )],
        ),
        (
            upgrading("1v1 2v1 3v1* | 4v2@0<1"),
            vec![
                "seat 0: m4 takes the state of m1 and catches up".to_owned(),
                "m2's turn comes after m1's: 1 of at most 1 turns at a time run".to_owned(),
            ],
        ),
        (
            upgrading("1v1 4v2* 5v2 | 6v2@0+"),
            vec![
                "m6 is ready and waits beside m1, the last old member, until activation".to_owned(),
                "all seats are ready: the leader activates 2.0.0".to_owned(),
            ],
        ),
    ] {
        assert_eq!(waits(&situation.ordered, &situation.membership), expected);
    }
}
