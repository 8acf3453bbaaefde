//! Clients without sockets: what they ask is answered by the program itself, in tests whose hosts,
//! network and time are simulated.
//!
//! The handles are the usual ones, so that the typed clients of services work unchanged. What they
//! ask lies on a [`Desk`] until it is answered there. A future waits as always; a thread that would
//! block calls its [`Attendant`], who must answer before it returns.

use std::sync::Arc;

use crate::driver::inbox::{Command, Inbox, Slot};
use crate::error::CallError;
use crate::handle::Client;
use crate::machine::{Answer, Asked, SessionKey};

/// Whoever answers when a thread waits.
pub trait Attendant: Send + Sync {
    /// A thread waits for what lies on the desk. Whatever is not answered when this returns is
    /// waited for, by a thread that nobody wakes.
    fn attend(&self);
}

/// What a client wants.
#[derive(Debug)]
pub enum Errand {
    /// An answer.
    Ask(Asked, Waiting),
    /// Nothing more in this session: it has no users any more.
    Forget(SessionKey),
}

/// A user who waits for one answer. Dropped without one, the user is told that the client was shut
/// down.
pub struct Waiting(Slot);

impl Waiting {
    /// Gives the answer.
    pub fn answer(self, answer: Result<Answer, CallError>) {
        // Who gave up waiting need not know.
        let _ = self.0.send(answer);
    }
}

impl std::fmt::Debug for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Waiting")
    }
}

/// Where the errands of one client lie.
pub struct Desk {
    inbox: Arc<Inbox>,
}

impl Desk {
    /// All errands since the last time, in their order.
    pub fn take(&self) -> Vec<Errand> {
        let mut commands = Vec::new();
        self.inbox.take(&mut commands);
        let errand = |command| match command {
            Command::Ask(asked, slot) => Errand::Ask(asked, Waiting(slot)),
            Command::Forget(session) => Errand::Forget(session),
        };
        commands.into_iter().map(errand).collect()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        self.inbox.end();
    }
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Desk")
    }
}

/// A client whose errands lie on a desk.
pub fn attended(attendant: Arc<dyn Attendant>) -> (Client, Desk) {
    let inbox = Arc::new(Inbox::default());
    let client = Client::attended(Arc::clone(&inbox), attendant);
    (client, Desk { inbox })
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, OnceLock};

    use wire::SessionId;

    use super::*;

    /// Opens sessions, and refuses everything else.
    #[derive(Default)]
    struct Clerk {
        desk: OnceLock<Mutex<Option<Desk>>>,
    }

    impl Attendant for Clerk {
        fn attend(&self) {
            let Some(Ok(desk)) = self.desk.get().map(Mutex::lock) else {
                return;
            };
            for errand in desk.as_ref().map(Desk::take).into_iter().flatten() {
                match errand {
                    Errand::Ask(Asked::Open, waiting) => {
                        let session = SessionKey::numbered(1);
                        waiting.answer(Ok(Answer::Opened(SessionId(9), session)));
                    }
                    Errand::Ask(_, waiting) => waiting.answer(Err(CallError::Unavailable)),
                    Errand::Forget(_) => {}
                }
            }
        }
    }

    fn client() -> (crate::blocking::Client, Arc<Clerk>) {
        let clerk = Arc::new(Clerk::default());
        let (client, desk) = attended(Arc::clone(&clerk) as Arc<dyn Attendant>);
        clerk.desk.get_or_init(|| Mutex::new(Some(desk)));
        (client.into(), clerk)
    }

    #[test]
    fn a_thread_that_waits_is_answered_by_the_attendant() {
        let (client, _) = client();
        let session = client.session().map(|session| session.id());
        assert_eq!(session, Ok(SessionId(9)));
        assert_eq!(client.status_document(), Err(CallError::Unavailable));
    }

    #[test]
    fn a_client_whose_desk_is_gone_is_shut_down() {
        let (client, clerk) = client();
        drop(clerk.desk.get().and_then(|desk| desk.lock().ok()?.take()));
        assert_eq!(client.status_document(), Err(CallError::ShutDown));
    }
}
