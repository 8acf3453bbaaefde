//! Execution daemons as a replica reaches them: its own on the local socket, others on their port.
//!
//! The local connection is made again whenever it breaks, and begins with who we are. Requests to
//! a daemon that is not reached, or whose connection breaks before it answers, have failed: the
//! layers try elsewhere.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use wire::Time;
use wire::daemon::{DaemonReply, DaemonRequest, HostRecord};

use crate::connection::Purpose;
use crate::connections::Connections;

/// The pause before the local daemon is tried again: a restarted one is found at once, and dialling
/// a socket that nobody serves costs nothing.
const REDIAL: Duration = Duration::from_millis(100);
/// How long another host's daemon may take to accept the connection.
const DIAL_PATIENCE: Duration = Duration::from_secs(2);
/// A replica without its daemon for this long ends itself (design 4.29): nobody could stop it or
/// tell of its death. Far longer than a daemon's restart.
const ALONE_MAX: Duration = Duration::from_secs(60);

/// One daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Daemon {
    /// The one that started us.
    Local,
    /// Another host's, by its port.
    Remote(SocketAddr),
}

#[derive(Debug)]
pub(crate) struct Daemons {
    host: String,
    local: Option<Local>,
    remote: BTreeMap<SocketAddr, Line>,
    /// What the local daemon is told again whenever it is reached again.
    told: Option<DaemonRequest>,
}

#[derive(Debug)]
struct Local {
    path: PathBuf,
    register: DaemonRequest,
    state: State,
}

#[derive(Debug)]
enum State {
    Reached(Line),
    Alone { since: Time, dial_at: Time },
}

/// A connection, and the requests on it that are not answered.
#[derive(Debug)]
struct Line {
    connection: u64,
    open: BTreeSet<u64>,
}

impl Daemons {
    /// `local` is our own daemon's socket and how we register there; without it our own host's
    /// daemon is reached like any other.
    pub(crate) fn new(now: Time, host: String, local: Option<(PathBuf, DaemonRequest)>) -> Daemons {
        let local = local.map(|(path, register)| Local {
            path,
            register,
            state: State::Alone {
                since: now,
                dial_at: now,
            },
        });
        Daemons {
            host,
            local,
            remote: BTreeMap::new(),
            told: None,
        }
    }

    /// Asks a host's daemon. An answer is returned if it is known at once: a failure.
    pub(crate) fn ask(
        &mut self,
        now: Time,
        connections: &mut Connections,
        host: &HostRecord,
        token: u64,
        request: &DaemonRequest,
    ) -> Option<DaemonReply> {
        let line = if let Some(local) = &mut self.local
            && host.name == self.host
        {
            match &mut local.state {
                State::Reached(line) => line,
                State::Alone { .. } => {
                    let path = local.path.display();
                    return Some(failed(token, &format!("nobody serves {path}")));
                }
            }
        } else {
            match self.remote(now, connections, host.daemon) {
                Ok(line) => line,
                Err(error) => return Some(failed(token, &error.to_string())),
            }
        };
        line.open.insert(token);
        connections.push(line.connection, request);
        None
    }

    fn remote(
        &mut self,
        now: Time,
        connections: &mut Connections,
        address: SocketAddr,
    ) -> io::Result<&mut Line> {
        match self.remote.entry(address) {
            Entry::Occupied(line) => Ok(line.into_mut()),
            Entry::Vacant(place) => {
                let purpose = Purpose::Daemon(Daemon::Remote(address));
                let connection = connections.dial(address, purpose, now.after(DIAL_PATIENCE))?;
                Ok(place.insert(Line::new(connection)))
            }
        }
    }

    /// Tells our own daemon, now and whenever it is reached again.
    pub(crate) fn tell(&mut self, connections: &mut Connections, request: DaemonRequest) {
        if let Some(Local {
            state: State::Reached(line),
            ..
        }) = &self.local
        {
            connections.push(line.connection, &request);
        }
        self.told = Some(request);
    }

