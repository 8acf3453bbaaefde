//! The machine around the engine: proposals in, the total order out.
//!
//! Inputs are method calls; [`Order::turn`] runs the engine's ready loop once for all that was given
//! and reports by [`Output`]s. Each guard here is one of the engine's sharp edges, named where it
//! stands.

mod going_on;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use museum::Defect;
use raft::eraftpb::{Entry, EntryType, Message, MessageType};
use raft::{Config, GetEntriesContext, ProgressState, RawNode, StateRole};
use slog::{Discard, Logger, o};
use wire::engine::{EngineKind, EngineMessage};
use wire::list::List;
use wire::{MemberId, Position, Time};

use crate::configuration::{Configuration, Start, Step, Tail};
use crate::convert;
use crate::log::Log;
use crate::nudge::{Nudge, Reach};
use crate::reads::{Mark, Reads};
use going_on::GoingOn;

/// The largest append message: one write's worth, so that a slow link is not swamped.
const APPEND_BYTES_MAX: u64 = 1 << 20;
/// Appends under way to one member: a second of full load at a millisecond's round trip.
const APPENDS_IN_FLIGHT_MAX: usize = 1024;
/// Proposed but not committed bytes; above it proposals are refused as overloaded.
const UNCOMMITTED_BYTES_MAX: u64 = 64 << 20;
/// How long a hand-over may take before it is called off. A local one takes half a millisecond;
/// requests are held meanwhile.
const HAND_OVER_PATIENCE: Duration = Duration::from_millis(20);
/// How long a member that was named and does not lead is not named again. Its own links may be down,
/// of which the leader knows nothing, and each try holds requests and costs elections: with this, a
/// tenth of the time at most.
const HAND_OVER_PAUSE: Duration = Duration::from_millis(200);
/// The engine's mark on the vote requests of a hand-over or forced election.
const TRANSFER_CONTEXT: &[u8] = b"CampaignTransfer";

/// One member's part in the total order.
pub struct Order {
    node: RawNode<Log>,
    me: MemberId,
    configuration: Configuration,
    /// The index of the last applied configuration change.
    configured_at: u64,
    /// Members that the detector no longer hears.
    silent: BTreeSet<MemberId>,
    /// Members that are certainly dead.
    dead: BTreeSet<MemberId>,
    /// The last leader the engine knew, while the group has none.
    last_leader: Option<MemberId>,
    /// The last leader that was taken out while it led: it leads no more, whatever it believes.
    unseated: Option<MemberId>,
    /// We are that leader, and have to tell the voters.
    resigns: bool,
    reported_leader: (Option<MemberId>, u64),
    /// The last term in which this member could answer reads as its leader.
    reads_in: u64,
    hand_over: Option<HandOver>,
    /// To whom we handed over and who has not led since, and until when we do not do so again.
    tried: BTreeMap<MemberId, Time>,
    nudge: Option<Nudge>,
    reads: Reads,
    /// Answers that no message asked the engine for: a joiner's announcement.
    announce: Vec<EngineMessage>,
    /// Where this member began.
    start: Position,
    /// The leader hands over to us: the engine would ignore it before all changes are applied.
    named: Option<EngineMessage>,
    /// What is needed to go on without a majority, if it ever comes to that.
    going_on: GoingOn,
}

struct HandOver {
    to: MemberId,
    deadline: Time,
}

/// What a turn produced, in this order.
#[derive(Debug, PartialEq)]
pub enum Output {
    /// For another member's engine.
    Send {
        /// To whom.
        to: MemberId,
        /// The message.
        message: EngineMessage,
    },
    /// There is no leader: tell this live voter how far our log reaches.
    Reach {
        /// To whom.
        to: MemberId,
        /// How far.
        reach: Reach,
    },
    /// So many are certainly dead that only survivors could go on: tell this one that lives how far
    /// our log reaches.
    Survives {
        /// To whom.
        to: MemberId,
        /// How far.
        reach: Reach,
        /// Whether we have stood back: another log goes on, never ours.
        stands_back: bool,
    },
    /// The next place in the total order. Every position comes once, without gaps.
    Delivered(Delivery),
    /// A read may be served once `position` is applied.
    Readable {
        /// The read's token.
        token: u64,
        /// What must be applied.
        position: Position,
    },
    /// Another leader, or none.
    Leader {
        /// Who, if anybody.
        leader: Option<MemberId>,
        /// In which term.
        term: u64,
    },
    /// A member needs positions that are not in our log (any more, or ever: a leader that came by a
    /// state transfer has none from before). A joiner's state must be transferred again; a voter
    /// never gets one, and must be replaced.
    NeedsState {
        /// Who.
        member: MemberId,
    },
}

