//! All connections of the process, by number. Numbers are never used again, so whatever speaks of
//! a connection that is gone reaches nobody.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use wire::Time;
use wire::frame::{FrameError, Message};

use crate::connection::{Connection, Dial, Incoming, Purpose, Stream};

/// Connections that may stand; whoever dials above that is turned away, so that our own memory and
/// descriptors are bounded. More clients than this share connections with their sessions.
const CONNECTIONS_MAX: usize = 4096;
/// Connections accepted in one turn, so that a storm of them does not stop the order.
const ACCEPTED_PER_TURN_MAX: usize = 64;
/// The pause after accepting failed: descriptors do not come back faster.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Read at once; large frames take several reads.
const SCRATCH: usize = 256 << 10;

/// The listener's name in the poll.
pub(crate) const LISTENER: Token = Token(0);
/// The executor's waker.
pub(crate) const WAKER: Token = Token(1);
/// The pipe of signals.
pub(crate) const SIGNAL: Token = Token(2);
/// Connections are numbered from here.
const FIRST: u64 = 16;

#[derive(Debug)]
pub(crate) struct Connections {
    registry: Registry,
    /// Until the process ends.
    listener: Option<TcpListener>,
    /// Somebody may wait at the listener: readiness is told once.
    accepting: bool,
    /// When to try again after accepting failed.
    accept_again: Option<Time>,
    table: BTreeMap<u64, Connection>,
    next: u64,
    /// Those that may have something to read.
    readable: BTreeSet<u64>,
    /// Those with something to send.
    unsent: BTreeSet<u64>,
    patience: BTreeSet<(Time, u64)>,
    scratch: Vec<u8>,
    /// Clients are not read from for now.
    clients_wait: bool,
}

impl Connections {
    pub(crate) fn new(registry: Registry, mut listener: TcpListener) -> io::Result<Connections> {
        registry.register(&mut listener, LISTENER, Interest::READABLE)?;
        Ok(Connections {
            registry,
            listener: Some(listener),
            accepting: false,
            accept_again: None,
            table: BTreeMap::new(),
            next: FIRST,
            readable: BTreeSet::new(),
            unsent: BTreeSet::new(),
            patience: BTreeSet::new(),
            scratch: vec![0; SCRATCH],
            clients_wait: false,
        })
    }

    // Readiness.

    /// Takes an event of the listener or of a connection.
    pub(crate) fn notice(&mut self, event: &mio::event::Event) {
        if event.token() == LISTENER {
            self.accepting = true;
            return;
        }
        let number = event.token().0 as u64;
        if let Some(connection) = self.table.get_mut(&number) {
            connection.notice(event);
            self.readable.insert(number);
            if event.is_writable() || event.is_error() {
                self.unsent.insert(number);
            }
        }
    }

    /// Whether something can be done without waiting for an event.
    pub(crate) fn is_ready(&self) -> bool {
        self.accepting || !self.unsent.is_empty() || self.ready().next().is_some()
    }

    fn ready(&self) -> impl Iterator<Item = u64> {
        let ready = |number: &&u64| {
            let connection = self.table.get(number);
            connection.is_some_and(|connection| {
                let waits = self.clients_wait && connection.purpose == Purpose::Client;
                connection.ready() && !waits
            })
        };
        self.readable.iter().filter(ready).copied()
    }

    /// Whether clients' requests stay in their sockets for now.
    pub(crate) fn let_clients_wait(&mut self, wait: bool) {
        self.clients_wait = wait;
    }

    /// The connections to read from in this turn.
    pub(crate) fn take_ready(&self) -> Vec<u64> {
        self.ready().collect()
    }

    // Opening.

