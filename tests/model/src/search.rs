//! The search: every state that a model can reach, and whether every life in it ends.
//!
//! Breadth first, so that what is found is found by a shortest way. Three questions are asked:
//!
//! 1. *Safety*: is every state, and every step, as the model says that it must be?
//! 2. *Nothing waits for ever*: a state in which nothing is due any more must be an end. Steps of
//!    misfortune (a crash) may happen, but nobody may need one to get on.
//! 3. *Everything ends*: no way leads back to where it came from. So every life is finite without
//!    any assumption about who is fast or fair, and [`Explored::longest`] is its bound in steps.
//!
//! From 2 and 3 follows that an end can be reached, and is reached, from every state.
//!
//! **Why our own.** The model checker for Rust that is kept well, `stateright` 0.31, answers the first
//! question. Its `eventually` answers neither of the others: a way that leads back is taken for one
//! that joins another, so that the smallest endless life (two states and back) is passed as ending,
//! as its documentation says and as we tried. It compares states by 64 bits of a hash, and its web
//! server, for looking at states in a browser, is no option that could be left out. What is left to
//! write is this file. The models are plain values with a list of steps, and would fit another
//! checker as they are.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::Hash;
use std::rc::Rc;

/// Something whose states can be searched.
pub trait Model {
    /// Everything that the future depends on, and nothing else: equal states are one state.
    type State: Eq + Hash;
    /// What leads from one state to the next; shown in the way to a fault.
    type Step: fmt::Display;

    /// Where every life begins.
    fn beginning(&self) -> Self::State;

    /// All that can happen next. Empty if nothing can.
    fn steps(&self, state: &Self::State) -> Vec<Next<Self>>;

    /// What is wrong with this state; empty if nothing is.
    fn broken_in_state(&self, state: &Self::State) -> Vec<String>;

    /// What is wrong with this step; empty if nothing is.
    fn broken_by_step(
        &self,
        before: &Self::State,
        step: &Self::Step,
        after: &Self::State,
    ) -> Vec<String>;

    /// How a life has ended, if this is an end.
    ///
    /// # Errors
    /// It is none, and what is missing.
    fn ended(&self, state: &Self::State) -> Result<&'static str, String>;
}

/// One thing that can happen next.
#[derive(Debug)]
pub struct Next<M: Model + ?Sized> {
    /// What happens.
    pub step: M::Step,
    /// Whether it is bound to happen as long as it can: a duty. Otherwise it is misfortune.
    pub due: bool,
    /// What is then.
    pub state: M::State,
}

/// What was found if all is well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explored {
    /// How many states can be reached.
    pub states: usize,
    /// How many steps there are between them.
    pub steps: usize,
    /// The steps of the longest life.
    pub longest: usize,
    /// The ends, each with the number of states in which a life can end so; by name.
    pub ends: Vec<(&'static str, usize)>,
}

/// A life that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong at its end.
    pub wrong: Wrong,
    /// Its steps, from the beginning; a shortest such life.
    pub way: Vec<String>,
}

/// What is wrong with a life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// Its last step or state breaks these sentences.
    Unsafe(Vec<String>),
    /// Nothing is due any more, and it has not ended.
    Stuck(String),
    /// It comes back to a state in which it was; so many steps are repeated.
    Endless(usize),
    /// There are more states than the search may look at.
    TooMany(usize),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.wrong {
            Wrong::Unsafe(broken) => writeln!(f, "broken: {}", broken.join("; "))?,
            Wrong::Stuck(missing) => writeln!(f, "stuck: {missing}")?,
            Wrong::Endless(steps) => writeln!(f, "the last {steps} steps lead back")?,
            Wrong::TooMany(states) => writeln!(f, "more than {states} states")?,
        }
        self.way
            .iter()
            .enumerate()
            .try_for_each(|(number, step)| writeln!(f, "{:>4}  {step}", number + 1))
    }
}

