//! Orders on a network that delays, repeats and loses, and on hosts that pause and crash.
//!
//! A link keeps the order of its messages, as TCP does, and loses them only when it breaks; now and
//! then an old message comes once more, late. Who is not heard for a while is suspected, who
//! crashed is certainly dead for those whom a daemon tells.

use std::collections::{BTreeMap, BTreeSet};

use order::{Configuration, Content, Delivery, Order, Output, Start};
use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};
use wire::engine::EngineKind;
use wire::{MemberId, Position, Time};

/// A member that is not heard so long is suspected, in microseconds.
const SILENCE: u64 = 150_000;

pub(crate) fn id(number: u64) -> MemberId {
    MemberId::new(number).unwrap()
}

pub(crate) struct Member {
    pub(crate) order: Order,
    /// Where it began, then the last position that it delivered.
    pub(crate) delivered: (Position, u64),
    pub(crate) paused_until: u64,
    /// The set that its order was last told.
    suspects: BTreeSet<MemberId>,
    /// Reads under way: what had been delivered anywhere when each was asked.
    pub(crate) reads: BTreeMap<u64, Position>,
    /// Which life of the group it belongs to.
    pub(crate) life: u64,
}

pub(crate) struct Storm {
    random: ChaCha8Rng,
    pub(crate) now: u64,
    pub(crate) members: BTreeMap<MemberId, Member>,
    pub(crate) dead: BTreeSet<MemberId>,
    wire: BTreeMap<(u64, u64), (MemberId, MemberId, Output)>,
    sequence: u64,
    /// The last arrival on each link.
    last: BTreeMap<(MemberId, MemberId), u64>,
    /// Directions that carry nothing, since when and until when.
    cuts: BTreeMap<(MemberId, MemberId), (u64, u64)>,
    /// Deaths that a daemon will tell, and when.
    notices: Vec<(u64, MemberId)>,
    /// What stands at each position, as the first member delivered it.
    pub(crate) history: BTreeMap<Position, Delivery>,
    leaders: BTreeMap<u64, MemberId>,
    /// Members that their leader cannot bring up to date.
    pub(crate) lagging: BTreeSet<MemberId>,
    /// Whether old messages come again.
    pub(crate) echoes: bool,
    pub(crate) answered: u64,
    /// The group's life: one more whenever a survivor has gone on.
    pub(crate) life: u64,
    /// Those that belong to an earlier one and have not heard of it yet, and until when.
    stragglers: Vec<(u64, MemberId)>,
}

impl Storm {
    pub(crate) fn new(seed: u64) -> Storm {
        let mut storm = Storm {
            random: ChaCha8Rng::seed_from_u64(seed),
            now: 1_000_000,
            members: BTreeMap::new(),
            dead: BTreeSet::new(),
            wire: BTreeMap::new(),
            sequence: 0,
            last: BTreeMap::new(),
            cuts: BTreeMap::new(),
            notices: Vec::new(),
            history: BTreeMap::new(),
            leaders: BTreeMap::new(),
            lagging: BTreeSet::new(),
            echoes: false,
            answered: 0,
            life: 1,
            stragglers: Vec::new(),
        };
        storm.add(id(1), Order::found(id(1)), Position(1), 1);
        storm
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.random.next_u64() % end.max(1)
    }

    pub(crate) fn pick(&mut self, of: &[MemberId]) -> Option<MemberId> {
        let at = usize::try_from(self.below(of.len() as u64)).unwrap();
        of.get(at).copied()
    }

    // Members.

    fn add(&mut self, me: MemberId, order: Order, position: Position, term: u64) {
        let member = Member {
            order,
            delivered: (position, term),
            paused_until: 0,
            suspects: BTreeSet::new(),
            reads: BTreeMap::new(),
            life: 1,
        };
        self.members.insert(me, member);
    }

    /// A joiner begins with the state of `donor`.
    pub(crate) fn begin(&mut self, me: MemberId, donor: MemberId) {
        let donor = &self.members[&donor];
        let (position, term) = donor.delivered;
        let configuration = donor.order.configuration().clone();
        let start = Start {
            position,
            term,
            configuration,
            tail: donor.order.tail(position),
        };
        self.add(me, Order::start(me, &start), position, term);
        self.members.get_mut(&me).unwrap().life = self.life;
        for member in self.members.values_mut() {
            member.order.connected();
        }
    }

    /// Members of the present life that run and are not paused.
    pub(crate) fn awake(&self) -> Vec<MemberId> {
        let awake = |(_, member): &(&MemberId, &Member)| {
            member.paused_until <= self.now && member.life == self.life
        };
        self.members
            .iter()
            .filter(awake)
            .map(|(id, _)| *id)
            .collect()
    }

    pub(crate) fn leader(&self) -> Option<MemberId> {
        let leads = |(id, member): (&MemberId, &Member)| member.order.leads().then_some(*id);
        // An old leader may not know yet of a later term.
        self.members
            .iter()
            .filter_map(leads)
            .max_by_key(|id| self.members[id].order.term())
    }

