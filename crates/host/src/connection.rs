//! One connection: its socket, its buffers, and what it is for.

use std::io::{self, Read, Write};

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use wire::client::ClientRequest;
use wire::daemon::DaemonReply;
use wire::frame::{CLIENT_FRAME_MAX, FrameError, PEER_FRAME_MAX};
use wire::hello::{Hello, Welcome};
use wire::peer::PeerMessage;
use wire::{MemberId, Time};

use crate::buffer::{Inbox, Outbox, would_block};
use crate::daemons::Daemon;

/// The largest first frame: names and numbers.
const HELLO_FRAME_MAX: usize = 64 << 10;
/// A client that does not read its replies is not read from above this many bytes of them.
const CLIENT_PAUSED_AT: usize = 16 << 20;
/// Replies of one turn may exceed the pause, but a client never costs more memory than this.
const CLIENT_OUTBOX_MAX: usize = 64 << 20;
/// What a peer does not take: it is stopped or cut off. The engine sends again over a new link.
const PEER_OUTBOX_MAX: usize = 64 << 20;
/// Bytes read from one connection in one turn, so that none starves the others.
const READ_PER_TURN_MAX: usize = 1 << 20;

/// A socket that never blocks.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Members, clients, other hosts' daemons.
    Tcp(TcpStream),
    /// Our own daemon.
    Unix(UnixStream),
}

/// What a connection is for. It decides which messages belong on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Somebody dialled us and has not said who it is.
    Unknown,
    /// A client.
    Client,
    /// The link to a member, whoever dialled.
    Peer(MemberId),
    /// We dialled a member and wait for its welcome.
    Dialled(MemberId),
    /// A joiner asks us.
    Joiner,
    /// A daemon has news of a death.
    News,
    /// We dialled to ask for admission, and wait for the welcome; the joining's own link number.
    Asking(u64),
    /// We ask for admission.
    Asked(u64),
    /// To a daemon.
    Daemon(Daemon),
}

/// A message that came, by the table of its connection's purpose.
#[derive(Debug)]
pub(crate) enum Incoming {
    Hello(Hello),
    Welcome(Welcome),
    Peer(PeerMessage),
    Client(ClientRequest),
    Daemon(DaemonReply),
}

/// How far a dialled connection is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dial {
    /// The network has not answered.
    Waits,
    /// It stands.
    Stands,
}

#[derive(Debug)]
pub(crate) struct Connection {
    stream: Stream,
    pub(crate) purpose: Purpose,
    dial: Dial,
    inbox: Inbox,
    outbox: Outbox,
    /// The socket may have bytes for us: readiness is told once.
    readable: bool,
    /// The other side sends no more; what it sent must be read to the end.
    hung_up: bool,
    /// Nothing more is read or written once the outbox is empty.
    pub(crate) closing: bool,
    /// When patience with the other side ends, while it owes us something.
    pub(crate) patience: Option<Time>,
}

impl Connection {
    pub(crate) fn new(stream: Stream, purpose: Purpose, dial: Dial) -> Connection {
        Connection {
            stream,
            purpose,
            dial,
            inbox: Inbox::default(),
            outbox: Outbox::default(),
            readable: false,
            hung_up: false,
            closing: false,
            patience: None,
        }
    }

    pub(crate) fn notice(&mut self, event: &mio::event::Event) {
        self.hung_up |= event.is_read_closed() || event.is_error();
        self.readable |= event.is_readable() || self.hung_up;
    }

    pub(crate) fn is_readable(&self) -> bool {
        self.readable
    }

    /// Whether reading now makes sense.
    pub(crate) fn ready(&self) -> bool {
        let paused = self.purpose == Purpose::Client && self.outbox.len() > CLIENT_PAUSED_AT;
        self.readable && !paused && !self.closing && self.dial == Dial::Stands
    }

