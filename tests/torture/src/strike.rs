//! Strikes: what happens to whom, and whether the group can bear it.
//!
//! A group of three bears that one of its members is lost or silent, and no more: the next one is hit
//! only when all members agree that the group is whole again. A daemon may be hit at any time, one
//! after the other.

use std::fmt;

use serde::Serialize;
use simulator::Random;
use wire::status::{GroupStatus, MemberStatus};

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Act {
    /// It is killed.
    Kill,
    /// It stands still for a while, and goes on as if nothing had been.
    Stop,
}

/// To whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Role {
    /// The leader of record.
    Leader,
    /// Another member that serves.
    Follower,
    /// The member whose turn to be upgraded it is.
    Holder,
    /// A replica that is to become a member.
    Joiner,
    /// An execution daemon.
    Daemon,
    /// An execution daemon together with the member on its host.
    Host,
}

/// A strike of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Strike {
    pub(crate) act: Act,
    pub(crate) role: Role,
}

/// All kinds. A host that stands still is a member that does, and its daemon is missed by nobody
/// meanwhile.
pub(crate) const STRIKES: [Strike; 11] = [
    strike(Act::Kill, Role::Leader),
    strike(Act::Kill, Role::Follower),
    strike(Act::Kill, Role::Holder),
    strike(Act::Kill, Role::Joiner),
    strike(Act::Kill, Role::Daemon),
    strike(Act::Kill, Role::Host),
    strike(Act::Stop, Role::Leader),
    strike(Act::Stop, Role::Follower),
    strike(Act::Stop, Role::Holder),
    strike(Act::Stop, Role::Joiner),
    strike(Act::Stop, Role::Daemon),
];

const fn strike(act: Act, role: Role) -> Strike {
    Strike { act, role }
}

impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let act = match self.act {
            Act::Kill => "kill",
            Act::Stop => "stop",
        };
        let role = match self.role {
            Role::Leader => "leader",
            Role::Follower => "follower",
            Role::Holder => "turn holder",
            Role::Joiner => "joiner",
            Role::Daemon => "daemon",
            Role::Host => "member and its daemon",
        };
        write!(f, "{act} {role}")
    }
}

impl Strike {
    /// Of those that may come now, one that came least often so far, so that all come.
    pub(crate) fn choose(
        random: &mut Random,
        may: impl Fn(Strike) -> bool,
        came: impl Fn(Strike) -> u64,
    ) -> Strike {
        let possible: Vec<Strike> = STRIKES.into_iter().filter(|of| may(*of)).collect();
        let least = possible.iter().map(|strike| came(*strike)).min();
        let rare: Vec<Strike> = possible
            .into_iter()
            .filter(|strike| Some(came(*strike)) == least)
            .collect();
        *random.pick(&rare).unwrap_or(&STRIKES[0])
    }

    /// Whether a member or joiner is hit.
    pub(crate) fn hits_replica(self) -> bool {
        match self.role {
            Role::Leader | Role::Follower | Role::Holder | Role::Joiner | Role::Host => true,
            Role::Daemon => false,
        }
    }

    /// Whether a daemon is hit.
    pub(crate) fn hits_daemon(self) -> bool {
        match self.role {
            Role::Leader | Role::Follower | Role::Holder | Role::Joiner => false,
            Role::Daemon | Role::Host => true,
        }
    }

    /// Which replica is hit, if one plays the role now.
    pub(crate) fn player<'a>(
        self,
        random: &mut Random,
        status: &'a GroupStatus,
    ) -> Option<&'a MemberStatus> {
        let leads = |member: &&MemberStatus| Some(member.member) == status.leader;
        let of = |wanted: &dyn Fn(&&MemberStatus) -> bool| {
            let members: Vec<&MemberStatus> = status.members.iter().filter(wanted).collect();
            members
        };
        let players = match self.role {
            Role::Leader => of(&leads),
            Role::Follower => of(&|member| !leads(member) && member.doing == "serving"),
            Role::Holder => of(&|member| member.doing == "upgrading"),
            Role::Joiner => status.joiners.iter().collect(),
            Role::Host => of(&|member| member.doing == "serving"),
            Role::Daemon => Vec::new(),
        };
        random.pick(&players).copied()
    }
}

/// For how long something stands still, in milliseconds: so short that nobody notices, long enough
/// to be suspected, or so long that it wakes up in a group that has long gone on without it.
pub(crate) fn stop_ms(random: &mut Random) -> u64 {
    match random.range(0, 3) {
        0 => random.range(20, 250),
        1 => random.range(300, 1_500),
        _ => random.range(2_000, 12_000),
    }
}

/// Whether nobody is missing: the group may work on an upgrade meanwhile.
pub(crate) fn whole(status: &GroupStatus) -> bool {
    let present = |member: &&MemberStatus| member.doing != "suspected" && member.doing != "leaving";
    status.available
        && status.leader.is_some()
        && status.members.len() >= status.initial as usize
        && status.members.iter().all(|member| present(&member))
}

/// Whether nothing is under way either.
pub(crate) fn settled(status: &GroupStatus) -> bool {
    let serves = |member: &MemberStatus| member.doing == "serving";
    status.available
        && status.members.len() == status.initial as usize
        && status.joiners.is_empty()
        && status.members.iter().all(serves)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_kind_comes_as_often_as_any_other() {
        let mut random = Random::new(7);
        let mut came = BTreeMap::new();
        for _ in 0..STRIKES.len() * 5 {
            let of = |strike: Strike| came.get(&strike).copied().unwrap_or(0);
            let strike = Strike::choose(&mut random, |_| true, of);
            *came.entry(strike).or_default() += 1;
        }
        let counts: Vec<u64> = came.into_values().collect();
        assert_eq!(counts, [5; STRIKES.len()]);
    }

    #[test]
    fn what_may_not_come_now_does_not() {
        let mut random = Random::new(7);
        for _ in 0..100 {
            let strike = Strike::choose(&mut random, |of| !of.hits_daemon(), |_| 0);
            assert!(!strike.hits_daemon());
        }
    }

    #[test]
    fn stops_are_short_and_long() {
        let mut random = Random::new(7);
        let stops: Vec<u64> = (0..300).map(|_| stop_ms(&mut random)).collect();
        assert!(stops.iter().any(|ms| *ms < 250));
        assert!(stops.iter().any(|ms| *ms > 2_000));
        assert!(stops.iter().all(|ms| *ms < 12_000));
    }
}
