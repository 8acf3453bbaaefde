//! Configurations: whose votes count, and the steps from one to the next.

use minicbor::{Decode, Encode};
use raft::eraftpb::{ConfChangeTransition, ConfChangeType, ConfChangeV2, ConfState, Entry};
use wire::engine::{EngineStep, LogEntry};
use wire::list::List;
use wire::{MemberId, Position};

use crate::convert::{entry_to_engine, step_to_engine};

/// Whose votes count at a position. While a swap is under way it is joint: a decision needs a
/// majority of `voters` and one of `outgoing`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Configuration {
    /// The voters, or the incoming half of a joint configuration.
    #[cbor(n(0), with = "wire::list::exact")]
    pub voters: Vec<MemberId>,
    /// The outgoing half; empty unless joint.
    #[cbor(n(1), with = "wire::list::exact")]
    pub outgoing: Vec<MemberId>,
    /// Those that receive the order and never vote.
    #[cbor(n(2), with = "wire::list::exact")]
    pub learners: Vec<MemberId>,
    /// Members that become learners when the joint configuration ends.
    #[cbor(n(3), with = "wire::list::exact")]
    pub learners_next: Vec<MemberId>,
}

impl Configuration {
    /// Whether a swap is under way.
    pub fn joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether this member's vote counts, in either half.
    pub fn votes(&self, member: MemberId) -> bool {
        self.voters.contains(&member) || self.outgoing.contains(&member)
    }

    /// Whether this member is in the configuration at all.
    pub fn contains(&self, member: MemberId) -> bool {
        self.votes(member) || self.learners.contains(&member)
    }

    /// Whether `reached` holds a majority of the voters, in both halves if joint.
    pub fn majority(&self, reached: impl Fn(MemberId) -> bool) -> bool {
        let enough = |half: &[MemberId]| {
            half.is_empty()
                || half.iter().filter(|&&member| reached(member)).count() > half.len() / 2
        };
        enough(&self.voters) && enough(&self.outgoing)
    }

    /// What a change would make of it, once it is applied.
    pub(crate) fn after(&self, change: &ConfChangeV2) -> Configuration {
        let mut after = self.clone();
        if change.changes.is_empty() {
            after.outgoing.clear();
            after.learners.append(&mut after.learners_next);
        } else if change.transition == ConfChangeTransition::Explicit {
            after.outgoing.clone_from(&self.voters);
        }
        for single in &change.changes {
            let Some(member) = MemberId::new(single.node_id) else {
                continue;
            };
            after.voters.retain(|&voter| voter != member);
            after.learners.retain(|&learner| learner != member);
            match single.change_type {
                ConfChangeType::AddNode => after.voters.push(member),
                ConfChangeType::AddLearnerNode => after.learners.push(member),
                ConfChangeType::RemoveNode => {}
            }
        }
        after.voters.sort_unstable();
        after.learners.sort_unstable();
        after
    }

    pub(crate) fn from_engine(state: &ConfState) -> Configuration {
        let members = |ids: &[u64]| {
            let mut members: Vec<MemberId> =
                ids.iter().filter_map(|&id| MemberId::new(id)).collect();
            members.sort_unstable();
            members
        };
        Configuration {
            voters: members(&state.voters),
            outgoing: members(&state.voters_outgoing),
            learners: members(&state.learners),
            learners_next: members(&state.learners_next),
        }
    }

    pub(crate) fn to_engine(&self) -> ConfState {
        let ids = |members: &[MemberId]| members.iter().map(|member| member.number()).collect();
        ConfState {
            voters: ids(&self.voters),
            voters_outgoing: ids(&self.outgoing),
            learners: ids(&self.learners),
            learners_next: ids(&self.learners_next),
            ..ConfState::default()
        }
    }
}

/// Where a joiner's engine begins: out of band, at the position of a transferred state.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// The position of the state.
    pub position: Position,
    /// The exact term of the entry there. A wrong one would stall in silence.
    pub term: u64,
    /// The configuration as of that position, whole, joint or not.
    pub configuration: Configuration,
    /// What the group's log still holds up to there.
    pub tail: Tail,
}

/// The end of a log, up to the position of a transferred state. Some voter may not have it yet:
/// whoever may lead one day must be able to give it to all of them.
#[derive(Clone, Debug, PartialEq, Encode, Decode)]
pub struct Tail {
    /// The position before its first entry.
    #[n(0)]
    before: Position,
    /// The engine's term there.
    #[n(1)]
    before_term: u64,
    /// The entries, one for each position.
    #[n(2)]
    entries: List<LogEntry>,
}