fn engine(me: MemberId, log: Log) -> RawNode<Log> {
    let config = Config {
        id: me.number(),
        applied: log.hard().commit,
        max_size_per_msg: APPEND_BYTES_MAX,
        max_inflight_msgs: APPENDS_IN_FLIGHT_MAX,
        max_uncommitted_size: UNCOMMITTED_BYTES_MAX,
        pre_vote: true,
        batch_append: true,
        ..Config::default()
    };
    RawNode::new(&config, log, &Logger::root(Discard, o!()))
        .expect("the configuration above is valid")
}

fn alone(me: MemberId) -> Configuration {
    Configuration {
        voters: vec![me],
        ..Configuration::default()
    }
}

/// One position of the total order.
#[derive(Clone, Debug, PartialEq)]
pub struct Delivery {
    /// Which.
    pub position: Position,
    /// The engine's term of the entry.
    pub term: u64,
    /// What stands there.
    pub content: Content,
}

/// What stands at a position.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// The engine's own: a new term's first entry, a change that it refused.
    Nothing,
    /// A proposal.
    Entry(Bytes),
    /// A change of membership, now in force.
    Change {
        /// What the proposer said of it.
        context: Bytes,
        /// The configuration from here on.
        configuration: Configuration,
    },
    /// This member goes on alone from here: the others are certainly dead or have stood back. It is
    /// delivered to nobody else; whoever comes later begins with a state from here or behind.
    GoesOn {
        /// Its only voter is this member.
        configuration: Configuration,
    },
}

/// Why something was not taken. Nothing happened, and nothing will.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Only the leader proposes, so that refusals are heard.
    #[error("this member does not lead")]
    NotLeading,
    /// Leadership is being handed over: hold it and propose it again in a moment.
    #[error("leadership is being handed over")]
    HandingOver,
    /// Too much is proposed and not committed.
    #[error("more than {UNCOMMITTED_BYTES_MAX} bytes are proposed and not committed")]
    Overloaded,
    /// Another change of membership is under way.
    #[error("another change of membership is under way")]
    ChangePending,
    /// A leader must hand over before it is taken out.
    #[error("the leader must hand over before it is taken out")]
    RemovesLeader,
    /// The step does not fit the configuration: nothing to settle, or settle first.
    #[error("the step does not fit the configuration")]
    DoesNotFit,
    /// The receiver is no voter, is silent, has not applied its own promotion, or was named a moment
    /// ago and did not lead.
    #[error("the receiver cannot lead yet")]
    CannotLead,
}

impl Order {
    /// The first member of a new group: its only voter, at position 1.
    pub fn found(me: MemberId) -> Order {
        let mut order = Order::start(
            me,
            &Start {
                position: Position(1),
                term: 1,
                configuration: alone(me),
                tail: Tail::empty(Position(1), 1),
            },
        );
        order.going_on = GoingOn::founded();
        order
    }

    /// A member that begins with a transferred state. Its id must never have been used: a volatile
    /// log under a known id would make the engine panic.
    pub fn start(me: MemberId, start: &Start) -> Order {
        Order {
            node: engine(me, Log::new(start)),
            me,
            configuration: start.configuration.clone(),
            configured_at: start.position.0,
            silent: BTreeSet::new(),
            dead: BTreeSet::new(),
            last_leader: None,
            unseated: None,
            resigns: false,
            reported_leader: (None, 0),
            reads_in: 0,
            hand_over: None,
            tried: BTreeMap::new(),
            nudge: None,
            reads: Reads::default(),
            announce: Vec::new(),
            start: start.position,
            named: None,
            going_on: GoingOn::joined(),
        }
    }

