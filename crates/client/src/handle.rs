//! The handles of async code: a client of a group, and a session in it.

#![allow(
    clippy::disallowed_methods,
    reason = "the client's world: its driver is a task of the caller's runtime"
)]

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use wire::log::{SpecifyRequest, UpgradeRequest};
use wire::peer::Contact;
use wire::status::GroupStatus;
use wire::{Position, SessionId};

use crate::attended::Attendant;
use crate::driver::Driver;
use crate::driver::inbox::{Command, Inbox};
use crate::error::{CallError, ConnectError, WishError};
use crate::machine::{Answer, Asked, SessionKey};
use crate::options::{Counters, JsonReply, Options, Reply, Request};

/// A client of one group. Cheap to clone; all clones share its connections.
///
/// It lives until its last clone and its last session are dropped, on the tokio runtime where it
/// was connected; that runtime needs its network and its timer enabled.
#[derive(Clone, Debug)]
pub struct Client {
    handle: Arc<Handle>,
}

/// One user's session: its requests are executed exactly once. Cheap to clone; clones share its
/// numbers. The group forgets a session that asks nothing for ten minutes.
#[derive(Clone, Debug)]
pub struct Session {
    open: Arc<Open>,
}

/// What all handles of one client share.
struct Handle {
    inbox: Arc<Inbox>,
    /// Who answers in the stead of a driver, if somebody does.
    attendant: Option<Arc<dyn Attendant>>,
}

#[derive(Debug)]
struct Open {
    handle: Arc<Handle>,
    id: SessionId,
    key: SessionKey,
}

/// What is asked of the driver, and the answer to come.
pub(crate) type Asking = oneshot::Receiver<Result<Answer, CallError>>;

impl Client {
    /// Connects to the group through any of `contacts`, with the usual [`Options`].
    ///
    /// # Errors
    /// No contacts, or none that answers as a member of the group in time.
    pub async fn connect(group: &str, contacts: &[SocketAddr]) -> Result<Client, ConnectError> {
        Client::connect_with(group, contacts, Options::default()).await
    }

    /// Connects to the group through any of `contacts`.
    ///
    /// # Errors
    /// No contacts, or none that answers as a member of the group in time.
    pub async fn connect_with(
        group: &str,
        contacts: &[SocketAddr],
        options: Options,
    ) -> Result<Client, ConnectError> {
        let (client, driver) = Client::new(group, contacts, options)?;
        tokio::spawn(driver);
        let asked = client.ready(options);
        readied(asked.await, group, options)?;
        Ok(client)
    }

    /// A client and what drives it.
    pub(crate) fn new(
        group: &str,
        contacts: &[SocketAddr],
        options: Options,
    ) -> Result<(Client, Driver), ConnectError> {
        if contacts.is_empty() {
            return Err(ConnectError::NoContacts);
        }
        let inbox = Arc::new(Inbox::default());
        let driver = Driver::new(group, contacts.to_vec(), options, Arc::clone(&inbox));
        let attendant = None;
        let handle = Arc::new(Handle { inbox, attendant });
        Ok((Client { handle }, driver))
    }

    /// A client that somebody else answers.
    pub(crate) fn attended(inbox: Arc<Inbox>, attendant: Arc<dyn Attendant>) -> Client {
        let attendant = Some(attendant);
        let handle = Arc::new(Handle { inbox, attendant });
        Client { handle }
    }

    /// Blocks the thread until the answer is there.
    pub(crate) fn wait(&self, asking: Asking) -> Answered {
        self.handle.wait(asking)
    }

    pub(crate) fn ready(&self, options: Options) -> Asking {
        let within = options.connect_within;
        self.handle.ask(Asked::Ready { within })
    }

    /// Opens a session.
    ///
    /// # Errors
    /// No answer in time; opening another one is harmless.
    pub async fn session(&self) -> Result<Session, CallError> {
        self.opened(self.ask_session().await)
    }

    pub(crate) fn ask_session(&self) -> Asking {
        self.handle.ask(Asked::Open)
    }

    pub(crate) fn opened(&self, answer: Answered) -> Result<Session, CallError> {
        let Answer::Opened(id, key) = answered(answer)? else {
            return Err(unexpected());
        };
        let handle = Arc::clone(&self.handle);
        let open = Arc::new(Open { handle, id, key });
        Ok(Session { open })
    }

    /// What the group is doing, as one of its members sees it.
    ///
    /// # Errors
    /// No answer in time, or a document that does not decode.
    pub async fn status(&self) -> Result<GroupStatus, CallError> {
        parsed(&self.status_document().await?)
    }

    /// What the group is doing, as the member's own JSON document.
    ///
    /// # Errors
    /// No answer in time.
    pub async fn status_document(&self) -> Result<String, CallError> {
        document(self.ask_status().await)
    }

    pub(crate) fn ask_status(&self) -> Asking {
        self.handle.ask(Asked::Status)
    }

    /// Asks the group to replace its code. The answer is the upgrade's name: its request's place in
    /// the order.
    ///
    /// # Errors
    /// The group refuses it, or does not answer in time.
    pub async fn upgrade(&self, request: UpgradeRequest) -> Result<Position, WishError> {
        accepted(self.ask_upgrade(request).await)
    }

    pub(crate) fn ask_upgrade(&self, request: UpgradeRequest) -> Asking {
        self.handle.ask(Asked::Upgrade(Box::new(request)))
    }

