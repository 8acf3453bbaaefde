//! Wishes: how many members a running group wants, and where; and who is surplus (§3.4, Figure 3).
//!
//! A wish is ordered like everything else. Each has a higher *generation* than the one before, and who
//! asks has seen that one: of two that ask at once only one is heard, and what a deposed manager still
//! asks is refused. A group grows as it recovers: seats are added, and they are vacant. It shrinks from
//! its last seat down, one member at a time, once all other seats are filled; the leader hands over
//! before. Seats that are not wanted keep their numbers of attempts, so that those fence for ever.

use group::Membership;
use museum::Defect;
use wire::daemon::HostRecord;
use wire::list::List;
use wire::log::SpecifyRequest;
use wire::member::{Binary, Member, Seat};
use wire::{MemberId, Position};

use super::happened::Happened;
use super::steps::Step;
use super::{Ended, Ordered, SeatState, history};

/// More members than anybody would want in one group: each has a vote.
pub const INITIAL_MAX: u32 = 99;

/// Why a wish is refused. Nothing changed; the operator reads it as it is.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpecifyRefused {
    /// Somebody else has asked in between.
    #[error(
        "generation {generation} has passed, the group is at {last}: somebody else has changed it; look at \
         its status and ask again"
    )]
    Late {
        /// What was asked under.
        generation: u64,
        /// The last accepted one.
        last: u64,
    },
    /// Who leaves and who comes is the upgrade's to say.
    #[error("upgrade {upgrade} to {target} runs; wait for its end")]
    Upgrades {
        /// The running one.
        upgrade: Position,
        /// Its target.
        target: Binary,
    },
    /// No members, or more than can vote.
    #[error("{initial} members; ask for 1 to {INITIAL_MAX}")]
    Initial {
        /// What was asked for.
        initial: u32,
    },
    /// More must remain than there are.
    #[error("at least {minimal} of {initial} members cannot serve: lower minimal or raise initial")]
    Minimal {
        /// How many must remain.
        minimal: u32,
        /// How many there are.
        initial: u32,
    },
    /// Nowhere to run.
    #[error("no hosts; name those that may run members")]
    NoHosts,
    /// One host, twice.
    #[error("host {host} is named twice; leave one out")]
    HostTwice {
        /// Its name.
        host: String,
    },
    /// A member runs where none may.
    #[error(
        "{member} runs on {host}, which is not among the hosts: name it too, members are not moved yet"
    )]
    Inhabited {
        /// Who.
        member: MemberId,
        /// Where.
        host: String,
    },
}

/// What is to be done about members that are not wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Surplus {
    /// This one goes.
    Goes {
        /// Who.
        member: MemberId,
        /// Why, for people.
        reason: String,
    },
    /// This one leads, and hands over before it goes.
    HandsOver {
        /// Who.
        leader: MemberId,
        /// To whom.
        to: MemberId,
    },
}

/// Why nobody goes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoSurplus {
    /// All members are wanted.
    #[error("all members are wanted")]
    Nobody,
    /// The wanted seats come first.
    #[error("{member} is not wanted any more, and goes once {seat} is filled")]
    Vacant {
        /// Who goes then.
        member: MemberId,
        /// What is vacant.
        seat: Seat,
    },
}

/// Who has to go because the group wants fewer members.
///
/// # Errors
/// Nobody has, or not yet.
pub fn surplus(ordered: &Ordered, membership: &Membership) -> Result<Surplus, NoSurplus> {
    let unwanted = |member: &&Member| {
        !ordered.wants(member.seat) && membership.view.leaving != Some(member.id)
    };
    let leads = |member: &&Member| membership.leader == Some(member.id);
    let members = || membership.view.members.iter().filter(unwanted);
    let others = members().filter(|member| !leads(member));
    let last = others.max_by_key(|member| member.seat);
    let member = last.or_else(|| members().next()).ok_or(NoSurplus::Nobody)?;
    let vacant = ordered
        .seats()
        .find(|(seat, _)| !ordered.filled(membership, *seat));
    if let Some((seat, _)) = vacant
        && !museum::on(Defect::ShrinksWhileVacant)
    {
        let member = member.id;
        return Err(NoSurplus::Vacant { member, seat });
    }
    let mut stays = ordered.able(membership);
    if leads(&member)
        && let Some(to) = stays.find(|member| ordered.wants(member.seat))
    {
        return Ok(Surplus::HandsOver {
            leader: member.id,
            to: to.id,
        });
    }
    let initial = ordered.foundation().initial;
    Ok(Surplus::Goes {
        member: member.id,
        reason: format!("the group wants {initial} members"),
    })
}