    /// Orders an entry.
    ///
    /// # Errors
    /// Refused aloud if this member does not lead, hands over, or is overloaded.
    pub fn propose(&mut self, entry: Vec<u8>) -> Result<(), Refusal> {
        self.may_propose()?;
        // The only reason left why the engine drops a proposal is its limit of uncommitted bytes.
        self.node
            .propose(Vec::new(), entry)
            .map_err(|_| Refusal::Overloaded)
    }

    /// Orders a change of membership; `context` is delivered with it.
    ///
    /// # Errors
    /// As for [`Order::propose`]; while another change is under way; one that removes this leader.
    pub fn change(&mut self, step: Step, context: Vec<u8>) -> Result<(), Refusal> {
        self.may_propose()?;
        // raft-rs#373: one at a time, and the next only after the last is applied.
        if self.node.raft.has_pending_conf() {
            return Err(Refusal::ChangePending);
        }
        self.fits(step)?;
        self.node
            .propose_conf_change(context, step.to_engine())
            .map_err(|_| Refusal::Overloaded)?;
        // A refused change returns Ok and leaves an empty normal entry at the end of the log.
        let last = self.node.raft.raft_log.last_index();
        let entries = self
            .node
            .raft
            .raft_log
            .entries(last, None, GetEntriesContext::empty(false));
        let taken = entries.is_ok_and(|entries| {
            entries
                .first()
                .is_some_and(|entry| entry.entry_type == EntryType::EntryConfChangeV2)
        });
        if taken {
            Ok(())
        } else {
            Err(Refusal::ChangePending)
        }
    }

    fn fits(&self, step: Step) -> Result<(), Refusal> {
        let configuration = &self.configuration;
        let joint = configuration.joint();
        let fits = match step {
            Step::Admit(member) => !joint && !configuration.contains(member),
            Step::Promote(member) => !joint && configuration.learners.contains(&member),
            Step::Swap { joiner, leaver } => {
                !joint
                    && configuration.learners.contains(&joiner)
                    && configuration.voters.contains(&leaver)
            }
            Step::Settle => joint,
            Step::Remove(member) => {
                !joint && configuration.contains(member) && configuration.voters != [member]
            }
        };
        if !fits {
            return Err(Refusal::DoesNotFit);
        }
        // raft-rs#584: a leader that is removed does not step down.
        let removes_me = match step {
            Step::Settle => !configuration.voters.contains(&self.me),
            Step::Remove(member) => member == self.me,
            Step::Admit(_) | Step::Promote(_) | Step::Swap { .. } => false,
        };
        if removes_me {
            Err(Refusal::RemovesLeader)
        } else {
            Ok(())
        }
    }

    fn may_propose(&self) -> Result<(), Refusal> {
        if !self.leads() {
            return Err(Refusal::NotLeading);
        }
        if self.hand_over.is_some() {
            return Err(Refusal::HandingOver);
        }
        Ok(())
    }

    /// A message from another member's engine.
    pub fn step(&mut self, message: EngineMessage) {
        if self.stands_back() || !self.is_plausible(&message) {
            return;
        }
        let election = matches!(
            message.kind,
            EngineKind::RequestVote | EngineKind::RequestPreVote
        );
        if election {
            self.forget_leader(message.from);
        }
        if message.kind == EngineKind::RequestPreVote {
            // It asks for the term after its own.
            self.forget_older_term(message.term.saturating_sub(1));
        }
        // With ticks off the engine grants votes while the leader lives. A vote that a hand-over
        // asked for carries the engine's mark and passes.
        if election && message.context != TRANSFER_CONTEXT && self.hears_leader() {
            return;
        }
        if message.kind == EngineKind::TimeoutNow {
            self.named = Some(message);
            return;
        }
        self.announce_start(&message);
        let answer = message.kind == EngineKind::AppendResponse;
        let (from, rejects) = (message.from, message.reject);
        let caught_up = answer && !rejects && self.probes(from);
        // Who has an entry never rejects it: this was said before. The engine, while it probes, would
        // go back behind what the member has, where its own log may have ended already.
        let had = MemberId::new(from).and_then(|from| self.matched(from));
        let passed = answer && rejects && had.is_some_and(|had| had.0 >= message.index);
        if let Some(message) = convert::to_engine(message).filter(|_| !passed) {
            // A late answer of a removed member gives `StepPeerNotFound`; it means nothing any more.
            let _ = self.node.step(message);
        }
        // The word of a commit that overtakes its entry is rejected; where the answer to the entry
        // overtakes that, the engine takes the rejection for an old one and sends nothing again.
        let late = passed || (answer && rejects && !self.probes(from));
        if (caught_up || late) && self.leads() {
            // What was committed meanwhile was not told to it, and with ticks off nothing would tell
            // it before the next proposal.
            self.node.ping();
        }
    }

