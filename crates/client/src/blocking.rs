//! Handles for threads: the same client on a runtime of its own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use wire::log::UpgradeRequest;
use wire::status::GroupStatus;
use wire::{Position, SessionId};

use crate::error::{CallError, ConnectError, UpgradeError};
use crate::handle::JsonReply;
use crate::options::{Counters, Options, Reply, Request};

/// A group, as a client speaks to it; the calls block the thread.
#[derive(Clone, Debug)]
pub struct Client {
    runtime: Arc<Runtime>,
    client: crate::Client,
}

/// A session whose calls block the thread.
#[derive(Clone, Debug)]
pub struct Session {
    runtime: Arc<Runtime>,
    session: crate::Session,
}

impl Client {
    /// Connects to the group over any of its members.
    ///
    /// # Errors
    /// Nobody answered as a member.
    pub fn connect(group: &str, contacts: &[SocketAddr]) -> Result<Client, ConnectError> {
        Client::connect_with(group, contacts, Options::default())
    }

    /// Connects with other than the usual options.
    ///
    /// # Errors
    /// Nobody answered as a member.
    ///
    /// # Panics
    /// If the operating system gives no thread.
    pub fn connect_with(
        group: &str,
        contacts: &[SocketAddr],
        options: Options,
    ) -> Result<Client, ConnectError> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a thread can be made");
        let client = runtime.block_on(crate::Client::connect_with(group, contacts, options))?;
        Ok(Client {
            runtime: Arc::new(runtime),
            client,
        })
    }

    /// Opens a session.
    ///
    /// # Errors
    /// No answer in time.
    pub fn session(&self) -> Result<Session, CallError> {
        let session = self.runtime.block_on(self.client.session())?;
        Ok(Session {
            runtime: Arc::clone(&self.runtime),
            session,
        })
    }

    /// What the group is doing.
    ///
    /// # Errors
    /// No answer in time, or a document of another release.
    pub fn status(&self) -> Result<GroupStatus, CallError> {
        self.runtime.block_on(self.client.status())
    }

    /// The same as JSON text.
    ///
    /// # Errors
    /// No answer in time.
    pub fn status_document(&self) -> Result<String, CallError> {
        self.runtime.block_on(self.client.status_document())
    }

    /// Asks the group to replace its code.
    ///
    /// # Errors
    /// Refused with the reason, or no answer in time.
    pub fn upgrade(&self, request: UpgradeRequest) -> Result<Position, UpgradeError> {
        self.runtime.block_on(self.client.upgrade(request))
    }

    /// The members that are known now.
    pub fn members(&self) -> Vec<SocketAddr> {
        self.client.members()
    }

    /// What this client has done so far.
    pub fn counters(&self) -> Counters {
        self.client.counters()
    }
}

impl Session {
    /// The session's id in the group.
    pub fn id(&self) -> SessionId {
        self.session.id()
    }

    /// Executes one request.
    ///
    /// # Errors
    /// Definite if it was certainly not executed; see [`CallError::is_definite`].
    pub fn call(&self, request: Request) -> Result<Reply, CallError> {
        self.runtime.block_on(self.session.call(request))
    }

    /// Executes one request by the method's name, with arguments as JSON.
    ///
    /// # Errors
    /// As for [`Session::call`].
    pub fn call_json(
        &self,
        method: &str,
        arguments: &str,
        deadline: Option<Duration>,
    ) -> Result<JsonReply, CallError> {
        self.runtime
            .block_on(self.session.call_json(method, arguments, deadline))
    }
}
