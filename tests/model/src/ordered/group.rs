//! The group as one value: the real ordered state and the real membership, and what they decide.
//!
//! Both come from the crates that run in production, with all their functions. Positions and times
//! are the same few in all states, because only their equality is ever looked at; without that no
//! two ways would ever meet.

use group::Membership;
use replica::ordered::{
    Happened, HeldBack, NoDonor, NotActive, NotVacant, NotYet, Ordered, Promotion, Turn, Vacancy,
    activation, intruders, promotion, transfers, turn, vacancy,
};
use wire::daemon::{Foundation, HostRecord};
use wire::frame::to_bytes;
use wire::log::{Change, Proposal, UpgradeRequest};
use wire::member::{Binary, Formats, Member, Seat, Standing};
use wire::peer::Join;
use wire::{Build, MemberId, OrderedTime, Position, Version};

use super::act::{Act, Exchange, Post, Process};
use super::setup::{Defect, Setup};

/// Where every view and every transfer stands, once its step is over.
const PAST: Position = Position(1);
/// Where each step happens.
pub(super) const HERE: Position = Position(2);
/// Where the first request stands; it names its upgrade, so each has a position of its own.
const REQUEST: u64 = 10;
/// Pauses between tries end when they end, at any moment: no time passes here.
pub(super) const NOW: OrderedTime = OrderedTime(0);

/// What all members agree on.
#[derive(Clone, Debug)]
pub struct Group {
    /// The ordered state.
    pub ordered: Ordered,
    /// The membership that it is a function of.
    pub membership: Membership,
    /// Members and joiners, as processes.
    pub(super) processes: Vec<(MemberId, Process)>,
}

/// What the group decides at this point: the real functions, called once.
#[derive(Debug)]
pub(super) struct Decisions {
    pub(super) vacancy: Result<Vacancy, NotVacant>,
    pub(super) turn: Result<Turn, NotYet>,
    pub(super) promotion: Result<Promotion, HeldBack>,
    pub(super) activation: Result<(), NotActive>,
    pub(super) transfers: Vec<(MemberId, MemberId)>,
    /// Joiners whose state nobody can give.
    pub(super) stranded: Vec<MemberId>,
    pub(super) intruders: Vec<MemberId>,
}

impl Group {
    /// A group of one at version 1, led by its founder.
    pub(super) fn found(setup: &Setup) -> Group {
        let founder = Process {
            seat: Seat(0),
            attempt: 0,
            host: 0,
            version: 1,
        };
        let founder = member(1, founder);
        let membership = Membership::found("group".to_owned(), "service".to_owned(), 1, founder);
        let ordered = Ordered::found(foundation(setup), binary(1), &membership, NOW);
        Group::new(ordered, membership)
    }

    fn new(ordered: Ordered, membership: Membership) -> Group {
        let members = membership.everybody();
        let processes = members.map(|member| (member.id, process(&ordered, member)));
        Group {
            processes: processes.collect(),
            ordered,
            membership,
        }
    }

    /// One place in the total order. Says what happened, as the real machines are told.
    pub(super) fn step(&self, setup: &Setup, act: Act) -> (Group, Vec<Happened>) {
        let mut ordered = self.ordered.clone();
        let mut membership = self.membership.clone();
        let happened = match act {
            Act::Propose(post) => {
                let (at, proposal) = proposal(setup, self, post);
                membership.ordered(at, &proposal);
                ordered.apply(at, NOW, &proposal, &membership)
            }
            Act::Change(exchange) => {
                let change = change(self, exchange);
                let configuration = membership.configuration.clone();
                membership.changed(HERE, &change, configuration);
                ordered.changed(HERE, NOW, &change, &membership)
            }
        };
        membership.view.position = PAST;
        for joiner in &mut membership.joiners {
            if let Some(transfer) = &mut joiner.transfer {
                transfer.position = PAST;
            }
        }
        let group = Group::new(ordered.without_words(), membership);
        (group, happened)
    }

    /// Equal for groups that go on alike.
    pub(super) fn key(&self) -> Vec<u8> {
        let mut key = self.ordered.to_bytes();
        key.extend(to_bytes(&self.membership));
        key
    }

    pub(super) fn decisions(&self) -> Decisions {
        let Group {
            ordered,
            membership,
            ..
        } = self;
        let mut decisions = Decisions {
            vacancy: vacancy(ordered, membership),
            turn: turn(ordered, membership),
            promotion: promotion(ordered, membership),
            activation: activation(ordered, membership).map(|_| ()),
            transfers: Vec::new(),
            stranded: Vec::new(),
            intruders: intruders(ordered, membership)
                .into_iter()
                .map(|(member, _)| member)
                .collect(),
        };
        for due in transfers(ordered, membership) {
            match due {
                Ok(due) => decisions.transfers.push((due.joiner(), due.donor())),
                Err(NoDonor::Formats { joiner, .. }) => decisions.stranded.push(joiner),
                Err(NoDonor::NobodyServes { .. } | NoDonor::Busy { .. }) => {}
            }
        }
        decisions
    }

