//! Going on as a survivor: the recipe, once [`survivors`] says that it is safe.
//!
//! 1. Survivors that see each other compare their logs. All but the one with the most advanced log
//!    *stand back*: they never act again, say so, and end when they hear that the group went on.
//! 2. The last one that is neither dead nor stands back takes its log as it is for the order, and
//!    delivers all of it: the dead may have done so. Its engine applies none of the changes there.
//! 3. Its engine begins anew behind that: its only voter, in a term far above any that was ever seen.
//!    The log before is forgotten, so that nobody can ever be brought across that point by replaying.
//!
//! Before that becomes necessary, every change of membership is *confirmed*: see [`Before`].

use std::collections::BTreeSet;
use std::time::Duration;

use raft::eraftpb::{Entry, EntryType, HardState};
use wire::{MemberId, Position, Time};

use super::{Content, Delivery, Order, Output, alone, engine};
use crate::configuration::{Configuration, Start, Tail};
use crate::convert;
use crate::log::Log;
use crate::nudge::Reach;
use crate::survivors::{Before, Heard, Reign, Stays, survivors};

/// How often survivors repeat what they say: a lost word must not stop the group for longer than a
/// client notices.
const REPEAT: Duration = Duration::from_millis(20);
/// Terms of different lives of the order differ in what is above these bits, so that no life ever
/// comes near the next: elections never count so far.
const LIFE_SHIFT: u32 = 32;

/// What one member keeps for the case that a majority dies.
#[derive(Debug)]
pub(super) struct GoingOn {
    before: Before,
    /// The term in which this leader has proposed a confirmation, and of which change.
    confirming: (u64, u64),
    heard: Heard,
    stands_back: bool,
    /// Where this member went on alone.
    at: Option<u64>,
    tell_at: Option<Time>,
}

impl GoingOn {
    /// That of a group's first member: there was nothing before.
    pub(super) fn founded() -> GoingOn {
        GoingOn {
            before: Before::Over,
            ..GoingOn::joined()
        }
    }

    pub(super) fn joined() -> GoingOn {
        GoingOn {
            before: Before::Unknown,
            confirming: (0, 0),
            heard: Heard::default(),
            stands_back: false,
            at: None,
            tell_at: None,
        }
    }

    /// A change is applied; `before` was in force until then.
    pub(super) fn changed(&mut self, before: Configuration) {
        // What was before that is over: a change is proposed only where the last one is applied.
        self.before = Before::Lasts(before);
    }

    pub(super) fn deadline(&self) -> Option<Time> {
        self.tell_at
    }
}

impl Order {
    /// Another member that lives says how far its log reaches, because it would go on as a survivor;
    /// or that it has stood back.
    pub fn survives(&mut self, from: MemberId, reach: Reach, stands_back: bool) {
        if stands_back {
            self.going_on.heard.stands_back(from, reach);
        } else {
            // It does not lead, whatever we heard last.
            self.forget_leader(from.number());
            self.going_on.heard.wants(from, reach);
        }
    }

    /// Whether this member could go on as a survivor, and who has to stand back before.
    ///
    /// # Errors
    /// It could not, and why.
    pub fn survival(&self) -> Result<BTreeSet<MemberId>, Stays> {
        // Nearly always: nothing has to be computed.
        let lives = |voter: MemberId| !self.dead.contains(&voter);
        if self.configuration.majority(lives) {
            return Err(Stays::Majority);
        }
        let others = survivors(self.me, &self.reign(), &self.dead)?;
        let reach = self.own_reach();
        Ok(self.going_on.heard.missing(self.me, reach, &others))
    }

    /// Whether this member could go on as a survivor if exactly these were certainly dead: a question
    /// that only those ask who look at all members from outside.
    ///
    /// # Errors
    /// It could not, and why.
    pub fn survival_without(&self, dead: &BTreeSet<MemberId>) -> Result<BTreeSet<MemberId>, Stays> {
        survivors(self.me, &self.reign(), dead)
    }

    /// Whether this member has stood back for another one's log: it does nothing any more.
    pub fn stands_back(&self) -> bool {
        self.going_on.stands_back
    }

    /// Whether this member's death may have to be known here.
    pub fn concerns(&self, member: MemberId) -> bool {
        self.configuration.contains(member) || self.reign().voters().contains(&member)
    }

    fn reign(&self) -> Reign {
        let mut coming: Vec<Configuration> = Vec::new();
        let log = self.node.store();
        for entry in log.behind(self.node.raft.raft_log.applied) {
            if entry.entry_type != EntryType::EntryNormal {
                let last = coming.last().unwrap_or(&self.configuration);
                coming.push(last.after(&convert::parse_change(&entry.data)));
            }
        }
        Reign {
            before: self.going_on.before.clone(),
            present: self.configuration.clone(),
            coming,
        }
    }

    /// A leader says in the order that it decides by the present configuration: see [`Before`].
    pub(super) fn confirm(&mut self) {
        let confirming = (self.node.raft.term, self.configured_at);
        let owed = match self.going_on.before {
            Before::Over => false,
            Before::Lasts(_) | Before::Unknown => true,
        };
        if owed && self.going_on.confirming != confirming && self.may_propose().is_ok() {
            let context = self.configured_at.to_be_bytes().to_vec();
            if self.node.propose(context, Vec::new()).is_ok() {
                self.going_on.confirming = confirming;
            }
        }
    }

