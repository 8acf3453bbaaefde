//! Where a recipe is performed: a world in which one message of it meets its fault, and what the
//! layer above the order owes the group meanwhile.
//!
//! Time passes at once when nothing is on its way, so that turns count what happens and not how long
//! it took.

mod duties;
mod faults;

use std::collections::{BTreeMap, BTreeSet};

use order::{Configuration, Content, Delivery, Output, Refusal, Start, Step};
use wire::{MemberId, Position, Time};

pub(crate) use faults::{Fault, Strike, Struck};

use crate::world::{World, id};

/// What one turn of the world takes, in microseconds.
const TURN: u64 = 100;
/// Turns until everything is at rest, and messages of a whole situation: twice the most that any of
/// them needs. What goes on for longer goes in circles.
const TURNS_MAX: usize = 150;
const MESSAGES_MAX: usize = 1_200;

/// What clients do meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// Nothing: no later message repairs what an earlier one left.
    Quiet,
    /// Entries are under way, and a read.
    Busy,
}

pub(crate) struct Stage {
    pub(crate) world: World,
    strike: Option<Strike>,
    struck: Option<Struck>,
    /// Messages since the recipe began.
    pub(crate) sent: usize,
    /// Something was given to an order outside of its turn.
    acted: bool,
    /// The link that stands still, or the one message that is late, and until when.
    held: Vec<(MemberId, MemberId, Output)>,
    stalled: Option<(MemberId, MemberId)>,
    held_until: u64,
    /// Links that are broken, and until when.
    broken: Vec<(u64, MemberId, MemberId)>,
    /// Deaths that nobody has been told of yet, and when they are.
    notices: Vec<(u64, MemberId)>,
    hung_up: Vec<MemberId>,
    /// The certainly dead.
    pub(crate) dead: BTreeSet<MemberId>,
    /// Whom the recipe begins without, certainly dead or only silent.
    pub(crate) lost: BTreeSet<MemberId>,
    /// Where the recipe began, and with whom.
    began: (Position, Configuration),
    /// What stands at each position, whoever delivered it first, also if it has crashed since.
    pub(crate) history: BTreeMap<Position, Delivery>,
    recorded: BTreeMap<MemberId, Position>,
    /// Who led in each term.
    pub(crate) led: BTreeMap<u64, MemberId>,
    /// Entries that somebody has yet to take, and that somebody took.
    entries: Vec<&'static str>,
    pub(crate) taken: Vec<Taken>,
    /// The reader, its token, and what was delivered before it asked.
    pub(crate) reads: Vec<(MemberId, u64, Position)>,
    /// Changes that were refused: they must never be seen. By their context.
    pub(crate) refused: Vec<&'static [u8]>,
    /// Who is to become a member, whoever leads.
    pub(crate) joiner: Option<Joiner>,
    /// What every leader but the first tries as soon as it leads.
    pub(crate) hasty: Option<Step>,
}

/// An entry that a leader took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) entry: &'static str,
    pub(crate) leader: MemberId,
    pub(crate) term: u64,
}

pub(crate) struct Joiner {
    pub(crate) member: MemberId,
    /// Whether the leader forgets everything up to the joiner's state.
    pub(crate) forgets: bool,
    pub(crate) began: bool,
}

impl Stage {
    pub(crate) fn new(world: World, strike: Option<Strike>) -> Stage {
        let began = (world.get(1).last(), world.get(1).configuration().clone());
        let mut stage = Stage {
            world,
            began,
            lost: BTreeSet::new(),
            strike,
            struck: None,
            sent: 0,
            acted: true,
            held: Vec::new(),
            stalled: None,
            held_until: 0,
            broken: Vec::new(),
            notices: Vec::new(),
            hung_up: Vec::new(),
            dead: BTreeSet::new(),
            history: BTreeMap::new(),
            recorded: BTreeMap::new(),
            led: BTreeMap::new(),
            entries: Vec::new(),
            taken: Vec::new(),
            reads: Vec::new(),
            refused: Vec::new(),
            joiner: None,
            hasty: None,
        };
        stage.record();
        stage
    }

    pub(crate) fn load(&mut self, load: Load, reader: u64) {
        if load == Load::Busy {
            self.propose("under way");
            self.read(id(reader), 1);
            self.entries.push("meanwhile");
        }
    }

    /// To be taken by the first leader that can.
    pub(crate) fn propose(&mut self, entry: &'static str) {
        self.entries.push(entry);
        self.propose_entries();
    }

    pub(crate) fn read(&mut self, reader: MemberId, token: u64) {
        let floor = self
            .history
            .keys()
            .next_back()
            .copied()
            .unwrap_or(Position(1));
        self.reads.push((reader, token, floor));
        let now = Time(self.world.now);
        self.world.order(reader.number()).read(now, token);
        self.acted = true;
    }