    /// A daemon's reply. Returns the token of the request that it is about, if it is about one.
    pub(crate) fn heard(&mut self, daemon: Daemon, reply: &DaemonReply) -> Option<u64> {
        let token = match reply {
            DaemonReply::Started { token, .. }
            | DaemonReply::Failed { token, .. }
            | DaemonReply::Ended { token, .. }
            | DaemonReply::Inventory { token, .. }
            | DaemonReply::Output { token, .. }
            | DaemonReply::Stopped { token }
            | DaemonReply::Fate { token, .. } => *token,
            DaemonReply::Registered { .. } | DaemonReply::Leave => return None,
        };
        if let Some(line) = self.line(daemon) {
            line.open.remove(&token);
        }
        Some(token)
    }

    fn line(&mut self, daemon: Daemon) -> Option<&mut Line> {
        match daemon {
            Daemon::Remote(address) => self.remote.get_mut(&address),
            Daemon::Local => match &mut self.local.as_mut()?.state {
                State::Reached(line) => Some(line),
                State::Alone { .. } => None,
            },
        }
    }

    /// A connection broke. Returns the failures of what was asked on it.
    pub(crate) fn closed(
        &mut self,
        now: Time,
        daemon: Daemon,
        connection: u64,
        why: &str,
    ) -> Vec<(u64, DaemonReply)> {
        if self
            .line(daemon)
            .is_none_or(|line| line.connection != connection)
        {
            return Vec::new();
        }
        let line = match daemon {
            Daemon::Remote(address) => self.remote.remove(&address),
            Daemon::Local => self.local.as_mut().and_then(|local| {
                let alone = State::Alone {
                    since: now,
                    dial_at: now.after(REDIAL),
                };
                match std::mem::replace(&mut local.state, alone) {
                    State::Reached(line) => Some(line),
                    State::Alone { .. } => None,
                }
            }),
        };
        let open = line.map(|line| line.open).unwrap_or_default();
        open.into_iter()
            .map(|token| (token, failed(token, why)))
            .collect()
    }

    /// Reaches for the local daemon when it is time. Returns why that failed, the first time.
    pub(crate) fn tend(&mut self, now: Time, connections: &mut Connections) -> Option<String> {
        let local = self.local.as_mut()?;
        let State::Alone { since, dial_at } = local.state else {
            return None;
        };
        if now < dial_at {
            return None;
        }
        match connections.dial_local(&local.path, Purpose::Daemon(Daemon::Local)) {
            Ok(connection) => {
                local.state = State::Reached(Line::new(connection));
                connections.push(connection, &local.register);
                if let Some(told) = &self.told {
                    connections.push(connection, told);
                }
                None
            }
            Err(error) => {
                local.state = State::Alone {
                    since,
                    dial_at: now.after(REDIAL),
                };
                let first = now < since.after(REDIAL * 2);
                first.then(|| format!("the daemon at {}: {error}", local.path.display()))
            }
        }
    }

    /// Why this replica must end, once it has been without its daemon for too long.
    pub(crate) fn alone_too_long(&self, now: Time) -> Option<String> {
        let local = self.local.as_ref()?;
        let State::Alone { since, .. } = local.state else {
            return None;
        };
        (now >= since.after(ALONE_MAX)).then(|| {
            format!(
                "no daemon at {} for {} s",
                local.path.display(),
                ALONE_MAX.as_secs()
            )
        })
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        match self.local.as_ref()?.state {
            State::Alone { dial_at, .. } => Some(dial_at),
            State::Reached(_) => None,
        }
    }
}

impl Line {
    fn new(connection: u64) -> Line {
        Line {
            connection,
            open: BTreeSet::new(),
        }
    }
}

