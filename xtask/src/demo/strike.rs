//! Whom to kill in the middle of an upgrade, as a function of what the group says of itself.

use std::fmt;

use clap::ValueEnum;
use wire::MemberId;
use wire::daemon::ReplicaRecord;
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
    holder: &'a MemberStatus,
}

/// A replica that can be hit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Player {
    /// Its process.
    pub(crate) process: u32,
    /// Who it is, for people.
    pub(crate) who: String,
}

/// The turn that runs, if one does.
pub(crate) fn turn(status: &GroupStatus) -> Option<Turn<'_>> {
    let upgrading = |member: &&MemberStatus| member.doing == "upgrading";
    let holder = status.members.iter().find(upgrading)?;
    Some(Turn { status, holder })
}

impl Turn<'_> {
    /// Who plays this part, if anybody does now, among the replicas that the daemons run.
    pub(crate) fn player(&self, role: Role, replicas: &[ReplicaRecord]) -> Option<Player> {
        let holder = self.holder.member;
        let others = || self.status.members.iter().filter(|m| m.member != holder);
        let leads = |member: &&MemberStatus| Some(member.member) == self.status.leader;
        let member = match role {
            Role::Successor => return self.successor(replicas),
            Role::Holder => Some(self.holder),
            Role::Leader => others().find(leads),
            Role::Bystander => others().find(|member| !leads(member)),
        }?;
        let runs = |replica: &&ReplicaRecord| replica.member == Some(member.member);
        let replica = replicas.iter().find(runs)?;
        let (id, version, host) = (member.member, &member.binary.version, &member.host);
        Some(Player {
            process: replica.process,
            who: format!("{id} ({version}) on {host}, process {}", replica.process),
        })
    }

    /// The process that was started for the holder's place. Its daemon knows it some milliseconds
    /// before the group does.
    fn successor(&self, replicas: &[ReplicaRecord]) -> Option<Player> {
        let target = &self.status.upgrade.as_ref()?.to;
        let is_member = |id: MemberId| self.status.members.iter().any(|m| m.member == id);
        let replica = replicas
            .iter()
            .find(|replica| replica.binary == *target && !replica.member.is_some_and(is_member))?;
        let (version, holder) = (&target.version, self.holder.member);
        let id = replica
            .member
            .map_or("not admitted yet".to_owned(), |id| id.to_string());
        Some(Player {
            process: replica.process,
            who: format!("{id} ({version}) for {holder}, process {}", replica.process),
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use wire::member::{Binary, Seat};
    use wire::status::UpgradeStatus;
    use wire::{Build, OrderedTime, Position, Version};

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
            generation: 0,
            stack: "PGMS:EGMI:Recovery:Upgrade".to_owned(),
            hosts: Vec::new(),
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
            binary: binary(major),
            seat: Seat(seat),
            doing: if doing.is_empty() { "serving" } else { doing }.to_owned(),
            takes_requests: true,
            transfer: None,
        }
    }

    fn binary(major: u8) -> Binary {
        Binary {
            version: Version::new(u64::from(major), 0, 0),
            build: Build([major; 32]),
        }
    }

    /// The process that is hit in a group during an upgrade to 2.0.0: that of member `n` is `100 +
    /// n`, and there is one, 200, that no member knows of, if `started`.
    fn hit(text: &str, role: Role, started: bool) -> Option<u32> {
        let mut status = status(text);
        status.upgrade = Some(UpgradeStatus {
            upgrade: Position(5),
            from: binary(1),
            to: binary(2),
            state: "running".to_owned(),
            seats_done: 0,
            seats: 3,
            activated: None,
            started: OrderedTime(1),
            ended: None,
            reason: None,
        });
        let record = |process, binary: &Binary, member| ReplicaRecord {
            process,
            group: "ledger".to_owned(),
            binary: binary.clone(),
            service: "ledger".to_owned(),
            address: None,
            member,
        };
        let known = status.members.iter().chain(&status.joiners).map(|m| {
            let number = u32::try_from(m.member.number()).unwrap();
            record(100 + number, &m.binary, Some(m.member))
        });
        let unknown = started.then(|| record(200, &binary(2), None));
        let replicas: Vec<ReplicaRecord> = known.chain(unknown).collect();
        let player = turn(&status)?.player(role, &replicas)?;
        Some(player.process)
    }

    #[test]
    fn each_role_has_its_player_while_a_turn_runs() {
        let group = "1v1upgrading 2v1* 3v1 | 4v2joining@0";
        let hits = Role::ROTATION.map(|role| hit(group, role, false));
        assert_eq!(hits, [Some(101), Some(104), Some(102), Some(103)]);
    }

    #[test]
    fn without_a_turn_nobody_is_hit() {
        let hits = Role::ROTATION.map(|role| hit("1v1 2v1* 3v1", role, true));
        assert_eq!(hits, [None; 4]);
    }

    #[test]
    fn a_successor_is_hit_from_the_start_of_its_process_until_it_is_a_member() {
        let successor = |group, started| hit(group, Role::Successor, started);
        assert_eq!(successor("1v1upgrading 2v1* 3v1", false), None);
        assert_eq!(successor("1v1upgrading 2v1* 3v1", true), Some(200));
        assert_eq!(successor("4v2 2v1upgrading* 3v1", false), None);
        // What recovery starts meanwhile is of the old version, and no successor.
        assert_eq!(successor("1v1upgrading 2v1* | 4v1joining@2", false), None);
    }

    #[test]
    fn a_leader_whose_own_turn_runs_is_the_holder_only() {
        let group = "1v1upgrading* 2v2 3v2";
        assert_eq!(hit(group, Role::Leader, false), None);
        assert_eq!(hit(group, Role::Holder, false), Some(101));
        assert_eq!(hit(group, Role::Bystander, false), Some(102));
    }
}
