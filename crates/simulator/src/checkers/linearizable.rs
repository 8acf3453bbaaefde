//! Linearizability, judged from outside: only from what was asked, when, and what was answered.
//!
//! The checker of replies believes the positions that replies carry; this one does not know them. It
//! looks for an order of the operations in which each takes effect between the moment that it was
//! asked and the moment that it was answered, and in which a specification, written apart from the
//! service, gives every answer. The search goes through the answers in time and keeps all states in
//! which the system may be (Wing and Gong 1993, just in time as in Lowe 2017); the history is cut
//! into parts that do not touch each other by whoever knows what the operations mean.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What an operation does to a state, and which answers a state allows.
pub trait Specification: fmt::Debug {
    /// Everything that answers depend on.
    type State: Clone + Ord;

    /// The state after this operation took effect in `state`; `None` if it could not have been
    /// answered there as it was.
    fn step(&self, state: &Self::State) -> Option<Self::State>;
}

/// One operation, and when it was asked and answered, in any unit of one clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timed<O> {
    /// When it was asked.
    pub asked_at: u64,
    /// When it was answered; `None` if it never was: it may have taken effect at any time since, or
    /// not at all.
    pub answered_at: Option<u64>,
    /// What was asked and answered.
    pub operation: O,
}

/// A state in which the system may be, and which of the open operations led there.
type Possible<S> = BTreeSet<(S, BTreeSet<usize>)>;

/// Whether some order of the operations gives all answers.
///
/// # Errors
///
/// The first answer that no order gives, with what was open then.
pub fn linearizable<O: Specification>(
    initial: O::State,
    history: &[Timed<O>],
) -> Result<(), String> {
    // At the same moment an operation is asked before another is answered: they may overlap.
    let asks = (0..history.len()).map(|number| (history[number].asked_at, false, number));
    let answers =
        (0..history.len()).filter_map(|number| Some((history[number].answered_at?, true, number)));
    let mut events: Vec<(u64, bool, usize)> = asks.chain(answers).collect();
    events.sort_unstable();

    let mut open = BTreeMap::new();
    let mut possible = Possible::from([(initial, BTreeSet::new())]);
    for (at, answered, number) in events {
        if !answered {
            open.insert(number, &history[number].operation);
            continue;
        }
        possible = after(possible, &open, number);
        if possible.is_empty() {
            let others: Vec<String> = open
                .iter()
                .filter(|(other, _)| **other != number)
                .map(|(_, operation)| format!("{operation:?}"))
                .collect();
            return Err(format!(
                "no order of the operations gives the answer at {at} to {:?}; open were {}",
                history[number].operation,
                others.join(", ")
            ));
        }
        open.remove(&number);
    }
    Ok(())
}

/// The states in which the system may be when this operation is answered.
fn after<O: Specification>(
    possible: Possible<O::State>,
    open: &BTreeMap<usize, &O>,
    answered: usize,
) -> Possible<O::State> {
    let mut reached = Possible::new();
    let mut seen = possible.clone();
    let mut ahead: Vec<(O::State, BTreeSet<usize>)> = possible.into_iter().collect();
    while let Some((state, mut taken)) = ahead.pop() {
        if taken.remove(&answered) {
            reached.insert((state, taken));
            continue;
        }
        for (&number, operation) in open {
            if taken.contains(&number) {
                continue;
            }
            if let Some(next) = operation.step(&state) {
                let mut with = taken.clone();
                with.insert(number);
                if seen.insert((next.clone(), with.clone())) {
                    ahead.push((next, with));
                }
            }
        }
    }
    reached
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a register: `w3` writes 3, `r3` reads 3.
    #[derive(Clone, Debug)]
    enum Register {
        Write(u64),
        Read(u64),
    }

    impl Specification for Register {
        type State = u64;

        fn step(&self, state: &u64) -> Option<u64> {
            match self {
                Register::Write(value) => Some(*value),
                Register::Read(value) => (value == state).then_some(*state),
            }
        }
    }

    /// Operations as `w1@0-10`, from asked to answered; `w1@0-` was never answered.
    fn check(text: &str) -> bool {
        let operation = |word: &str| {
            let (what, when) = word.split_once('@')?;
            let (asked, answered) = when.split_once('-')?;
            let (kind, value) = what.split_at(1);
            let value = value.parse().ok()?;
            Some(Timed {
                asked_at: asked.parse().ok()?,
                answered_at: answered.parse().ok(),
                operation: match kind {
                    "w" => Register::Write(value),
                    _ => Register::Read(value),
                },
            })
        };
        let history: Vec<_> = text
            .split_whitespace()
            .map(|word| operation(word).expect("a test's history is well written"))
            .collect();
        linearizable(0, &history).is_ok()
    }

    #[test]
    fn what_one_client_sees_in_turn_is_in_order() {
        assert!(check("r0@0-1 w1@2-3 r1@4-5 w2@6-7 r2@8-9"));
        assert!(!check("w1@0-1 r0@2-3"));
    }

    #[test]
    fn operations_that_overlap_may_take_either_order() {
        assert!(check("w1@0-10 r0@1-2 r1@3-4"));
        assert!(check("w1@0-10 w2@0-10 r1@11-12"));
        assert!(check("w1@0-10 w2@0-10 r2@11-12"));
    }

    #[test]
    fn once_a_write_was_seen_nobody_sees_what_was_before() {
        assert!(!check("w1@0-10 r1@1-2 r0@3-4"));
        assert!(!check("w1@0-10 w2@0-10 r1@11-12 r2@13-14"));
    }

    #[test]
    fn an_operation_that_was_never_answered_may_take_effect_late_or_never() {
        assert!(check("w1@0- r0@1-2 r1@3-4"));
        assert!(check("w1@0- r0@1-2 r0@3-4"));
        assert!(!check("w1@0- r1@1-2 r0@3-4"));
    }
}
