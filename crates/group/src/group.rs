//! One member's part in a group: composes the order, the detector and the membership.
//!
//! Inputs are method calls; [`Group::turn`] runs everything that was given since the last turn and
//! reports by [`Output`]s. What the total order changes is applied here, position by position, and
//! each [`Delivered`] carries the membership as of its own position: whoever decides by it decides
//! like all other members.

mod deliver;
mod lead;
mod output;
mod propose;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use museum::Defect;
use order::{Order, Reach, Refusal, Start, Stays, Step, Tail};
use wire::frame::to_bytes;
use wire::log::{Change, ChangeEntry, ENTRY_FORMAT, Origin, Proposal};
use wire::member::Member;
use wire::peer::PeerMessage;
use wire::{MemberId, OrderedTime, Position, Time};

use crate::clock::{Clock, Now};
use crate::detector::{Detector, Verdict};
use crate::joiners::{Joiners, Progress};
use crate::membership::{Membership, Snapshot};
use crate::multicast::Multicast;
use crate::parting::Parting;
use lead::Posted;
use propose::origin;

pub use output::{Delivered, Greeting, NotTaken, Output, Survived};

/// Above this many bytes of log its leader refuses requests: the memory that a member may need for
/// the order, several seconds of full load.
pub const LOG_BYTES_MAX: u64 = 256 << 20;
/// How many of those that left are remembered: only the last change of membership matters, and one
/// that is under way.
const DEPARTED_MAX: usize = 4;
/// How often a joiner tells the leader how far it is.
const PROGRESS_EVERY: Duration = Duration::from_millis(10);

/// One member's part in a group.
#[derive(Debug)]
pub struct Group {
    me: MemberId,
    order: Order,
    detector: Detector,
    clock: Clock,
    multicast: Multicast,
    membership: Arc<Membership>,
    time: OrderedTime,
    floor: Position,
    delivered: Position,
    /// The term of the last delivered position.
    term: u64,
    dead: BTreeMap<MemberId, String>,
    /// This member as the last view that lists it does.
    own: Option<Member>,
    /// Those that left last: their fates may still matter.
    departed: VecDeque<Member>,
    joiners: Joiners,
    parting: Parting,
    posted: Posted,
    /// Up to where the service has applied.
    applied: Position,
    progress_at: Time,
    peers_told: bool,
    /// The leader and term that our undelivered requests went to.
    led_by: (Option<MemberId>, u64),
}

impl Group {
    /// The first member of a new group.
    pub fn found(now: Now, membership: Membership, me: MemberId) -> Group {
        let order = Order::found(me);
        Group::new(
            now,
            me,
            order,
            Snapshot::new(membership, now.wall),
            Position(1),
            1,
        )
    }

    /// A joiner that has the state of `position`; `term` is the engine's term there.
    pub fn start(
        now: Now,
        snapshot: Snapshot,
        me: MemberId,
        position: Position,
        term: u64,
    ) -> Group {
        let tail = snapshot.tail.clone();
        let order = Order::start(
            me,
            &Start {
                position,
                term,
                configuration: snapshot.membership.configuration.clone(),
                tail: tail.unwrap_or_else(|| Tail::empty(position, term)),
            },
        );
        Group::new(now, me, order, snapshot, position, term)
    }

    fn new(
        now: Now,
        me: MemberId,
        order: Order,
        snapshot: Snapshot,
        position: Position,
        term: u64,
    ) -> Group {
        let mut clock = Clock::default();
        clock.heard(snapshot.time, now);
        let mut group = Group {
            me,
            order,
            detector: Detector::default(),
            clock,
            multicast: Multicast::default(),
            membership: Arc::new(snapshot.membership),
            time: snapshot.time,
            floor: snapshot.tail.map_or(position, |tail| tail.before()),
            delivered: position,
            term,
            dead: BTreeMap::new(),
            own: None,
            departed: VecDeque::new(),
            joiners: Joiners::default(),
            parting: Parting::default(),
            posted: Posted::default(),
            applied: Position(0),
            progress_at: Time(0),
            peers_told: false,
            led_by: (None, 0),
        };
        group.remember_own();
        group.watch(now);
        group
    }

