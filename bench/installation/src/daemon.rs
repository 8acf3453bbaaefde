//! Questions to an execution daemon.

use std::net::SocketAddr;
use std::time::Duration;

use wire::Build;
use wire::daemon::{Assignment, BinaryRecord, DaemonReply, DaemonRequest, ReplicaRecord};

use crate::line::{Line, LineError};

/// How long a daemon may take to start a process.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// A daemon, as an operator speaks to it.
#[derive(Debug)]
pub struct Daemon {
    address: SocketAddr,
    line: Option<Line>,
    token: u64,
}

/// What runs and what lies on a host.
#[derive(Clone, Debug, PartialEq)]
pub struct Inventory {
    /// The host's name.
    pub host: String,
    /// Running replicas.
    pub replicas: Vec<ReplicaRecord>,
    /// Binaries that can be started.
    pub binaries: Vec<BinaryRecord>,
}

impl Daemon {
    /// The daemon with this port; it is dialled when it is first asked.
    pub fn at(address: SocketAddr) -> Daemon {
        Daemon {
            address,
            line: None,
            token: 0,
        }
    }

    /// What runs and what lies on its host.
    ///
    /// # Errors
    /// No answer.
    pub fn inventory(&mut self) -> Result<Inventory, LineError> {
        let token = self.next();
        let reply = self.ask(token, &DaemonRequest::Inventory { token }, |reply| {
            let DaemonReply::Inventory {
                host,
                replicas,
                binaries,
                ..
            } = reply
            else {
                return None;
            };
            Some(Inventory {
                host,
                replicas: replicas.into_iter().collect(),
                binaries: binaries.into_iter().collect(),
            })
        });
        self.kept(reply)
    }

    /// Starts a replica; its process number and build.
    ///
    /// # Errors
    /// The daemon cannot start it, or does not answer.
    pub fn start(&mut self, assignment: Assignment) -> Result<(u32, Build), LineError> {
        let token = self.next();
        self.line()?.wait_for(START_PATIENCE)?;
        let request = DaemonRequest::Start { token, assignment };
        let reply = self.ask(token, &request, |reply| {
            let DaemonReply::Started { process, build, .. } = reply else {
                return None;
            };
            Some((process, build))
        });
        self.kept(reply)
    }

    fn next(&mut self) -> u64 {
        self.token += 1;
        self.token
    }

    fn line(&mut self) -> Result<&mut Line, LineError> {
        let line = match self.line.take() {
            Some(line) => line,
            None => Line::dial(self.address)?,
        };
        Ok(self.line.insert(line))
    }

    /// Asks, and waits for the answer with the question's token; others belong to earlier ones.
    fn ask<T>(
        &mut self,
        token: u64,
        request: &DaemonRequest,
        answer: impl Fn(DaemonReply) -> Option<T>,
    ) -> Result<T, LineError> {
        let line = self.line()?;
        line.send(request)?;
        loop {
            let reply: DaemonReply = line.receive()?;
            if token_of(&reply) != Some(token) {
                continue;
            }
            match reply {
                DaemonReply::Failed { why, .. } | DaemonReply::Ended { how: why, .. } => {
                    return Err(line.refused(why));
                }
                reply @ (DaemonReply::Registered { .. }
                | DaemonReply::Started { .. }
                | DaemonReply::Leave
                | DaemonReply::Inventory { .. }
                | DaemonReply::Output { .. }
                | DaemonReply::Stopped { .. }
                | DaemonReply::Fate { .. }) => {
                    if let Some(found) = answer(reply) {
                        return Ok(found);
                    }
                }
            }
        }
    }

    /// A line that broke is dialled anew for the next question.
    fn kept<T>(&mut self, reply: Result<T, LineError>) -> Result<T, LineError> {
        if !matches!(reply, Ok(_) | Err(LineError::Refused { .. })) {
            self.line = None;
        }
        reply
    }
}

fn token_of(reply: &DaemonReply) -> Option<u64> {
    match reply {
        DaemonReply::Started { token, .. }
        | DaemonReply::Failed { token, .. }
        | DaemonReply::Ended { token, .. }
        | DaemonReply::Inventory { token, .. }
        | DaemonReply::Output { token, .. }
        | DaemonReply::Stopped { token }
        | DaemonReply::Fate { token, .. } => Some(*token),
        DaemonReply::Registered { .. } | DaemonReply::Leave => None,
    }
}
