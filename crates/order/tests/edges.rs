//! The engine's sharp edges and recipes, one test each, on several orders and virtual time.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use order::{Content, Delivery, Order, Output, Refusal, Start, Step};
use proptest::prelude::{Just, Strategy, any, prop_oneof};
use wire::engine::{EngineKind, EngineMessage, LogEntry, LogEntryKind};
use wire::{MemberId, Position, Time};

fn id(number: u64) -> MemberId {
    MemberId::new(number).unwrap()
}

struct Node {
    order: Order,
    delivered: Vec<Delivery>,
    readable: Vec<(u64, Position)>,
    needs_state: Vec<MemberId>,
}

/// Orders, and the messages between them. A message takes one step of a tenth of a millisecond.
struct World {
    now: u64,
    nodes: BTreeMap<MemberId, Node>,
    wire: VecDeque<(MemberId, MemberId, Output)>,
    /// Links that carry nothing, in one direction.
    cut: BTreeSet<(MemberId, MemberId)>,
}

impl World {
    fn found() -> World {
        let mut world = World {
            now: 1_000_000,
            nodes: BTreeMap::new(),
            wire: VecDeque::new(),
            cut: BTreeSet::new(),
        };
        world.add(id(1), Order::found(id(1)));
        world.until("a leader", |world| world.get(1).leads());
        world
    }

    fn of(size: u64) -> World {
        let mut world = World::found();
        for number in 2..=size {
            world.join(number);
            world.change(Step::Promote(id(number)));
        }
        world.quiet();
        world
    }

    fn add(&mut self, me: MemberId, order: Order) {
        let node = Node {
            order,
            delivered: Vec::new(),
            readable: Vec::new(),
            needs_state: Vec::new(),
        };
        self.nodes.insert(me, node);
    }

    fn get(&self, number: u64) -> &Order {
        &self.nodes[&id(number)].order
    }

    fn node(&mut self, number: u64) -> &mut Node {
        self.nodes.get_mut(&id(number)).unwrap()
    }

    fn order(&mut self, number: u64) -> &mut Order {
        &mut self.node(number).order
    }

    fn leader(&self) -> Option<u64> {
        let leads = |(id, node): (&MemberId, &Node)| node.order.leads().then_some(id.number());
        self.nodes.iter().find_map(leads)
    }

