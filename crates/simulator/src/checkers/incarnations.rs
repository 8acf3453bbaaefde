//! Incarnations: a group goes on as a survivor's only where nobody else could, only where the dead
//! could not have decided without it, and never as two (design 4.5).

use std::collections::{BTreeMap, BTreeSet};

use group::Configuration;
use wire::{MemberId, Position};

use super::Opinion;

/// What is seen of one member at a moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) member: MemberId,
    pub(crate) incarnation: u64,
    pub(crate) view: Position,
    pub(crate) delivered: Position,
    /// Whether it leads, as far as it knows.
    pub(crate) leads: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Incarnations {
    /// Who began each incarnation but the first, and where.
    began: BTreeMap<u64, (MemberId, Position)>,
    /// The incarnation in which each member was last seen, and the configuration there.
    last: BTreeMap<MemberId, (u64, Configuration)>,
    /// Who has told each member that it stands back for ever, and where its log ends.
    told: BTreeMap<MemberId, BTreeSet<MemberId>>,
}

impl Incarnations {
    /// `other` tells `member` that it stands back.
    pub(crate) fn stands_back(&mut self, member: MemberId, other: MemberId) {
        self.told.entry(member).or_default().insert(other);
    }

    /// `configuration` is the member's; `uncertain` is everybody of whom nobody can say for certain
    /// that he is dead or acts no more.
    pub(crate) fn looks(
        &mut self,
        seen: Seen,
        configuration: Configuration,
        uncertain: &BTreeSet<MemberId>,
    ) -> Opinion {
        let Seen {
            member,
            incarnation,
            view,
            ..
        } = seen;
        let before = self.last.insert(member, (incarnation, configuration));
        let Some((last, before)) = before.filter(|(last, _)| *last < incarnation) else {
            return self.fits(seen);
        };
        if last + 1 != incarnation {
            return Err(format!("{member} skips incarnation {}", last + 1));
        }
        // Whoever has told it acts no more, whatever has become of it since, and hides nothing.
        let told = self.told.get(&member);
        let untold =
            |voter: &MemberId| *voter != member && !told.is_some_and(|told| told.contains(voter));
        let voters = before.voters.iter().chain(&before.outgoing);
        let (uncertain, dead): (BTreeSet<MemberId>, BTreeSet<MemberId>) = voters
            .copied()
            .filter(untold)
            .partition(|voter| uncertain.contains(voter));
        if !uncertain.is_empty() {
            return Err(format!(
                "{member} goes on alone at {view} although {} may still act",
                list(&uncertain)
            ));
        }
        if could_decide(&before, &dead) {
            return Err(format!(
                "{member} goes on alone at {view} although the dead {} could have decided without it",
                list(&dead)
            ));
        }
        if let Some((other, at)) = self.began.insert(incarnation, (member, view)) {
            return Err(format!(
                "incarnation {incarnation} begins twice: by {other} at {at}, by {member} at {view}"
            ));
        }
        self.fits(seen)
    }

    /// Nobody serves in a life of the group that is over.
    pub(crate) fn fits(&self, seen: Seen) -> Opinion {
        let Seen {
            member,
            incarnation,
            delivered,
            leads,
            ..
        } = seen;
        let Some((next, at)) = self.began.get(&(incarnation + 1)) else {
            return Ok(());
        };
        if leads {
            return Err(format!(
                "{member} leads in incarnation {incarnation}, and {next} has begun the next at {at}"
            ));
        }
        if delivered >= *at {
            return Err(format!(
                "{member} has delivered {delivered} in incarnation {incarnation}, which ended at {at}"
            ));
        }
        Ok(())
    }

    /// How often a survivor has gone on.
    pub(crate) fn count(&self) -> usize {
        self.began.len()
    }
}

/// Whether these are more than half of the voters, and of the outgoing half where there is one.
fn could_decide(configuration: &Configuration, these: &BTreeSet<MemberId>) -> bool {
    let halves = [&configuration.voters, &configuration.outgoing];
    halves.iter().filter(|half| !half.is_empty()).all(|half| {
        let votes = half.iter().filter(|voter| these.contains(voter)).count();
        2 * votes > half.len()
    })
}

fn list(members: &BTreeSet<MemberId>) -> String {
    let members: Vec<String> = members.iter().map(ToString::to_string).collect();
    format!("[{}]", members.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(numbers: &str) -> Vec<MemberId> {
        let numbers = numbers.split_whitespace();
        let numbers = numbers.map(|number| number.parse().expect("a number"));
        numbers
            .map(|number| MemberId::new(number).expect("tests count from 1"))
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

    /// What is said if member 1 goes on alone from this configuration, once these have told it that
    /// they stand back; all others are dead but those that are uncertain.
    fn goes_on(from: &str, told: &str, uncertain: &str) -> String {
        let [me] = ids("1")[..] else {
            unreachable!("one number is one member");
        };
        let seen = |incarnation, at| Seen {
            member: me,
            incarnation,
            view: Position(at),
            delivered: Position(at),
            leads: false,
        };
        let uncertain = ids(uncertain).into_iter().collect();
        let mut incarnations = Incarnations::default();
        for other in ids(told) {
            incarnations.stands_back(me, other);
        }
        let first = incarnations.looks(seen(1, 5), configuration(from), &uncertain);
        assert_eq!(first, Ok(()), "nobody goes on yet");
        match incarnations.looks(seen(2, 9), configuration("1"), &uncertain) {
            Ok(()) => "well".to_owned(),
            Err(why) => why.replace("m1 goes on alone at @9 although ", ""),
        }
    }

    #[test]
    fn the_dead_that_could_have_decided_are_held_against_a_survivor() {
        assert_eq!(goes_on("1 2", "", ""), "well");
        assert_eq!(goes_on("1 2 3 4", "2", ""), "well");
        let decided = "the dead [m2 m3] could have decided without it";
        assert_eq!(goes_on("1 2 3", "", ""), decided);
        // Of a joint configuration they must hold both halves.
        assert_eq!(goes_on("1 / 2", "", ""), "well");
        assert_eq!(goes_on("2 / 1", "", ""), "well");
        assert_eq!(
            goes_on("1 2 3 / 1 2 4", "", ""),
            decided.replace("m3", "m3 m4")
        );
        // Without a vote it has no part in anything.
        assert_eq!(goes_on("2 3", "", ""), decided);
    }

    #[test]
    fn who_told_that_it_stands_back_hides_nothing_and_does_nothing_more() {
        assert_eq!(goes_on("1 2 3", "2", ""), "well");
        assert_eq!(goes_on("1 2", "2", "2"), "well");
        assert_eq!(goes_on("1 2 3", "2", "2 3"), "[m3] may still act");
    }
}
