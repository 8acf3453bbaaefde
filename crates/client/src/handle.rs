//! Handles for async code.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use wire::log::UpgradeRequest;
use wire::status::GroupStatus;
use wire::{Position, SessionId};

use crate::driver::{Asked, Command, Driver, Shared};
use crate::error::{CallError, ConnectError, UpgradeError};
use crate::machine::{Answer, Machine};
use crate::options::{Counters, Options, Reply, Request};

/// Requests that may wait for the driver; callers wait beyond.
const COMMANDS_MAX: usize = 8192;

/// A group, as a client speaks to it. Cheap to clone; all clones share one connection.
#[derive(Clone, Debug)]
pub struct Client {
    commands: mpsc::Sender<Asked>,
    shared: Arc<Mutex<Shared>>,
}

/// A session of a client: its requests are executed once each. Cheap to clone; clones share the
/// numbering.
#[derive(Clone, Debug)]
pub struct Session {
    client: Client,
    id: SessionId,
}

/// The reply to a JSON call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JsonReply {
    /// Where it was executed.
    pub position: Position,
    /// The reply as JSON text.
    pub text: String,
}

impl Client {
    /// Connects to the group over any of its members.
    ///
    /// # Errors
    /// Nobody answered as a member.
    pub async fn connect(group: &str, contacts: &[SocketAddr]) -> Result<Client, ConnectError> {
        Client::connect_with(group, contacts, Options::default()).await
    }

    /// Connects with other than the usual options.
    ///
    /// # Errors
    /// Nobody answered as a member.
    pub async fn connect_with(
        group: &str,
        contacts: &[SocketAddr],
        options: Options,
    ) -> Result<Client, ConnectError> {
        if contacts.is_empty() {
            return Err(ConnectError::NoContacts);
        }
        let (commands, asked) = mpsc::channel(COMMANDS_MAX);
        let shared = Arc::new(Mutex::new(Shared::default()));
        let (connected, mut is_connected) = watch::channel(false);
        let driver = Driver {
            machine: Machine::new(contacts.to_vec(), nonce(), options),
            group: group.to_owned(),
            commands: asked,
            shared: Arc::clone(&shared),
            connected,
        };
        tokio::spawn(driver.run());
        let client = Client { commands, shared };
        let within = options.connect_within;
        match tokio::time::timeout(within, is_connected.wait_for(|connected| *connected)).await {
            Ok(Ok(_)) => Ok(client.clone()),
            Ok(Err(_)) | Err(_) => Err(ConnectError::Nobody {
                group: group.to_owned(),
                within,
                last: client.look(|shared| shared.last_fault.clone()),
            }),
        }
    }

    /// Opens a session.
    ///
    /// # Errors
    /// No answer in time.
    pub async fn session(&self) -> Result<Session, CallError> {
        match self.ask(Command::Open(None)).await? {
            Answer::Opened(id) => Ok(Session {
                client: self.clone(),
                id,
            }),
            other => Err(unexpected(&other)),
        }
    }

    /// What the group is doing, as the member answers that this client speaks to.
    ///
    /// # Errors
    /// No answer in time, or a document of another release.
    pub async fn status(&self) -> Result<GroupStatus, CallError> {
        let document = self.status_document().await?;
        serde_json::from_str(&document).map_err(|error| CallError::ReplyMalformed {
            why: error.to_string(),
        })
    }

    /// The same as JSON text.
    ///
    /// # Errors
    /// No answer in time.
    pub async fn status_document(&self) -> Result<String, CallError> {
        match self.ask(Command::Status).await? {
            Answer::Status(document) => Ok(document),
            other => Err(unexpected(&other)),
        }
    }

    /// Asks the group to replace its code; the upgrade's name is the position of the request.
    ///
    /// # Errors
    /// Refused with the reason, or no answer in time.
    pub async fn upgrade(&self, request: UpgradeRequest) -> Result<Position, UpgradeError> {
        match self.ask(Command::Upgrade(request)).await? {
            Answer::Accepted(position) => Ok(position),
            Answer::Refused(why) => Err(UpgradeError::Refused(why)),
            other => Err(unexpected(&other).into()),
        }
    }

    /// The members that are known now.
    pub fn members(&self) -> Vec<SocketAddr> {
        self.look(|shared| shared.members.clone())
    }

    /// What this client has done so far.
    pub fn counters(&self) -> Counters {
        self.look(|shared| shared.counters)
    }

    fn look<T>(&self, at: impl FnOnce(&Shared) -> T) -> T {
        at(&self
            .shared
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    async fn ask(&self, command: Command) -> Result<Answer, CallError> {
        let (sender, answer) = oneshot::channel();
        self.commands
            .send((command, sender))
            .await
            .map_err(|_| CallError::ShutDown)?;
        answer.await.unwrap_or(Err(CallError::ShutDown))
    }
}

impl Session {
    /// The session's id in the group.
    pub fn id(&self) -> SessionId {
        self.id
    }

    /// The client it belongs to.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Executes one request.
    ///
    /// # Errors
    /// Definite if it was certainly not executed; see [`CallError::is_definite`].
    pub async fn call(&self, request: Request) -> Result<Reply, CallError> {
        match self.client.ask(Command::Call(self.id, request)).await? {
            Answer::Reply(reply) => Ok(reply),
            other => Err(unexpected(&other)),
        }
    }

    /// Executes one request by the method's name, with arguments as JSON: an array by position, an
    /// object by name, or null for none.
    ///
    /// # Errors
    /// As for [`Session::call`].
    pub async fn call_json(
        &self,
        method: &str,
        arguments: &str,
        deadline: Option<Duration>,
    ) -> Result<JsonReply, CallError> {
        let command = Command::Json(self.id, method.to_owned(), arguments.to_owned(), deadline);
        match self.client.ask(command).await? {
            Answer::Json { position, reply } => Ok(JsonReply {
                position,
                text: reply,
            }),
            other => Err(unexpected(&other)),
        }
    }
}

fn unexpected(answer: &Answer) -> CallError {
    CallError::ReplyMalformed {
        why: format!("an answer of another kind: {answer:?}"),
    }
}

/// Spreads clients over members: not secret, only different.
fn nonce() -> u64 {
    use std::hash::{BuildHasher, RandomState};
    RandomState::new().hash_one(std::process::id())
}
