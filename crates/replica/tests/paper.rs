//! Sentences of the paper that the ordered state keeps, and the arrows of Figure 1.
//!
//! Views are written as strings, `1v1 2v1 3v1`: the member's number and its version; the first
//! leads. A member's seat follows from its place in the founding view.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use group::{Joiner, Membership, Transfer, View};
use replica::ordered::{
    Doing, FigureState, Happened, Ordered, answering, doing, state, turn, vacancy,
};
use wire::daemon::{Foundation, HostRecord};
use wire::log::{Change, Proposal, UpgradeRequest};
use wire::member::{Binary, Formats, Member, Seat, Standing};
use wire::{Build, MemberId, OrderedTime, Position, Version};

fn id(number: u64) -> MemberId {
    MemberId::new(number).unwrap()
}

fn binary(version: u64) -> Binary {
    Binary {
        version: Version::new(version, 0, 0),
        build: Build([u8::try_from(version).unwrap(); 32]),
    }
}

fn member(number: u64, version: u64, seat: u32, attempt: u32) -> Member {
    Member {
        id: id(number),
        host: format!("host{seat}"),
        address: format!("127.0.0.1:{}", 1000 + number).parse().unwrap(),
        binary: binary(version),
        formats: Formats {
            own: 1,
            reads: vec![1],
            writes: vec![1],
        },
        seat: Seat(seat),
        attempt,
        standing: Standing::Serving,
    }
}

/// A group as its members see it, with the ordered state beside the membership.
struct Group {
    ordered: Ordered,
    membership: Membership,
    position: u64,
}

impl Group {
    /// `1v1 2v1 3v1`, by seniority; the first leads.
    fn of(view: &str) -> Group {
        let members: Vec<Member> = (0..)
            .zip(view.split(' '))
            .map(|(seat, text)| {
                let (number, version) = text.split_once('v').unwrap();
                member(number.parse().unwrap(), version.parse().unwrap(), seat, 0)
            })
            .collect();
        let mut membership =
            Membership::found("g".to_owned(), "s".to_owned(), 1, members[0].clone());
        membership.configuration.voters = members.iter().map(|member| member.id).collect();
        membership.next_member = 1 + members.len() as u64;
        membership.leader = Some(members[0].id);
        membership.view = View {
            position: Position(1),
            members,
            leaving: None,
        };
        let hosts = (0..3)
            .map(|number| HostRecord {
                name: format!("host{number}"),
                daemon: "127.0.0.1:7400".parse().unwrap(),
            })
            .collect();
        let foundation = Foundation {
            stack: replica::USUAL.to_owned(),
            initial: 3,
            minimal: 1,
            hosts,
        };
        let ordered = Ordered::found(foundation, binary(1), &membership, OrderedTime(0));
        Group {
            ordered,
            membership,
            position: 1,
        }
    }

    fn order(&mut self, proposal: &Proposal) -> Vec<Happened> {
        self.position += 1;
        let (at, time) = (Position(self.position), OrderedTime(self.position));
        self.ordered.apply(at, time, proposal, &self.membership)
    }

    fn upgrade(&mut self) -> Vec<Happened> {
        self.order(&Proposal::Upgrade(UpgradeRequest {
            target: binary(2),
            parallel: 1,
            attempts: 3,
            patience_ms: 1_000,
            token: 1,
        }))
    }

    /// The member whose turn it is takes it.
    fn take_turn(&mut self) -> u64 {
        let turn = turn(&self.ordered, &self.membership).unwrap();
        let by = turn.by().number();
        self.order(&turn.proposal());
        by
    }

    fn changed(&mut self, change: &Change) -> Vec<Happened> {
        self.position += 1;
        let (at, time) = (Position(self.position), OrderedTime(self.position));
        self.ordered.changed(at, time, change, &self.membership)
    }

