//! The histories of islands, and what must hold of each.
//!
//! Two judges that share nothing: the simulator's checker, which knows only what was asked, when, and
//! what was answered; and the witness, which holds the positions and sequences that replies carry
//! against each other.

use campaign::island::{Island, Seen};
use ledger_v1::{Receipt, Refused};
use simulator::{Timed, linearizable};
use wire::Position;

/// One operation of a history.
#[derive(Clone, Debug)]
pub(crate) struct Noted {
    /// What was asked and answered, and when.
    pub(crate) timed: Timed<Seen>,
    /// The furthest position that anybody had been answered at when it was asked.
    pub(crate) floor: Position,
    /// Where it was executed; `None` if nobody said.
    pub(crate) position: Option<Position>,
}

/// What was done to an island, from a state that was known until nothing was under way.
#[derive(Clone, Debug)]
pub(crate) struct History {
    pub(crate) island: u64,
    /// The state from which it began.
    pub(crate) initial: Island,
    /// In no order.
    pub(crate) operations: Vec<Noted>,
}

impl History {
    /// Judges it.
    ///
    /// # Errors
    ///
    /// What cannot have been answered as it was, and by whose opinion.
    pub(crate) fn judge(&self) -> Result<(), String> {
        let timed: Vec<Timed<Seen>> = self.operations.iter().map(|o| o.timed.clone()).collect();
        linearizable(self.initial, &timed).map_err(|why| self.says("linearizable", &why))?;
        self.witness().map_err(|why| self.says("witness", &why))
    }

    fn says(&self, judge: &str, why: &str) -> String {
        format!("{judge}: island {}: {why}", self.island)
    }

    /// Receipts that it has, with where they were given.
    pub(crate) fn receipts(&self) -> impl Iterator<Item = (&Receipt, Position)> {
        self.operations.iter().filter_map(|noted| {
            let Seen::Transfer {
                reply: Ok(receipt), ..
            } = &noted.timed.operation
            else {
                return None;
            };
            Some((receipt, noted.position?))
        })
    }

    fn witness(&self) -> Result<(), String> {
        for noted in &self.operations {
            let Some(position) = noted.position else {
                continue;
            };
            // What was asked after a reply was seen is ordered behind it.
            let early = match noted.timed.operation {
                Seen::Open { .. } | Seen::Transfer { .. } => position <= noted.floor,
                Seen::Balance { .. } => position < noted.floor,
                Seen::Unanswered { .. } => false,
            };
            if early {
                return Err(format!("answered before what was seen before: {noted:?}"));
            }
        }
        let unanswered = |noted: &&Noted| noted.position.is_none();
        if self.operations.iter().any(|noted| unanswered(&noted)) {
            // Nobody knows where the state changed; the other judge tries all places.
            return Ok(());
        }
        self.replay()
    }

    /// Replays the operations by position, and transfers of one position by their sequence.
    fn replay(&self) -> Result<(), String> {
        let mut sorted: Vec<&Noted> = self.operations.iter().collect();
        sorted.sort_by_key(|noted| (noted.position, sequence(noted)));
        let mut state = self.initial;
        for here in sorted.chunk_by(|a, b| a.position == b.position) {
            let mut states = vec![state];
            for noted in here {
                if let Seen::Transfer {
                    from,
                    to,
                    amount,
                    reply: Ok(receipt),
                } = &noted.timed.operation
                {
                    state = pays(&state, *from, *to, *amount, receipt).ok_or_else(|| {
                        format!("at {state:?} no such receipt is given: {noted:?}")
                    })?;
                    states.push(state);
                }
            }
            for noted in here {
                if !fits(&noted.timed.operation, &states) {
                    return Err(format!("at {states:?} this was not answered so: {noted:?}"));
                }
            }
        }
        Ok(())
    }
}

/// The number that the ledger gave a transfer; 0 where it gave none.
fn sequence(noted: &Noted) -> u64 {
    match &noted.timed.operation {
        Seen::Transfer {
            reply: Ok(receipt), ..
        } => receipt.sequence,
        Seen::Transfer { reply: Err(_), .. }
        | Seen::Open { .. }
        | Seen::Unanswered { .. }
        | Seen::Balance { .. } => 0,
    }
}

fn pays(state: &Island, from: usize, to: usize, amount: u64, receipt: &Receipt) -> Option<Island> {
    let mut next = *state;
    let rest = state[from]?.checked_sub(amount)?;
    next[from] = Some(rest);
    next[to] = Some(state[to]? + amount);
    (receipt.balance == rest).then_some(next)
}