    /// The process of a member or joiner.
    pub(super) fn process(&self, id: MemberId) -> Option<Process> {
        let mut processes = self.processes.iter();
        processes
            .find(|(member, _)| *member == id)
            .map(|(_, process)| *process)
    }
}

fn process(ordered: &Ordered, member: &Member) -> Process {
    let hosts = &ordered.foundation().hosts;
    let host = hosts.iter().position(|host| host.name == member.host);
    Process {
        seat: member.seat,
        attempt: member.attempt,
        host: number(host.unwrap_or(0)),
        version: version(&member.binary),
    }
}

/// How a process asks to be admitted.
pub(super) fn join(process: Process) -> Join {
    let member = member(0, process);
    Join {
        host: member.host,
        address: member.address,
        binary: member.binary,
        service: "service".to_owned(),
        formats: member.formats,
        seat: process.seat,
        attempt: process.attempt,
        process: 1,
    }
}

fn proposal(setup: &Setup, group: &Group, post: Post) -> (Position, Proposal) {
    let proposal = match post {
        Post::Upgrade(place) => {
            let at = Position(REQUEST + u64::from(place));
            return (at, Proposal::Upgrade(request(setup, place)));
        }
        Post::Leads(member) => Proposal::Leads { member },
        Post::Stands(member, serves) => Proposal::Standing {
            member,
            standing: if serves {
                Standing::Serving
            } else {
                Standing::Suspected
            },
        },
        Post::Transfer(joiner, donor) => Proposal::Transfer { joiner, donor },
        Post::Ready(joiner) => Proposal::Ready {
            joiner,
            position: group
                .membership
                .joiner(joiner)
                .and_then(|joiner| joiner.transfer)
                .map_or(HERE, |transfer| transfer.position),
        },
        Post::Taken(seat, attempt, by) => Proposal::Taken { seat, attempt, by },
        Post::Passed(seat, attempt) => Proposal::Passed {
            seat,
            attempt,
            reason: String::new(),
        },
        Post::Activate => {
            let upgrade = group.ordered.upgrade().map(|upgrade| upgrade.id);
            let upgrade = upgrade.unwrap_or_default();
            Proposal::Activate { upgrade }
        }
    };
    (HERE, proposal)
}

fn change(group: &Group, exchange: Exchange) -> Change {
    match exchange {
        Exchange::Admit(process) => Change::Admit(member(group.membership.next_member, process)),
        Exchange::Promote(joiner, replaces) => Change::Promote { joiner, replaces },
        Exchange::Settle => Change::Settle,
        Exchange::Remove(member) => Change::Remove {
            member,
            reason: String::new(),
        },
    }
}

pub(super) fn request(setup: &Setup, place: u8) -> UpgradeRequest {
    UpgradeRequest {
        target: binary(setup.targets[usize::from(place)]),
        parallel: setup.parallel,
        attempts: setup.attempts,
        patience_ms: 1_000,
        token: u64::from(place),
    }
}

fn foundation(setup: &Setup) -> Foundation {
    let host = |number: u32| HostRecord {
        name: format!("h{number}"),
        daemon: ([127, 0, 0, 1], 100).into(),
    };
    let ignored = u32::from(setup.defect == Some(Defect::MinimalIgnored));
    Foundation {
        stack: "PGMS:EGMI:Recovery:Upgrade".to_owned(),
        initial: setup.initial,
        minimal: setup.minimal - ignored,
        hosts: (0..setup.initial).map(host).collect(),
    }
}

/// A member with this number; a process that only asks has the number 0, and gets another.
fn member(number: u64, process: Process) -> Member {
    let place = u16::try_from(process.seat.0 * 1_000 + process.attempt);
    let port = 1_000 + place.expect("seats and attempts are few in a search");
    Member {
        id: MemberId::new(number.max(1)).expect("it is not zero"),
        host: format!("h{}", process.host),
        address: ([127, 0, 0, 1], port).into(),
        binary: binary(process.version),
        formats: formats(process.version),
        seat: process.seat,
        attempt: process.attempt,
        standing: Standing::Serving,
    }
}

pub(super) fn binary(version: u8) -> Binary {
    Binary {
        version: Version::new(u64::from(version), 0, 0),
        build: Build([version; 32]),
    }
}

pub(super) fn version(binary: &Binary) -> u8 {
    u8::try_from(binary.version.0.major).expect("versions are few in a search")
}

/// Each version reads its own format and the one before; version 2 can also write 1, so that there
/// is a way down from it and none from 3.
fn formats(version: u8) -> Formats {
    let own = u32::from(version);
    Formats {
        own,
        reads: (own.saturating_sub(1).max(1)..=own).collect(),
        writes: if version == 2 { vec![1, 2] } else { vec![own] },
    }
}

fn number(place: usize) -> u32 {
    u32::try_from(place).expect("hosts are few in a search")
}