    /// The successor for a seat joins, catches up, takes `old`'s place, and `old` leaves.
    fn succeed(&mut self, number: u64, old: u64) {
        let seat = self.membership.view.member(id(old)).unwrap().seat;
        let attempt = self.ordered.attempt(seat).unwrap().number;
        let new = member(number, 2, seat.0, attempt);
        self.membership.joiners.push(Joiner {
            member: new.clone(),
            transfer: Some(Transfer {
                position: Position(self.position),
                donor: id(1),
            }),
            ready: true,
        });
        self.changed(&Change::Admit(new.clone()));
        self.membership.joiners.clear();
        self.membership.view.members.push(new);
        self.membership.view.leaving = Some(id(old));
        self.changed(&Change::Promote {
            joiner: id(number),
            replaces: Some(id(old)),
        });
        assert_eq!(self.doing(old), Doing::Leaving);
        let members = &mut self.membership.view.members;
        members.retain(|member| member.id != id(old));
        self.membership.view.leaving = None;
        self.changed(&Change::Settle);
    }

    fn state(&self, number: u64) -> FigureState {
        state(&self.ordered, &self.membership, id(number))
    }

    fn doing(&self, number: u64) -> Doing {
        doing(&self.ordered, &self.membership, id(number))
    }

    fn answers(&self, number: u64) -> bool {
        answering(&self.ordered, &self.membership).contains(&id(number))
    }
}

/// Figure 1: idle -clientReq-> processing -done-> idle. What a member may take depends on the
/// ordered state, which a request does not touch.
#[test]
fn a_request_in_idle_is_processed() {
    let group = Group::of("1v1 2v1 3v1");
    for number in 1..=3 {
        assert_eq!(group.state(number), FigureState::Idle);
        assert!(group.answers(number));
    }
}

/// Figure 1: processing -done-> idle, or idle_upgrade if triggered.
#[test]
fn done_returns_to_idle() {
    let mut group = Group::of("1v1 2v1 3v1");
    let calls = bytes::Bytes::from_static(b"request");
    let origin = wire::log::Origin {
        member: id(2),
        number: 1,
        connection: 1,
    };
    let before = group.ordered.clone();
    assert_eq!(group.order(&Proposal::Calls { origin, calls }), []);
    assert_eq!(group.ordered, before);
    assert_eq!(group.state(2), FigureState::Idle);
}

/// Figure 1: the same when the member is triggered.
#[test]
fn done_returns_to_idle_upgrade_if_triggered() {
    let mut group = Group::of("1v1 2v1 3v1");
    group.upgrade();
    let calls = bytes::Bytes::from_static(b"request");
    let origin = wire::log::Origin {
        member: id(3),
        number: 1,
        connection: 1,
    };
    group.order(&Proposal::Calls { origin, calls });
    assert_eq!(group.state(3), FigureState::IdleUpgrade);
}

/// Figure 1: idle_upgrade -clientReq-> processing: a triggered member serves until its turn.
#[test]
fn a_request_in_idle_upgrade_is_processed() {
    let mut group = Group::of("1v1 2v1 3v1");
    group.upgrade();
    for number in 1..=3 {
        assert_eq!(group.state(number), FigureState::IdleUpgrade);
        assert!(group.answers(number));
    }
}

/// Figure 1, ours: upgrading -failure; resume requests-> idle_upgrade.
#[test]
fn failure_resumes_requests_in_idle_upgrade() {
    let mut group = Group::of("1v1 2v1 3v1");
    group.upgrade();
    assert_eq!(group.take_turn(), 2);
    assert_eq!(group.state(2), FigureState::Upgrading { attempt: 1 });
    assert!(!group.answers(2));
    group.order(&Proposal::Passed {
        seat: Seat(1),
        attempt: 1,
        reason: "it did not start".to_owned(),
    });
    assert_eq!(group.state(2), FigureState::IdleUpgrade);
    assert!(group.answers(2));
}

