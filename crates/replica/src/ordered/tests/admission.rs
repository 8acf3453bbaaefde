//! Who is admitted.

use wire::peer::Join;

use super::situation::{binary, formats, group};
use crate::ordered::admission;

fn join(version: u64, seat: u32, attempt: u32) -> Join {
    Join {
        host: "h1".to_owned(),
        address: ([127, 0, 0, 1], 1004).into(),
        binary: binary(version),
        service: "service".to_owned(),
        formats: formats(version),
        seat: wire::member::Seat(seat),
        attempt,
        process: 4711,
    }
}

/// Whether a replica is admitted to a group whose seat 1 waits for one in attempt 1.
fn whether(view: &str, join: &Join, admitted: bool) -> (String, bool) {
    let mut situation = group(view);
    if !admitted {
        let joiner = situation.membership.joiners.pop().expect("a joiner");
        let seat = &mut situation.ordered.seats[joiner.member.seat.0 as usize];
        seat.current.as_mut().expect("its attempt").joiner = None;
    }
    match admission(&situation.ordered, &situation.membership, join) {
        Ok(admission) => (format!("{admission:?}"), false),
        Err(why) => (why.to_string(), why.may_change()),
    }
}

#[test]
fn exactly_the_replica_of_the_current_attempt_is_admitted() {
    let waiting = "1v1* 2v1@2 | 4v1@1";
    let said = |join: Join, admitted| whether(waiting, &join, admitted);
    let sure = |text: &str| (text.to_owned(), false);
    assert_eq!(said(join(1, 1, 1), false), sure("New"));
    assert_eq!(said(join(1, 1, 1), true), sure("Known(m4)"));
    assert_eq!(
        said(join(1, 1, 0), false),
        sure("attempt 0 for seat 1 is over")
    );
    assert_eq!(said(join(1, 9, 1), false), sure("the group has no seat 9"));
    assert_eq!(
        said(join(1, 1, 2), false),
        (
            "attempt 2 for seat 1 has not begun at this member; ask again".to_owned(),
            true
        )
    );
    let (why, _) = said(join(2, 1, 1), false);
    assert!(why.starts_with("seat 1 is to run 1.0.0"), "{why}");
    let elsewhere = Join {
        address: ([127, 0, 0, 1], 9).into(),
        ..join(1, 1, 1)
    };
    assert_eq!(
        said(elsewhere, true),
        sure("attempt 1 for seat 1 has brought m4 already, from another process")
    );
    let other = Join {
        service: "other".to_owned(),
        ..join(1, 1, 1)
    };
    assert_eq!(
        said(other, false),
        sure("the group serves \"service\", the replica \"other\"")
    );
}

#[test]
fn a_replica_that_nobody_can_give_its_state_is_refused_with_both_formats() {
    let (why, may_change) = whether("3v3* | 4v1@1", &join(1, 1, 1), false);
    assert_eq!(
        why,
        "the replica reads state formats [1], the serving members write [3]"
    );
    assert!(!may_change);
    let (_, may_change) = whether("1v1? | 4v1@1", &join(1, 1, 1), false);
    assert!(may_change);
}
