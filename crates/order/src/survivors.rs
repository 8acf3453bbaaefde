//! Survivors: when fewer than a majority may go on (design 4.5), as a pure function.
//!
//! A majority is asked for so that whoever leads next has everything that was ever acknowledged, and
//! so that no two lead at once. Both can be had without one, if it is *certain* that the others are
//! dead: nobody of them orders anything any more, and what they had ordered before stands in the log
//! of a survivor if each quorum that could have ordered it holds one. Which quorums those are, the
//! logs say: [`Reign`] names the configurations under which something may have been ordered that a
//! member does not know to be. `docs/decisions/0011-survivors.md` argues it whole.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use museum::Defect;
use wire::MemberId;

use crate::configuration::Configuration;
use crate::nudge::Reach;

/// The configurations under which something may have been ordered behind what a member has
/// delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reign {
    /// The one before that in force, until the order shows that no leader decides by it any more.
    pub before: Before,
    /// The one in force at the last delivered position.
    pub present: Configuration,
    /// Those that changes behind it would make, if they are committed: the member cannot know.
    pub coming: Vec<Configuration>,
}

/// What is known of the configuration before the one in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Before {
    /// A leader that had applied the present one has ordered something since: whoever leads from
    /// then on has it, and decides by the present one.
    Over,
    /// A leader may have decided by this one, beyond the change that ended it.
    Lasts(Configuration),
    /// The member came by a state transfer, and has seen no change since.
    Unknown,
}

/// Why nobody goes on as a survivor. Reported as is to whoever asks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stays {
    /// Nothing is lost that a majority does not bear.
    #[error("a majority of the members is not known to be dead")]
    Majority,
    /// Who has no vote has never been part of a decision.
    #[error("this member has no vote")]
    NoVote,
    /// See [`Before::Unknown`].
    #[error(
        "this member joined before the last change of membership was confirmed to it: it cannot know \
         whose decisions it may lack"
    )]
    Unknown,
    /// The dead could have ordered something by themselves.
    #[error(
        "the dead members {} were enough to decide among {}: what they acknowledged last may be \
         missing here",
        list(dead),
        list(of)
    )]
    Lost {
        /// Who is dead.
        dead: Vec<MemberId>,
        /// All voters of the configuration in which they were enough.
        of: Vec<MemberId>,
    },
}

fn list(members: &[MemberId]) -> String {
    let members: Vec<String> = members.iter().map(ToString::to_string).collect();
    format!("[{}]", members.join(" "))
}

impl Reign {
    fn configurations(&self) -> impl Iterator<Item = &Configuration> {
        let before = match &self.before {
            Before::Lasts(before) => Some(before),
            Before::Over | Before::Unknown => None,
        };
        before
            .into_iter()
            .chain([&self.present])
            .chain(&self.coming)
    }

    /// Everybody whose vote may count.
    pub fn voters(&self) -> BTreeSet<MemberId> {
        self.configurations()
            .flat_map(|configuration| configuration.voters.iter().chain(&configuration.outgoing))
            .copied()
            .collect()
    }
}

/// Whether `me` may go on without a majority, once the others that live have stood back. Returns
/// who those are: all voters that are not certainly `dead`.
///
/// # Errors
/// It may not, and why.
pub fn survivors(
    me: MemberId,
    reign: &Reign,
    dead: &BTreeSet<MemberId>,
) -> Result<BTreeSet<MemberId>, Stays> {
    // Before anything else: with a majority the order goes on by itself, and takes everybody along.
    if reign.present.majority(|voter| !dead.contains(&voter)) {
        return Err(Stays::Majority);
    }
    if !reign.present.votes(me) {
        return Err(Stays::NoVote);
    }
    let decided = reign
        .configurations()
        .find(|configuration| configuration.majority(|voter| dead.contains(&voter)))
        .filter(|_| !museum::on(Defect::SurvivorTooSoon));
    if let Some(configuration) = decided {
        let all: BTreeSet<MemberId> = configuration
            .voters
            .iter()
            .chain(&configuration.outgoing)
            .copied()
            .collect();
        return Err(Stays::Lost {
            dead: all.intersection(dead).copied().collect(),
            of: all.into_iter().collect(),
        });
    }
    if reign.before == Before::Unknown {
        return Err(Stays::Unknown);
    }
    let others = reign.voters().into_iter();
    Ok(others
        .filter(|&voter| voter != me && !dead.contains(&voter))
        .collect())
}