/// §3.2, 3a: "Otherwise, the replica may process client requests and its upgrade is postponed until
/// it is possible."
#[test]
fn a_postponed_member_goes_on_serving_until_its_turn() {
    let mut group = Group::of("1v1 2v1 3v1");
    group.upgrade();
    assert_eq!(group.take_turn(), 2);
    assert!(turn(&group.ordered, &group.membership).is_err());
    assert_eq!(group.doing(3), Doing::Serving);
    assert!(group.answers(3));
    group.succeed(4, 2);
    assert_eq!(group.take_turn(), 3);
}

/// §3.2, 4: "The upgraded replica, r, is removed from R."
#[test]
fn an_upgraded_seat_is_not_upgraded_again() {
    let mut group = Group::of("1v1 2v1 3v1");
    group.upgrade();
    assert_eq!(group.take_turn(), 2);
    group.succeed(4, 2);
    assert_eq!(group.take_turn(), 3);
    group.succeed(5, 3);
    assert_eq!(group.state(4), FigureState::Idle);
    assert!(
        turn(&group.ordered, &group.membership).is_err(),
        "the leader hands over first"
    );
}

/// §3.3: "the operation uses the recovery mechanism which is responsible for maintaining a given
/// redundancy level".
#[test]
fn turns_and_recovery_start_replicas_by_the_same_mechanism() {
    let mut group = Group::of("1v1 2v1 3v1");
    group.upgrade();
    assert_eq!(group.take_turn(), 2);
    let turn_attempt = group.ordered.attempt(Seat(1)).unwrap().number;
    // The member whose turn runs dies, nobody was started: the seat is recovery's.
    let members = &mut group.membership.view.members;
    members.retain(|member| member.id != id(2));
    group.changed(&Change::Remove {
        member: id(2),
        reason: "it died".to_owned(),
    });
    let recovery = vacancy(&group.ordered, &group.membership).unwrap();
    assert_eq!(recovery.seat(), Seat(1));
    assert_eq!(
        recovery.attempt(),
        turn_attempt + 1,
        "the numbers of one seat go on"
    );
    let happened = group.order(&recovery.proposal());
    assert!(
        matches!(happened[..], [Happened::Taken { .. }]),
        "{happened:?}"
    );
}

/// §4.2: "the member identifier includes a version number", so views tell who runs what.
#[test]
fn a_member_carries_its_version() {
    let mut group = Group::of("1v1 2v1 3v1");
    group.upgrade();
    group.take_turn();
    group.succeed(4, 2);
    let versions: Vec<u64> = group
        .membership
        .view
        .members
        .iter()
        .map(|member| member.binary.version.0.major)
        .collect();
    assert_eq!(versions, [1, 1, 2]);
}

/// §4.2: a member that is stopped for its replacement returns no results to clients.
#[test]
fn a_stopped_member_returns_no_results() {
    let mut group = Group::of("1v1 2v1 3v1");
    group.upgrade();
    assert_eq!(group.take_turn(), 2);
    assert!(!group.answers(2));
    assert!(group.answers(1) && group.answers(3));
}

/// Our reading: a stopped member still applies the order and keeps its vote until it is replaced.
#[test]
fn a_stopped_member_applies_and_votes_on() {
    let mut group = Group::of("1v1 2v1 3v1");
    group.upgrade();
    assert_eq!(group.take_turn(), 2);
    assert!(group.membership.view.serves(id(2)));
    assert!(group.membership.configuration.votes(id(2)));
}

/// §4.2: the request of the upgrade manager reaches the upgrade layers of all members.
#[test]
fn an_operators_request_reaches_every_upgrade_layer() {
    let mut copies: Vec<Group> = (0..3).map(|_| Group::of("1v1 2v1 3v1")).collect();
    for copy in &mut copies {
        let happened = copy.upgrade();
        assert!(
            matches!(
                happened[..],
                [Happened::UpgradeAccepted {
                    upgrade: Position(2),
                    ..
                }]
            ),
            "{happened:?}"
        );
    }
    assert!(
        copies
            .windows(2)
            .all(|pair| pair[0].ordered == pair[1].ordered)
    );
    for (copy, number) in copies.iter().zip(1..) {
        assert_eq!(copy.state(number), FigureState::IdleUpgrade);
    }
}