/// Searches all states, `most` at most: a model that has grown out of hand says so soon.
///
/// # Errors
/// A life that must not be.
pub fn search<M: Model>(model: &M, most: usize) -> Result<Explored, Box<Fault>> {
    let mut seen = Seen::from(model.beginning());
    let mut steps = 0;
    let mut ends: Vec<(&'static str, usize)> = Vec::new();
    let mut here = 0;
    while here < seen.states.len() {
        let state = Rc::clone(&seen.states[here]);
        let broken = model.broken_in_state(&state);
        if !broken.is_empty() {
            return Err(seen.fault(model, here, None, Wrong::Unsafe(broken)));
        }
        let mut due = false;
        for next in model.steps(&state) {
            let broken = model.broken_by_step(&state, &next.step, &next.state);
            if !broken.is_empty() {
                let last = Some(next.step.to_string());
                return Err(seen.fault(model, here, last, Wrong::Unsafe(broken)));
            }
            due |= next.due;
            steps += 1;
            seen.add(here, next.state);
        }
        if !due {
            match model.ended(&state) {
                Ok(end) => match ends.iter_mut().find(|(name, _)| *name == end) {
                    Some((_, states)) => *states += 1,
                    None => ends.push((end, 1)),
                },
                Err(missing) => {
                    return Err(seen.fault(model, here, None, Wrong::Stuck(missing)));
                }
            }
        }
        if seen.states.len() > most {
            return Err(seen.fault(model, here, None, Wrong::TooMany(most)));
        }
        here += 1;
    }
    ends.sort_unstable();
    let longest = seen.longest(model)?;
    Ok(Explored {
        states: seen.states.len(),
        steps,
        longest,
        ends,
    })
}

/// The states that were reached, numbered in the order of their discovery.
struct Seen<S> {
    states: Vec<Rc<S>>,
    numbers: HashMap<Rc<S>, u32>,
    /// From which state each was reached first.
    parents: Vec<u32>,
    /// The states that follow each one, those of all states one behind the other.
    following: Vec<u32>,
    /// Where the following of each state begin.
    begins: Vec<u32>,
}

impl<S: Eq + Hash> Seen<S> {
    fn from(beginning: S) -> Seen<S> {
        let beginning = Rc::new(beginning);
        Seen {
            states: vec![Rc::clone(&beginning)],
            numbers: HashMap::from([(beginning, 0)]),
            parents: vec![0],
            following: Vec::new(),
            begins: Vec::new(),
        }
    }

    /// `state` follows the state `from`; those that follow one state come together.
    fn add(&mut self, from: usize, state: S) {
        while self.begins.len() <= from {
            self.begins.push(number(self.following.len()));
        }
        let state = Rc::new(state);
        let new = number(self.states.len());
        let found = match self.numbers.entry(Rc::clone(&state)) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(place) => {
                place.insert(new);
                self.states.push(state);
                self.parents.push(number(from));
                new
            }
        };
        self.following.push(found);
    }

    fn following(&self, state: usize) -> &[u32] {
        let begin = |state: usize| {
            let begin = self.begins.get(state).map(|&begin| begin as usize);
            begin.unwrap_or(self.following.len())
        };
        &self.following[begin(state)..begin(state + 1)]
    }

    /// A shortest way to a state, and one more step.
    fn fault<M>(&self, model: &M, to: usize, last: Option<String>, wrong: Wrong) -> Box<Fault>
    where
        M: Model<State = S>,
    {
        let mut numbers = vec![to];
        while let Some(&first) = numbers.last()
            && first != 0
        {
            numbers.push(self.parents[first] as usize);
        }
        numbers.reverse();
        let mut way: Vec<String> = numbers
            .windows(2)
            .map(|pair| self.step(model, pair[0], pair[1]))
            .collect();
        way.extend(last);
        Box::new(Fault { wrong, way })
    }

    /// What led from one state to the other. Steps are not kept, for room: they are taken again.
    fn step<M: Model<State = S>>(&self, model: &M, from: usize, to: usize) -> String {
        model
            .steps(&self.states[from])
            .into_iter()
            .find(|next| next.state == *self.states[to])
            .map(|next| next.step.to_string())
            .expect("a model takes the same steps from the same state")
    }

    /// The longest way, if no way leads back: states are taken away once all that lead to them are.
    fn longest<M: Model<State = S>>(&self, model: &M) -> Result<usize, Box<Fault>> {
        let mut before = vec![0u32; self.states.len()];
        for &state in &self.following {
            before[state as usize] += 1;
        }
        let mut lengths = vec![0usize; self.states.len()];
        let mut free: Vec<usize> = (before[0] == 0).then_some(0).into_iter().collect();
        let mut taken = 0;
        while let Some(state) = free.pop() {
            taken += 1;
            for &next in self.following(state) {
                let next = next as usize;
                lengths[next] = lengths[next].max(lengths[state] + 1);
                before[next] -= 1;
                if before[next] == 0 {
                    free.push(next);
                }
            }
        }
        if taken == self.states.len() {
            return Ok(lengths.into_iter().max().unwrap_or(0));
        }
        Err(self.endless(model, &before))
    }

    /// A life that comes back, among the states that others still lead to.
    fn endless<M: Model<State = S>>(&self, model: &M, before: &[u32]) -> Box<Fault> {
        // Each state that is left has another one before it that is left: backwards one must come
        // round.
        let left = |state: usize| before[state] > 0;
        let mut leads: HashMap<usize, usize> = HashMap::new();
        for state in (0..self.states.len()).filter(|&state| left(state)) {
            for &next in self.following(state) {
                leads.entry(next as usize).or_insert(state);
            }
        }
        let mut way = Vec::new();
        let mut place = (0..self.states.len()).find(|&state| left(state));
        while let Some(state) = place.filter(|state| !way.contains(state)) {
            way.push(state);
            place = leads.get(&state).copied();
        }
        let again = place.expect("a state that is left has one before it");
        let mut round: Vec<usize> = way
            .into_iter()
            .skip_while(|&state| state != again)
            .collect();
        round.push(again);
        round.reverse();
        let mut fault = self.fault(model, again, None, Wrong::Endless(round.len() - 1));
        let steps = round
            .windows(2)
            .map(|pair| self.step(model, pair[0], pair[1]));
        fault.way.extend(steps);
        fault
    }
}