    // Inputs: the world.

    /// How to greet a peer that dials.
    pub fn greet(&self, incarnation: u64, member: MemberId) -> Greeting {
        let view = self.membership.view.position;
        if incarnation > self.membership.incarnation {
            // It will tell us, when we dial, that our life of the group is over.
            Greeting::OtherIncarnation
        } else if incarnation < self.membership.incarnation || self.membership.is_past(member) {
            Greeting::Removed { view }
        } else {
            Greeting::Welcome
        }
    }

    /// A link to a peer stands.
    pub fn linked(&mut self, now: Now, peer: MemberId) {
        let mut verdicts = Vec::new();
        self.detector.linked(now.time, peer, &mut verdicts);
        self.order.connected();
        if self.order.leader() == Some(peer) {
            self.multicast.again();
        }
        // A verdict of trust is found again by the next turn.
        self.order.silent(self.detector.suspects().collect());
    }

    /// The link to a peer broke.
    pub fn unlinked(&mut self, now: Now, peer: MemberId) {
        self.detector.unlinked(now.time, peer);
        self.order.disconnected(peer);
    }

    /// A message from a linked peer.
    pub fn heard(&mut self, now: Now, from: MemberId, message: PeerMessage, out: &mut Vec<Output>) {
        let mut verdicts = Vec::new();
        self.detector.heard(now.time, from, &mut verdicts);
        self.judge(verdicts, out);
        match message {
            PeerMessage::Engine(message) => {
                if message.from == from.number() && message.to == self.me.number() {
                    self.order.step(message);
                    self.notice_leader();
                }
            }
            PeerMessage::Forward { proposals } => {
                if self.order.leads() {
                    let contact = match museum::on(Defect::ForwardsDropped) {
                        true => self.me,
                        false => from,
                    };
                    let own =
                        |proposal: &Proposal| origin(proposal).is_none_or(|o| o.member == contact);
                    for proposal in proposals.into_iter().filter(own) {
                        self.multicast.post(proposal);
                    }
                }
            }
            PeerMessage::Overloaded { numbers } => {
                let refused = self.multicast.refused(numbers);
                if !refused.is_empty() {
                    out.push(Output::Refused(refused));
                }
            }
            PeerMessage::Probe { token } => out.push(Output::Send {
                to: from,
                message: PeerMessage::Alive { token },
            }),
            PeerMessage::Reach {
                last_term,
                last_index,
                term,
            } => {
                let reach = Reach {
                    last_term,
                    last_index,
                    term,
                };
                self.order.reach(now.time, from, reach);
            }
            PeerMessage::Progress {
                received,
                applied,
                failed,
            } => {
                let progress = Progress {
                    received,
                    applied,
                    failed,
                    at: now.time,
                };
                self.joiners.heard(from, progress);
            }
            PeerMessage::Survives {
                last_term,
                last_index,
                term,
                stands_back,
            } => {
                let reach = Reach {
                    last_term,
                    last_index,
                    term,
                };
                self.order.survives(from, reach, stands_back);
            }
            PeerMessage::Left { view } => self.parting.heard(now.time, from, view),
            // A sign of life says no more; the others do not belong on a peer's link.
            PeerMessage::Alive { .. }
            | PeerMessage::Join(_)
            | PeerMessage::NotAdmitted { .. }
            | PeerMessage::Admitted { .. }
            | PeerMessage::Died { .. } => {}
        }
    }

    /// A joiner that is no peer yet says on its link how far it is.
    pub fn joiner_heard(&mut self, now: Now, link: u64, progress: PeerMessage) {
        if let PeerMessage::Progress {
            received,
            applied,
            failed,
        } = progress
            && let Some(joiner) = self.joiners.on(link)
        {
            self.joiners.heard(
                joiner,
                Progress {
                    received,
                    applied,
                    failed,
                    at: now.time,
                },
            );
        }
    }