    /// Takes those who wait at the listener, a bounded number. Each must say who it is `until`
    /// then. Returns why somebody was turned away, if one was.
    pub(crate) fn accept(&mut self, now: Time, until: Time) -> Option<String> {
        if self.accept_again.is_some_and(|again| now >= again) {
            self.accept_again = None;
            self.accepting = true;
        }
        let mut turned_away = None;
        for _ in 0..ACCEPTED_PER_TURN_MAX {
            let Some(listener) = self.listener.as_ref().filter(|_| self.accepting) else {
                break;
            };
            match listener.accept() {
                Ok((_, from)) if self.table.len() >= CONNECTIONS_MAX => {
                    turned_away = Some(format!(
                        "{from} turned away: {CONNECTIONS_MAX} connections stand"
                    ));
                }
                Ok((stream, from)) => {
                    match self.add(Stream::Tcp(stream), Purpose::Unknown, Dial::Stands) {
                        Ok(number) => self.wait_for(number, until),
                        Err(error) => turned_away = Some(format!("{from} turned away: {error}")),
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.accepting = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    // Out of descriptors, or the dialler is gone already. Whoever still waits is
                    // not told to us again.
                    self.accepting = false;
                    self.accept_again = Some(now.after(ACCEPT_PAUSE));
                    turned_away = Some(format!("somebody could not be let in: {error}"));
                }
            }
        }
        turned_away
    }

    /// Nobody is let in any more: whoever waits or dials is refused by the system.
    pub(crate) fn stop_accepting(&mut self) {
        self.listener = None;
        self.accepting = false;
        self.accept_again = None;
    }

    /// Dials a member or another host's daemon. It must stand and answer `until` then.
    pub(crate) fn dial(
        &mut self,
        address: SocketAddr,
        purpose: Purpose,
        until: Time,
    ) -> io::Result<u64> {
        let stream = TcpStream::connect(address)?;
        let number = self.add(Stream::Tcp(stream), purpose, Dial::Waits)?;
        self.wait_for(number, until);
        Ok(number)
    }

    /// Dials our own daemon, which answers at once or not at all.
    pub(crate) fn dial_local(&mut self, path: &Path, purpose: Purpose) -> io::Result<u64> {
        let stream = UnixStream::connect(path)?;
        self.add(Stream::Unix(stream), purpose, Dial::Stands)
    }

    fn add(&mut self, stream: Stream, purpose: Purpose, dial: Dial) -> io::Result<u64> {
        if let Stream::Tcp(stream) = &stream {
            stream.set_nodelay(true)?;
        }
        let mut connection = Connection::new(stream, purpose, dial);
        let number = self.next;
        let token = usize::try_from(number).expect("a process does not live that long");
        connection.register(&self.registry, Token(token))?;
        self.next += 1;
        self.table.insert(number, connection);
        Ok(number)
    }

    // While they last.

    pub(crate) fn purpose(&self, number: u64) -> Option<Purpose> {
        self.table.get(&number).map(|connection| connection.purpose)
    }

    /// The other side has said who it is, or that we are welcome: nothing is owed any more.
    pub(crate) fn set_purpose(&mut self, number: u64, purpose: Purpose) {
        self.wait_no_more(number);
        if let Some(connection) = self.table.get_mut(&number) {
            connection.purpose = purpose;
        }
    }

    /// Sends one message with this turn's flush.
    pub(crate) fn push<M: Message>(&mut self, number: u64, message: &M) {
        if let Some(connection) = self.open(number) {
            connection.outbox().push(message);
            self.unsent.insert(number);
        }
    }

    /// Sends frames that are encoded already.
    pub(crate) fn push_frames(&mut self, number: u64, frames: &[u8]) {
        if let Some(connection) = self.open(number) {
            connection.outbox().push_frames(frames);
            self.unsent.insert(number);
        }
    }

    fn open(&mut self, number: u64) -> Option<&mut Connection> {
        self.table
            .get_mut(&number)
            .filter(|connection| !connection.closing)
    }

    /// Reads from a connection. `Err` if the other side is gone.
    pub(crate) fn read(&mut self, number: u64) -> io::Result<()> {
        let Some(connection) = self.table.get_mut(&number) else {
            return Ok(());
        };
        let read = connection.read(&mut self.scratch);
        // A paused client stays listed: it goes on once it has taken its replies.
        if !connection.is_readable() {
            self.readable.remove(&number);
        }
        read
    }

    /// The next whole message on a connection.
    pub(crate) fn next(&mut self, number: u64) -> Result<Option<Incoming>, FrameError> {
        match self.table.get_mut(&number) {
            Some(connection) if !connection.closing => connection.next(),
            Some(_) | None => Ok(None),
        }
    }

    /// Writes to every connection that has something, once each. Returns those that are gone, or
    /// that are closed after all is said.
    pub(crate) fn flush(&mut self) -> Vec<(u64, Option<String>)> {
        let mut gone = Vec::new();
        for number in std::mem::take(&mut self.unsent) {
            let Some(connection) = self.table.get_mut(&number) else {
                continue;
            };
            match connection.flush() {
                Err(error) => gone.push((number, Some(error.to_string()))),
                Ok(dial) => {
                    // A daemon that is reached takes its time to answer.
                    let reached =
                        dial == Dial::Stands && matches!(connection.purpose, Purpose::Daemon(_));
                    if let Some(limit) = connection.overfull() {
                        let why = format!("it does not take what it is sent: {limit} bytes wait");
                        gone.push((number, Some(why)));
                    } else if connection.closing && connection.is_flushed() {
                        gone.push((number, None));
                    } else if reached {
                        self.wait_no_more(number);
                    }
                }
            }
        }
        gone
    }

    /// Whether everything is sent everywhere it can be.
    pub(crate) fn is_flushed(&self) -> bool {
        self.table.values().all(Connection::is_flushed)
    }

    // Patience and closing.

    /// The other side must say what it owes until then.
    fn wait_for(&mut self, number: u64, until: Time) {
        if let Some(connection) = self.table.get_mut(&number) {
            connection.patience = Some(until);
            self.patience.insert((until, number));
        }
    }

    pub(crate) fn wait_no_more(&mut self, number: u64) {
        if let Some(connection) = self.table.get_mut(&number)
            && let Some(until) = connection.patience.take()
        {
            self.patience.remove(&(until, number));
        }
    }

    /// Those with whom patience has ended.
    pub(crate) fn overdue(&self, now: Time) -> Vec<u64> {
        let due = self.patience.iter().take_while(|(until, _)| *until <= now);
        due.map(|&(_, number)| number).collect()
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        let patience = self.patience.first().map(|&(until, _)| until);
        [patience, self.accept_again].into_iter().flatten().min()
    }

    /// Says what is left to say, by then, and closes.
    pub(crate) fn close_after_flush(&mut self, number: u64, until: Time) {
        self.wait_no_more(number);
        self.wait_for(number, until);
        if let Some(connection) = self.table.get_mut(&number) {
            connection.closing = true;
            self.unsent.insert(number);
        }
    }

    /// The connection is gone. Returns what it was for.
    pub(crate) fn close(&mut self, number: u64) -> Option<Purpose> {
        let mut connection = self.remove(number)?;
        // A last word may still go out, as a refusal or a joiner's failure.
        let _gone_anyway = connection.flush();
        Some(connection.purpose)
    }

    /// Takes a connection out of the loop, with the bytes that are not sent yet.
    pub(crate) fn take(&mut self, number: u64) -> Option<(Stream, Vec<u8>)> {
        self.remove(number).map(Connection::into_parts)
    }

    fn remove(&mut self, number: u64) -> Option<Connection> {
        self.wait_no_more(number);
        let mut connection = self.table.remove(&number)?;
        self.readable.remove(&number);
        self.unsent.remove(&number);
        connection.deregister(&self.registry);
        Some(connection)
    }
}