    /// Whether the engine is finding out how far this member's log reaches.
    fn probes(&self, member: u64) -> bool {
        let progress = self.node.raft.prs().get(member);
        self.leads() && progress.is_some_and(|progress| progress.state == ProgressState::Probe)
    }

    /// Whether an engine could have sent this to us. The engine trusts its peers and panics over
    /// what contradicts its own log; a member must not end because another one errs.
    fn is_plausible(&self, message: &EngineMessage) -> bool {
        let (last, committed) = (self.last().0, self.committed().0);
        let to_me = message.to == self.me.number() && message.from != self.me.number();
        // Only reads are not bound to a term; other messages without one are an engine's local ones.
        let termed = (message.term == 0) == (message.kind == EngineKind::ReadIndex);
        if !to_me || message.from == 0 || !termed {
            return false;
        }
        match message.kind {
            EngineKind::Append => {
                // Beyond its end a log has the term zero: that must not pass for agreement.
                let after_an_entry = message.log_term > 0 || message.index == 0;
                let (mut index, mut term) = (message.index, message.log_term);
                after_an_entry
                    && message.entries.iter().all(|entry| {
                        let follows = index.checked_add(1) == Some(entry.index)
                            && (term..=message.term).contains(&entry.term);
                        (index, term) = (entry.index, entry.term);
                        // What is committed is never another entry.
                        follows && (index > committed || self.agrees(index, term))
                    })
            }
            EngineKind::Heartbeat => message.commit <= last,
            EngineKind::AppendResponse => message.index <= last && message.reject_hint <= last,
            EngineKind::HeartbeatResponse
            | EngineKind::RequestVote
            | EngineKind::RequestVoteResponse
            | EngineKind::RequestPreVote
            | EngineKind::RequestPreVoteResponse => {
                message.commit <= last || message.commit_term > 0
            }
            EngineKind::ReadIndex | EngineKind::ReadIndexResponse => message.entries.len() == 1,
            EngineKind::TimeoutNow => true,
        }
    }

    /// Whether our log has this term at this index, or has left the index behind.
    fn agrees(&self, index: u64, term: u64) -> bool {
        index < self.first().0
            || self
                .node
                .raft
                .raft_log
                .term(index)
                .is_ok_and(|known| known == term)
    }

    /// Who asks for votes or looks for a leader does not lead, even if we have not heard since that
    /// it stepped down: after a healed partition nobody would vote otherwise.
    fn forget_leader(&mut self, from: u64) {
        if self.node.raft.leader_id == from && from != self.me.number() {
            let term = self.node.raft.term;
            self.node.raft.become_follower(term, 0);
        }
    }

    /// A leader of an older term than somebody else's leads no more, although we may hear it: it may
    /// have learnt so without telling us, and whoever is elected needs our vote.
    fn forget_older_term(&mut self, term: u64) {
        if term > self.node.raft.term {
            self.node.raft.become_follower(term, 0);
        }
    }

    /// A member that began out of band tells the leader where: the leader cannot find out by
    /// probing, because it may have compacted the positions before.
    fn announce_start(&mut self, message: &EngineMessage) {
        let start = self.start;
        let fresh = self.last() == start && self.node.raft.term <= message.term;
        if message.kind == EngineKind::Heartbeat && fresh {
            self.announce.push(EngineMessage {
                kind: EngineKind::AppendResponse,
                from: self.me.number(),
                to: message.from,
                term: message.term,
                log_term: 0,
                index: start.0,
                commit: start.0,
                commit_term: 0,
                reject: false,
                reject_hint: 0,
                priority: 0,
                context: Bytes::new(),
                entries: List::default(),
            });
        }
    }

