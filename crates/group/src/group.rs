//! One member's part in a group: composes the order, the detector and the membership.
//!
//! Inputs are method calls; [`Group::turn`] runs everything that was given since the last turn and
//! reports by [`Output`]s. What the total order changes is applied here, position by position, and
//! each [`Delivered`] carries the membership as of its own position: whoever decides by it decides
//! like all other members.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use order::{Content, Delivery, Order, Refusal, Start, Step};
use wire::frame::{FrameError, decode_body, to_bytes};
use wire::log::{Change, ChangeEntry, ENTRY_FORMAT, Entry, Origin, Proposal};
use wire::member::Standing;
use wire::peer::PeerMessage;
use wire::{MemberId, OrderedTime, Position, Time};

use crate::clock::{Clock, Now};
use crate::detector::{Detector, Verdict};
use crate::joiners::{Joiners, Progress};
use crate::membership::{Membership, Snapshot};
use crate::multicast::Multicast;
use crate::parting::Parting;

/// The largest entry that is made of several proposals: one append message of the order.
const ENTRY_BYTES_MAX: usize = 1 << 20;
/// Above this many bytes of log its leader refuses requests: the memory that a member may need for
/// the order, several seconds of full load.
pub const LOG_BYTES_MAX: u64 = 256 << 20;
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

/// What this leader has proposed in its term and not seen delivered yet: not to be repeated.
#[derive(Debug, Default)]
struct Posted {
    term: u64,
    leads: bool,
    standings: BTreeMap<MemberId, Standing>,
    ready: BTreeSet<MemberId>,
}

/// What a turn produced, in this order.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// For a peer, if a link to it stands.
    Send {
        /// To whom.
        to: MemberId,
        /// What.
        message: PeerMessage,
    },
    /// For a joiner that is no peer yet, on the link on which it asked.
    Answer {
        /// The driver's number of the link.
        link: u64,
        /// What.
        message: PeerMessage,
    },
    /// Whom to hold links to from now on.
    Peers(Vec<(MemberId, SocketAddr)>),
    /// The next place in the total order.
    Delivered(Delivered),
    /// A read may be served once `position` is applied.
    Readable {
        /// The read's token.
        token: u64,
        /// What must be applied.
        position: Position,
    },
    /// Requests of our own clients that were not ordered and never will be: a limit is reached.
    Refused(Vec<Proposal>),
    /// Another leader, or none.
    Leader {
        /// Who.
        leader: Option<MemberId>,
        /// In which term.
        term: u64,
    },
    /// The detector changed its mind.
    Suspicion {
        /// About whom.
        member: MemberId,
        /// Whether it is suspected now.
        suspected: bool,
    },
    /// A position that this build cannot read. Going on would make this member differ from the
    /// others: it ends.
    Broken {
        /// Which.
        position: Position,
        /// What is wrong with it.
        why: String,
    },
    /// This member is out, and is not needed for the others' votes any more: it ends.
    Ended {
        /// The view without it.
        view: Position,
    },
}

/// One position of the total order, as the replica gets it.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivered {
    /// Which.
    pub position: Position,
    /// The engine's term of the entry, for a state transfer at this position.
    pub term: u64,
    /// The group's time.
    pub time: OrderedTime,
    /// What is ordered here.
    pub proposals: Vec<Proposal>,
    /// The change of membership that stands here.
    pub change: Option<Change>,
    /// The membership from here on.
    pub membership: Arc<Membership>,
}

/// How to greet a peer that dials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// It belongs here.
    Welcome,
    /// Another life of the group.
    OtherIncarnation,
    /// It is out since this view, or an earlier one.
    Removed {
        /// Our view.
        view: Position,
    },
}

