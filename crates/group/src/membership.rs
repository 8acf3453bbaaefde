//! Membership: who is in the group, as a value that only the total order changes.
//!
//! All members hold the same [`Membership`] at the same position, so a pure function of it is a
//! decision that the whole group has already taken. Members stand in order of seniority: a joiner
//! goes last, a leaver's place closes, nobody is ever reordered. Joiners that still catch up stand
//! apart and are never counted. Paper: §2 (views), §4.2 (members ordered, with version numbers).

use std::net::SocketAddr;

use minicbor::{Decode, Encode};
use museum::Defect;
use order::{Configuration, Tail};
use wire::frame::{FrameError, decode_body, to_bytes};
use wire::log::{Change, Proposal};
use wire::member::{Member, Standing};
use wire::{MemberId, OrderedTime, Position};

/// The format of a transferred membership that this build writes and reads.
const SNAPSHOT_FORMAT: u8 = 1;

/// The agreed list of members (§2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct View {
    /// Where in the total order it stands.
    #[n(0)]
    pub position: Position,
    /// The members, eldest first.
    #[cbor(n(1), with = "wire::list::exact")]
    pub members: Vec<Member>,
    /// The member whose vote a successor has taken and that goes next.
    #[n(2)]
    pub leaving: Option<MemberId>,
}

/// A new replica that is admitted and catches up: a learner, in no view.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Joiner {
    /// Who it is, and who it will be.
    #[n(0)]
    pub member: Member,
    /// Whose state it receives.
    #[n(1)]
    pub transfer: Option<Transfer>,
    /// Whether the leader saw it follow the order.
    #[n(2)]
    pub ready: bool,
}

/// A state transfer: which state, from whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Transfer {
    /// The state of this position.
    #[n(0)]
    pub position: Position,
    /// Who exports it.
    #[n(1)]
    pub donor: MemberId,
}

/// The whole ordered state of the group communication.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Membership {
    /// The group's name.
    #[n(0)]
    pub group: String,
    /// The service's name.
    #[n(1)]
    pub service: String,
    /// Which life of the group: a restart from nothing has a higher one, which fences the old.
    #[n(2)]
    pub incarnation: u64,
    /// Who is in.
    #[n(3)]
    pub view: View,
    /// Who catches up, in the order of admission.
    #[cbor(n(4), with = "wire::list::exact")]
    pub joiners: Vec<Joiner>,
    /// The leader of record: who was last named by the first entry of a new leader.
    #[n(5)]
    pub leader: Option<MemberId>,
    /// The id of the next joiner; ids are never used again.
    #[n(6)]
    pub next_member: u64,
    /// Whose votes count.
    #[n(7)]
    pub configuration: Configuration,
}

impl View {
    /// The member with this id.
    pub fn member(&self, id: MemberId) -> Option<&Member> {
        self.members.iter().find(|member| member.id == id)
    }

    /// Members that serve, eldest first: not suspected, not leaving.
    pub fn serving(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| {
            member.standing == Standing::Serving && self.leaving != Some(member.id)
        })
    }

    /// Whether this member serves.
    pub fn serves(&self, id: MemberId) -> bool {
        self.serving().any(|member| member.id == id)
    }
}

impl Membership {
    /// A new group of one: `founder` is its only member, at position 1.
    pub fn found(group: String, service: String, incarnation: u64, founder: Member) -> Membership {
        Membership {
            group,
            service,
            incarnation,
            next_member: founder.id.number() + 1,
            configuration: Configuration {
                voters: vec![founder.id],
                ..Configuration::default()
            },
            view: View {
                position: Position(1),
                members: vec![founder],
                leaving: None,
            },
            joiners: Vec::new(),
            leader: None,
        }
    }

    /// The joiner with this id.
    pub fn joiner(&self, id: MemberId) -> Option<&Joiner> {
        self.joiners.iter().find(|joiner| joiner.member.id == id)
    }