    /// How far another member's log reaches, while there is no leader as far as it knows.
    pub fn reach(&mut self, now: Time, from: MemberId, reach: Reach) {
        if self.stands_back() {
            return;
        }
        self.forget_leader(from.number());
        self.forget_older_term(reach.term);
        if self.leads() {
            // It does not know: with ticks off, nothing would tell it before the next proposal.
            self.node.ping();
        }
        self.look_for_leader(now);
        if let Some(nudge) = &mut self.nudge {
            nudge.heard(from, reach);
        }
    }

    /// Asks for the position that a linearizable read must have applied.
    pub fn read(&mut self, now: Time, token: u64) {
        let mark = self.reads.opened(now, token);
        self.ask_position(mark);
    }

    /// The engine forgets a read whose mark another one has, so members must not share marks.
    fn ask_position(&mut self, mark: Mark) {
        let mark = [self.me.number().to_be_bytes(), mark.0.to_be_bytes()].concat();
        self.node.read_index(mark);
    }

    /// Hands leadership over. Success shows as [`Output::Leader`]; if it fails, proposals are taken
    /// again after a few milliseconds.
    ///
    /// # Errors
    /// Refused if this member does not lead, already hands over, or the receiver cannot lead yet.
    pub fn hand_over(&mut self, now: Time, to: MemberId) -> Result<(), Refusal> {
        self.may_propose()?;
        let promoted = self
            .matched(to)
            .is_some_and(|matched| matched.0 >= self.configured_at);
        let live = !self.silent.contains(&to) && !self.dead.contains(&to);
        let tried = self.tried.get(&to).is_some_and(|&until| now < until);
        if !self.configuration.voters.contains(&to) || !promoted || !live || tried || to == self.me
        {
            return Err(Refusal::CannotLead);
        }
        self.tried.insert(to, now.after(HAND_OVER_PAUSE));
        self.node.transfer_leader(to.number());
        self.hand_over = Some(HandOver {
            to,
            deadline: now.after(HAND_OVER_PATIENCE),
        });
        Ok(())
    }

    /// The detector's present list of members that are not heard.
    pub fn silent(&mut self, silent: BTreeSet<MemberId>) {
        self.silent = silent;
    }

    /// This member's process is gone, certainly. Ids are never used again, so this never ends.
    pub fn dead(&mut self, member: MemberId) {
        self.dead.insert(member);
    }

    /// A link to this member stands (again): with ticks off nothing lost would be sent again.
    pub fn connected(&mut self) {
        if self.leads() {
            self.node.ping();
        }
        self.resigns = self.unseated == Some(self.me);
    }

    /// The link to this member broke: what was under way may be lost.
    pub fn disconnected(&mut self, member: MemberId) {
        if self.leads() {
            self.node.report_unreachable(member.number());
        }
    }

    /// Forgets the log up to `floor`, as far as it was delivered.
    pub fn compact(&mut self, floor: Position) {
        let applied = Position(self.node.raft.raft_log.applied);
        self.node.mut_store().compact(floor.min(applied));
    }

    /// When [`Order::turn`] wants to be called at the latest.
    pub fn deadline(&self) -> Option<Time> {
        let hand_over = self.hand_over.as_ref().map(|hand_over| hand_over.deadline);
        let nudge = self.nudge.as_ref().map(|nudge| nudge.deadline);
        let again = self.tried.values().copied().min();
        let going_on = self.going_on.deadline();
        [hand_over, again, nudge, self.reads.deadline(), going_on]
            .into_iter()
            .flatten()
            .min()
    }

    /// Runs the engine for everything that was given since the last turn.
    pub fn turn(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.stands_back() {
            return self.survive(now, out);
        }
        self.give_up_late_hand_over(now);
        self.tried.retain(|_, until| now < *until);
        self.step_down_without_majority();
        self.confirm();
        for mark in self.reads.due(now, false) {
            self.ask_position(mark);
        }
        while self.node.has_ready() {
            self.ready(now, out);
        }
        // Only now are all committed changes applied, before which the engine campaigns for nobody.
        if let Some(named) = self.named.take().and_then(convert::to_engine) {
            let _ = self.node.step(named);
        }
        self.survive(now, out);
        self.look_for_leader(now);
        self.campaign_if_named(now, out);
        while self.node.has_ready() {
            self.ready(now, out);
        }
        if std::mem::take(&mut self.resigns) {
            self.resign(out);
        }
        for message in std::mem::take(&mut self.announce) {
            if let Some(to) = MemberId::new(message.to) {
                out.push(Output::Send { to, message });
            }
        }
        for asked in self.node.store().take_asked() {
            // A joiner that was never heard has not begun yet, and begins further on; who was heard
            // since the engine asked may have what it needs.
            let before = self.node.store().before();
            if let Some(member) = MemberId::new(asked)
                && let Some(matched) = self.matched(member)
                && matched < before
                && (matched > Position(0) || self.configuration.votes(member))
            {
                out.push(Output::NeedsState { member });
            }
        }
    }