    /// An execution daemon holds the exit of this member's process: certain death.
    pub fn died(&mut self, incarnation: u64, member: MemberId, how: String) {
        let known = self.membership.everybody().any(|other| other.id == member)
            || self.order.concerns(member);
        if incarnation == self.membership.incarnation && known && member != self.me {
            self.order.dead(member);
            self.dead.insert(member, how);
        }
    }

    /// Another member has told us, in answer to a dial, that we are out.
    pub fn removed(&mut self, view: Position) {
        self.parting.certain(view);
    }

    /// Our service has applied everything up to `position`.
    pub fn applied(&mut self, position: Position) {
        self.applied = position;
    }

    // Inputs: what to order.

    /// Takes requests of a client, to be kept and repeated until they are delivered. `make` gets
    /// the origin that they travel under.
    ///
    /// # Errors
    /// Not taken, and never will be: a limit, or no majority.
    pub fn submit(
        &mut self,
        connection: u64,
        bytes: usize,
        make: impl FnOnce(Origin) -> Proposal,
    ) -> Result<(), NotTaken> {
        if !self.order.reaches_majority() {
            return Err(NotTaken::Unavailable);
        }
        if self.multicast.full(bytes) {
            return Err(NotTaken::Overloaded);
        }
        let origin = self.multicast.next_origin(self.me, connection);
        self.multicast.take(origin.number, bytes, make(origin));
        Ok(())
    }

    /// Proposes something that its proposer proposes again if it does not come.
    pub fn post(&mut self, proposal: Proposal) {
        self.multicast.post(proposal);
    }

    /// Asks for the position that a linearizable read must have applied.
    ///
    /// # Errors
    /// No majority is reached.
    pub fn read(&mut self, now: Now, token: u64) -> Result<(), NotTaken> {
        if !self.order.reaches_majority() {
            return Err(NotTaken::Unavailable);
        }
        self.order.read(now.time, token);
        Ok(())
    }

    /// Proposes a change of membership; only a leader can, one at a time.
    ///
    /// # Errors
    /// Refused aloud; nothing happened.
    pub fn change(&mut self, now: Now, change: Change) -> Result<(), Refusal> {
        let step = match &change {
            Change::Admit(member) => Step::Admit(member.id),
            Change::Promote {
                joiner,
                replaces: None,
            } => Step::Promote(*joiner),
            Change::Promote {
                joiner,
                replaces: Some(leaver),
            } => Step::Swap {
                joiner: *joiner,
                leaver: *leaver,
            },
            Change::Settle => Step::Settle,
            Change::Remove { member, .. } => Step::Remove(*member),
        };
        let time = self.clock.stamp(now);
        let entry = ChangeEntry {
            format: ENTRY_FORMAT,
            time,
            change,
        };
        self.order.change(step, to_bytes(&entry))
    }

    /// Hands leadership over.
    ///
    /// # Errors
    /// Refused if this member does not lead or the receiver cannot lead yet.
    pub fn hand_over(&mut self, now: Now, to: MemberId) -> Result<(), Refusal> {
        if !self.detector.is_linked(to) {
            return Err(Refusal::CannotLead);
        }
        self.order.hand_over(now.time, to)
    }

    /// The joiner that asks on this link is admitted (or about to be) under this id: it will be
    /// told whose state to fetch.
    pub fn attach(&mut self, link: u64, joiner: MemberId) {
        self.joiners.attach(link, joiner);
    }

    // The turn.

    /// Runs what was given since the last turn. Call again after outputs were handled: they may
    /// have led to new inputs.
    pub fn turn(&mut self, now: Now, out: &mut Vec<Output>) {
        if !std::mem::replace(&mut self.peers_told, true) {
            out.push(Output::Peers(self.peers()));
        }
        self.notice_leader();
        let mut verdicts = Vec::new();
        self.detector.tick(now.time, &mut verdicts);
        self.judge(verdicts, out);
        if self.order.leads() {
            self.lead(now);
        }
        self.answer_joiners(out);
        self.flush(now, out);
        let mut ordered = Vec::new();
        self.order.turn(now.time, &mut ordered);
        for output in ordered {
            self.ordered(now, output, out);
        }
        self.tell_progress(now, out);
        if self.parting.is_out() {
            self.part(now, out);
        }
    }