    pub(crate) fn last_delivered(&self) -> Position {
        self.history
            .keys()
            .next_back()
            .copied()
            .unwrap_or(Position(1))
    }

    /// The last configuration that was delivered anywhere, and where it stands.
    pub(crate) fn configuration(&self) -> Option<(Position, &Configuration)> {
        self.history
            .iter()
            .rev()
            .find_map(|(at, delivery)| match &delivery.content {
                Content::Change { configuration, .. } | Content::GoesOn { configuration } => {
                    Some((*at, configuration))
                }
                Content::Nothing | Content::Entry(_) => None,
            })
    }

    pub(crate) fn crash(&mut self, member: MemberId, told: bool) {
        self.members.remove(&member);
        self.dead.insert(member);
        if told {
            let delay = 1_000 + self.below(4_000);
            self.notices.push((self.now + delay, member));
        }
    }

    /// It is out of the group and ends: a death like any other for those who do not know yet.
    pub(crate) fn end(&mut self, member: MemberId) {
        self.crash(member, true);
    }

    pub(crate) fn pause(&mut self, member: MemberId, time: u64) {
        self.members.get_mut(&member).unwrap().paused_until = self.now + time;
    }

    // The network.

    /// The link breaks, in one direction or both: what is on its way is lost.
    pub(crate) fn cut(&mut self, a: MemberId, b: MemberId, time: u64) {
        let (now, until) = (self.now, self.now + time);
        self.cuts.entry((a, b)).or_insert((now, until)).1 = until;
        self.wire.retain(|_, (from, to, _)| (*from, *to) != (a, b));
        for (one, other) in [(a, b), (b, a)] {
            if let Some(member) = self.members.get_mut(&one) {
                member.order.disconnected(other);
            }
        }
    }

    /// Everything works from here on, and all deaths are told.
    pub(crate) fn calm(&mut self) {
        self.echoes = false;
        for (_, until) in self.cuts.values_mut() {
            *until = self.now;
        }
        for member in self.members.values_mut() {
            member.paused_until = member.paused_until.min(self.now);
        }
        let now = self.now;
        self.notices
            .extend(self.dead.iter().map(|dead| (now, *dead)));
    }

    fn send(&mut self, from: MemberId, to: MemberId, output: Output) {
        if self.cuts.contains_key(&(from, to)) {
            return;
        }
        if let Output::Send { message, .. } = &output
            && message.kind == EngineKind::Append
            && let Some(first) = message.entries.iter().next()
        {
            assert_eq!(
                first.index,
                message.index + 1,
                "no receiver can take {message:?}"
            );
        }
        // A read's mark that came twice would not be one.
        if self.echoes
            && self.below(100) == 0
            && let Output::Send { to, message } = &output
            && message.kind != EngineKind::ReadIndex
        {
            let (to, message) = (*to, message.clone());
            let late = self.now + self.below(60_000);
            self.sequence += 1;
            let echo = Output::Send { to, message };
            self.wire.insert((late, self.sequence), (from, to, echo));
        }
        let delay = match self.below(200) {
            0 => 20_000 + self.below(100_000),
            1..10 => 1_000 + self.below(20_000),
            _ => 50 + self.below(300),
        };
        let last = self.last.entry((from, to)).or_default();
        *last = (self.now + delay).max(*last);
        self.sequence += 1;
        let at = (*last, self.sequence);
        self.wire.insert(at, (from, to, output));
    }

    /// Who is where, for a test that failed.
    pub(crate) fn describe(&self) -> String {
        let mut text = format!("dead {:?}\n", self.dead);
        for (me, member) in &self.members {
            text += &format!(
                "{me} delivered {:?} suspects {:?} reads {} {:?} {:?}\n",
                member.delivered,
                member.suspects,
                member.reads.len(),
                member.order,
                member.order.configuration(),
            );
        }
        text
    }

    // Time.

    /// A moment passes: messages arrive, and everybody takes a turn.
    pub(crate) fn step(&mut self) {
        self.now += 50 + self.below(200);
        self.heal();
        self.tell();
        let now = self.now;
        let told = self.stragglers.extract_if(.., |(at, _)| *at <= now);
        for (_, straggler) in told.collect::<Vec<_>>() {
            if self.members.contains_key(&straggler) {
                self.end(straggler);
            }
        }
        let later = self.wire.split_off(&(self.now + 1, 0));
        let due = std::mem::replace(&mut self.wire, later);
        for (at, (from, to, output)) in due {
            self.arrive(at, from, to, output);
        }
        let awake = |(_, member): &(&MemberId, &Member)| member.paused_until <= self.now;
        let awake = self.members.iter().filter(awake).map(|(id, _)| *id);
        for me in awake.collect::<Vec<_>>() {
            self.turn(me);
        }
    }

