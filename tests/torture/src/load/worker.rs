//! One of those who work on an island: what it asks, and what it notes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use campaign::island::{ACCOUNTS, Seen};
use client::{Request, Session};
use ledger_v1::{Reference, Refused};
use simulator::{Random, Timed};
use wire::Position;

use super::{LoadError, Shared};
use crate::audit::Told;
use crate::history::Noted;

/// Transfers move less than this.
const AMOUNT_MAX: u64 = 300;
/// How many requests of a thousand look at a balance; the others move something.
const READS_PER_MILLE: u64 = 400;
/// How many transfers of a thousand are sent together with a look at a balance.
const TOGETHER_PER_MILLE: u64 = 200;
/// How many transfers of a thousand are followed at once by a look from elsewhere: a member that
/// answers from an old state is caught within the millisecond in which it is old.
const AFTERWARDS_PER_MILLE: u64 = 500;
/// Between two requests of a session, in milliseconds. All sessions together ask some hundred times
/// per second: the load is there to see, not to tire the machine.
const PAUSE_MS: (u64, u64) = (10, 60);
/// One session, and another one of another client, which is likely to ask another member.
#[derive(Debug)]
pub(super) struct Worker {
    pub(super) session: Session,
    pub(super) elsewhere: Session,
    pub(super) island: u64,
    pub(super) random: Random,
    pub(super) told: Told,
    pub(super) world: Arc<Shared>,
}

/// What came of a request.
enum Came {
    /// Its reply.
    Reply(Noted),
    /// It was not executed.
    Nothing,
    /// Nobody knows. When it was asked, and behind what.
    Unknown(u64, Position),
}

impl Worker {
    pub(super) async fn work(mut self, until: Instant) -> Result<(Worker, Vec<Noted>), LoadError> {
        let mut operations = Vec::new();
        while Instant::now() < until && !self.world.stop.load(Ordering::Relaxed) {
            let looks = self.random.chance(READS_PER_MILLE);
            let together = self.random.chance(TOGETHER_PER_MILLE);
            let (from, at) = (
                self.random.range(0, ACCOUNTS),
                self.random.range(0, ACCOUNTS),
            );
            let to = (from + self.random.range(1, ACCOUNTS)) % ACCOUNTS;
            let amount = self.random.range(1, AMOUNT_MAX);
            if looks {
                operations.extend(self.balance(&self.session, at).await?);
            } else if together {
                // The session numbers the transfer first; they are under way together.
                let transfer = self.transfer(from, to, amount);
                let look = self.balance(&self.session, at);
                let (transferred, seen) = tokio::join!(transfer, look);
                operations.extend(seen?);
                operations.extend(self.noted(transferred?, from, to, amount));
            } else {
                let transferred = self.transfer(from, to, amount).await?;
                operations.extend(self.noted(transferred, from, to, amount));
                if self.random.chance(AFTERWARDS_PER_MILLE) {
                    operations.extend(self.balance(&self.elsewhere, from).await?);
                }
            }
            let pause = Duration::from_millis(self.random.range(PAUSE_MS.0, PAUSE_MS.1));
            tokio::time::sleep(pause).await;
        }
        Ok((self, operations))
    }

    pub(super) async fn balance(
        &self,
        session: &Session,
        account: u64,
    ) -> Result<Option<Noted>, LoadError> {
        let request = self.world.methods.balance(self.island, account);
        Ok(match self.call(session, request, false).await? {
            Came::Reply(noted) => Some(noted),
            // A look changes nothing.
            Came::Nothing | Came::Unknown(..) => None,
        })
    }

    /// Under the next number that was not used up.
    async fn transfer(&self, from: u64, to: u64, amount: u64) -> Result<Came, LoadError> {
        let reference = Reference {
            stream: self.told.stream,
            number: self.told.last + 1,
        };
        let methods = &self.world.methods;
        let request = methods.transfer(self.island, from, to, amount, reference);
        self.call(&self.session, request, true).await
    }

    /// Notes what came of a transfer. What was refused has not used its number up: should it be made
    /// later all the same, the next one under this number is told so.
    fn noted(&mut self, came: Came, from: u64, to: u64, amount: u64) -> Option<Noted> {
        match came {
            Came::Nothing => None,
            Came::Unknown(asked_at, floor) => {
                self.told.last += 1;
                self.told.unknown.insert(self.told.last);
                let place = |account| usize::try_from(account).unwrap_or(usize::MAX);
                let operation = Seen::Unanswered {
                    from: place(from),
                    to: place(to),
                    amount,
                };
                let timed = Timed {
                    asked_at,
                    answered_at: None,
                    operation,
                };
                Some(Noted {
                    timed,
                    floor,
                    position: None,
                })
            }
            Came::Reply(noted) => {
                let made = matches!(
                    &noted.timed.operation,
                    Seen::Transfer {
                        reply: Ok(_) | Err(Refused::Repeated),
                        ..
                    }
                );
                self.told.last += u64::from(made);
                Some(noted)
            }
        }
    }

    async fn call(
        &self,
        session: &Session,
        request: Request,
        write: bool,
    ) -> Result<Came, LoadError> {
        let world = &self.world;
        let (method, arguments) = (request.method, request.arguments.clone());
        let floor = Position(world.floor.load(Ordering::Relaxed));
        let asked_at = world.tally.now_us();
        match session.call(request).await {
            Ok(reply) => {
                let answered_at = world.tally.now_us();
                world.floor.fetch_max(reply.position.0, Ordering::Relaxed);
                world.tally.answered(asked_at, answered_at, write);
                let seen = world.methods.seen(method, &arguments, &reply.bytes);
                let (_, operation) = seen.map_err(LoadError::Reply)?;
                let timed = Timed {
                    asked_at,
                    answered_at: Some(answered_at),
                    operation,
                };
                Ok(Came::Reply(Noted {
                    timed,
                    floor,
                    position: Some(reply.position),
                }))
            }
            Err(why) => {
                let what = if write { "a transfer" } else { "a balance" };
                world.tally.failed(asked_at, what, &why);
                Ok(if why.is_definite() {
                    Came::Nothing
                } else {
                    Came::Unknown(asked_at, floor)
                })
            }
        }
    }
}