    /// Ends once nobody needs us any more.
    fn part(&mut self, now: Now, out: &mut Vec<Output>) {
        let live: Vec<MemberId> = self
            .order
            .configuration()
            .voters
            .iter()
            .copied()
            .filter(|&voter| voter != self.me && self.lives(voter))
            .collect();
        if let Some(view) = self.parting.complete(now.time, &live) {
            out.push(Output::Ended { view });
        }
    }

    /// When [`Group::turn`] wants to be called at the latest.
    pub fn deadline(&self) -> Option<Time> {
        let progress = self
            .is_joiner()
            .then(|| self.progress_at.after(PROGRESS_EVERY));
        [
            self.order.deadline(),
            self.detector.deadline(),
            self.parting.deadline(),
            progress,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Whatever is not delivered goes to a new leader again, before anything else goes there.
    fn notice_leader(&mut self) {
        let led_by = (self.order.leader(), self.order.term());
        if self.led_by != led_by {
            self.led_by = led_by;
            self.multicast.again();
        }
    }

    fn judge(&mut self, verdicts: Vec<Verdict>, out: &mut Vec<Output>) {
        let mut changed = false;
        for verdict in verdicts {
            match verdict {
                Verdict::Probe(to) => {
                    let message = PeerMessage::Probe { token: 0 };
                    out.push(Output::Send { to, message });
                }
                Verdict::Suspect(member) => {
                    changed = true;
                    out.push(Output::Suspicion {
                        member,
                        suspected: true,
                    });
                }
                Verdict::Trust(member) => {
                    changed = true;
                    out.push(Output::Suspicion {
                        member,
                        suspected: false,
                    });
                }
            }
        }
        if changed {
            self.order.silent(self.detector.suspects().collect());
        }
    }

    /// A change is about to be applied: who goes out is remembered for a while.
    fn remember_departing(&mut self, change: &Change) {
        let leaver = match change {
            Change::Settle => self.membership.view.leaving,
            Change::Remove { member, .. } => Some(*member),
            Change::Admit(_) | Change::Promote { .. } => None,
        };
        let leaver = leaver.and_then(|leaver| self.membership.view.member(leaver));
        if let Some(leaver) = leaver.cloned() {
            if self.departed.len() >= DEPARTED_MAX {
                self.departed.pop_front();
            }
            self.departed.push_back(leaver);
        }
    }

    fn remember_own(&mut self) {
        let own = self
            .membership
            .everybody()
            .find(|member| member.id == self.me);
        self.own = own.cloned().or(self.own.take());
    }

    fn watch(&mut self, now: Now) {
        let peers: Vec<MemberId> = self.peers().into_iter().map(|(peer, _)| peer).collect();
        self.detector.watch(now.time, peers);
        self.order.silent(self.detector.suspects().collect());
    }

    /// Whom to hold links to.
    pub fn peers(&self) -> Vec<(MemberId, SocketAddr)> {
        self.membership
            .everybody()
            .filter(|member| member.id != self.me)
            .map(|member| (member.id, member.address))
            .collect()
    }

    fn tell_progress(&mut self, now: Now, out: &mut Vec<Output>) {
        if self.is_joiner()
            && let Some(to) = self.order.leader()
            && now.time >= self.progress_at.after(PROGRESS_EVERY)
        {
            self.progress_at = now.time;
            let message = PeerMessage::Progress {
                received: 0,
                applied: self.applied,
                failed: None,
            };
            out.push(Output::Send { to, message });
        }
    }

    // What others may know.

    /// This member's id.
    pub fn me(&self) -> MemberId {
        self.me
    }

    /// What the log holds up to `position`, for a joiner that begins there.
    pub fn tail(&self, position: Position) -> Tail {
        self.order.tail(position)
    }

    /// The membership as of the last delivered position.
    pub fn membership(&self) -> &Arc<Membership> {
        &self.membership
    }

    /// The last delivered position.
    pub fn delivered(&self) -> Position {
        self.delivered
    }

    /// The group's time at the last delivered position.
    pub fn time(&self) -> OrderedTime {
        self.time
    }

    /// Whether this member is still a learner.
    pub fn is_joiner(&self) -> bool {
        self.membership.joiner(self.me).is_some()
    }

    /// Whether this member leads.
    pub fn leads(&self) -> bool {
        self.order.leads()
    }

    /// Whether this member leads and its leadership is ordered: the whole of the ordered state that
    /// it decides by is its own to act on.
    pub fn leads_of_record(&self) -> bool {
        self.order.leads() && self.membership.leader == Some(self.me) && !self.order.hands_over()
    }

    /// Who leads, as the engine knows it.
    pub fn leader(&self) -> Option<MemberId> {
        self.order.leader()
    }

    /// Where the leader listens.
    pub fn leader_address(&self) -> Option<SocketAddr> {
        self.order
            .leader()
            .filter(|&leader| leader != self.me)
            .and_then(|leader| self.membership.address(leader))
    }

    /// Whether a majority of the voters is heard from here.
    pub fn available(&self) -> bool {
        self.order.reaches_majority()
    }

    /// Who has to stand back before this member goes on as a survivor (design 4.5).
    ///
    /// # Errors
    /// It does not, and why.
    pub fn survival(&self) -> Result<BTreeSet<MemberId>, Stays> {
        self.order.survival()
    }

    /// The same if exactly these were certainly dead: for those who look at a group from outside.
    ///
    /// # Errors
    /// It does not, and why.
    pub fn survival_without(&self, dead: &BTreeSet<MemberId>) -> Result<BTreeSet<MemberId>, Stays> {
        self.order.survival_without(dead)
    }

    /// Whether this member has stood back for another survivor: it does nothing any more.
    pub fn stands_back(&self) -> bool {
        self.order.stands_back()
    }

    /// Members and joiners that are not heard, and those that left and may still count, unless their
    /// death is certain: it is worth asking what became of them.
    pub fn missing(&self) -> impl Iterator<Item = &Member> {
        let silent = self.membership.everybody();
        let silent = silent.filter(|member| !self.lives(member.id));
        let departed = self.departed.iter();
        let departed = departed.filter(|member| self.order.concerns(member.id));
        let missing = silent.chain(departed);
        missing.filter(|member| !self.dead.contains_key(&member.id))
    }

    /// How a member's process ended, if an execution daemon holds its exit.
    pub fn death(&self, member: MemberId) -> Option<&str> {
        self.dead.get(&member).map(String::as_str)
    }

    /// Whether a change of membership is under way.
    pub fn changing(&self) -> bool {
        self.order.change_pending() || self.order.configuration().joint()
    }

    /// Whether this member or joiner is linked and answers.
    pub fn lives(&self, member: MemberId) -> bool {
        member == self.me
            || (!self.dead.contains_key(&member)
                && !self.detector.suspects().any(|suspect| suspect == member))
    }

    /// How far a joiner is, as its leader heard it.
    pub fn progress(&self, joiner: MemberId) -> Option<&Progress> {
        self.joiners.progress(joiner)
    }

    /// Joiners and members that need positions which this leader does not have in its log.
    pub fn lagging(&self) -> impl Iterator<Item = MemberId> {
        let lagging = self.joiners.lagging();
        // It may have had more than was known when the engine looked for what it lacks.
        lagging.filter(|&member| self.order.is_behind(member))
    }

    /// Batches of requests that this member took and that are neither delivered nor refused yet.
    pub fn undelivered(&self) -> usize {
        self.multicast.kept()
    }

    /// Bytes of log in memory.
    pub fn log_bytes(&self) -> u64 {
        self.order.log_bytes()
    }
}