    /// Asks the group for other numbers of members, or other hosts. The answer is the place in the
    /// order from which on that holds; members come and go behind it.
    ///
    /// # Errors
    /// The group refuses it, or does not answer in time.
    pub async fn specify(&self, request: SpecifyRequest) -> Result<Position, WishError> {
        let asked = Asked::Specify(Box::new(request));
        accepted(self.handle.ask(asked).await)
    }

    /// The group's members by seniority, as last heard.
    pub fn members(&self) -> Vec<Contact> {
        self.handle.inbox.members()
    }

    /// What this client has done so far.
    pub fn counters(&self) -> Counters {
        self.handle.inbox.counters()
    }
}

impl Session {
    /// The session's name in the group.
    pub fn id(&self) -> SessionId {
        self.open.id
    }

    /// The client that it belongs to.
    pub fn client(&self) -> Client {
        let handle = Arc::clone(&self.open.handle);
        Client { handle }
    }

    /// Asks for one execution of a method. Numbers are given in the order of these calls, not of
    /// the awaits; many may be under way.
    ///
    /// A future that is dropped gives up the reply, not the request.
    ///
    /// # Errors
    /// [`CallError::is_definite`] says whether the request was certainly not executed.
    pub fn call(
        &self,
        request: Request,
    ) -> impl Future<Output = Result<Reply, CallError>> + Send + '_ {
        let asked = self.ask(request);
        async move { replied(asked.await) }
    }

    /// Blocks the thread until the answer is there.
    pub(crate) fn wait(&self, asking: Asking) -> Answered {
        self.open.handle.wait(asking)
    }

    pub(crate) fn ask(&self, request: Request) -> Asking {
        let session = self.open.key;
        self.open.handle.ask(Asked::Call { session, request })
    }

    /// Asks for one execution of a method by its name. The arguments are a JSON array, object or
    /// null; the member that takes the call makes them what the method takes.
    ///
    /// Such a call leaves only when all earlier calls of its session are resolved.
    ///
    /// # Errors
    /// [`CallError::is_definite`] says whether the request was certainly not executed.
    pub fn call_json(
        &self,
        method: &str,
        arguments: &str,
        deadline: Option<Duration>,
    ) -> impl Future<Output = Result<JsonReply, CallError>> + Send + '_ {
        let asked = self.ask_json(method, arguments, deadline);
        async move { json(asked.await) }
    }

    pub(crate) fn ask_json(
        &self,
        method: &str,
        arguments: &str,
        deadline: Option<Duration>,
    ) -> Asking {
        self.open.handle.ask(Asked::Json {
            session: self.open.key,
            method: method.to_owned(),
            arguments: arguments.to_owned(),
            deadline,
        })
    }
}

impl Handle {
    fn ask(&self, asked: Asked) -> Asking {
        let (slot, asking) = oneshot::channel();
        self.inbox.push(Command::Ask(asked, slot));
        asking
    }

    fn wait(&self, asking: Asking) -> Answered {
        if let Some(attendant) = &self.attendant {
            attendant.attend();
        }
        asking.blocking_recv()
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.inbox.close();
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.handle.inbox.push(Command::Forget(self.key));
    }
}

impl std::fmt::Debug for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Handle")
            .field("counters", &self.inbox.counters())
            .finish_non_exhaustive()
    }
}

/// What came through a slot.
pub(crate) type Answered = Result<Result<Answer, CallError>, oneshot::error::RecvError>;

fn answered(answer: Answered) -> Result<Answer, CallError> {
    answer.unwrap_or(Err(CallError::ShutDown))
}

/// The machine answers each question with its own kind of answer.
fn unexpected() -> CallError {
    let why = "it answers another question".to_owned();
    CallError::ReplyMalformed { why }
}

pub(crate) fn readied(answer: Answered, group: &str, options: Options) -> Result<(), ConnectError> {
    let Err(error) = answered(answer) else {
        return Ok(());
    };
    let last = if let CallError::Unreached { last } = error {
        last
    } else {
        error.to_string()
    };
    Err(ConnectError::Nobody {
        group: group.to_owned(),
        within: options.connect_within,
        last,
    })
}

pub(crate) fn replied(answer: Answered) -> Result<Reply, CallError> {
    let Answer::Reply(reply) = answered(answer)? else {
        return Err(unexpected());
    };
    Ok(reply)
}

pub(crate) fn json(answer: Answered) -> Result<JsonReply, CallError> {
    let Answer::Json(reply) = answered(answer)? else {
        return Err(unexpected());
    };
    Ok(reply)
}

pub(crate) fn document(answer: Answered) -> Result<String, CallError> {
    let Answer::Status(document) = answered(answer)? else {
        return Err(unexpected());
    };
    Ok(document)
}

pub(crate) fn parsed(document: &str) -> Result<GroupStatus, CallError> {
    serde_json::from_str(document).map_err(|error| CallError::ReplyMalformed {
        why: error.to_string(),
    })
}

pub(crate) fn accepted(answer: Answered) -> Result<Position, WishError> {
    match answered(answer)? {
        Answer::Accepted(upgrade) => Ok(upgrade),
        Answer::Refused(why) => Err(WishError::Refused(why)),
        Answer::Ready
        | Answer::Opened(..)
        | Answer::Reply(_)
        | Answer::Json(_)
        | Answer::Status(_) => Err(unexpected().into()),
    }
}