    /// Reads what has come, up to a limit. `Err` if the other side is gone; what it said before
    /// can still be taken.
    pub(crate) fn read(&mut self, scratch: &mut [u8]) -> io::Result<()> {
        let mut taken = 0;
        while taken < READ_PER_TURN_MAX {
            match self.stream.read(scratch) {
                Ok(0) => {
                    self.readable = false;
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                Ok(read) => {
                    self.inbox.extend(&scratch[..read]);
                    taken += read;
                    // A short read has emptied the socket: the next bytes are told anew. Only the
                    // end of the stream may have been told together with the last bytes.
                    if read < scratch.len() && !self.hung_up {
                        self.readable = false;
                        return Ok(());
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if would_block(&error) => {
                    self.readable = false;
                    return Ok(());
                }
                Err(error) => {
                    self.readable = false;
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// The next whole message.
    pub(crate) fn next(&mut self) -> Result<Option<Incoming>, FrameError> {
        let inbox = &mut self.inbox;
        match self.purpose {
            Purpose::Unknown => {
                inbox.next(HELLO_FRAME_MAX, |frame| frame.decode().map(Incoming::Hello))
            }
            Purpose::Dialled(_) | Purpose::Asking(_) => inbox.next(HELLO_FRAME_MAX, |frame| {
                frame.decode().map(Incoming::Welcome)
            }),
            Purpose::Client => inbox.next(CLIENT_FRAME_MAX, |frame| {
                frame.decode().map(Incoming::Client)
            }),
            Purpose::Peer(_) | Purpose::Joiner | Purpose::News | Purpose::Asked(_) => {
                inbox.next(PEER_FRAME_MAX, |frame| frame.decode().map(Incoming::Peer))
            }
            Purpose::Daemon(_) => {
                inbox.next(PEER_FRAME_MAX, |frame| frame.decode().map(Incoming::Daemon))
            }
        }
    }

    /// What is to be sent. Only filled through here.
    pub(crate) fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// Whether everything is sent that can be: a dial that waits has sent nothing to anybody.
    pub(crate) fn is_flushed(&self) -> bool {
        self.outbox.is_empty() || self.dial == Dial::Waits
    }

    /// The limit that the outbox exceeds, if it does.
    pub(crate) fn overfull(&self) -> Option<usize> {
        let limit = match self.purpose {
            Purpose::Client => CLIENT_OUTBOX_MAX,
            Purpose::Unknown
            | Purpose::Peer(_)
            | Purpose::Dialled(_)
            | Purpose::Joiner
            | Purpose::News
            | Purpose::Asking(_)
            | Purpose::Asked(_)
            | Purpose::Daemon(_) => PEER_OUTBOX_MAX,
        };
        (self.outbox.len() > limit).then_some(limit)
    }

    /// Sends what the socket takes, in one call, once the connection stands.
    pub(crate) fn flush(&mut self) -> io::Result<Dial> {
        if self.dial == Dial::Waits {
            self.dial = self.stream.dial()?;
        }
        if self.dial == Dial::Stands {
            self.outbox.write_to(&mut self.stream)?;
        }
        Ok(self.dial)
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        self.stream
            .source()
            .register(registry, token, Interest::READABLE.add(Interest::WRITABLE))
    }

    pub(crate) fn deregister(&mut self, registry: &Registry) {
        // A socket that cannot be deregistered is closed, which does the same.
        let _closed_anyway = self.stream.source().deregister(registry);
    }

    /// The socket and the bytes that are not sent yet, for whoever goes on blocking.
    pub(crate) fn into_parts(mut self) -> (Stream, Vec<u8>) {
        let unsent = self.outbox.take();
        (self.stream, unsent)
    }
}

impl Stream {
    fn source(&mut self) -> &mut dyn Source {
        match self {
            Stream::Tcp(stream) => stream,
            Stream::Unix(stream) => stream,
        }
    }

    /// Whether the dial got through, asked after the first sign from the socket.
    fn dial(&self) -> io::Result<Dial> {
        match self {
            Stream::Unix(_) => Ok(Dial::Stands),
            Stream::Tcp(stream) => {
                if let Some(error) = stream.take_error()? {
                    return Err(error);
                }
                match stream.peer_addr() {
                    Ok(_) => Ok(Dial::Stands),
                    Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(Dial::Waits),
                    Err(error) => Err(error),
                }
            }
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.read(buffer),
            Stream::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Stream::Tcp(stream) => stream.write(bytes),
            Stream::Unix(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