impl Tail {
    /// No entries: the log begins behind `position`.
    pub fn empty(position: Position, term: u64) -> Tail {
        Tail {
            before: position,
            before_term: term,
            entries: List::default(),
        }
    }

    pub(crate) fn new(before: (u64, u64), entries: impl Iterator<Item = LogEntry>) -> Tail {
        Tail {
            before: Position(before.0),
            before_term: before.1,
            entries: entries.collect(),
        }
    }

    /// The position before its first entry.
    pub fn before(&self) -> Position {
        self.before
    }

    /// Whether it is the end of a log whose last entry stands at `position` in `term`.
    pub fn ends_at(&self, position: Position, term: u64) -> bool {
        let mut ends_in = self.before_term;
        // Positions are a peer's word: none of them may be near the end of all numbers.
        let in_order = (1..).zip(&self.entries).all(|(number, entry)| {
            ends_in = entry.term;
            entry.index.checked_sub(self.before.0) == Some(number)
                && entry_to_engine(entry).is_some()
        });
        let count = self.entries.len() as u64;
        in_order && self.before.0.checked_add(count) == Some(position.0) && ends_in == term
    }

    /// As the engine keeps it: what stands before it, and the entries.
    pub(crate) fn to_engine(&self) -> ((u64, u64), Vec<Entry>) {
        let entries = self.entries.iter().filter_map(entry_to_engine);
        ((self.before.0, self.before_term), entries.collect())
    }
}

/// One step of the membership. The next only after it is applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A new learner.
    Admit(MemberId),
    /// A learner becomes a voter.
    Promote(MemberId),
    /// A learner takes a voter's place: enters a joint configuration.
    Swap {
        /// Who comes in.
        joiner: MemberId,
        /// Who goes out at [`Step::Settle`].
        leaver: MemberId,
    },
    /// Leaves the joint configuration.
    Settle,
    /// A voter or learner is out.
    Remove(MemberId),
}

