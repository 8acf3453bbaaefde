//! Orders in one thread, and the messages between them.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use order::{Content, Delivery, Order, Output, Start, Step};
use wire::engine::EngineMessage;
use wire::{MemberId, Position, Time};

pub(crate) fn id(number: u64) -> MemberId {
    MemberId::new(number).unwrap()
}

pub(crate) struct Node {
    pub(crate) order: Order,
    pub(crate) delivered: Vec<Delivery>,
    pub(crate) readable: Vec<(u64, Position)>,
    pub(crate) needs_state: Vec<MemberId>,
}

/// Orders, and the messages between them. A message takes one step of a tenth of a millisecond.
pub(crate) struct World {
    pub(crate) now: u64,
    pub(crate) nodes: BTreeMap<MemberId, Node>,
    pub(crate) wire: VecDeque<(MemberId, MemberId, Output)>,
    /// What engines said to each other from the beginning.
    pub(crate) said: Vec<EngineMessage>,
    /// Links that carry nothing, in one direction.
    pub(crate) cut: BTreeSet<(MemberId, MemberId)>,
}

impl World {
    pub(crate) fn found() -> World {
        let mut world = World {
            now: 1_000_000,
            nodes: BTreeMap::new(),
            wire: VecDeque::new(),
            said: Vec::new(),
            cut: BTreeSet::new(),
        };
        world.add(id(1), Order::found(id(1)));
        world.until("a leader", |world| world.get(1).leads());
        world
    }

    pub(crate) fn of(size: u64) -> World {
        let mut world = World::found();
        for number in 2..=size {
            world.join(number);
            world.change(Step::Promote(id(number)));
        }
        world.quiet();
        world
    }

    pub(crate) fn add(&mut self, me: MemberId, order: Order) {
        let node = Node {
            order,
            delivered: Vec::new(),
            readable: Vec::new(),
            needs_state: Vec::new(),
        };
        self.nodes.insert(me, node);
    }

    pub(crate) fn get(&self, number: u64) -> &Order {
        &self.nodes[&id(number)].order
    }

    pub(crate) fn node(&mut self, number: u64) -> &mut Node {
        self.nodes.get_mut(&id(number)).unwrap()
    }

    pub(crate) fn order(&mut self, number: u64) -> &mut Order {
        &mut self.node(number).order
    }

    pub(crate) fn leader(&self) -> Option<u64> {
        let leads = |(id, node): (&MemberId, &Node)| node.order.leads().then_some(id.number());
        self.nodes.iter().find_map(leads)
    }

    pub(crate) fn step(&mut self) {
        self.now += 100;
        let now = Time(self.now);
        for (from, to, output) in std::mem::take(&mut self.wire) {
            let Some(node) = self
                .nodes
                .get_mut(&to)
                .filter(|_| !self.cut.contains(&(from, to)))
            else {
                continue;
            };
            match output {
                Output::Send { message, .. } => {
                    self.said.push(message.clone());
                    node.order.step(message);
                }
                Output::Reach { reach, .. } => node.order.reach(now, from, reach),
                Output::Survives {
                    reach, stands_back, ..
                } => node.order.survives(from, reach, stands_back),
                Output::Delivered(_)
                | Output::Readable { .. }
                | Output::Leader { .. }
                | Output::NeedsState { .. } => {}
            }
        }
        for (&me, node) in &mut self.nodes {
            let mut out = Vec::new();
            node.order.turn(now, &mut out);
            for output in out {
                match output {
                    Output::Send { to, .. }
                    | Output::Reach { to, .. }
                    | Output::Survives { to, .. } => {
                        self.wire.push_back((me, to, output));
                    }
                    Output::Delivered(delivery) => node.delivered.push(delivery),
                    Output::Readable { token, position } => node.readable.push((token, position)),
                    Output::NeedsState { member } => node.needs_state.push(member),
                    Output::Leader { .. } => {}
                }
            }
        }
        self.check();
    }

    pub(crate) fn quiet(&mut self) {
        for _ in 0..20 {
            self.step();
        }
    }