/// Whether a wish can be accepted now: `Ok(Some)` names the position of the one that it repeats.
fn acceptance(
    ordered: &Ordered,
    membership: &Membership,
    request: &SpecifyRequest,
) -> Result<Option<Position>, SpecifyRefused> {
    if let Some((position, last)) = &ordered.wish
        && last == request
    {
        return Ok(Some(*position));
    }
    let SpecifyRequest {
        generation,
        initial,
        minimal,
        ref hosts,
        ..
    } = *request;
    let last = ordered.generation();
    if generation <= last {
        return Err(SpecifyRefused::Late { generation, last });
    }
    if let Some(upgrade) = ordered.upgrade().filter(|upgrade| upgrade.runs()) {
        return Err(SpecifyRefused::Upgrades {
            upgrade: upgrade.id,
            target: upgrade.target().clone(),
        });
    }
    if !(1..=INITIAL_MAX).contains(&initial) {
        return Err(SpecifyRefused::Initial { initial });
    }
    if minimal > initial {
        return Err(SpecifyRefused::Minimal { minimal, initial });
    }
    if hosts.is_empty() {
        return Err(SpecifyRefused::NoHosts);
    }
    let named = |name: &str| hosts.iter().filter(|host| host.name == name).count();
    if let Some(twice) = hosts.iter().find(|host| named(&host.name) > 1) {
        let host = twice.name.clone();
        return Err(SpecifyRefused::HostTwice { host });
    }
    let mut everybody = membership.everybody();
    if let Some(member) = everybody.find(|member| named(&member.host) == 0) {
        let (member, host) = (member.id, member.host.clone());
        return Err(SpecifyRefused::Inhabited { member, host });
    }
    Ok(None)
}

impl Ordered {
    /// Which wish the numbers and hosts come from; 0 is the foundation.
    pub fn generation(&self) -> u64 {
        let wish = self.wish.as_ref();
        wish.map_or(0, |(_, request)| request.generation)
    }

    /// Whether this seat is to be filled.
    pub fn wants(&self, seat: Seat) -> bool {
        seat.0 < self.seat_count()
    }

    pub(super) fn specify(
        &mut self,
        step: Step<'_>,
        request: &SpecifyRequest,
        out: &mut Vec<Happened>,
    ) {
        let token = request.token;
        let repeated = match acceptance(self, step.membership, request) {
            Ok(repeated) => repeated,
            Err(why) => return out.push(Happened::SpecifyRefused { token, why }),
        };
        let position = repeated.unwrap_or(step.at);
        out.push(Happened::Specified { token, position });
        if repeated.is_some() {
            return;
        }
        for seat in self.settle_on(&request.hosts) {
            out.extend(self.end(step, seat, Ended::NotWanted));
        }
        let before = self.seat_count();
        self.foundation.initial = request.initial;
        self.foundation.minimal = request.minimal;
        self.house(before, step.membership);
        let hosts = request.hosts.len();
        self.wish = Some((step.at, request.clone()));
        let SpecifyRequest {
            initial, minimal, ..
        } = request;
        let what = format!(
            "the group wants {initial} members on {hosts} hosts, at least {minimal} serving"
        );
        let members = history::members(&step.membership.view);
        self.history.add(step.at, step.time, what, members);
    }

    /// Seats that were not wanted before are at home where the fewest members are.
    fn house(&mut self, before: u32, membership: &Membership) {
        let hosts: Vec<HostRecord> = self.foundation.hosts.iter().collect();
        let on = |host: &HostRecord| {
            let members = membership.everybody();
            members.filter(|member| member.host == host.name).count()
        };
        let mut taken: Vec<usize> = hosts.iter().map(on).collect();
        for seat in before..self.seat_count() {
            let roomiest = (0..taken.len())
                .min_by_key(|&host| taken[host])
                .unwrap_or(0);
            taken[roomiest] += 1;
            let home = u32::try_from(roomiest).unwrap_or(u32::MAX);
            match self.seat_mut(Seat(seat)) {
                Some(state) => state.host = home,
                None => self.seats.push(SeatState::at_home(home)),
            }
        }
    }

    /// Other hosts: seats are at home where they were, if that is among them. Returns those whose
    /// attempt asks a host that is not.
    fn settle_on(&mut self, hosts: &List<HostRecord>) -> Vec<Seat> {
        let known = std::mem::replace(&mut self.foundation.hosts, hosts.clone());
        let there = |index: u32| {
            let name = known.iter().nth(index as usize % known.len().max(1))?.name;
            let found = hosts.iter().position(|host| host.name == name)?;
            u32::try_from(found).ok()
        };
        let mut without = Vec::new();
        for (number, state) in (0..).zip(&mut self.seats) {
            let count = u32::try_from(hosts.len()).unwrap_or(u32::MAX);
            state.host = there(state.host).unwrap_or(number % count);
            if let Some(attempt) = &mut state.current {
                match there(attempt.host) {
                    Some(host) => attempt.host = host,
                    None => without.push(Seat(number)),
                }
            }
        }
        without
    }
}