fn failed(token: u64, why: &str) -> DaemonReply {
    DaemonReply::Failed {
        token,
        why: format!("the host's daemon cannot be reached: {why}"),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::net::{Ipv4Addr, TcpListener};

    use mio::{Events, Poll};

    use super::*;

    const START: Time = Time(1_000_000);

    fn at(seconds: u64) -> Time {
        START.after(Duration::from_secs(seconds))
    }

    /// The daemons of `alpha`, whose own socket nobody serves.
    fn alone() -> (Poll, Connections, Daemons) {
        let poll = Poll::new().unwrap();
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listener = mio::net::TcpListener::bind(address).unwrap();
        let registry = poll.registry().try_clone().unwrap();
        let connections = Connections::new(registry, listener).unwrap();
        let register = DaemonRequest::Register {
            process: 1,
            group: "group".to_owned(),
            address,
        };
        let path = PathBuf::from("/nonexistent/daemon");
        let daemons = Daemons::new(START, "alpha".to_owned(), Some((path, register)));
        (poll, connections, daemons)
    }

    fn inventory(token: u64) -> DaemonRequest {
        DaemonRequest::Inventory { token }
    }

    fn host(name: &str, daemon: SocketAddr) -> HostRecord {
        HostRecord {
            name: name.to_owned(),
            daemon,
        }
    }

    #[test]
    fn a_replica_without_its_daemon_ends_itself_after_a_minute() {
        let (_poll, mut connections, mut daemons) = alone();
        assert!(daemons.tend(at(0), &mut connections).is_some());
        assert!(daemons.tend(at(1), &mut connections).is_none(), "said once");
        assert_eq!(daemons.deadline(), Some(at(1).after(REDIAL)));
        assert_eq!(daemons.alone_too_long(at(59)), None);
        assert!(daemons.alone_too_long(at(60)).is_some());
    }

    #[test]
    fn our_own_daemon_is_never_asked_elsewhere() {
        let (_poll, mut connections, mut daemons) = alone();
        let other = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let host = host("alpha", other.local_addr().unwrap());
        let answer = daemons.ask(START, &mut connections, &host, 5, &inventory(5));
        assert!(matches!(answer, Some(DaemonReply::Failed { token: 5, .. })));
    }

    #[test]
    fn requests_to_a_daemon_that_is_not_there_fail_all() {
        let (mut poll, mut connections, mut daemons) = alone();
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let beta = host("beta", free.local_addr().unwrap());
        drop(free);
        for token in [5, 6] {
            let request = inventory(token);
            let answer = daemons.ask(START, &mut connections, &beta, token, &request);
            assert_eq!(answer, None);
        }
        let mut events = Events::with_capacity(8);
        let mut gone = connections.flush();
        while gone.is_empty() {
            poll.poll(&mut events, Some(DIAL_PATIENCE)).unwrap();
            assert!(!events.is_empty(), "refused at once");
            events.iter().for_each(|event| connections.notice(event));
            gone = connections.flush();
        }
        let (number, why) = gone.remove(0);
        let daemon = Daemon::Remote(beta.daemon);
        assert_eq!(connections.close(number), Some(Purpose::Daemon(daemon)));
        let failures = daemons.closed(START, daemon, number, &why.unwrap());
        let tokens: Vec<u64> = failures.iter().map(|(token, _)| *token).collect();
        assert_eq!(tokens, [5, 6]);
        assert!(daemons.remote.is_empty(), "the next request dials again");
    }

    #[test]
    fn what_is_answered_does_not_fail_later() {
        let (_poll, mut connections, mut daemons) = alone();
        let there = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let beta = host("beta", there.local_addr().unwrap());
        for token in [5, 6] {
            daemons.ask(START, &mut connections, &beta, token, &inventory(token));
        }
        let daemon = Daemon::Remote(beta.daemon);
        let number = daemons.remote[&beta.daemon].connection;
        let stopped = DaemonReply::Stopped { token: 5 };
        assert_eq!(daemons.heard(daemon, &stopped), Some(5));
        let failures = daemons.closed(START, daemon, number, "it went away");
        let tokens: Vec<u64> = failures.iter().map(|(token, _)| *token).collect();
        assert_eq!(tokens, [6]);
    }
}