    fn step(&mut self) {
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
                Output::Send { message, .. } => node.order.step(message),
                Output::Reach {
                    last_term,
                    last_index,
                    ..
                } => {
                    node.order.reach(now, from, last_term, last_index);
                }
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
                    Output::Send { to, .. } | Output::Reach { to, .. } => {
                        self.wire.push_back((me, to, output));
                    }
                    Output::Delivered(delivery) => node.delivered.push(delivery),
                    Output::Readable { token, position } => node.readable.push((token, position)),
                    Output::NeedsState { joiner } => node.needs_state.push(joiner),
                    Output::Leader { .. } => {}
                }
            }
        }
        self.check();
    }

    fn quiet(&mut self) {
        for _ in 0..20 {
            self.step();
        }
    }

    fn until(&mut self, what: &str, mut reached: impl FnMut(&World) -> bool) {
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
    fn check(&self) {
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

    fn propose(&mut self, text: &str) {
        let leader = self.leader().unwrap();
        self.order(leader)
            .propose(text.as_bytes().to_vec())
            .unwrap();
    }

    fn texts(&self, number: u64) -> Vec<String> {
        self.nodes[&id(number)]
            .delivered
            .iter()
            .filter_map(|delivery| match &delivery.content {
                Content::Entry(bytes) => Some(String::from_utf8(bytes.to_vec()).unwrap()),
                Content::Nothing | Content::Change { .. } => None,
            })
            .collect()
    }

    fn change(&mut self, step: Step) {
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
    fn start_of(&self, from: u64) -> Start {
        let node = &self.nodes[&id(from)];
        let last = node.delivered.last().unwrap();
        Start {
            position: last.position,
            term: last.term,
            configuration: node.order.configuration().clone(),
        }
    }

    fn begin(&mut self, number: u64, start: &Start) {
        self.add(id(number), Order::start(id(number), start));
        let others: Vec<MemberId> = self.nodes.keys().copied().collect();
        for other in others {
            self.nodes.get_mut(&other).unwrap().order.connected();
        }
    }

    fn join(&mut self, number: u64) {
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
    fn lose(&mut self, number: u64, certain: bool) {
        self.nodes.remove(&id(number));
        for node in self.nodes.values_mut() {
            if certain {
                node.order.dead(id(number));
            } else {
                node.order.silent(BTreeSet::from([id(number)]));
            }
        }
    }

    fn cut_off(&mut self, number: u64) {
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

    fn heal(&mut self) {
        self.cut.clear();
        for node in self.nodes.values_mut() {
            node.order.silent(BTreeSet::new());
            node.order.connected();
        }
    }
}

/// Edge: a leader that is removed does not step down.
#[test]
fn a_leader_is_not_taken_out_before_it_has_handed_over() {
    let mut world = World::of(3);
    let removal = world.order(1).change(Step::Remove(id(1)), Vec::new());
    assert_eq!(removal, Err(Refusal::RemovesLeader));
    world.join(4);
    world.change(Step::Swap {
        joiner: id(4),
        leaver: id(1),
    });
    assert_eq!(
        world.order(1).change(Step::Settle, Vec::new()),
        Err(Refusal::RemovesLeader)
    );
    let now = Time(world.now);
    world.quiet();
    world.order(1).hand_over(now, id(2)).unwrap();
    world.until("another leads", |world| world.get(2).leads());
    world.change(Step::Settle);
    world.propose("without the old leader");
    world.until("it goes on", |world| world.texts(4).len() == 1);
    assert!(!world.get(4).configuration().contains(id(1)));
}

/// Edge: a hand-over has no negative answer, and with ticks off it can hang.
#[test]
fn a_hand_over_that_is_not_answered_is_called_off() {
    let mut world = World::of(3);
    world.cut.insert((id(1), id(2)));
    let now = Time(world.now);
    world.order(1).hand_over(now, id(2)).unwrap();
    assert_eq!(
        world.order(1).propose(b"held".to_vec()),
        Err(Refusal::HandingOver)
    );
    world.until("proposals are taken again", |world| {
        !world.get(1).hands_over()
    });
    assert!(world.get(1).leads());
    world.propose("after");
    world.until("delivered", |world| world.texts(3) == ["after"]);
}

/// Recipe: hand-over. What was under way survives it, and nobody sees two leaders.
#[test]
fn a_hand_over_keeps_what_is_under_way() {
    let mut world = World::of(3);
    world.propose("under way");
    let now = Time(world.now);
    world.order(1).hand_over(now, id(3)).unwrap();
    world.until("the other leads", |world| world.get(3).leads());
    world.propose("next");
    world.until("both are delivered", |world| {
        world.texts(2) == ["under way", "next"]
    });
}

/// Edge: only a member that has applied its own promotion, is live and has a vote may lead.
#[test]
fn a_learner_or_a_silent_member_cannot_be_handed_leadership() {
    let mut world = World::of(2);
    world.join(3);
    let now = Time(world.now);
    assert_eq!(
        world.order(1).hand_over(now, id(3)),
        Err(Refusal::CannotLead)
    );
    world.order(1).silent(BTreeSet::from([id(2)]));
    assert_eq!(
        world.order(1).hand_over(now, id(2)),
        Err(Refusal::CannotLead)
    );
}

/// Edge: lease reads are unsafe across a hand-over; reads ask a majority.
#[test]
fn a_leader_that_was_cut_off_answers_no_read() {
    let mut world = World::of(3);
    world.cut.insert((id(1), id(2)));
    world.cut.insert((id(1), id(3)));
    world.cut.insert((id(2), id(1)));
    world.cut.insert((id(3), id(1)));
    for number in [2, 3] {
        world.order(number).silent(BTreeSet::from([id(1)]));
    }
    world.until("another leads", |world| {
        world.get(2).leads() || world.get(3).leads()
    });
    let now = Time(world.now);
    world.order(1).read(now, 7);
    world.quiet();
    assert_eq!(
        world.node(1).readable,
        [],
        "it cannot know that it is up to date"
    );
}

/// Edge: a read is dropped before the first commit of a term, and when the leader is lost.
#[test]
fn a_read_is_asked_again_until_a_leader_answers() {
    let mut world = World::of(3);
    world.propose("before");
    world.until("delivered", |world| world.texts(2).len() == 1);
    world.lose(1, true);
    let now = Time(world.now);
    world.order(2).read(now, 7);
    world.until("the read is answered", |world| {
        !world.nodes[&id(2)].readable.is_empty()
    });
    let (token, position) = world.node(2).readable[0];
    assert_eq!(token, 7);
    let known = &world.nodes[&id(2)].delivered;
    let before = known
        .iter()
        .find(|d| matches!(d.content, Content::Entry(_)))
        .unwrap();
    assert!(
        position >= before.position,
        "it sees what was acknowledged before it"
    );
}

/// A follower asks the leader; the leader's answer names a position that has everything.
#[test]
fn a_follower_reads_by_the_leaders_position() {
    let mut world = World::of(3);
    world.propose("before");
    world.until("delivered", |world| world.texts(1).len() == 1);
    let before = world.get(1).committed();
    let now = Time(world.now);
    world.order(3).read(now, 9);
    world.until("the read is answered", |world| {
        !world.nodes[&id(3)].readable.is_empty()
    });
    assert_eq!(world.node(3).readable, [(9, before)]);
}

/// Members number their reads alike; the engine must not take one's for another's.
#[test]
fn reads_of_several_members_under_one_number_are_all_answered_at_once() {
    let mut world = World::of(3);
    world.quiet();
    let now = Time(world.now);
    for number in 1..=3 {
        world.order(number).read(now, 5);
    }
    world.quiet();
    let answered = |number| world.nodes[&id(number)].readable.len();
    assert_eq!([answered(1), answered(2), answered(3)], [1, 1, 1]);
}

/// Edge: one change at a time, the next only after it is applied. Recipe: a refused change.
#[test]
fn a_second_change_is_refused_and_leaves_nothing_in_the_order() {
    let mut world = World::of(3);
    world
        .order(1)
        .change(Step::Admit(id(4)), b"first".to_vec())
        .unwrap();
    let second = world
        .order(1)
        .change(Step::Admit(id(5)), b"second".to_vec());
    assert_eq!(second, Err(Refusal::ChangePending));
    world.quiet();
    let changes =
        world.nodes[&id(2)]
            .delivered
            .iter()
            .filter_map(|delivery| match &delivery.content {
                Content::Change { context, .. } => Some(context.clone()),
                Content::Nothing | Content::Entry(_) => None,
            });
    assert_eq!(changes.filter(|context| &context[..] != b"why").count(), 1);
}

#[test]
fn a_step_that_does_not_fit_is_refused() {
    let mut world = World::of(3);
    let refused = |world: &mut World, step| world.order(1).change(step, Vec::new()).unwrap_err();
    assert_eq!(refused(&mut world, Step::Settle), Refusal::DoesNotFit);
    assert_eq!(
        refused(&mut world, Step::Promote(id(9))),
        Refusal::DoesNotFit
    );
    assert_eq!(refused(&mut world, Step::Admit(id(2))), Refusal::DoesNotFit);
    let swap = Step::Swap {
        joiner: id(9),
        leaver: id(2),
    };
    assert_eq!(refused(&mut world, swap), Refusal::DoesNotFit);
    let follower = world.order(2).change(Step::Admit(id(9)), Vec::new());
    assert_eq!(follower, Err(Refusal::NotLeading));
}

/// Edge: a new learner is not probed until the next proposal or heartbeat. Recipe: out-of-band start.
#[test]
fn a_joiner_gets_the_order_although_nothing_is_proposed() {
    let mut world = World::of(3);
    world.change(Step::Admit(id(4)));
    let start = world.start_of(1);
    world.propose("after its state");
    world.quiet();
    world.begin(4, &start);
    world.until("it follows", |world| world.texts(4) == ["after its state"]);
}

/// The same when the leader has forgotten everything up to the joiner's state.
#[test]
fn a_joiner_begins_where_the_leader_has_forgotten_what_was_before() {
    let mut world = World::of(3);
    world.change(Step::Admit(id(4)));
    for _ in 0..20 {
        world.propose("long ago");
        world.step();
    }
    world.quiet();
    let start = world.start_of(1);
    world.order(1).compact(start.position);
    world.quiet();
    world.begin(4, &start);
    world.propose("now");
    world.until("it follows", |world| world.texts(4) == ["now"]);
    assert_eq!(world.node(1).needs_state, []);
}

/// Edge: what left the log is never sent as a snapshot; the joiner needs a new state.
#[test]
fn a_learner_that_the_log_has_left_behind_needs_a_new_state() {
    let mut world = World::of(3);
    world.join(4);
    let cut: Vec<(MemberId, MemberId)> = (1..=3).map(|other| (id(other), id(4))).collect();
    world.cut.extend(cut);
    for _ in 0..20 {
        world.propose("missed");
        world.step();
    }
    world.quiet();
    let last = world.get(1).last();
    world.order(1).compact(last);
    world.cut.clear();
    world.order(1).disconnected(id(4));
    world.order(1).connected();
    world.until("it is noticed", |world| {
        world.nodes[&id(1)].needs_state == [id(4)]
    });
}

/// Edge: a transferred configuration may be joint; the whole of it is carried.
#[test]
fn a_joiner_may_begin_in_the_middle_of_a_swap() {
    let mut world = World::of(3);
    world.join(4);
    world.change(Step::Swap {
        joiner: id(4),
        leaver: id(3),
    });
    let start = world.start_of(1);
    assert!(start.configuration.joint());
    let mut late = Order::start(id(9), &start);
    let mut out = Vec::new();
    late.turn(Time(world.now), &mut out);
    assert!(late.configuration().joint());
    assert!(!late.leads());
}

/// Edge: leaving a joint configuration can be lost at a leader change; every new leader proposes it.
#[test]
fn a_new_leader_ends_the_swap_that_the_old_one_began() {
    let mut world = World::of(3);
    world.join(4);
    world.change(Step::Swap {
        joiner: id(4),
        leaver: id(3),
    });
    world.quiet();
    world.lose(1, true);
    world.until("another leads", |world| world.leader().is_some());
    world.change(Step::Settle);
    let leader = world.leader().unwrap();
    assert!(!world.get(leader).configuration().joint());
    assert!(!world.get(leader).configuration().contains(id(3)));
}

/// Recipe: swap. The successor has the vote, the leaver has none, and the order goes on.
#[test]
fn a_swap_gives_the_vote_in_one_step() {
    let mut world = World::of(3);
    world.join(4);
    world.change(Step::Swap {
        joiner: id(4),
        leaver: id(2),
    });
    assert!(world.get(1).configuration().joint());
    world.change(Step::Settle);
    let voters = world.get(1).configuration().voters.clone();
    assert_eq!(voters, [id(1), id(3), id(4)]);
    world.lose(3, true);
    world.propose("two of three");
    world.until("delivered", |world| world.texts(4) == ["two of three"]);
}

/// Edge: proposals vanish at a change of leader; the new term's first entry tells.
#[test]
fn a_new_term_begins_with_nothing() {
    let mut world = World::of(3);
    world.quiet();
    let before = world.nodes[&id(2)].delivered.len();
    world.lose(1, true);
    world.until("another leads", |world| world.leader().is_some());
    world.until("its first entry", |world| {
        world.nodes[&id(2)].delivered.len() > before
    });
    assert_eq!(
        world.nodes[&id(2)].delivered[before].content,
        Content::Nothing
    );
}

/// Edge: votes against a leader that one still hears are refused.
#[test]
fn a_member_that_suspects_alone_does_not_depose_the_leader() {
    let mut world = World::of(3);
    world.order(3).silent(BTreeSet::from([id(1)]));
    world.quiet();
    for _ in 0..2_000 {
        world.step();
    }
    assert!(world.get(1).leads());
    assert_eq!(world.get(1).term(), world.get(2).term());
    world.propose("goes on");
    world.until("delivered", |world| world.texts(2) == ["goes on"]);
}

/// Edge: a leader that lost a majority of its peers steps down by itself, and a heal brings one.
#[test]
fn a_leader_without_a_majority_steps_down() {
    let mut world = World::of(3);
    world.cut_off(1);
    world.step();
    assert!(!world.get(1).leads());
    assert_eq!(
        world.order(1).propose(b"lost".to_vec()),
        Err(Refusal::NotLeading)
    );
    world.until("the others go on", |world| {
        world.leader().is_some_and(|leader| leader != 1)
    });
    world.heal();
    world.quiet();
    world.propose("healed");
    world.until("all have it", |world| world.texts(1) == ["healed"]);
}

/// Recipe: nudge. A certain death skips every wait.
#[test]
fn after_a_certain_death_another_leads_within_milliseconds() {
    let mut world = World::of(3);
    world.propose("before");
    world.until("delivered", |world| world.texts(3).len() == 1);
    let lost = world.now;
    world.lose(1, true);
    world.until("another leads", |world| world.leader().is_some());
    assert!(world.now - lost < 5_000, "{} µs", world.now - lost);
}

/// Recipe: nudge. The one with the longest log campaigns; the others would be refused.
#[test]
fn who_has_the_longest_log_leads_next() {
    let mut world = World::of(3);
    world.cut.insert((id(1), id(2)));
    world.propose("only the third has it");
    world.until("committed", |world| world.texts(1).len() == 1);
    world.cut.clear();
    world.lose(1, false);
    world.until("another leads", |world| world.leader().is_some());
    assert_eq!(world.leader(), Some(3));
    world.until("nothing is lost", |world| {
        world.texts(2) == ["only the third has it"]
    });
}

/// An idle group wants nothing: no ticks, no messages, no deadline.
#[test]
fn an_idle_group_is_silent() {
    let mut world = World::of(3);
    world.quiet();
    world.step();
    assert!(world.wire.is_empty());
    assert!(
        world
            .nodes
            .values()
            .all(|node| node.order.deadline().is_none())
    );
}

/// Memory stays bounded under endless load.
#[test]
fn a_compacted_log_is_small() {
    let mut world = World::of(3);
    for number in 0..500 {
        world.propose(&format!("{number}"));
        world.step();
        for member in 1..=3 {
            let last = world.get(member).committed();
            world.order(member).compact(last);
        }
    }
    world.quiet();
    assert!((1..=3).all(|member| world.get(member).log_bytes() < 8 << 10));
    assert_eq!(world.texts(2).len(), 500);
}

fn kind() -> impl Strategy<Value = EngineKind> {
    prop_oneof![
        Just(EngineKind::Append),
        Just(EngineKind::AppendResponse),
        Just(EngineKind::RequestVote),
        Just(EngineKind::RequestVoteResponse),
        Just(EngineKind::Heartbeat),
        Just(EngineKind::HeartbeatResponse),
        Just(EngineKind::TimeoutNow),
        Just(EngineKind::ReadIndex),
        Just(EngineKind::ReadIndexResponse),
        Just(EngineKind::RequestPreVote),
        Just(EngineKind::RequestPreVoteResponse),
    ]
}

fn entry() -> impl Strategy<Value = LogEntry> {
    (any::<bool>(), 0..6_u64, 0..24_u64, any::<Vec<u8>>()).prop_map(
        |(normal, term, index, data)| LogEntry {
            kind: if normal {
                LogEntryKind::Normal
            } else {
                LogEntryKind::Change
            },
            term,
            index,
            data: data.into(),
            context: Bytes::new(),
        },
    )
}

fn message() -> impl Strategy<Value = EngineMessage> {
    let numbers = (0..5_u64, 0..6_u64, 0..6_u64, 0..24_u64, 0..24_u64, 0..6_u64);
    let rest = (
        any::<bool>(),
        0..24_u64,
        any::<Vec<u8>>(),
        proptest::collection::vec(entry(), 0..4),
    );
    (kind(), numbers, rest).prop_map(|(kind, numbers, rest)| {
        let (from, term, log_term, index, commit, commit_term) = numbers;
        let (reject, reject_hint, context, entries) = rest;
        EngineMessage {
            kind,
            from,
            to: 2,
            term,
            log_term,
            index,
            commit,
            commit_term,
            reject,
            reject_hint,
            priority: 0,
            context: context.into(),
            entries,
        }
    })
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig {
        cases: 400,
        failure_persistence: None,
        ..proptest::prelude::ProptestConfig::default()
    })]

    /// What a peer sends never makes a member panic.
    #[test]
    fn any_messages_of_a_peer_are_taken_or_refused(
        messages in proptest::collection::vec(message(), 1..12),
        number in 1..4_u64,
    ) {
        let mut world = World::of(3);
        for message in messages {
            world.order(number).step(EngineMessage { to: number, ..message });
            let now = Time(world.now);
            let mut out = Vec::new();
            world.order(number).turn(now, &mut out);
        }
    }
}