    /// Voters that have not applied our removal yet hear that we do not lead.
    fn resign(&self, out: &mut Vec<Output>) {
        let reach = self.own_reach();
        let voters = self.configuration.voters.iter();
        out.extend(voters.map(|&to| Output::Reach { to, reach }));
    }

    fn own_reach(&self) -> Reach {
        let log = &self.node.raft.raft_log;
        Reach {
            last_term: log.last_term(),
            last_index: log.last_index(),
            term: self.node.raft.term,
        }
    }

    fn ready(&mut self, now: Time, out: &mut Vec<Output>) {
        let mut ready = self.node.ready();
        self.send(ready.take_messages(), out);
        for state in ready.take_read_states() {
            if let Some((member, mark)) = state.request_ctx.split_first_chunk::<8>()
                && u64::from_be_bytes(*member) == self.me.number()
                && let Ok(mark) = <[u8; 8]>::try_from(mark)
                && let Some(token) = self.reads.answered(Mark(u64::from_be_bytes(mark)))
            {
                out.push(Output::Readable {
                    token,
                    position: Position(state.index),
                });
            }
        }
        self.deliver(ready.take_committed_entries(), out);
        self.node.mut_store().append(ready.take_entries());
        if let Some(hard) = ready.hs() {
            self.node.mut_store().keep(hard.clone());
        }
        self.send(ready.take_persisted_messages(), out);
        let mut light = self.node.advance(ready);
        if let Some(commit) = light.commit_index() {
            self.node.mut_store().keep_commit(commit);
        }
        self.send(light.take_messages(), out);
        self.deliver(light.take_committed_entries(), out);
        self.node.advance_apply();
        self.report_leader(now, out);
        self.ask_as_leader(now);
    }

    /// The engine answers no reads before a leader's first commit in its term, and forgets those that
    /// came earlier: its own, at the least.
    fn ask_as_leader(&mut self, now: Time) {
        let raft = &self.node.raft;
        let term = raft.term;
        if self.leads() && self.reads_in != term && raft.commit_to_current_term() {
            self.reads_in = term;
            for mark in self.reads.due(now, true) {
                self.ask_position(mark);
            }
        }
    }

    fn send(&self, messages: Vec<Message>, out: &mut Vec<Output>) {
        for mut message in messages {
            if !self.mend_append(&mut message) {
                continue;
            }
            if let Some(to) = MemberId::new(message.to)
                && let Some(message) = convert::from_engine(message)
            {
                out.push(Output::Send { to, message });
            }
        }
    }

    /// With batching the engine puts entries into an append that waits to be sent, and does not look
    /// whether they follow what it names, if it was empty. No receiver could take that. Says whether
    /// the message can be sent; what is left out is asked for again.
    fn mend_append(&self, message: &mut Message) -> bool {
        let first = message.entries.first().map(|entry| entry.index);
        match first.and_then(|first| first.checked_sub(1)) {
            Some(before) if message.get_msg_type() == MessageType::MsgAppend => {
                if before != message.index {
                    let Ok(term) = self.node.raft.raft_log.term(before) else {
                        return false;
                    };
                    (message.index, message.log_term) = (before, term);
                }
                true
            }
            Some(_) | None => true,
        }
    }