/// Which of two logs goes on: the most advanced, of equals that of the eldest member.
pub(crate) fn rank(member: MemberId, reach: Reach) -> (u64, u64, Reverse<MemberId>) {
    (reach.last_term, reach.last_index, Reverse(member))
}

/// What the survivors have said to each other.
#[derive(Debug, Default)]
pub(crate) struct Heard {
    /// How far the logs of those reach that would go on.
    wants: BTreeMap<MemberId, Reach>,
    /// Those that have stood back for ever, each with the end of its log.
    stood_back: BTreeMap<MemberId, Reach>,
}

impl Heard {
    pub(crate) fn wants(&mut self, member: MemberId, reach: Reach) {
        self.wants.insert(member, reach);
    }

    pub(crate) fn stands_back(&mut self, member: MemberId, reach: Reach) {
        self.wants.remove(&member);
        self.stood_back.insert(member, reach);
    }

    /// Those that would go on.
    pub(crate) fn wanting(&self) -> impl Iterator<Item = MemberId> {
        self.wants.keys().copied()
    }

    /// Who of these has not stood back behind a log that ends here.
    pub(crate) fn missing(
        &self,
        me: MemberId,
        reach: Reach,
        others: &BTreeSet<MemberId>,
    ) -> BTreeSet<MemberId> {
        let behind = |other: &MemberId| {
            let theirs = self.stood_back.get(other);
            theirs.is_some_and(|&theirs| rank(*other, theirs) < rank(me, reach))
        };
        let others = others.iter().copied();
        others.filter(|other| !behind(other)).collect()
    }

    /// Those that live, would go on, and have a more advanced log than this.
    pub(crate) fn better(
        &self,
        me: MemberId,
        reach: Reach,
        dead: &BTreeSet<MemberId>,
    ) -> BTreeSet<MemberId> {
        let wants = self.wants.iter();
        let better = wants.filter(|&(other, theirs)| {
            !dead.contains(other) && rank(*other, *theirs) > rank(me, reach)
        });
        better.map(|(other, _)| *other).collect()
    }

    pub(crate) fn nobody_wants(&self) -> bool {
        self.wants.is_empty()
    }