    /// Members and joiners.
    pub fn everybody(&self) -> impl Iterator<Item = &Member> {
        let joiners = self.joiners.iter().map(|joiner| &joiner.member);
        self.view.members.iter().chain(joiners)
    }

    /// Where this member or joiner listens.
    pub fn address(&self, id: MemberId) -> Option<SocketAddr> {
        self.everybody()
            .find(|member| member.id == id)
            .map(|member| member.address)
    }

    /// Whether this id was given once and is out by now.
    pub fn is_past(&self, id: MemberId) -> bool {
        id.number() < self.next_member && !self.everybody().any(|member| member.id == id)
    }

    /// Applies what concerns the membership among the proposals of an entry. Says whether anything
    /// changed.
    pub fn ordered(&mut self, position: Position, proposal: &Proposal) -> bool {
        match proposal {
            Proposal::Leads { member } => {
                self.leader = Some(*member);
                true
            }
            Proposal::Standing { member, standing } => self.stand(position, *member, *standing),
            Proposal::Transfer { joiner, donor } => {
                let known = self.view.member(*donor).is_some();
                let transfer = Transfer {
                    position,
                    donor: *donor,
                };
                self.joiners
                    .iter_mut()
                    .filter(|entry| entry.member.id == *joiner && known)
                    .map(|entry| {
                        entry.transfer = Some(transfer);
                        entry.ready = false;
                    })
                    .count()
                    > 0
            }
            Proposal::Ready { joiner, position } => {
                let has = |transfer: Transfer| transfer.position == *position;
                self.joiners
                    .iter_mut()
                    .filter(|entry| entry.member.id == *joiner && entry.transfer.is_some_and(has))
                    .map(|entry| entry.ready = true)
                    .count()
                    > 0
            }
            Proposal::Open { .. }
            | Proposal::Calls { .. }
            | Proposal::Taken { .. }
            | Proposal::Passed { .. }
            | Proposal::Upgrade(_)
            | Proposal::Specify(_)
            | Proposal::Activate { .. }
            | Proposal::Layer { .. } => false,
        }
    }

    fn stand(&mut self, position: Position, id: MemberId, standing: Standing) -> bool {
        let found = self
            .view
            .members
            .iter_mut()
            .find(|member| member.id == id && member.standing != standing);
        let Some(member) = found else { return false };
        member.standing = standing;
        self.view.position = position;
        true
    }

    /// One member goes on alone, in a life of the group that begins here (design 4.5).
    pub(crate) fn survived(
        &mut self,
        position: Position,
        survivor: Member,
        configuration: Configuration,
    ) {
        self.incarnation += 1;
        self.configuration = configuration;
        self.leader = None;
        self.joiners.clear();
        self.view = View {
            position,
            members: vec![Member {
                standing: Standing::Serving,
                ..survivor
            }],
            leaving: None,
        };
    }

    /// Applies a change of membership that the order has put into force.
    pub fn changed(&mut self, position: Position, change: &Change, configuration: Configuration) {
        self.configuration = configuration;
        match change {
            Change::Admit(member) => {
                self.next_member = self.next_member.max(member.id.number() + 1);
                self.joiners.push(Joiner {
                    member: member.clone(),
                    transfer: None,
                    ready: false,
                });
            }
            Change::Promote { joiner, replaces } => {
                if let Some(at) = self.joiners.iter().position(|j| j.member.id == *joiner) {
                    let last = self.view.members.len();
                    let place = if museum::on(Defect::JoinerGoesFirst) {
                        0
                    } else {
                        last
                    };
                    self.view
                        .members
                        .insert(place, self.joiners.remove(at).member);
                }
                self.view.leaving = *replaces;
                self.view.position = position;
            }
            Change::Settle => {
                if let Some(leaver) = self.view.leaving.take() {
                    self.view.members.retain(|member| member.id != leaver);
                }
                self.view.position = position;
            }
            Change::Remove { member, .. } => {
                self.joiners.retain(|joiner| joiner.member.id != *member);
                if self.view.member(*member).is_some() {
                    self.view.members.retain(|other| other.id != *member);
                    self.view.position = position;
                }
            }
        }
        if self
            .leader
            .is_some_and(|leader| self.view.member(leader).is_none())
        {
            self.leader = None;
        }
    }
}

