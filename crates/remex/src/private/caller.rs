//! What a typed client calls through: a session, and how it wants its requests treated.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use client::{CallError, Client, Kind, Reply, Session};
use serde::de::DeserializeOwned;
use wire::MethodId;

use super::{Request, codec};
use crate::error::OpenError;

/// For async code.
#[derive(Clone, Debug)]
pub struct Caller {
    session: Session,
    treatment: Treatment,
}

/// For code that blocks.
#[derive(Clone, Debug)]
pub struct BlockingCaller {
    session: client::blocking::Session,
    treatment: Treatment,
}

/// How requests are treated.
#[derive(Clone, Debug, Default)]
struct Treatment {
    /// How long a request may take; the session's own patience if nothing is said.
    deadline: Option<Duration>,
    /// Whether reads may see an old state.
    stale_reads: bool,
}

impl Treatment {
    fn request<A: Request>(&self, method: MethodId, read: bool, arguments: &A) -> client::Request {
        client::Request {
            method,
            signature: arguments.signature(),
            kind: match (read, self.stale_reads) {
                (false, _) => Kind::Write,
                (true, false) => Kind::Read,
                (true, true) => Kind::StaleRead,
            },
            arguments: Bytes::from(codec::encode(arguments)),
            deadline: self.deadline,
        }
    }
}

impl Caller {
    /// Connects and opens a session.
    ///
    /// # Errors
    /// The client's.
    pub async fn connect(group: &str, contacts: &[SocketAddr]) -> Result<Caller, OpenError> {
        let client = Client::connect(group, contacts).await?;
        Ok(Caller::new(client.session().await?))
    }

    /// Calls through an open session.
    pub fn new(session: Session) -> Caller {
        Caller {
            session,
            treatment: Treatment::default(),
        }
    }

    /// The session.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// With a deadline for each request.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Caller {
        self.treatment.deadline = Some(deadline);
        self
    }

    /// With reads of a possibly old state.
    #[must_use]
    pub fn with_stale_reads(mut self) -> Caller {
        self.treatment.stale_reads = true;
        self
    }

    /// One request and its reply.
    ///
    /// # Errors
    /// The session's, or that the reply does not decode.
    pub async fn call<A: Request, R: DeserializeOwned>(
        &self,
        method: MethodId,
        read: bool,
        arguments: &A,
    ) -> Result<R, CallError> {
        let request = self.treatment.request(method, read, arguments);
        decoded(self.session.call(request).await?)
    }
}

impl BlockingCaller {
    /// Connects and opens a session.
    ///
    /// # Errors
    /// The client's.
    pub fn connect(group: &str, contacts: &[SocketAddr]) -> Result<BlockingCaller, OpenError> {
        let client = client::blocking::Client::connect(group, contacts)?;
        Ok(BlockingCaller::new(client.session()?))
    }

    /// Calls through an open session.
    pub fn new(session: client::blocking::Session) -> BlockingCaller {
        BlockingCaller {
            session,
            treatment: Treatment::default(),
        }
    }

    /// The session.
    pub fn session(&self) -> &client::blocking::Session {
        &self.session
    }

    /// With a deadline for each request.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> BlockingCaller {
        self.treatment.deadline = Some(deadline);
        self
    }

    /// With reads of a possibly old state.
    #[must_use]
    pub fn with_stale_reads(mut self) -> BlockingCaller {
        self.treatment.stale_reads = true;
        self
    }

    /// One request and its reply.
    ///
    /// # Errors
    /// The session's, or that the reply does not decode.
    pub fn call<A: Request, R: DeserializeOwned>(
        &self,
        method: MethodId,
        read: bool,
        arguments: &A,
    ) -> Result<R, CallError> {
        let request = self.treatment.request(method, read, arguments);
        decoded(self.session.call(request)?)
    }
}

fn decoded<R: DeserializeOwned>(reply: Reply) -> Result<R, CallError> {
    codec::decode(&reply.bytes).map_err(|why| CallError::ReplyMalformed { why })
}

/// An argument that older versions do not know is sent only if it says something.
pub fn unless_default<T: Default + PartialEq>(argument: T) -> Option<T> {
    (argument != T::default()).then_some(argument)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_that_says_nothing_is_not_sent() {
        assert_eq!(unless_default(0), None);
        assert_eq!(unless_default(None::<u8>), None);
        assert_eq!(unless_default(Some(0)), Some(Some(0)));
    }

    #[test]
    fn a_reply_that_does_not_decode_is_told_as_such() {
        let reply = Reply {
            position: wire::Position(3),
            bytes: Bytes::from_static(&[0xc1]),
        };
        let error = decoded::<u64>(reply).map_err(|error| error.is_definite());
        assert_eq!(error, Err(false));
    }
}