/// Why a request was not taken from a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// Too many requests of this contact wait for the order.
    #[error("too many requests wait for the order at this member")]
    Overloaded,
    /// No majority is reached from here.
    #[error("no majority of the group is reached from here")]
    Unavailable,
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
        let order = Order::start(
            me,
            &Start {
                position,
                term,
                configuration: snapshot.membership.configuration.clone(),
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
            floor: position,
            delivered: position,
            term,
            dead: BTreeMap::new(),
            joiners: Joiners::default(),
            parting: Parting::default(),
            posted: Posted::default(),
            applied: Position(0),
            progress_at: Time(0),
            peers_told: false,
            led_by: (None, 0),
        };
        group.watch(now);
        group
    }

    // Inputs: the world.

    /// How to greet a peer that dials.
    pub fn greet(&self, incarnation: u64, member: MemberId) -> Greeting {
        if incarnation != self.membership.incarnation {
            Greeting::OtherIncarnation
        } else if self.membership.is_past(member) {
            Greeting::Removed {
                view: self.membership.view.position,
            }
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
                    let own =
                        |proposal: &Proposal| origin(proposal).is_none_or(|o| o.member == from);
                    for proposal in proposals.into_iter().filter(own) {
                        self.multicast.post(proposal);
                    }
                }
            }
            PeerMessage::Overloaded { numbers } => {
                let refused = self.multicast.refused(&numbers);
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
                term: _,
            } => {
                self.order.reach(now.time, from, last_term, last_index);
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
        let known = self.membership.everybody().any(|other| other.id == member);
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

    /// What a leader owes the group whatever the layers want: its name, the standings, the removal
    /// of the dead, the end of a swap.
    fn lead(&mut self, now: Now) {
        if self.posted.term != self.order.term() {
            self.posted = Posted {
                term: self.order.term(),
                ..Posted::default()
            };
        }
        if self.membership.leader != Some(self.me) && !self.posted.leads {
            self.posted.leads = true;
            self.multicast
                .post_first(Proposal::Leads { member: self.me });
        }
        let suspects: BTreeSet<MemberId> = self.detector.suspects().collect();
        for member in &self.membership.view.members {
            let standing = if suspects.contains(&member.id) {
                Standing::Suspected
            } else {
                Standing::Serving
            };
            if member.standing == standing {
                self.posted.standings.remove(&member.id);
            } else if self.posted.standings.insert(member.id, standing) != Some(standing) {
                self.multicast.post(Proposal::Standing {
                    member: member.id,
                    standing,
                });
            }
        }
        let (last, committed) = (self.order.last(), self.order.committed());
        for joiner in &self.membership.joiners {
            let id = joiner.member.id;
            let follows = joiner.transfer.is_some()
                && self
                    .joiners
                    .follows(id, self.order.matched(id), last, committed);
            if !joiner.ready && follows && self.posted.ready.insert(id) {
                self.multicast.post(Proposal::Ready { joiner: id });
            }
        }
        self.change_of_duty(now);
    }

    fn change_of_duty(&mut self, now: Now) {
        if self.order.change_pending() || self.order.hands_over() {
            return;
        }
        if self.order.configuration().joint() {
            if self.change(now, Change::Settle) == Err(Refusal::RemovesLeader) {
                let heirs = self.order.configuration().voters.clone();
                let _ = heirs
                    .into_iter()
                    .find(|&heir| self.hand_over(now, heir).is_ok());
            }
            return;
        }
        let dead = self
            .membership
            .everybody()
            .find_map(|member| Some((member.id, self.dead.get(&member.id)?.clone())));
        if let Some((member, how)) = dead {
            let reason = format!("its process ended: {how}");
            // Refused now means tried again by the next turn.
            let _ = self.change(now, Change::Remove { member, reason });
        }
    }

    fn answer_joiners(&mut self, out: &mut Vec<Output>) {
        if !self.order.leads() {
            let leader = self.leader_address();
            for link in self.joiners.take_links() {
                let message = PeerMessage::NotAdmitted {
                    leader,
                    why: "this member does not lead the group".to_owned(),
                    retry: true,
                };
                out.push(Output::Answer { link, message });
            }
            return;
        }
        let membership = Arc::clone(&self.membership);
        for joiner in &membership.joiners {
            if let Some(transfer) = joiner.transfer
                && let Some(donor_address) = self.membership.address(transfer.donor)
                && let Some(link) = self.joiners.to_tell(joiner.member.id, transfer)
            {
                self.joiners.told(joiner.member.id, transfer);
                let message = PeerMessage::Admitted {
                    member: joiner.member.id,
                    incarnation: self.membership.incarnation,
                    donor: transfer.donor,
                    donor_address,
                    position: transfer.position,
                };
                out.push(Output::Answer { link, message });
            }
        }
    }

    /// Brings the outbox on its way: into the order, or to the leader.
    fn flush(&mut self, now: Now, out: &mut Vec<Output>) {
        if self.multicast.is_empty() || self.order.hands_over() {
            return;
        }
        if self.order.leads() {
            for proposals in batches(self.multicast.take_outbox()) {
                self.propose(now, proposals, out);
            }
        } else if let Some(leader) = self.order.leader()
            && self.detector.is_linked(leader)
        {
            for proposals in batches(self.multicast.take_outbox()) {
                let message = PeerMessage::Forward { proposals };
                out.push(Output::Send {
                    to: leader,
                    message,
                });
            }
        }
    }

    fn propose(&mut self, now: Now, proposals: Vec<Proposal>, out: &mut Vec<Output>) {
        if self.order.log_bytes() > LOG_BYTES_MAX {
            return self.refuse(proposals, out);
        }
        let entry = Entry {
            format: ENTRY_FORMAT,
            time: self.clock.stamp(now),
            floor: self.floor(),
            proposals,
        };
        match self.order.propose(to_bytes(&entry)) {
            Ok(()) => {}
            Err(Refusal::Overloaded) => self.refuse(entry.proposals, out),
            Err(
                Refusal::NotLeading
                | Refusal::HandingOver
                | Refusal::ChangePending
                | Refusal::RemovesLeader
                | Refusal::DoesNotFit
                | Refusal::CannotLead,
            ) => self.multicast.hold(entry.proposals),
        }
    }

    /// Says aloud to the contacts that these will not be ordered. What layers proposed they propose
    /// again.
    fn refuse(&mut self, proposals: Vec<Proposal>, out: &mut Vec<Output>) {
        let mut numbers: BTreeMap<MemberId, Vec<u64>> = BTreeMap::new();
        for origin in proposals.iter().filter_map(origin) {
            numbers
                .entry(origin.member)
                .or_default()
                .push(origin.number);
        }
        for (contact, numbers) in numbers {
            if contact == self.me {
                out.push(Output::Refused(self.multicast.refused(&numbers)));
            } else {
                let message = PeerMessage::Overloaded { numbers };
                out.push(Output::Send {
                    to: contact,
                    message,
                });
            }
        }
    }

    /// Up to where the log may go: all voters have it, and no joiner needs it.
    fn floor(&self) -> Position {
        let configuration = self.order.configuration();
        let voters = configuration.voters.iter().chain(&configuration.outgoing);
        let voters = voters.filter_map(|&voter| self.order.matched(voter));
        let joiners = self.membership.joiners.iter().filter_map(|joiner| {
            let pin = joiner.transfer?.position;
            let matched = self.order.matched(joiner.member.id);
            Some(pin.max(matched.unwrap_or(pin)))
        });
        let lowest = voters.chain(joiners).min().unwrap_or(self.floor);
        lowest.min(self.delivered).max(self.floor)
    }

    fn ordered(&mut self, now: Now, output: order::Output, out: &mut Vec<Output>) {
        match output {
            order::Output::Send { to, message } => {
                out.push(Output::Send {
                    to,
                    message: PeerMessage::Engine(message),
                });
            }
            order::Output::Reach {
                to,
                last_term,
                last_index,
                term,
            } => {
                let message = PeerMessage::Reach {
                    last_term,
                    last_index,
                    term,
                };
                out.push(Output::Send { to, message });
            }
            order::Output::Delivered(delivery) => self.deliver(now, delivery, out),
            order::Output::Readable { token, position } => {
                out.push(Output::Readable { token, position });
            }
            order::Output::Leader { leader, term } => {
                self.notice_leader();
                out.push(Output::Leader { leader, term });
            }
            order::Output::NeedsState { joiner } => self.joiners.lags(joiner),
        }
    }

    fn deliver(&mut self, now: Now, delivery: Delivery, out: &mut Vec<Output>) {
        self.delivered = delivery.position;
        self.term = delivery.term;
        let mut delivered = Delivered {
            position: delivery.position,
            term: delivery.term,
            time: self.time,
            proposals: Vec::new(),
            change: None,
            membership: Arc::clone(&self.membership),
        };
        match delivery.content {
            Content::Nothing => {}
            Content::Entry(bytes) => match decode_body::<Entry>(&bytes) {
                Ok(entry) if entry.format == ENTRY_FORMAT => {
                    self.pass_time(now, entry.time);
                    self.apply_entry(delivery.position, &entry.proposals);
                    if entry.floor > self.floor {
                        self.floor = entry.floor;
                        self.order.compact(self.floor);
                    }
                    delivered.proposals = entry.proposals;
                }
                other => return out.push(broken(delivery.position, other.map(|e| e.format))),
            },
            Content::Change {
                context,
                configuration,
            } => match decode_body::<ChangeEntry>(&context) {
                Ok(entry) if entry.format == ENTRY_FORMAT => {
                    self.pass_time(now, entry.time);
                    Arc::make_mut(&mut self.membership).changed(
                        delivery.position,
                        &entry.change,
                        configuration,
                    );
                    self.after_change(now, &entry.change, out);
                    delivered.change = Some(entry.change);
                }
                other => return out.push(broken(delivery.position, other.map(|e| e.format))),
            },
        }
        delivered.time = self.time;
        delivered.membership = Arc::clone(&self.membership);
        out.push(Output::Delivered(delivered));
    }

    fn pass_time(&mut self, now: Now, stamp: OrderedTime) {
        self.time = self.time.max(stamp);
        self.clock.heard(self.time, now);
    }

    fn apply_entry(&mut self, position: Position, proposals: &[Proposal]) {
        for proposal in proposals {
            if let Some(origin) = origin(proposal)
                && origin.member == self.me
            {
                self.multicast.delivered(origin.number);
            }
            match proposal {
                Proposal::Leads { .. } | Proposal::Standing { .. } | Proposal::Ready { .. } => {
                    Arc::make_mut(&mut self.membership).ordered(position, proposal);
                }
                Proposal::Transfer { joiner, .. } => {
                    if Arc::make_mut(&mut self.membership).ordered(position, proposal) {
                        self.joiners.begins(*joiner);
                        self.posted.ready.remove(joiner);
                    }
                }
                Proposal::Open { .. }
                | Proposal::Calls { .. }
                | Proposal::Taken { .. }
                | Proposal::Passed { .. }
                | Proposal::Upgrade(_)
                | Proposal::Activate { .. }
                | Proposal::Layer { .. } => {}
            }
        }
    }

    fn after_change(&mut self, now: Now, change: &Change, out: &mut Vec<Output>) {
        let leaver = match change {
            Change::Settle | Change::Remove { .. } => self
                .detector
                .watched()
                .find(|&peer| self.membership.is_past(peer)),
            Change::Admit(_) | Change::Promote { .. } => None,
        };
        if let Some(to) = leaver {
            let view = self.membership.view.position;
            out.push(Output::Send {
                to,
                message: PeerMessage::Left { view },
            });
        }
        if self.membership.is_past(self.me) {
            self.parting.out(now.time, self.membership.view.position);
        }
        self.joiners.keep(|id| self.membership.joiner(id).is_some());
        self.watch(now);
        out.push(Output::Peers(self.peers()));
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

    /// Joiners that need positions that left the log.
    pub fn lagging(&self) -> impl Iterator<Item = MemberId> {
        self.joiners.lagging()
    }

    /// Bytes of log in memory.
    pub fn log_bytes(&self) -> u64 {
        self.order.log_bytes()
    }
}

fn broken(position: Position, found: Result<u8, FrameError>) -> Output {
    let why = match found {
        Ok(format) => format!("entry format {format}, this build reads {ENTRY_FORMAT}"),
        Err(error) => error.to_string(),
    };
    Output::Broken { position, why }
}

fn origin(proposal: &Proposal) -> Option<&Origin> {
    match proposal {
        Proposal::Open { origin, .. } | Proposal::Calls { origin, .. } => Some(origin),
        Proposal::Leads { .. }
        | Proposal::Standing { .. }
        | Proposal::Transfer { .. }
        | Proposal::Ready { .. }
        | Proposal::Taken { .. }
        | Proposal::Passed { .. }
        | Proposal::Upgrade(_)
        | Proposal::Activate { .. }
        | Proposal::Layer { .. } => None,
    }
}

fn size(proposal: &Proposal) -> usize {
    match proposal {
        Proposal::Calls { calls, .. } => calls.len() + 32,
        Proposal::Layer { payload, .. } => payload.len() + 32,
        Proposal::Open { .. }
        | Proposal::Leads { .. }
        | Proposal::Standing { .. }
        | Proposal::Transfer { .. }
        | Proposal::Ready { .. }
        | Proposal::Taken { .. }
        | Proposal::Passed { .. }
        | Proposal::Upgrade(_)
        | Proposal::Activate { .. } => 128,
    }
}

/// Cuts proposals into batches of about [`ENTRY_BYTES_MAX`]; one that is larger stands alone.
fn batches(proposals: Vec<Proposal>) -> Vec<Vec<Proposal>> {
    let mut batches = vec![Vec::new()];
    let mut bytes = 0;
    for proposal in proposals {
        let more = size(&proposal);
        let last = batches.last_mut().expect("it begins with one");
        if bytes + more > ENTRY_BYTES_MAX && !last.is_empty() {
            batches.push(vec![proposal]);
            bytes = more;
        } else {
            last.push(proposal);
            bytes += more;
        }
    }
    batches
}