    /// A change that this member orders: its context is delivered with it, or never.
    pub(crate) fn change(
        &mut self,
        leader: u64,
        step: Step,
        context: &'static [u8],
    ) -> Result<(), Refusal> {
        let done = self.world.order(leader).change(step, context.to_vec());
        self.acted |= done.is_ok();
        if done.is_err() {
            self.refused.push(context);
        }
        done
    }

    pub(crate) fn begin(&mut self, joiner: MemberId, start: &Start) {
        self.recorded.insert(joiner, start.position);
        self.world.begin(joiner.number(), start);
        self.acted = true;
    }

    /// The process is gone; everybody knows it for certain, or only does not hear it.
    pub(crate) fn lose(&mut self, member: MemberId, certain: bool) {
        self.world.lose(member.number(), certain);
        if certain {
            self.dead.insert(member);
        }
        self.acted = true;
    }

    /// Turns, until the message has met its fault.
    pub(crate) fn until_struck(&mut self) -> Struck {
        while self.struck.is_none() {
            assert!(!self.rests(), "the same messages are sent again");
            self.turn();
        }
        self.struck.expect("just seen")
    }

    /// Turns, until nothing is to be expected any more.
    pub(crate) fn rest(&mut self) {
        for _ in 0..TURNS_MAX {
            if self.rests() {
                assert!(self.sent < MESSAGES_MAX, "{} messages", self.sent);
                return;
            }
            self.turn();
        }
        panic!("no rest after {TURNS_MAX} turns: {}", self.describe());
    }

    fn rests(&self) -> bool {
        let on_its_way = !self.world.wire.is_empty() || !self.held.is_empty();
        let to_come = !self.broken.is_empty() || !self.notices.is_empty();
        !self.acted && !on_its_way && !to_come && self.deadline().is_none()
    }

    fn deadline(&self) -> Option<u64> {
        let nodes = self.world.nodes.values();
        nodes
            .filter_map(|node| node.order.deadline())
            .map(|at| at.0)
            .min()
    }

    fn turn(&mut self) {
        self.mend_links();
        self.tell();
        self.meet_fault();
        self.pass_time();
        self.acted = false;
        self.world.step();
        for gone in std::mem::take(&mut self.hung_up) {
            for node in self.world.nodes.values_mut() {
                node.order.disconnected(gone);
            }
        }
        self.record();
        self.propose_entries();
        for leader in self.leaders() {
            self.owe(leader);
        }
        self.end_the_removed();
    }

    /// The same at the same position, whoever delivers it.
    fn record(&mut self) {
        for (&me, node) in &self.world.nodes {
            let recorded = self.recorded.entry(me).or_insert(Position(0));
            let new = node.delivered.iter().rev();
            for delivery in new.take_while(|delivery| delivery.position > *recorded) {
                let known = self.history.entry(delivery.position);
                let known = known.or_insert_with(|| delivery.clone());
                assert_eq!(*known, *delivery, "{me} delivers another history");
            }
            if let Some(last) = node.delivered.last() {
                *recorded = last.position;
            }
            if node.order.leads() {
                let other = self.led.insert(node.order.term(), me);
                assert!(
                    other.is_none_or(|other| other == me),
                    "two lead in one term"
                );
            }
        }
    }

    fn propose_entries(&mut self) {
        for leader in self.leaders() {
            while let Some(entry) = self.entries.first()
                && let order = self.world.order(leader.number())
                && order.propose(entry.as_bytes().to_vec()).is_ok()
            {
                let term = order.term();
                let entry = self.entries.remove(0);
                self.taken.push(Taken {
                    entry,
                    leader,
                    term,
                });
                self.acted = true;
            }
        }
    }

    pub(crate) fn leaders(&self) -> Vec<MemberId> {
        let nodes = self.world.nodes.iter();
        let leads = nodes.filter(|(_, node)| node.order.leads());
        leads.map(|(id, _)| *id).collect()
    }

    /// Every configuration that was in force since the recipe began.
    pub(crate) fn configurations(&self) -> Vec<Configuration> {
        let (position, configuration) = &self.began;
        let changes = self.history.range(position.next()..);
        let changes = changes.filter_map(|(_, delivery)| {
            let Content::Change { configuration, .. } = &delivery.content else {
                return None;
            };
            Some(configuration)
        });
        changes.chain([configuration]).cloned().collect()
    }

    pub(crate) fn describe(&self) -> String {
        let mut text = format!("dead {:?} held {:?}\n", self.dead, self.held);
        for (me, node) in &self.world.nodes {
            let configuration = node.order.configuration();
            text += &format!("{me} {:?} {configuration:?}\n", node.order);
        }
        text
    }
}
