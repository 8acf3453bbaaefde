//! The same client for threads: each call waits on its caller's thread.
//!
//! The driver runs on a thread of its own, which ends with the last handle. Not to be used inside
//! of an async runtime: waiting there would stop its other tasks, and panics.

#![allow(
    clippy::disallowed_methods,
    reason = "the client's world: the blocking client's driver has a thread of its own"
)]

use std::net::SocketAddr;
use std::time::Duration;

use wire::log::UpgradeRequest;
use wire::peer::Contact;
use wire::status::GroupStatus;
use wire::{Position, SessionId};

use crate::error::{CallError, ConnectError, WishError};
use crate::handle;
use crate::options::{Counters, JsonReply, Options, Reply, Request};

/// A client of one group, for threads. Cheap to clone; all clones share its connections.
#[derive(Clone, Debug)]
pub struct Client {
    client: crate::Client,
}

/// One user's session, for threads. Threads that share one pipeline their requests.
#[derive(Clone, Debug)]
pub struct Session {
    session: crate::Session,
}

impl Client {
    /// Connects to the group through any of `contacts`, with the usual [`Options`].
    ///
    /// # Errors
    /// No contacts, none that answers as a member of the group in time, or no thread to be had.
    pub fn connect(group: &str, contacts: &[SocketAddr]) -> Result<Client, ConnectError> {
        Client::connect_with(group, contacts, Options::default())
    }

    /// Connects to the group through any of `contacts`.
    ///
    /// # Errors
    /// No contacts, none that answers as a member of the group in time, or no thread to be had.
    pub fn connect_with(
        group: &str,
        contacts: &[SocketAddr],
        options: Options,
    ) -> Result<Client, ConnectError> {
        let (client, driver) = crate::Client::new(group, contacts, options)?;
        let thread = |error: std::io::Error| ConnectError::Thread {
            why: error.to_string(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(thread)?;
        std::thread::Builder::new()
            .name("remex-client".to_owned())
            .spawn(move || runtime.block_on(driver))
            .map_err(thread)?;
        let asked = client.ready(options);
        handle::readied(client.wait(asked), group, options)?;
        Ok(Client { client })
    }

    /// Opens a session.
    ///
    /// # Errors
    /// No answer in time; opening another one is harmless.
    pub fn session(&self) -> Result<Session, CallError> {
        let answer = self.client.wait(self.client.ask_session());
        let session = self.client.opened(answer)?;
        Ok(Session { session })
    }

    /// What the group is doing, as one of its members sees it.
    ///
    /// # Errors
    /// No answer in time, or a document that does not decode.
    pub fn status(&self) -> Result<GroupStatus, CallError> {
        handle::parsed(&self.status_document()?)
    }

    /// What the group is doing, as the member's own JSON document.
    ///
    /// # Errors
    /// No answer in time.
    pub fn status_document(&self) -> Result<String, CallError> {
        handle::document(self.client.wait(self.client.ask_status()))
    }

    /// Asks the group to replace its code. The answer is the upgrade's name.
    ///
    /// # Errors
    /// The group refuses it, or does not answer in time.
    pub fn upgrade(&self, request: UpgradeRequest) -> Result<Position, WishError> {
        handle::accepted(self.client.wait(self.client.ask_upgrade(request)))
    }

    /// The group's members by seniority, as last heard.
    pub fn members(&self) -> Vec<Contact> {
        self.client.members()
    }

    /// What this client has done so far.
    pub fn counters(&self) -> Counters {
        self.client.counters()
    }
}

impl From<crate::Client> for Client {
    /// The same client, for a thread that is not the one which drives it.
    fn from(client: crate::Client) -> Client {
        Client { client }
    }
}

impl From<crate::Session> for Session {
    /// The same session, for a thread that is not the one which drives its client.
    fn from(session: crate::Session) -> Session {
        Session { session }
    }
}

impl Session {
    /// The session's name in the group.
    pub fn id(&self) -> SessionId {
        self.session.id()
    }

    /// Asks for one execution of a method, and waits for its reply.
    ///
    /// # Errors
    /// [`CallError::is_definite`] says whether the request was certainly not executed.
    pub fn call(&self, request: Request) -> Result<Reply, CallError> {
        handle::replied(self.session.wait(self.session.ask(request)))
    }

    /// Asks for one execution of a method by its name, with JSON arguments, and waits for its
    /// reply.
    ///
    /// # Errors
    /// [`CallError::is_definite`] says whether the request was certainly not executed.
    pub fn call_json(
        &self,
        method: &str,
        arguments: &str,
        deadline: Option<Duration>,
    ) -> Result<JsonReply, CallError> {
        let asked = self.session.ask_json(method, arguments, deadline);
        handle::json(self.session.wait(asked))
    }
}