    /// Nobody needs to go on as a survivor: what was said belongs to another moment.
    pub(crate) fn forget_wants(&mut self) {
        self.wants.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> MemberId {
        MemberId::new(number).expect("tests count from 1")
    }

    fn ids(numbers: &str) -> Vec<MemberId> {
        let numbers = numbers.split_whitespace();
        numbers
            .map(|number| id(number.parse().expect("a number")))
            .collect()
    }

    /// `"1 2 / 2 3"`: the voters, and behind the slash the outgoing half.
    fn configuration(text: &str) -> Configuration {
        let (voters, outgoing) = text.split_once('/').unwrap_or((text, ""));
        Configuration {
            voters: ids(voters),
            outgoing: ids(outgoing),
            ..Configuration::default()
        }
    }

    /// `"1 > 1 2 > 2 / 1 2"`: before, in force, coming.
    fn reign(text: &str) -> Reign {
        let mut parts = text.split('>');
        let before = match parts.next().map(str::trim) {
            None | Some("") => Before::Over,
            Some("?") => Before::Unknown,
            Some(before) => Before::Lasts(configuration(before)),
        };
        Reign {
            before,
            present: configuration(parts.next().unwrap_or_default()),
            coming: parts.map(configuration).collect(),
        }
    }

    /// Who has to stand back before member `me` goes on, or why it stays.
    fn who(me: u64, text: &str, dead: &str) -> String {
        let dead = ids(dead).into_iter().collect();
        match survivors(id(me), &reign(text), &dead) {
            Ok(others) if others.is_empty() => "goes on".to_owned(),
            Ok(others) => format!("after {}", list(&Vec::from_iter(others))),
            Err(Stays::Majority) => "majority".to_owned(),
            Err(Stays::NoVote) => "no vote".to_owned(),
            Err(Stays::Unknown) => "unknown".to_owned(),
            Err(Stays::Lost { dead, of }) => format!("{} of {}", list(&dead), list(&of)),
        }
    }

    #[test]
    fn one_of_two_goes_on_if_the_other_is_certainly_dead() {
        assert_eq!(who(1, "> 1 2", "2"), "goes on");
        assert_eq!(who(2, "> 1 2", "1"), "goes on");
        assert_eq!(who(1, "> 1 2", ""), "majority");
    }

    #[test]
    fn of_three_one_never_goes_on_and_two_need_not() {
        assert_eq!(who(1, "> 1 2 3", "2 3"), "[m2 m3] of [m1 m2 m3]");
        assert_eq!(who(1, "> 1 2 3", "2"), "majority");
    }

    #[test]
    fn half_of_four_agree_on_one_of_them() {
        assert_eq!(who(1, "> 1 2 3 4", "3 4"), "after [m2]");
        assert_eq!(who(2, "> 1 2 3 4", "3 4"), "after [m1]");
        assert_eq!(who(1, "> 1 2 3 4", "2 3 4"), "[m2 m3 m4] of [m1 m2 m3 m4]");
    }

    #[test]
    fn a_group_of_one_goes_on_if_its_successor_dies_in_the_swap() {
        assert_eq!(who(1, "1 > 2 / 1", "2"), "goes on");
        assert_eq!(who(1, "> 2 / 1", "2"), "goes on");
    }

    #[test]
    fn a_leave_half_committed_is_waited_for() {
        // The successor may have gone on alone, as the leave that stands here says.
        assert_eq!(who(1, "> 2 / 1 > 2", "2"), "[m2] of [m2]");
        // The predecessor's death harms nobody: the successor has what both ordered.
        assert_eq!(who(2, "> 2 / 1 > 2", "1"), "goes on");
    }

    #[test]
    fn a_configuration_that_is_not_over_counts() {
        // The founder alone may have ordered more than it told its first companion.
        assert_eq!(who(2, "1 > 1 2", "1"), "[m1] of [m1]");
        assert_eq!(who(1, "1 > 1 2", "2"), "goes on");
        assert_eq!(who(2, "? > 1 2", "1"), "unknown");
    }

    #[test]
    fn who_has_no_vote_stays() {
        assert_eq!(who(3, "> 1 2", "1 2"), "no vote");
        assert_eq!(who(3, "> 1 2 > 1 2 3", "1"), "no vote");
        assert_eq!(who(2, "> 1 2 > 1 2 3", "1"), "after [m3]");
    }

    /// All configurations of up to four members, joint ones included.
    fn all() -> Vec<Configuration> {
        let subset = |bits: u64| {
            (1..=4)
                .filter(move |bit| bits & (1 << (bit - 1)) != 0)
                .map(id)
        };
        let mut all = Vec::new();
        for voters in 1..16 {
            for outgoing in 0..16 {
                all.push(Configuration {
                    voters: subset(voters).collect(),
                    outgoing: subset(outgoing).collect(),
                    ..Configuration::default()
                });
            }
        }
        all
    }

    /// All sets of members that could decide by a configuration: by its definition, not by its code.
    fn quorums(configuration: &Configuration) -> Vec<BTreeSet<MemberId>> {
        let sets = (0..16_u64).map(|bits| {
            let bits = move |number: &u64| bits & (1 << (number - 1)) != 0;
            (1..=4).filter(bits).map(id).collect::<BTreeSet<_>>()
        });
        let halves = [&configuration.voters, &configuration.outgoing];
        sets.filter(|set| {
            halves.iter().all(|half| {
                let votes = half.iter().filter(|voter| set.contains(voter)).count();
                half.is_empty() || 2 * votes > half.len()
            })
        })
        .collect()
    }

    /// Every two configurations, the other one coming or not over yet, and every set of dead: who goes
    /// on has a part in every decision that the dead may have taken, and nobody who is not asked to
    /// stand back can take another. And whoever may go on so does.
    #[test]
    fn nobody_goes_on_past_a_decision_of_the_dead_or_beside_another() {
        let all = all();
        let quorums: Vec<_> = all.iter().map(quorums).collect();
        let mut went_on = 0;
        for (present, now) in all.iter().zip(&quorums) {
            for (other, then) in all.iter().zip(&quorums) {
                let reign = |before, coming| Reign {
                    before,
                    present: present.clone(),
                    coming,
                };
                let coming = reign(Before::Over, vec![other.clone()]);
                let lasts = reign(Before::Lasts(other.clone()), Vec::new());
                let unknown = reign(Before::Unknown, vec![other.clone()]);
                for bits in 0..16_u64 {
                    let is_dead = |number: &u64| bits & (1 << (number - 1)) != 0;
                    let dead: BTreeSet<_> = (1..=4).filter(is_dead).map(id).collect();
                    let stuck = !now.iter().any(|quorum| quorum.is_disjoint(&dead));
                    let mut decisions = now.iter().chain(then);
                    let safe = !decisions.any(|quorum| quorum.is_subset(&dead));
                    let lives = |number: &u64| !is_dead(number);
                    for me in (1..=4).filter(lives).map(id) {
                        assert!(survivors(me, &unknown, &dead).is_err());
                        let found = survivors(me, &coming, &dead).ok();
                        assert_eq!(found, survivors(me, &lasts, &dead).ok());
                        let may = present.votes(me) && stuck && safe;
                        assert_eq!(found.is_some(), may, "{coming:?} {dead:?} {me}");
                        let Some(others) = found else { continue };
                        went_on += 1;
                        let out = |voter: &MemberId| {
                            *voter == me || dead.contains(voter) || others.contains(voter)
                        };
                        for quorum in now.iter().chain(then) {
                            assert!(quorum.iter().any(out), "{coming:?} {dead:?} {me}");
                        }
                    }
                }
            }
        }
        assert!(went_on > 1_000, "{went_on}");
    }

    /// Three that would go on, with any of four logs each: one has the best; the others stand back behind
    /// it, and it goes on when it has heard so of both. No other ever does, whoever has stood back.
    #[test]
    fn of_any_three_that_would_go_on_one_does() {
        let members = [1, 2, 3].map(id);
        let logs = [(1, 1), (1, 2), (2, 1), (2, 2)].map(|(last_term, last_index)| Reach {
            last_term,
            last_index,
            term: 9,
        });
        for code in 0..64_usize {
            let reaches = [code & 3, code >> 2 & 3, code >> 4].map(|log| logs[log]);
            let all = || members.into_iter().zip(reaches);
            let mut want = Heard::default();
            all().for_each(|(member, reach)| want.wants(member, reach));
            let nobody = BTreeSet::new();
            let stays =
                |&(me, reach): &(MemberId, Reach)| want.better(me, reach, &nobody).is_empty();
            let (best, rest): (Vec<_>, Vec<_>) = all().partition(stays);
            let [(best, its)] = best[..] else {
                panic!("{best:?} of {reaches:?}")
            };
            let log = |reach: Reach| (reach.last_term, reach.last_index);
            assert!(rest.iter().all(|(_, reach)| log(*reach) <= log(its)));
            for said in 0..8 {
                let has_said = |member: MemberId| said >> (member.number() - 1) & 1 == 1;
                let mut heard = Heard::default();
                for (member, reach) in all().filter(|(member, _)| has_said(*member)) {
                    heard.stands_back(member, reach);
                }
                let others = |me| members.into_iter().filter(|other| *other != me).collect();
                let goes_on = |me, reach| heard.missing(me, reach, &others(me)).is_empty();
                let both = rest.iter().all(|(member, _)| has_said(*member));
                assert_eq!(goes_on(best, its), both);
                assert!(!rest.iter().any(|(me, reach)| goes_on(*me, *reach)));
            }
        }
    }

    #[test]
    fn of_two_logs_the_most_advanced_goes_on_and_of_equals_the_eldest_members() {
        let reach = |last_term, last_index| Reach {
            last_term,
            last_index,
            term: 9,
        };
        let others: BTreeSet<_> = [id(1), id(2)].into();
        let mut heard = Heard::default();
        assert_eq!(heard.missing(id(3), reach(2, 7), &others), others);
        heard.wants(id(1), reach(3, 1));
        let better =
            |reach, dead: &str| heard.better(id(3), reach, &ids(dead).into_iter().collect());
        assert!(!better(reach(2, 7), "").is_empty());
        assert!(better(reach(2, 7), "1").is_empty(), "dead");
        assert!(better(reach(3, 2), "").is_empty());
        heard.wants(id(2), reach(2, 7));
        let elder = heard.better(id(3), reach(2, 7), &[id(1)].into());
        assert!(!elder.is_empty(), "elder");
        heard.stands_back(id(1), reach(3, 1));
        heard.stands_back(id(2), reach(2, 7));
        assert!(heard.missing(id(3), reach(3, 2), &others).is_empty());
        assert_eq!(
            heard.missing(id(3), reach(2, 8), &others),
            [id(1)].into(),
            "nobody goes on behind what somebody else had"
        );
    }
}