    fn deliver(&mut self, mut entries: Vec<Entry>, out: &mut Vec<Output>) {
        if museum::on(Defect::ViewBeforeItsDeliveries) {
            entries.sort_by_key(|entry| entry.entry_type == EntryType::EntryNormal);
        }
        for entry in entries {
            let (position, term) = (Position(entry.index), entry.term);
            let content = match entry.entry_type {
                EntryType::EntryNormal if entry.data.is_empty() => self.nothing(&entry),
                EntryType::EntryNormal => Content::Entry(entry.data),
                EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => self.apply(entry),
            };
            out.push(Output::Delivered(Delivery {
                position,
                term,
                content,
            }));
        }
    }

    fn apply(&mut self, entry: Entry) -> Content {
        let change = convert::parse_change(&entry.data);
        let state = self
            .node
            .apply_conf_change(&change)
            .expect("only steps that fit are proposed, one after the other");
        let led = self
            .leader()
            .filter(|&leader| self.configuration.votes(leader));
        let before = std::mem::replace(&mut self.configuration, Configuration::from_engine(&state));
        if museum::on(Defect::RemovedMemberCounts) {
            let removed = before
                .outgoing
                .iter()
                .copied()
                .filter(|&old| !state.voters.contains(&old.number()));
            self.configuration.voters.extend(removed);
        }
        self.going_on.changed(before);
        self.configured_at = entry.index;
        self.node.mut_store().keep_configuration(state);
        if let Some(leader) = led.filter(|&leader| !self.configuration.votes(leader)) {
            self.unseat(leader);
        }
        if self.leads() {
            // A new learner is not probed before the next proposal or heartbeat.
            self.node.ping();
        }
        Content::Change {
            context: entry.context,
            configuration: self.configuration.clone(),
        }
    }

    /// The safety net behind `RemovesLeader`: a change that an earlier leader proposed has taken out
    /// the present one. It would stay one, and panic; and the others would wait for it for ever.
    fn unseat(&mut self, leader: MemberId) {
        self.unseated = Some(leader);
        self.resigns |= leader == self.me;
        let term = self.node.raft.term;
        self.node.raft.become_follower(term, 0);
    }

    fn report_leader(&mut self, now: Time, out: &mut Vec<Output>) {
        let leader = MemberId::new(self.node.raft.leader_id);
        let known = (leader, self.node.raft.term);
        if let Some(leader) = leader {
            self.last_leader = Some(leader);
            self.tried.remove(&leader);
        }
        if known == self.reported_leader {
            return;
        }
        if self
            .hand_over
            .as_ref()
            .is_some_and(|hand_over| leader == Some(hand_over.to))
        {
            self.hand_over = None;
        }
        if leader.is_some() {
            for mark in self.reads.due(now, true) {
                self.ask_position(mark);
            }
        }
        self.reported_leader = known;
        out.push(Output::Leader {
            leader,
            term: known.1,
        });
    }

    fn give_up_late_hand_over(&mut self, now: Time) {
        if let Some(hand_over) = &self.hand_over
            && (now >= hand_over.deadline || !self.leads())
        {
            // raft-rs#144: with ticks off the engine itself would wait for ever.
            self.node.raft.abort_leader_transfer();
            self.hand_over = None;
        }
    }

    fn step_down_without_majority(&mut self) {
        if self.leads() && !self.configuration.majority(|member| self.live(member)) {
            let term = self.node.raft.term;
            self.node.raft.become_follower(term, 0);
        }
    }

    fn live(&self, member: MemberId) -> bool {
        member == self.me || (!self.silent.contains(&member) && !self.dead.contains(&member))
    }

    /// Whether this member has a leader that it hears; a leader hears itself.
    pub fn hears_leader(&self) -> bool {
        self.leader()
            .is_some_and(|leader| self.live(leader) && self.unseated != Some(leader))
    }

    fn look_for_leader(&mut self, now: Time) {
        if self.hears_leader() || !self.votes() || !self.reaches_majority() {
            self.nudge = None;
        } else if self.nudge.is_none() {
            self.nudge = Some(Nudge::new(now, self.node.raft.term));
        }
    }

