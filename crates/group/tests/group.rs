//! A whole group on virtual time: joining, swapping, dying, without sockets or threads.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use group::{Delivered, Greeting, Group, Membership, Now, Output, Snapshot};
use wire::log::{Change, Proposal};
use wire::member::{Binary, Formats, Member, Seat, Standing};
use wire::peer::PeerMessage;
use wire::{Build, MemberId, OrderedTime, Position, Time, Version};

fn id(number: u64) -> MemberId {
    MemberId::new(number).unwrap()
}

fn member(number: u64) -> Member {
    Member {
        id: id(number),
        host: format!("host{number}"),
        address: format!("127.0.0.1:{}", 1000 + number).parse().unwrap(),
        binary: Binary {
            version: Version::new(1, 0, 0),
            build: Build([0; 32]),
        },
        formats: Formats {
            own: 1,
            reads: vec![1],
            writes: vec![1],
        },
        seat: Seat(0),
        attempt: 1,
        standing: Standing::Serving,
    }
}

/// One process: a group, what it delivered, and what it said for itself.
struct Process {
    group: Group,
    delivered: Vec<Delivered>,
    refused: usize,
    ended: Option<Position>,
}

/// All processes and the messages between them; a message takes a tenth of a millisecond.
struct World {
    now: u64,
    processes: BTreeMap<MemberId, Process>,
    wire: VecDeque<(MemberId, MemberId, PeerMessage)>,
    links: BTreeMap<(MemberId, MemberId), bool>,
    /// Who neither hears nor speaks.
    stopped: Vec<MemberId>,
    /// What was said on links that are no member's.
    answers: Vec<(MemberId, PeerMessage)>,
}

impl World {
    fn found() -> World {
        let membership = Membership::found("group".to_owned(), "service".to_owned(), 1, member(1));
        let mut world = World {
            now: 1_000_000,
            processes: BTreeMap::new(),
            wire: VecDeque::new(),
            links: BTreeMap::new(),
            stopped: Vec::new(),
            answers: Vec::new(),
        };
        let group = Group::found(world.moment(), membership, id(1));
        world.add(group);
        world.settle();
        world
    }

    fn of(size: u64) -> World {
        let mut world = World::found();
        for number in 2..=size {
            world.join(number);
            world.promote(number, None);
        }
        world
    }

    fn moment(&self) -> Now {
        Now {
            time: Time(self.now),
            wall: OrderedTime(self.now / 1000),
        }
    }

    fn add(&mut self, group: Group) {
        let process = Process {
            group,
            delivered: Vec::new(),
            refused: 0,
            ended: None,
        };
        self.processes.insert(process.group.me(), process);
    }

    fn get(&mut self, number: u64) -> &mut Group {
        &mut self.processes.get_mut(&id(number)).unwrap().group
    }

    fn leader(&self) -> Option<u64> {
        self.processes
            .values()
            .filter(|process| !self.stopped.contains(&process.group.me()))
            .find(|process| process.group.leads_of_record())
            .map(|process| process.group.me().number())
    }

    fn view(&self, number: u64) -> Vec<u64> {
        let membership = self.processes[&id(number)].group.membership();
        membership
            .view
            .members
            .iter()
            .map(|member| member.id.number())
            .collect()
    }

    /// One step of time: every process takes its turn, messages arrive.
    fn step(&mut self) {
        self.now += 100;
        let now = self.moment();
        let ids: Vec<MemberId> = self.processes.keys().copied().collect();
        for me in ids {
            if self.stopped.contains(&me) {
                continue;
            }
            let process = self.processes.get_mut(&me).unwrap();
            let mut out = Vec::new();
            for _ in 0..4 {
                process.group.turn(now, &mut out);
            }
            let applied = process.group.delivered();
            process.group.applied(applied);
            self.take(me, out);
        }
        for (from, to, message) in std::mem::take(&mut self.wire) {
            let linked = self.links.get(&(from, to)) == Some(&true);
            if !linked || self.stopped.contains(&to) || self.stopped.contains(&from) {
                continue;
            }
            if let Some(process) = self.processes.get_mut(&to) {
                let mut out = Vec::new();
                process.group.heard(now, from, message, &mut out);
                self.take(to, out);
            }
        }
    }