fn number(place: usize) -> u32 {
    u32::try_from(place).expect("the search is bounded far below")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers, and which follow each: `0 > 1 2, 1 > 2`; `?` behind one that need not follow. 9 is
    /// the end, 7 must not be, and 6 must not be left.
    struct Graph(&'static str);

    impl Model for Graph {
        type State = u8;
        type Step = String;

        fn beginning(&self) -> u8 {
            0
        }

        fn steps(&self, state: &u8) -> Vec<Next<Graph>> {
            let lines = self.0.split(", ").map(|line| line.split_once(" > "));
            let mut next = Vec::new();
            for (from, all) in lines.map(|line| line.expect("a number, and what follows")) {
                let number = |text: &str| text.parse::<u8>().expect("a number");
                for to in all.split(' ').filter(|_| number(from) == *state) {
                    let state = number(to.trim_end_matches('?'));
                    next.push(Next {
                        step: format!("{from}-{state}"),
                        due: !to.ends_with('?'),
                        state,
                    });
                }
            }
            next
        }

        fn broken_in_state(&self, state: &u8) -> Vec<String> {
            (*state == 7)
                .then(|| "not 7".to_owned())
                .into_iter()
                .collect()
        }

        fn broken_by_step(&self, before: &u8, _: &String, _: &u8) -> Vec<String> {
            let broken = (*before == 6).then(|| "not from 6".to_owned());
            broken.into_iter().collect()
        }

        fn ended(&self, state: &u8) -> Result<&'static str, String> {
            if *state == 9 {
                Ok("nine")
            } else {
                Err(format!("{state} is no end"))
            }
        }
    }

    /// What the search says of a graph, in a line.
    fn says(graph: &'static str) -> String {
        match search(&Graph(graph), 8) {
            Ok(Explored {
                states,
                steps,
                longest,
                ends,
            }) => format!("{states} states, {steps} steps, longest {longest}, {ends:?}"),
            Err(fault) => format!("{:?} by {}", fault.wrong, fault.way.join(" ")),
        }
    }

    #[test]
    fn ways_that_meet_are_counted_once_and_the_longest_is_measured() {
        assert_eq!(
            says("0 > 1 2, 1 > 2, 2 > 9"),
            "4 states, 4 steps, longest 3, [(\"nine\", 1)]"
        );
    }

    #[test]
    fn a_state_and_a_step_that_must_not_be_are_found_by_a_shortest_way() {
        assert_eq!(
            says("0 > 1 2, 1 > 3, 3 > 7, 2 > 7, 7 > 9"),
            "Unsafe([\"not 7\"]) by 0-2 2-7"
        );
        assert_eq!(
            says("0 > 1, 1 > 6, 6 > 9"),
            "Unsafe([\"not from 6\"]) by 0-1 1-6 6-9"
        );
    }

    #[test]
    fn who_needs_misfortune_to_get_on_is_stuck() {
        assert_eq!(says("0 > 1 9, 1 > 9?"), "Stuck(\"1 is no end\") by 0-1");
        assert_eq!(
            says("0 > 4, 4 > 9?, 0 > 9"),
            "Stuck(\"4 is no end\") by 0-4"
        );
    }

    #[test]
    fn a_life_that_comes_back_is_endless_also_if_it_could_end() {
        assert_eq!(says("0 > 1 9, 1 > 2, 2 > 1 9"), "Endless(2) by 0-1 1-2 2-1");
        assert_eq!(says("0 > 0 9"), "Endless(1) by 0-0");
        // A round that only misfortune closes comes round as well.
        assert_eq!(says("0 > 1, 1 > 0? 9"), "Endless(2) by 0-1 1-0");
    }

    #[test]
    fn a_search_that_grows_out_of_hand_ends() {
        let long = "0 > 1, 1 > 2, 2 > 3, 3 > 4, 4 > 5, 5 > 8, 8 > 10, 10 > 11, 11 > 12, 12 > 9";
        assert!(says(long).starts_with("TooMany(8)"), "{}", says(long));
    }
}
