//! Whom to kill in the middle of an upgrade, as a function of what the group says of itself.

use std::fmt;

use clap::ValueEnum;
use wire::status::{GroupStatus, MemberStatus};

/// What part a replica plays while a turn runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    /// The member whose turn it is.
    Holder,
    /// The replica that is to take its place.
    Successor,
    /// The leader, while another member's turn runs.
    Leader,
    /// A member that is none of these.
    Bystander,
}

impl Role {
    /// All of them, in the order in which demos that follow each other take them.
    const ROTATION: [Role; 4] = [Role::Holder, Role::Successor, Role::Leader, Role::Bystander];

    /// The role that is hit in the demo with this number.
    pub(crate) fn of(number: u64) -> Role {
        let count = Role::ROTATION.len() as u64;
        let index = usize::try_from(number % count).expect("a remainder of four");
        Role::ROTATION[index]
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Holder => "turn holder",
            Role::Successor => "successor",
            Role::Leader => "leader",
            Role::Bystander => "bystander",
        })
    }
}

/// A turn that runs: its holder's `upgraded()` was not called yet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Turn<'a> {
    status: &'a GroupStatus,
    /// Whose turn it is.
    pub(crate) holder: &'a MemberStatus,
    /// The replica that is to take its place, once it is admitted.
    pub(crate) successor: Option<&'a MemberStatus>,
}

/// The turn that runs, if one does.
pub(crate) fn turn(status: &GroupStatus) -> Option<Turn<'_>> {
    let upgrading = |member: &&MemberStatus| member.doing == "upgrading";
    let holder = status.members.iter().find(upgrading)?;
    let mut joiners = status.joiners.iter();
    let successor = joiners.find(|joiner| joiner.seat == holder.seat);
    Some(Turn {
        status,
        holder,
        successor,
    })
}

impl<'a> Turn<'a> {
    /// Who plays this part, if anybody does now.
    pub(crate) fn player(&self, role: Role) -> Option<&'a MemberStatus> {
        let holder = self.holder.member;
        let leader = self.status.leader;
        let mut members = self.status.members.iter();
        match role {
            Role::Holder => Some(self.holder),
            Role::Successor => self.successor,
            Role::Leader => {
                members.find(|member| Some(member.member) == leader && member.member != holder)
            }
            Role::Bystander => {
                members.find(|member| Some(member.member) != leader && member.member != holder)
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use wire::member::{Binary, Seat};
    use wire::{Build, MemberId, Position, Version};

    use super::*;

    /// A group written as `1v1 2v1* 3v1upgrading | 4v2joining@2`: id, major version, what it does
    /// (`serving` if not said), its seat (its place in the list if not said), `*` for the leader,
    /// joiners behind the bar.
    pub(crate) fn status(text: &str) -> GroupStatus {
        let (members, joiners) = text.split_once('|').unwrap_or((text, ""));
        let parse = |(place, word): (usize, &str)| member(place, word.trim_end_matches('*'));
        let list = |text: &str| text.split_whitespace().enumerate().map(parse).collect();
        let leader = text.split_whitespace().find(|word| word.ends_with('*'));
        GroupStatus {
            schema: 1,
            group: "ledger".to_owned(),
            service: "ledger".to_owned(),
            incarnation: 1,
            answered_by: MemberId::new(1).unwrap(),
            position: Position(9),
            view: Position(9),
            leader: leader.map(|word| member(0, word.trim_end_matches('*')).member),
            available: true,
            effective: Version::new(1, 0, 0),
            initial: 3,
            minimal: 1,
            stack: "PGMS:EGMI:Recovery:Upgrade".to_owned(),
            members: list(members),
            joiners: list(joiners),
            upgrade: None,
            waits: Vec::new(),
            history: Vec::new(),
        }
    }

    fn member(place: usize, word: &str) -> MemberStatus {
        let (word, seat) = match word.split_once('@') {
            Some((word, seat)) => (word, seat.parse().unwrap()),
            None => (word, u32::try_from(place).unwrap()),
        };
        let (id, rest) = word.split_once('v').unwrap();
        let (version, doing) = rest.split_at(1);
        let major: u8 = version.parse().unwrap();
        MemberStatus {
            member: MemberId::new(id.parse().unwrap()).unwrap(),
            host: format!("host-{}", seat + 1),
            address: ([127, 0, 0, 1], 7000).into(),
            binary: Binary {
                version: Version::new(u64::from(major), 0, 0),
                build: Build([major; 32]),
            },
            seat: Seat(seat),
            doing: if doing.is_empty() { "serving" } else { doing }.to_owned(),
            takes_requests: true,
        }
    }

    fn hit(text: &str, role: Role) -> Option<u64> {
        let status = status(text);
        let player = turn(&status).and_then(|turn| turn.player(role))?;
        Some(player.member.number())
    }

    #[test]
    fn each_role_has_its_player_while_a_turn_runs() {
        let group = "1v1upgrading 2v1* 3v1 | 4v2joining@0";
        let hits = Role::ROTATION.map(|role| hit(group, role));
        assert_eq!(hits, [Some(1), Some(4), Some(2), Some(3)]);
    }

    #[test]
    fn without_a_turn_nobody_is_hit() {
        let hits = Role::ROTATION.map(|role| hit("1v1 2v1* 3v1", role));
        assert_eq!(hits, [None; 4]);
    }

    #[test]
    fn a_joiner_of_another_seat_is_no_successor() {
        assert_eq!(
            hit("1v1upgrading 2v1* | 4v1joining@2", Role::Successor),
            None
        );
    }

    #[test]
    fn a_leader_whose_own_turn_runs_is_the_holder_only() {
        let group = "1v1upgrading* 2v2 3v2";
        assert_eq!(hit(group, Role::Leader), None);
        assert_eq!(hit(group, Role::Holder), Some(1));
        assert_eq!(hit(group, Role::Bystander), Some(2));
    }
}