    pub(crate) fn until(&mut self, what: &str, mut reached: impl FnMut(&World) -> bool) {
        for _ in 0..5_000 {
            if reached(self) {
                return;
            }
            self.step();
        }
        let orders: Vec<&Order> = self.nodes.values().map(|node| &node.order).collect();
        panic!("not in half a second: {what}: {orders:#?}");
    }

    /// What stands at a position is the same everywhere, and comes without gaps; a term has one
    /// leader.
    pub(crate) fn check(&self) {
        let mut known: BTreeMap<Position, &Delivery> = BTreeMap::new();
        let mut leaders: BTreeMap<u64, MemberId> = BTreeMap::new();
        for (&me, node) in &self.nodes {
            for pair in node.delivered.windows(2) {
                assert_eq!(pair[0].position.next(), pair[1].position, "no gaps at {me}");
            }
            for delivery in &node.delivered {
                assert_eq!(
                    *known.entry(delivery.position).or_insert(delivery),
                    delivery
                );
            }
            if node.order.leads() {
                let other = leaders.insert(node.order.term(), me);
                assert_eq!(other, None, "one leader in term {}", node.order.term());
            }
        }
    }

    pub(crate) fn propose(&mut self, text: &str) {
        let leader = self.leader().unwrap();
        self.order(leader)
            .propose(text.as_bytes().to_vec())
            .unwrap();
    }

    pub(crate) fn texts(&self, number: u64) -> Vec<String> {
        self.nodes[&id(number)]
            .delivered
            .iter()
            .filter_map(|delivery| match &delivery.content {
                Content::Entry(bytes) => Some(String::from_utf8(bytes.to_vec()).unwrap()),
                Content::Nothing | Content::Change { .. } | Content::GoesOn { .. } => None,
            })
            .collect()
    }

    pub(crate) fn change(&mut self, step: Step) {
        for _ in 0..5_000 {
            if let Some(leader) = self.leader()
                && self.order(leader).change(step, b"why".to_vec()).is_ok()
            {
                return self.until("the change", |world| {
                    world
                        .leader()
                        .is_some_and(|leader| !world.get(leader).change_pending())
                });
            }
            self.step();
        }
        panic!("nobody takes {step:?}");
    }

    /// Where a joiner begins: the leader's last delivered position.
    pub(crate) fn start_of(&self, from: u64) -> Start {
        let node = &self.nodes[&id(from)];
        let last = node.delivered.last().unwrap();
        Start {
            position: last.position,
            term: last.term,
            configuration: node.order.configuration().clone(),
            tail: node.order.tail(last.position),
        }
    }

    pub(crate) fn begin(&mut self, number: u64, start: &Start) {
        self.add(id(number), Order::start(id(number), start));
        let others: Vec<MemberId> = self.nodes.keys().copied().collect();
        for other in others {
            self.nodes.get_mut(&other).unwrap().order.connected();
        }
    }

    pub(crate) fn join(&mut self, number: u64) {
        self.change(Step::Admit(id(number)));
        let leader = self.leader().unwrap();
        let start = self.start_of(leader);
        self.begin(number, &start);
        self.until("the joiner follows", |world| {
            let leader = world.leader().unwrap();
            let last = world.get(leader).last();
            world.get(leader).matched(id(number)) == Some(last)
        });
    }

    /// The process is gone. `certain`: a daemon says so; otherwise it is only silent.
    pub(crate) fn lose(&mut self, number: u64, certain: bool) {
        self.nodes.remove(&id(number));
        for node in self.nodes.values_mut() {
            if certain {
                node.order.dead(id(number));
            } else {
                node.order.silent(BTreeSet::from([id(number)]));
            }
        }
    }

    pub(crate) fn cut_off(&mut self, number: u64) {
        let others: Vec<MemberId> = self
            .nodes
            .keys()
            .copied()
            .filter(|o| *o != id(number))
            .collect();
        for other in &others {
            self.cut.insert((id(number), *other));
            self.cut.insert((*other, id(number)));
            self.nodes
                .get_mut(other)
                .unwrap()
                .order
                .silent(BTreeSet::from([id(number)]));
        }
        self.order(number).silent(others.into_iter().collect());
    }

    pub(crate) fn heal(&mut self) {
        self.cut.clear();
        for node in self.nodes.values_mut() {
            node.order.silent(BTreeSet::new());
            node.order.connected();
        }
    }
}