    fn take(&mut self, me: MemberId, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Send { to, message } => self.wire.push_back((me, to, message)),
                Output::Delivered(delivered) => {
                    self.processes
                        .get_mut(&me)
                        .unwrap()
                        .delivered
                        .push(delivered);
                }
                Output::Peers(peers) => {
                    for (peer, _) in peers {
                        self.link(me, peer);
                    }
                }
                Output::Refused(refused) => {
                    self.processes.get_mut(&me).unwrap().refused += refused.len();
                }
                Output::Ended { view } => {
                    self.processes.get_mut(&me).unwrap().ended = Some(view);
                }
                Output::Broken { why, .. } => panic!("{why}"),
                Output::Answer { message, .. } => self.answers.push((me, message)),
                Output::Readable { .. } | Output::Leader { .. } | Output::Suspicion { .. } => {}
            }
        }
    }

    fn link(&mut self, a: MemberId, b: MemberId) {
        let present = self.processes.contains_key(&a) && self.processes.contains_key(&b);
        if !present || self.links.insert((a, b), true) == Some(true) {
            return;
        }
        self.links.insert((b, a), true);
        let now = self.moment();
        self.processes.get_mut(&a).unwrap().group.linked(now, b);
        self.processes.get_mut(&b).unwrap().group.linked(now, a);
    }

    /// The process is gone: its links break. `certain` says whether a daemon reports it.
    fn kill(&mut self, number: u64, certain: bool) {
        let dead = id(number);
        self.processes.remove(&dead);
        let now = self.moment();
        for (&me, process) in &mut self.processes {
            if self.links.remove(&(me, dead)).is_some() {
                process.group.unlinked(now, dead);
            }
            self.links.remove(&(dead, me));
            if certain {
                process.group.died(1, dead, "killed".to_owned());
            }
        }
    }

    fn run(&mut self, what: &str, mut until: impl FnMut(&World) -> bool) {
        for _ in 0..20_000 {
            if until(self) {
                return;
            }
            self.step();
        }
        let groups: Vec<&Group> = self.processes.values().map(|p| &p.group).collect();
        panic!("not in two seconds: {what}: {groups:#?}");
    }

    fn settle(&mut self) {
        self.run("a leader of record", |world| world.leader().is_some());
        for _ in 0..50 {
            self.step();
        }
    }

    fn settle_for_a_while(&mut self) {
        for _ in 0..1_000 {
            self.step();
        }
    }

    fn change(&mut self, change: &Change) {
        for _ in 0..20_000 {
            if let Some(leader) = self.leader() {
                let now = self.moment();
                if self.get(leader).change(now, change.clone()).is_ok() {
                    return;
                }
            }
            self.step();
        }
        panic!("no leader takes {change:?}");
    }

    /// Admits a joiner, transfers the membership to it and starts it.
    fn join(&mut self, number: u64) {
        self.change(&Change::Admit(member(number)));
        self.run("the admission", |world| {
            let leader = world.leader();
            leader.is_some_and(|leader| {
                world.processes[&id(leader)]
                    .group
                    .membership()
                    .joiner(id(number))
                    .is_some()
            })
        });
        let leader = self.leader().unwrap();
        let transfer = Proposal::Transfer {
            joiner: id(number),
            donor: id(leader),
        };
        self.get(leader).post(transfer.clone());
        self.run("the transfer", |world| {
            let delivered = &world.processes[&id(leader)].delivered;
            delivered.iter().any(|delivered| {
                delivered
                    .proposals
                    .iter()
                    .any(|proposal| proposal == transfer)
            })
        });
        let delivered = self.processes[&id(leader)].delivered.iter();
        let at = delivered
            .rev()
            .find(|d| d.proposals.iter().any(|proposal| proposal == transfer))
            .unwrap()
            .clone();
        let snapshot = Snapshot::new(Membership::clone(&at.membership), at.time);
        let snapshot = Snapshot::from_bytes(&snapshot.to_bytes()).unwrap();
        let mut joiner = Group::start(self.moment(), snapshot, id(number), at.position, at.term);
        joiner.applied(at.position);
        self.add(joiner);
        self.run("the joiner is ready", |world| {
            world.leader().is_some_and(|leader| {
                let membership = world.processes[&id(leader)].group.membership();
                membership
                    .joiner(id(number))
                    .is_some_and(|joiner| joiner.ready)
            })
        });
    }

    fn promote(&mut self, number: u64, replaces: Option<u64>) {
        let change = Change::Promote {
            joiner: id(number),
            replaces: replaces.map(id),
        };
        self.change(&change);
        self.run("the promotion everywhere", |world| {
            world
                .processes
                .values()
                .filter(|process| process.ended.is_none())
                .all(|process| {
                    let membership = process.group.membership();
                    let out = replaces.is_some_and(|old| process.group.me() == id(old));
                    out || (membership.view.member(id(number)).is_some()
                        && membership.view.leaving.is_none())
                })
        });
    }

    fn order(&mut self, number: u64, text: &str) {
        let calls = Bytes::copy_from_slice(text.as_bytes());
        let group = self.get(number);
        group
            .submit(7, calls.len(), |origin| Proposal::Calls { origin, calls })
            .unwrap();
    }

    fn texts(&self, number: u64) -> Vec<String> {
        self.processes[&id(number)]
            .delivered
            .iter()
            .flat_map(|delivered| &delivered.proposals)
            .filter_map(|proposal| {
                let Proposal::Calls { calls, .. } = proposal else {
                    return None;
                };
                Some(String::from_utf8(calls.to_vec()).unwrap())
            })
            .collect()
    }

    /// Every position is the same wherever it was delivered, and comes without gaps.
    fn check_orders(&self) {
        let mut order: BTreeMap<Position, &Delivered> = BTreeMap::new();
        for process in self.processes.values() {
            let positions = process
                .delivered
                .iter()
                .map(|delivered| delivered.position.0);
            assert!(
                positions
                    .clone()
                    .zip(positions.skip(1))
                    .all(|(a, b)| a + 1 == b)
            );
            for delivered in &process.delivered {
                let known = order.entry(delivered.position).or_insert(delivered);
                assert_eq!(
                    *known, delivered,
                    "views and proposals are the same everywhere"
                );
            }
        }
    }
}