/// The membership with the moment it belongs to, as a state transfer carries it.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Snapshot {
    /// [`SNAPSHOT_FORMAT`].
    #[n(0)]
    format: u8,
    /// The members.
    #[n(1)]
    pub membership: Membership,
    /// The group's time.
    #[n(2)]
    pub time: OrderedTime,
    /// What the group's log still holds up to here.
    #[n(3)]
    pub tail: Option<Tail>,
}

/// Why a transferred membership cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SnapshotError {
    /// Another format.
    #[error(
        "membership of format {found}, this build reads {SNAPSHOT_FORMAT}; upgrade over a release that reads both"
    )]
    Format {
        /// What was found.
        found: u8,
    },
    /// The bytes do not decode.
    #[error("a membership that does not decode: {0}")]
    Malformed(#[from] FrameError),
}

impl Snapshot {
    /// The membership as of a moment.
    pub fn new(membership: Membership, time: OrderedTime) -> Snapshot {
        Snapshot {
            format: SNAPSHOT_FORMAT,
            membership,
            time,
            tail: None,
        }
    }

    /// With what the log still holds.
    #[must_use]
    pub fn with_tail(self, tail: Tail) -> Snapshot {
        Snapshot {
            tail: Some(tail),
            ..self
        }
    }

    /// For a transfer.
    pub fn to_bytes(&self) -> Vec<u8> {
        to_bytes(self)
    }

    /// From a transfer.
    ///
    /// # Errors
    /// Another format, or bytes that do not decode.
    pub fn from_bytes(bytes: &[u8]) -> Result<Snapshot, SnapshotError> {
        let snapshot: Snapshot = decode_body(bytes)?;
        if snapshot.format != SNAPSHOT_FORMAT {
            return Err(SnapshotError::Format {
                found: snapshot.format,
            });
        }
        Ok(snapshot)
    }
}