/// Whether this was answered at a position that took the state through these.
fn fits(seen: &Seen, states: &[Island]) -> bool {
    match seen {
        Seen::Balance { account, reply } => states.last().is_some_and(|at| at[*account] == *reply),
        Seen::Transfer { reply: Ok(_), .. } | Seen::Unanswered { .. } => true,
        Seen::Transfer {
            from,
            amount,
            reply: Err(Refused::Insufficient { available }),
            ..
        } => available < amount && states.iter().any(|at| at[*from] == Some(*available)),
        // All accounts are open, and each reference is used once.
        Seen::Open { .. } | Seen::Transfer { reply: Err(_), .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A history of an island whose accounts hold 10 each, one operation after the other: `4>6#1@2`
    /// moves 4 from account 0 to account 1, which leaves 6, as the ledger's transfer 1 at position 2;
    /// `6@2` is a balance of account 0, seen at position 2; `40!6@2` a transfer that was refused; `4?`
    /// one that was not answered. All ask when all before them have been answered.
    fn judged(text: &str) -> Result<(), String> {
        let mut floor = Position(1);
        let operations = text.split_whitespace().zip(0..).map(|(word, at)| {
            let (operation, position) = parse(word).expect("a test's history is well written");
            let answered_at = position.map(|_| 2 * at + 1);
            let noted = Noted {
                timed: Timed {
                    asked_at: 2 * at,
                    answered_at,
                    operation,
                },
                floor,
                position,
            };
            floor = floor.max(position.unwrap_or(floor));
            noted
        });
        let operations: Vec<Noted> = operations.collect();
        History {
            island: 0,
            initial: [Some(10); 3],
            operations,
        }
        .judge()
    }

    fn parse(word: &str) -> Option<(Seen, Option<Position>)> {
        if let Some(amount) = word.strip_suffix('?') {
            let amount = amount.parse().ok()?;
            return Some((
                Seen::Unanswered {
                    from: 0,
                    to: 1,
                    amount,
                },
                None,
            ));
        }
        let (word, position) = word.split_once('@')?;
        let position = Some(Position(position.parse().ok()?));
        let transfer = |amount: &str, reply| {
            let amount = amount.parse().ok()?;
            Some((
                Seen::Transfer {
                    from: 0,
                    to: 1,
                    amount,
                    reply,
                },
                position,
            ))
        };
        if let Some((amount, rest)) = word.split_once('>') {
            let (balance, sequence) = rest.split_once('#')?;
            let (balance, sequence) = (balance.parse().ok()?, sequence.parse().ok()?);
            return transfer(amount, Ok(Receipt { sequence, balance }));
        }
        if let Some((amount, available)) = word.split_once('!') {
            let available = available.parse().ok()?;
            return transfer(amount, Err(Refused::Insufficient { available }));
        }
        let reply = word.parse().ok();
        Some((Seen::Balance { account: 0, reply }, position))
    }

    fn whose(text: &str) -> String {
        let why = judged(text).expect_err(text);
        why.split(':').next().unwrap_or_default().to_owned()
    }

    #[test]
    fn a_history_as_it_should_be_is_accepted() {
        assert_eq!(judged("10@1 4>6#1@2 6@2 7!6@3 6>0#2@4 0@9"), Ok(()));
    }

    #[test]
    fn a_stale_read_is_found() {
        assert_eq!(whose("4>6#1@2 10@2"), "linearizable");
        // Nothing in what it says gives it away; where it was read does.
        assert_eq!(whose("4>6#1@5 6@4"), "witness");
    }

    #[test]
    fn a_lost_write_is_found() {
        assert_eq!(whose("4>6#1@2 2>8#2@3"), "linearizable");
        assert_eq!(whose("4>6#1@2 10!10@3"), "linearizable");
    }

    #[test]
    fn a_write_that_was_made_twice_is_found() {
        assert_eq!(whose("4>6#1@2 2@3"), "linearizable");
    }

    #[test]
    fn a_write_without_an_answer_may_show_at_any_time_and_once() {
        assert_eq!(judged("4? 10@2 6@3"), Ok(()));
        assert_eq!(whose("4? 6@2 10@3"), "linearizable");
        assert_eq!(whose("4? 2@3"), "linearizable");
    }

    #[test]
    fn receipts_that_contradict_their_positions_are_found() {
        // The first was answered first, and says that it came second.
        assert_eq!(whose("4>6#2@3 2>4#1@2"), "witness");
    }
}