#[test]
fn joiners_become_members_in_their_order() {
    let world = World::of(3);
    for number in 1..=3 {
        assert_eq!(world.view(number), [1, 2, 3]);
    }
    world.check_orders();
}

#[test]
fn what_any_member_takes_is_delivered_once_and_everywhere() {
    let mut world = World::of(3);
    for (number, text) in [(1, "a"), (2, "b"), (3, "c")] {
        world.order(number, text);
    }
    world.run("all delivered", |world| {
        (1..=3).all(|number| world.texts(number).len() == 3)
    });
    world.settle();
    assert_eq!(world.texts(1).len(), 3);
    assert_eq!(world.texts(1), world.texts(3));
    world.check_orders();
}

#[test]
fn a_successor_takes_its_predecessors_vote_and_the_old_one_ends() {
    let mut world = World::of(3);
    let old = (1..=3)
        .find(|&number| world.leader() != Some(number))
        .unwrap();
    world.join(4);
    world.promote(4, Some(old));
    world.run("the old member ends", |world| {
        world.processes[&id(old)].ended.is_some()
    });
    assert!(!world.view(4).contains(&old));
    assert_eq!(world.view(4).len(), 3);
    world.check_orders();
}

#[test]
fn a_leader_that_is_replaced_hands_over_first() {
    let mut world = World::of(3);
    let leader = world.leader().unwrap();
    world.join(4);
    world.promote(4, Some(leader));
    world.run("the old leader ends", |world| {
        world.processes[&id(leader)].ended.is_some()
    });
    assert_ne!(world.leader(), Some(leader));
    world.order(4, "after");
    world.run("the group goes on", |world| world.texts(4) == ["after"]);
    world.check_orders();
}