impl Step {
    pub(crate) fn to_engine(self) -> ConfChangeV2 {
        let (transition, changes) = match self {
            Step::Admit(member) => (
                ConfChangeTransition::Auto,
                vec![EngineStep::Learner(member.number())],
            ),
            Step::Promote(member) => (
                ConfChangeTransition::Auto,
                vec![EngineStep::Voter(member.number())],
            ),
            Step::Swap { joiner, leaver } => (
                // Explicit: leaving automatically can be lost at a leader change.
                ConfChangeTransition::Explicit,
                vec![
                    EngineStep::Voter(joiner.number()),
                    EngineStep::Out(leaver.number()),
                ],
            ),
            Step::Settle => (ConfChangeTransition::Auto, Vec::new()),
            Step::Remove(member) => (
                ConfChangeTransition::Auto,
                vec![EngineStep::Out(member.number())],
            ),
        };
        let changes: Vec<_> = changes.into_iter().map(step_to_engine).collect();
        ConfChangeV2 {
            transition,
            changes: changes.into(),
            ..ConfChangeV2::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use raft::{Config, RawNode};
    use slog::{Discard, Logger, o};

    use super::*;
    use crate::log::Log;

    fn id(number: u64) -> MemberId {
        MemberId::new(number).expect("tests count from 1")
    }

    /// All configurations of up to four members, each a voter, a learner or neither.
    fn all() -> Vec<Configuration> {
        let mut all = Vec::new();
        for code in 0..81 {
            let is = |member: u32, what: u32| code / 3_u32.pow(member) % 3 == what;
            let those = |what| (0..4).filter(move |&at| is(at, what));
            let ids = |what| those(what).map(|at| id(u64::from(at) + 1)).collect();
            let configuration = Configuration {
                voters: ids(1),
                learners: ids(2),
                ..Configuration::default()
            };
            if !configuration.voters.is_empty() {
                all.push(configuration);
            }
        }
        all
    }

    /// All steps that can be taken from a configuration that is not joint.
    fn steps(configuration: &Configuration) -> Vec<Step> {
        let mut steps = Vec::new();
        for member in (1..=4).map(id) {
            if !configuration.contains(member) {
                steps.push(Step::Admit(member));
            } else if configuration.voters != [member] {
                steps.push(Step::Remove(member));
            }
            if configuration.learners.contains(&member) {
                steps.push(Step::Promote(member));
                let leavers = configuration.voters.iter();
                steps.extend(leavers.map(|&leaver| Step::Swap {
                    joiner: member,
                    leaver,
                }));
            }
        }
        steps
    }

    /// What the engine makes of these steps, one after the other.
    fn by_engine(configuration: &Configuration, steps: &[Step]) -> Configuration {
        let log = Log::new(&Start {
            position: Position(1),
            term: 1,
            configuration: configuration.clone(),
            tail: Tail::empty(Position(1), 1),
        });
        let config = Config {
            id: 9,
            applied: 1,
            ..Config::default()
        };
        let logger = Logger::root(Discard, o!());
        let mut node = RawNode::new(&config, log, &logger).expect("valid");
        let states = steps.iter().map(|step| {
            let applied = node.apply_conf_change(&step.to_engine());
            Configuration::from_engine(&applied.expect("it fits"))
        });
        states.last().expect("there are steps")
    }

    /// The members that decide, as sets: a majority of each half.
    fn quorums(configuration: &Configuration) -> Vec<u64> {
        let votes = |half: &[MemberId], set: u64| {
            let voted = half.iter().filter(|voter| set >> voter.number() & 1 == 1);
            half.is_empty() || 2 * voted.count() > half.len()
        };
        let both =
            |set: &u64| votes(&configuration.voters, *set) && votes(&configuration.outgoing, *set);
        (0..32).filter(both).collect()
    }

    /// Survivors foresee what changes would make that are not applied yet: exactly what the engine
    /// makes of them, and joint where it is.
    #[test]
    fn what_any_step_would_make_is_what_the_engine_makes_of_it() {
        let mut swaps = 0;
        for configuration in all() {
            for step in steps(&configuration) {
                let after = configuration.after(&step.to_engine());
                assert_eq!(after, by_engine(&configuration, &[step]), "{step:?}");
                if after.joint() {
                    swaps += 1;
                    let settled = after.after(&Step::Settle.to_engine());
                    let both = by_engine(&configuration, &[step, Step::Settle]);
                    assert_eq!(settled, both, "{step:?}");
                }
            }
        }
        assert!(swaps > 100, "{swaps}");
    }

    /// A swap neither adds a vote nor takes one away, in any half; every other step does so with one
    /// vote or none.
    #[test]
    fn a_successor_gets_exactly_the_vote_that_it_replaces() {
        for configuration in all() {
            for step in steps(&configuration) {
                let after = configuration.after(&step.to_engine());
                let had = |member: MemberId| usize::from(configuration.votes(member));
                let votes = configuration.voters.len();
                let wanted = match step {
                    Step::Admit(_) | Step::Swap { .. } => votes,
                    Step::Promote(_) => votes + 1,
                    Step::Remove(member) => votes - had(member),
                    Step::Settle => panic!("none of these are joint"),
                };
                assert_eq!(after.voters.len(), wanted, "{configuration:?} {step:?}");
                let Step::Swap { joiner, leaver } = step else {
                    assert!(!after.joint());
                    continue;
                };
                assert_eq!(after.outgoing, configuration.voters);
                let settled = after.after(&Step::Settle.to_engine());
                assert_eq!((settled.voters.len(), settled.joint()), (votes, false));
                let others = |voters: &[MemberId], without| {
                    let others = voters.iter().filter(|voter| **voter != without);
                    others.copied().collect::<Vec<_>>()
                };
                assert!(settled.votes(joiner) && !settled.contains(leaver));
                let stay = others(&configuration.voters, leaver);
                assert_eq!(others(&settled.voters, joiner), stay);
            }
        }
    }

    /// Whoever decides by one configuration has a part in what is decided by the next one.
    #[test]
    fn majorities_of_neighbouring_configurations_share_a_member() {
        let share = |one: &Configuration, next: &Configuration| {
            let next = quorums(next);
            for quorum in quorums(one) {
                assert!(next.iter().all(|other| quorum & other != 0), "{one:?}");
            }
        };
        for configuration in all() {
            for set in 0..32_u64 {
                let reached = |member: MemberId| set >> member.number() & 1 == 1;
                let decides = quorums(&configuration).contains(&set);
                assert_eq!(configuration.majority(reached), decides);
            }
            for step in steps(&configuration) {
                let after = configuration.after(&step.to_engine());
                share(&configuration, &configuration);
                share(&configuration, &after);
                if after.joint() {
                    for set in 0..32_u64 {
                        let reached = |member: MemberId| set >> member.number() & 1 == 1;
                        let decides = quorums(&after).contains(&set);
                        assert_eq!(after.majority(reached), decides, "{after:?}");
                    }
                    share(&after, &after.after(&Step::Settle.to_engine()));
                }
            }
        }
    }
}