    fn campaign_if_named(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.nudge.is_none() {
            return;
        }
        let reach = self.own_reach();
        let live: Vec<MemberId> = self.voters().filter(|&member| self.live(member)).collect();
        let (me, term) = (self.me, self.node.raft.term);
        let Some(nudge) = &mut self.nudge else { return };
        nudge.renew(now, term);
        if nudge.tell() {
            nudge.heard(me, reach);
            let others = live.iter().copied().filter(|&member| member != me);
            out.extend(others.map(|to| Output::Reach { to, reach }));
        }
        if !nudge.campaigns(now, me, &live) {
            return;
        }
        let certain = self
            .last_leader
            .is_some_and(|leader| self.dead.contains(&leader));
        if certain {
            // A forced election skips the pre-vote; candidates would ignore it.
            if self.node.raft.state != StateRole::Follower {
                self.node.raft.become_follower(term, 0);
            }
            let mut force = Message {
                from: me.number(),
                to: me.number(),
                ..Message::default()
            };
            force.set_msg_type(MessageType::MsgTimeoutNow);
            force.term = term;
            let _ = self.node.step(force);
        } else {
            // Refused silently while committed changes are not applied: the next pause repeats it.
            let _ = self.node.campaign();
        }
    }

    /// The leader as the engine knows it, live or not.
    pub fn leader(&self) -> Option<MemberId> {
        MemberId::new(self.node.raft.leader_id)
    }

    /// Whether this member leads.
    pub fn leads(&self) -> bool {
        self.node.raft.state == StateRole::Leader
    }

    /// Whether leadership is on its way to another member: hold proposals.
    pub fn hands_over(&self) -> bool {
        self.hand_over.is_some()
    }

    /// The current term.
    pub fn term(&self) -> u64 {
        self.node.raft.term
    }

    /// The configuration in force.
    pub fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    /// Whether this member's vote counts.
    pub fn votes(&self) -> bool {
        self.configuration.votes(self.me)
    }

    /// Whether a majority of the voters is heard from here.
    pub fn reaches_majority(&self) -> bool {
        !self.stands_back() && self.configuration.majority(|member| self.live(member))
    }

    /// Whether a change of membership is proposed and not yet applied.
    pub fn change_pending(&self) -> bool {
        self.node.raft.has_pending_conf()
    }

    /// Up to where the order is agreed, as far as this member knows.
    pub fn committed(&self) -> Position {
        Position(self.node.raft.raft_log.committed)
    }

    /// The end of this member's log.
    pub fn last(&self) -> Position {
        Position(self.node.raft.raft_log.last_index())
    }

    /// The first position still in the log.
    pub fn first(&self) -> Position {
        self.node.store().first()
    }

    /// What the log holds up to `position`, for a joiner that begins there.
    pub fn tail(&self, position: Position) -> Tail {
        self.node.store().tail(position)
    }

    /// Bytes of log in memory.
    pub fn log_bytes(&self) -> u64 {
        self.node.store().bytes()
    }

    /// Whether this leader's log has ended behind what the member is known to have.
    pub fn is_behind(&self, member: MemberId) -> bool {
        let before = self.node.store().before();
        self.matched(member).is_some_and(|matched| matched < before)
    }

    /// Up to where `member` has the log, as its leader knows it.
    pub fn matched(&self, member: MemberId) -> Option<Position> {
        if !self.leads() {
            return None;
        }
        self.node
            .raft
            .prs()
            .get(member.number())
            .map(|progress| Position(progress.matched))
    }

    fn voters(&self) -> impl Iterator<Item = MemberId> {
        let configuration = &self.configuration;
        let both: BTreeSet<MemberId> = configuration
            .voters
            .iter()
            .chain(&configuration.outgoing)
            .copied()
            .collect();
        both.into_iter()
    }
}

impl Order {
    /// How far the engine believes the others to be, for people.
    fn progress(&self) -> Vec<String> {
        let all = self.node.raft.prs().iter();
        let told = all.map(|(member, progress)| {
            let (state, paused) = (progress.state, progress.is_paused());
            let (matched, next) = (progress.matched, progress.next_idx);
            format!("m{member} {state:?} has {matched}, next {next}, paused {paused}")
        });
        told.collect()
    }
}

impl std::fmt::Debug for Order {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hard = self.node.store().hard();
        f.debug_struct("Order")
            .field("me", &self.me)
            .field("leader", &self.leader())
            .field("term", &hard.term)
            .field("committed", &hard.commit)
            .field("last", &self.last())
            .field("progress", &self.progress())
            .finish_non_exhaustive()
    }
}