/// All whom a joiner knows may be gone a moment later: who hands over is the last to tell it.
#[test]
fn who_hands_over_tells_its_joiners_who_leads_and_not_that_nobody_does() {
    let mut world = World::of(3);
    let leader = world.leader().unwrap();
    world.change(&Change::Admit(member(4)));
    world.run("the admission", |world| {
        world.processes[&id(leader)]
            .group
            .membership()
            .joiner(id(4))
            .is_some()
    });
    world.get(leader).attach(9, id(4));
    let next = (1..=3).find(|&number| number != leader).unwrap();
    let now = world.moment();
    world.get(leader).hand_over(now, id(next)).unwrap();
    world.run("the other one leads", |world| world.leader() == Some(next));
    world.run("the joiner is told", |world| !world.answers.is_empty());
    let told = PeerMessage::NotAdmitted {
        leader: Some(member(next).address),
        why: "this member does not lead the group".to_owned(),
        retry: true,
    };
    assert_eq!(world.answers, [(id(leader), told)]);
}

#[test]
fn a_certain_death_of_the_leader_is_removed_at_once_and_nothing_is_lost() {
    let mut world = World::of(3);
    let leader = world.leader().unwrap();
    let other = (1..=3).find(|&number| number != leader).unwrap();
    world.order(other, "under way");
    world.kill(leader, true);
    let before = world.now;
    world.run("the request is delivered", |world| {
        world.texts(other) == ["under way"]
    });
    assert!(world.now - before < 20_000, "{} µs", world.now - before);
    world.run("the dead one is out", |world| world.view(other).len() == 2);
    world.check_orders();
}

#[test]
fn a_silent_leader_is_suspected_within_300_ms_and_keeps_its_vote() {
    let mut world = World::of(3);
    let leader = world.leader().unwrap();
    let other = (1..=3).find(|&number| number != leader).unwrap();
    world.order(leader, "before");
    world.run("delivered", |world| world.texts(other) == ["before"]);
    world.stopped.push(id(leader));
    let before = world.now;
    world.run("another leads", |world| {
        world.leader().is_some_and(|now| now != leader)
    });
    assert!(world.now - before < 400_000, "{} µs", world.now - before);
    world.run("the silent one is suspected", |world| {
        !world.processes[&id(other)]
            .group
            .membership()
            .view
            .serves(id(leader))
    });
    assert_eq!(
        world.view(other).len(),
        3,
        "it keeps its place until it is replaced"
    );
    // It wakes up: it follows again and serves again.
    world.stopped.clear();
    world.run("it serves again", |world| {
        world
            .processes
            .values()
            .all(|process| process.group.membership().view.serves(id(leader)))
    });
    world.check_orders();
}

#[test]
fn a_minority_orders_nothing_and_goes_on_after_the_heal() {
    let mut world = World::of(3);
    let leader = world.leader().unwrap();
    let others: Vec<u64> = (1..=3).filter(|&number| number != leader).collect();
    world.stopped.extend(others.iter().copied().map(id));
    world.run("the leader steps down", |world| {
        !world.processes[&id(leader)].group.available()
    });
    let calls = Bytes::from_static(b"lost");
    let refused = world
        .get(leader)
        .submit(1, 4, |origin| Proposal::Calls { origin, calls });
    assert_eq!(refused, Err(group::NotTaken::Unavailable));
    world.stopped.clear();
    world.settle();
    world.order(leader, "healed");
    world.run("it orders again", |world| {
        world.texts(others[0]) == ["healed"]
    });
    world.check_orders();
}

