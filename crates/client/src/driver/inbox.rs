//! The inbox: where users' tasks leave what they ask, and read what the driver publishes.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use tokio::sync::oneshot;
use wire::peer::Contact;

use crate::error::CallError;
use crate::machine::{Answer, Asked, SessionKey};
use crate::options::Counters;

/// Requests that may wait for the driver: it takes all at once, so that only a runtime that does not
/// run comes near it.
const COMMANDS_MAX: usize = 1 << 16;

/// Where one answer goes.
pub(crate) type Slot = oneshot::Sender<Result<Answer, CallError>>;

/// What users leave for the driver.
pub(crate) enum Command {
    /// Something is asked.
    Ask(Asked, Slot),
    /// A session has no users any more.
    Forget(SessionKey),
}

/// Shared by the handles of one client and its driver.
#[derive(Default)]
pub(crate) struct Inbox {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    commands: Vec<Command>,
    /// The driver sleeps: whoever leaves the first command wakes it.
    waker: Option<Waker>,
    /// The last handle is gone.
    closed: bool,
    /// The driver is gone.
    ended: bool,
    counters: Counters,
    members: Vec<Contact>,
}

/// Whether the driver may rest.
pub(crate) enum Sleep {
    /// Nothing is to do; the next command wakes it.
    Asleep,
    /// Commands are there.
    Awake,
    /// Nobody will leave another one.
    Closed,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that is done under the lock leaves the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Leaves a command. If the driver is gone it is dropped, and its slot with it; if too many wait
    /// already, who asks is told so.
    pub(crate) fn push(&self, command: Command) {
        let mut state = self.lock();
        if state.ended {
            drop(state);
            return;
        }
        let command = match command {
            Command::Ask(_, slot) if state.commands.len() >= COMMANDS_MAX => {
                drop(state);
                let limit = format!("{COMMANDS_MAX} requests wait for the client's own task");
                // Who does not wait any more need not know.
                let _ = slot.send(Err(CallError::Overloaded { limit }));
                return;
            }
            command @ (Command::Ask(..) | Command::Forget(_)) => command,
        };
        state.commands.push(command);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The last handle is gone.
    pub(crate) fn close(&self) {
        let waker = {
            let mut state = self.lock();
            state.closed = true;
            state.waker.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The driver is gone: what waits will not be answered.
    pub(crate) fn end(&self) {
        let commands = {
            let mut state = self.lock();
            state.ended = true;
            std::mem::take(&mut state.commands)
        };
        drop(commands);
    }

    /// All commands, into the empty `commands`.
    pub(crate) fn take(&self, commands: &mut Vec<Command>) {
        std::mem::swap(&mut self.lock().commands, commands);
    }

    pub(crate) fn sleep(&self, waker: &Waker) -> Sleep {
        let mut state = self.lock();
        if !state.commands.is_empty() {
            Sleep::Awake
        } else if state.closed {
            Sleep::Closed
        } else {
            state.waker = Some(waker.clone());
            Sleep::Asleep
        }
    }

    pub(crate) fn publish(&self, counters: Counters, members: &[Contact]) {
        let mut state = self.lock();
        state.counters = counters;
        if state.members != members {
            state.members = members.to_vec();
        }
    }

    pub(crate) fn counters(&self) -> Counters {
        self.lock().counters
    }

    pub(crate) fn members(&self) -> Vec<Contact> {
        self.lock().members.clone()
    }
}