    fn heal(&mut self) {
        let now = self.now;
        let before = self.cuts.len();
        self.cuts.retain(|_, (_, until)| *until > now);
        if self.cuts.len() < before {
            for member in self.members.values_mut() {
                member.order.connected();
            }
        }
    }

    /// Who suspects whom, and what the daemons say.
    fn tell(&mut self) {
        let now = self.now;
        let certain: Vec<MemberId> = self
            .notices
            .extract_if(.., |(at, _)| *at <= now)
            .map(|(_, dead)| dead)
            .collect();
        let paused = |member: &Member| member.paused_until > now + SILENCE / 2;
        let sleepers: Vec<MemberId> = self
            .members
            .iter()
            .filter(|(_, member)| paused(member))
            .map(|(id, _)| *id)
            .collect();
        for (&me, member) in &mut self.members {
            let cut = |other: &MemberId| {
                let cut = self.cuts.get(&(*other, me));
                cut.is_some_and(|(since, _)| now > since + SILENCE)
            };
            let configuration = member.order.configuration();
            let voters = configuration.voters.iter().chain(&configuration.outgoing);
            let suspects: BTreeSet<MemberId> = voters
                .chain(&configuration.learners)
                .filter(|other| {
                    **other != me
                        && (cut(other) || sleepers.contains(other) || self.dead.contains(other))
                })
                .copied()
                .collect();
            for &dead in &certain {
                member.order.dead(dead);
            }
            if suspects != member.suspects {
                member.suspects = suspects.clone();
                member.order.silent(suspects);
            }
        }
    }

    fn arrive(&mut self, at: (u64, u64), from: MemberId, to: MemberId, output: Output) {
        let now = self.now;
        let Some(member) = self.members.get_mut(&to) else {
            return;
        };
        if member.paused_until > now {
            let later = (member.paused_until, at.1);
            self.wire.insert(later, (from, to, output));
            return;
        }
        match output {
            Output::Send { message, .. } => member.order.step(message),
            Output::Reach { reach, .. } => member.order.reach(Time(now), from, reach),
            Output::Survives {
                reach, stands_back, ..
            } => member.order.survives(from, reach, stands_back),
            Output::Delivered(_)
            | Output::Readable { .. }
            | Output::Leader { .. }
            | Output::NeedsState { .. } => unreachable!("only messages travel"),
        }
    }

    fn turn(&mut self, me: MemberId) {
        let mut out = Vec::new();
        let member = self.members.get_mut(&me).unwrap();
        member.order.turn(Time(self.now), &mut out);
        let goes_on = out.iter().any(|output| {
            let Output::Delivered(delivery) = output else {
                return false;
            };
            matches!(delivery.content, Content::GoesOn { .. })
        });
        if member.order.leads() {
            let life = member.life + u64::from(goes_on);
            assert!(life >= self.life, "{me} leads in a life that is over");
            let term = member.order.term();
            let known = *self.leaders.entry(term).or_insert(me);
            assert_eq!(known, me, "two members lead in term {term}");
        }
        for output in out {
            match output {
                Output::Send { to, .. }
                | Output::Reach { to, .. }
                | Output::Survives { to, .. } => {
                    self.send(me, to, output);
                }
                Output::Delivered(delivery) => self.deliver(me, delivery),
                Output::Readable { token, position } => {
                    let asked = self.members.get_mut(&me).unwrap().reads.remove(&token);
                    let floor = asked.expect("a read is answered once");
                    assert!(
                        position >= floor,
                        "{me} would read at {position}, below {floor}"
                    );
                    self.answered += 1;
                }
                Output::NeedsState { member } => {
                    self.lagging.insert(member);
                }
                Output::Leader { .. } => {}
            }
        }
    }

    /// The same at the same position on all members, and no gap at any.
    fn deliver(&mut self, me: MemberId, delivery: Delivery) {
        let member = self.members.get_mut(&me).unwrap();
        let position = delivery.position;
        if matches!(delivery.content, Content::GoesOn { .. }) {
            assert_eq!(
                member.life, self.life,
                "{me} goes on in a life that is over"
            );
            self.life += 1;
            member.life = self.life;
            // All others are of no use any more. They hear of it sooner or later, and until then
            // they may say what they want.
            let others: Vec<MemberId> = self.members.keys().copied().collect();
            for other in others.into_iter().filter(|other| *other != me) {
                let late = self.now + self.below(200_000);
                self.stragglers.push((late, other));
            }
        }
        let member = self.members.get_mut(&me).unwrap();
        assert_eq!(member.delivered.0.next(), position, "a gap at {me}");
        assert!(member.delivered.1 <= delivery.term, "terms never fall");
        member.delivered = (position, delivery.term);
        let known = self
            .history
            .entry(position)
            .or_insert_with(|| delivery.clone());
        assert_eq!(*known, delivery, "{me} delivers another history");
    }
}