#[test]
fn the_log_stays_short_under_endless_load() {
    let mut world = World::of(3);
    for number in 0..2_000 {
        world.order(1 + number % 3, "load");
        world.step();
    }
    world.settle();
    let bytes: Vec<u64> = world
        .processes
        .values()
        .map(|p| p.group.log_bytes())
        .collect();
    assert!(bytes.iter().all(|&bytes| bytes < 64 << 10), "{bytes:?}");
    world.check_orders();
}

fn incarnation(world: &World, number: u64) -> u64 {
    world.processes[&id(number)].group.membership().incarnation
}

/// Both of a group of two, whoever led: nothing is lost, and what was under way comes.
#[test]
fn one_of_two_goes_on_alone_within_milliseconds() {
    for dead in [1, 2] {
        let mut world = World::of(2);
        world.settle();
        let survivor = 3 - dead;
        world.order(survivor, "under way");
        world.kill(dead, true);
        let before = world.now;
        // Once or twice: what is repeated is recognised where it is applied.
        world.run("the request is delivered", |world| {
            world
                .texts(survivor)
                .first()
                .is_some_and(|text| text == "under way")
        });
        assert!(world.now - before < 5_000, "{} µs", world.now - before);
        assert_eq!(world.view(survivor), [survivor]);
        assert_eq!(incarnation(&world, survivor), 2);
        let process = &world.processes[&id(survivor)];
        let survived = process.delivered.iter().find_map(|d| d.survived.clone());
        let how = "its process ended: killed".to_owned();
        // A leader's removal of the dead one stands in the order before.
        let without = Vec::from_iter((dead == 1).then_some((id(dead), how)));
        assert_eq!(survived.unwrap().without, without);
        world.settle();
        world.join(3);
        world.promote(3, None);
        world.order(3, "together");
        world.run("the group has grown again", |world| {
            world
                .texts(survivor)
                .last()
                .is_some_and(|text| text == "together")
        });
        world.check_orders();
    }
}

/// Silence, however long, is no death.
#[test]
fn one_of_two_waits_while_the_other_is_only_silent() {
    let mut world = World::of(2);
    world.settle();
    world.kill(2, false);
    for _ in 0..50_000 {
        world.step();
    }
    assert!(!world.get(1).available());
    assert_eq!((world.view(1), incarnation(&world, 1)), (vec![1, 2], 1));
    world.get(1).died(2, id(2), "in another life".to_owned());
    world.settle_for_a_while();
    assert_eq!(incarnation(&world, 1), 1);
    world.get(1).died(1, id(2), "killed".to_owned());
    world.settle();
    assert_eq!((world.view(1), incarnation(&world, 1)), (vec![1], 2));
}

/// Members of the first life are told that it is over, on their links and when they dial.
#[test]
fn a_joiner_of_the_first_life_ends() {
    let mut world = World::of(2);
    world.join(3);
    world.kill(2, true);
    world.run("the joiner ends", |world| {
        world.processes[&id(3)].ended.is_some()
    });
    assert_eq!((world.view(1), incarnation(&world, 1)), (vec![1], 2));
    let view = world.get(1).membership().view.position;
    assert_eq!(world.get(1).greet(1, id(3)), Greeting::Removed { view });
    assert_eq!(world.get(3).greet(2, id(1)), Greeting::OtherIncarnation);
}

#[test]
fn of_four_with_two_dead_one_goes_on_and_the_other_ends() {
    let mut world = World::of(4);
    world.settle();
    let leader = world.leader().unwrap();
    let other = (1..=4).find(|&number| number != leader).unwrap();
    world.order(leader, "before");
    world.run("delivered", |world| {
        (1..=4).all(|number| world.texts(number) == ["before"])
    });
    world.kill(leader, true);
    world.kill(other, true);
    world.run("one goes on and one ends", |world| {
        let went_on = |process: &&Process| process.group.membership().incarnation == 2;
        let ended = |process: &&Process| process.ended.is_some();
        let processes = || world.processes.values();
        processes().filter(went_on).count() == 1 && processes().filter(ended).count() == 1
    });
    world.check_orders();
}