    /// An entry without anything for others.
    pub(super) fn nothing(&mut self, entry: &Entry) -> Content {
        if let Ok(at) = <[u8; 8]>::try_from(&entry.context[..])
            && u64::from_be_bytes(at) >= self.configured_at
        {
            self.going_on.before = Before::Over;
        }
        if self.going_on.at == Some(entry.index) {
            return Content::GoesOn {
                configuration: self.configuration.clone(),
            };
        }
        Content::Nothing
    }

    /// Goes on as a survivor, or helps another one to, if it is time.
    pub(super) fn survive(&mut self, now: Time, out: &mut Vec<Output>) {
        if !self.stands_back() {
            let survival = self.survival();
            // Nearly always: there is a majority, and nobody says otherwise.
            if survival == Err(Stays::Majority) && self.going_on.heard.nobody_wants() {
                self.going_on.tell_at = None;
                return;
            }
            let reach = self.own_reach();
            let better = self.going_on.heard.better(self.me, reach, &self.dead);
            if survival == Err(Stays::Majority) && !self.is_outdated(&better) {
                self.going_on.heard.forget_wants();
                self.going_on.tell_at = None;
                return;
            }
            if !better.is_empty() {
                self.stand_back();
            } else {
                match survival {
                    Ok(others) if others.is_empty() => return self.go_on(now, out),
                    Ok(_) => {}
                    Err(_) => return,
                }
            }
        }
        self.tell_survivors(now, out);
    }

    /// Whether the majority that we see is one of a configuration that is over: without these, which
    /// have longer logs and know of a later one without a majority, nobody can be elected by ours; and
    /// none of them votes for less than it has, or can be elected by theirs.
    fn is_outdated(&self, better: &BTreeSet<MemberId>) -> bool {
        let votes = |voter| !self.dead.contains(&voter) && !better.contains(&voter);
        !self.hears_leader() && !self.configuration.majority(votes)
    }

    fn stand_back(&mut self) {
        let term = self.node.raft.term;
        self.node.raft.become_follower(term, 0);
        self.hand_over = None;
        self.tried.clear();
        self.nudge = None;
        self.going_on.stands_back = true;
        self.going_on.tell_at = None;
    }

    fn tell_survivors(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.going_on.tell_at.is_some_and(|at| now < at) {
            return;
        }
        self.going_on.tell_at = Some(now.after(REPEAT));
        let (reach, stands_back) = (self.own_reach(), self.stands_back());
        let mut others = self.reign().voters();
        others.extend(self.going_on.heard.wanting());
        let others = others.into_iter();
        let living = others.filter(|&other| other != self.me && !self.dead.contains(&other));
        out.extend(living.map(|to| Output::Survives {
            to,
            reach,
            stands_back,
        }));
    }

    /// The recipe. All other voters are certainly dead, or stand back behind this log.
    fn go_on(&mut self, now: Time, out: &mut Vec<Output>) {
        let raft = &self.node.raft;
        let (applied, last) = (raft.raft_log.applied, raft.raft_log.last_index());
        let life = (raft.term >> LIFE_SHIFT) + 1;
        let tail: Vec<Entry> = self.node.store().behind(applied).cloned().collect();
        let last_term = self.own_reach().last_term;
        let mut configuration = self.configuration.clone();
        for entry in tail {
            let (position, term) = (Position(entry.index), entry.term);
            let content = match entry.entry_type {
                EntryType::EntryNormal if entry.data.is_empty() => Content::Nothing,
                EntryType::EntryNormal => Content::Entry(entry.data),
                EntryType::EntryConfChange | EntryType::EntryConfChangeV2 => {
                    configuration = configuration.after(&convert::parse_change(&entry.data));
                    Content::Change {
                        context: entry.context,
                        configuration: configuration.clone(),
                    }
                }
            };
            out.push(Output::Delivered(Delivery {
                position,
                term,
                content,
            }));
        }
        let mut log = Log::new(&Start {
            position: Position(last),
            term: last_term,
            configuration: alone(self.me),
            tail: Tail::empty(Position(last), last_term),
        });
        log.keep(HardState {
            term: life << LIFE_SHIFT,
            commit: last,
            ..HardState::default()
        });
        self.node = engine(self.me, log);
        self.configuration = alone(self.me);
        self.configured_at = last + 1;
        self.start = Position(last);
        self.last_leader = None;
        self.unseated = None;
        self.resigns = false;
        self.hand_over = None;
        self.tried.clear();
        self.nudge = None;
        self.named = None;
        self.announce.clear();
        self.going_on = GoingOn {
            at: Some(last + 1),
            ..GoingOn::founded()
        };
        // The only voter of all: it leads at once, and the first entry of its term stands at the
        // next position.
        let _ = self.node.campaign();
        while self.node.has_ready() {
            self.ready(now, out);
        }
        assert!(self.leads(), "the only voter leads");
    }
}