#[cfg(test)]
mod fuzz;

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use wire::member::{Binary, Formats, Seat};
    use wire::{Build, Version};

    use super::*;

    fn id(number: u64) -> MemberId {
        MemberId::new(number).unwrap()
    }

    fn member(number: u64) -> Member {
        Member {
            id: id(number),
            host: "alpha".to_owned(),
            address: "127.0.0.1:1000".parse().unwrap(),
            binary: Binary {
                version: Version::new(1, 0, 0),
                build: Build([0; 32]),
            },
            formats: Formats::default(),
            seat: Seat(0),
            attempt: 1,
            standing: Standing::Serving,
        }
    }

    fn founded() -> Membership {
        Membership::found("group".to_owned(), "service".to_owned(), 1, member(1))
    }

    fn change(membership: &mut Membership, position: u64, change: &Change) {
        let configuration = membership.configuration.clone();
        membership.changed(Position(position), change, configuration);
    }

    /// A word of readiness for a state that was replaced by another one means nothing: the log is held
    /// for the other one.
    #[test]
    fn a_joiner_is_ready_only_with_the_state_that_was_named_last() {
        let mut membership = founded();
        change(&mut membership, 2, &Change::Admit(member(2)));
        let (joiner, donor) = (id(2), id(1));
        for position in [3, 4] {
            membership.ordered(Position(position), &Proposal::Transfer { joiner, donor });
        }
        let ready = |position| Proposal::Ready {
            joiner,
            position: Position(position),
        };
        assert!(!membership.ordered(Position(5), &ready(3)));
        assert!(!membership.joiners[0].ready);
        assert!(membership.ordered(Position(6), &ready(4)));
        assert!(membership.joiners[0].ready);
    }

    fn seniority(membership: &Membership) -> Vec<u64> {
        membership
            .view
            .members
            .iter()
            .map(|member| member.id.number())
            .collect()
    }

    #[test]
    fn a_joiner_goes_last_and_a_leavers_place_closes() {
        let mut membership = founded();
        for number in 2..=3 {
            change(&mut membership, 10 * number, &Change::Admit(member(number)));
            assert_eq!(membership.view.members.len() as u64, number - 1);
            let promote = Change::Promote {
                joiner: id(number),
                replaces: None,
            };
            change(&mut membership, 10 * number + 1, &promote);
        }
        assert_eq!(seniority(&membership), [1, 2, 3]);
        change(&mut membership, 40, &Change::Admit(member(4)));
        let swap = Change::Promote {
            joiner: id(4),
            replaces: Some(id(1)),
        };
        change(&mut membership, 41, &swap);
        assert_eq!(seniority(&membership), [1, 2, 3, 4]);
        assert!(!membership.view.serves(id(1)));
        change(&mut membership, 42, &Change::Settle);
        assert_eq!(seniority(&membership), [2, 3, 4]);
        assert_eq!(membership.view.position, Position(42));
        assert!(membership.is_past(id(1)));
        assert!(!membership.is_past(id(5)));
    }

    #[test]
    fn a_suspect_stays_in_the_view_and_does_not_serve() {
        let mut membership = founded();
        let suspect = Proposal::Standing {
            member: id(1),
            standing: Standing::Suspected,
        };
        assert!(membership.ordered(Position(5), &suspect));
        assert!(!membership.ordered(Position(6), &suspect));
        assert_eq!(membership.view.position, Position(5));
        assert_eq!(seniority(&membership), [1]);
        assert_eq!(membership.view.serving().count(), 0);
    }

    #[test]
    fn a_survivor_is_alone_in_another_incarnation_and_ids_go_on() {
        let mut membership = founded();
        for number in 2..=3 {
            change(&mut membership, 10 * number, &Change::Admit(member(number)));
        }
        let promote = Change::Promote {
            joiner: id(2),
            replaces: Some(id(1)),
        };
        change(&mut membership, 31, &promote);
        let silent = Proposal::Standing {
            member: id(2),
            standing: Standing::Suspected,
        };
        membership.ordered(Position(32), &silent);
        membership.ordered(Position(33), &Proposal::Leads { member: id(1) });
        let survivor = membership.view.members[1].clone();
        let alone = Configuration {
            voters: vec![id(2)],
            ..Configuration::default()
        };
        membership.survived(Position(40), survivor, alone);
        assert_eq!(seniority(&membership), [2]);
        assert!(membership.view.serves(id(2)));
        assert_eq!(membership.view.position, Position(40));
        assert_eq!((membership.incarnation, membership.next_member), (2, 4));
        assert_eq!((membership.leader, membership.joiners.len()), (None, 0));
        assert!(membership.is_past(id(1)) && membership.is_past(id(3)));
    }

    #[test]
    fn a_removed_leader_is_no_leader_of_record() {
        let mut membership = founded();
        change(&mut membership, 2, &Change::Admit(member(2)));
        change(
            &mut membership,
            3,
            &Change::Promote {
                joiner: id(2),
                replaces: None,
            },
        );
        membership.ordered(Position(4), &Proposal::Leads { member: id(1) });
        let remove = Change::Remove {
            member: id(1),
            reason: "it died".to_owned(),
        };
        change(&mut membership, 5, &remove);
        assert_eq!(membership.leader, None);
    }

    #[test]
    fn a_snapshot_comes_back_equal_and_another_format_is_refused() {
        let snapshot = Snapshot::new(founded(), OrderedTime(7));
        assert_eq!(
            Snapshot::from_bytes(&snapshot.to_bytes()).unwrap(),
            snapshot
        );
        let other = Snapshot {
            format: 9,
            ..snapshot
        };
        assert_eq!(
            Snapshot::from_bytes(&other.to_bytes()),
            Err(SnapshotError::Format { found: 9 })
        );
        assert!(matches!(
            Snapshot::from_bytes(b"nonsense"),
            Err(SnapshotError::Malformed(_))
        ));
    }
}
