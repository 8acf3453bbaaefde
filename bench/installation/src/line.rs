//! A line: one connection over which questions are asked and answered, one at a time.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use wire::frame::{FrameError, Message, PEER_FRAME_MAX, encode, split};

/// How long an answer may take. Members and daemons on this machine answer in well under a
/// millisecond; one that was stopped or killed should not hold an observer up.
const PATIENCE: Duration = Duration::from_millis(500);
/// How much is read at once.
const READ_BYTES: usize = 64 << 10;

/// Why a question has no answer.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The connection.
    #[error("{address}: {why}")]
    Connection {
        /// With whom.
        address: SocketAddr,
        /// What happened.
        why: io::Error,
    },
    /// Bytes that are no frame of ours.
    #[error("{address} sent {why}")]
    Frame {
        /// Who.
        address: SocketAddr,
        /// What is wrong with it.
        why: FrameError,
    },
    /// The answer is no.
    #[error("{address} refused: {why}")]
    Refused {
        /// Who.
        address: SocketAddr,
        /// Its words.
        why: String,
    },
    /// There is nobody to ask.
    #[error("no member of \"{group}\" is known that could be asked")]
    Nobody {
        /// The group.
        group: String,
    },
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Line {
    address: SocketAddr,
    stream: TcpStream,
    received: Vec<u8>,
}

impl Line {
    pub(crate) fn dial(address: SocketAddr) -> Result<Line, LineError> {
        let dialled = TcpStream::connect_timeout(&address, PATIENCE).and_then(|stream| {
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(stream)
        });
        let stream = dialled.map_err(|why| LineError::Connection { address, why })?;
        Ok(Line {
            address,
            stream,
            received: Vec::new(),
        })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets answers take this long from now on.
    pub(crate) fn wait_for(&mut self, patience: Duration) -> Result<(), LineError> {
        let set = self.stream.set_read_timeout(Some(patience));
        set.map_err(|why| self.broken(why))
    }

    pub(crate) fn send<M: Message>(&mut self, message: &M) -> Result<(), LineError> {
        let mut bytes = Vec::new();
        encode(message, &mut bytes);
        let sent = self.stream.write_all(&bytes);
        sent.map_err(|why| self.broken(why))
    }

    pub(crate) fn receive<M: Message>(&mut self) -> Result<M, LineError> {
        let mut chunk = vec![0; READ_BYTES];
        loop {
            let strange = |why| LineError::Frame {
                address: self.address,
                why,
            };
            if let Some(frame) = split(&self.received, PEER_FRAME_MAX).map_err(strange)? {
                let message = frame.decode().map_err(strange)?;
                let length = frame.length;
                self.received.drain(..length);
                return Ok(message);
            }
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(self.broken(io::ErrorKind::UnexpectedEof.into())),
                Ok(length) => self.received.extend_from_slice(&chunk[..length]),
                Err(why) if why.kind() == io::ErrorKind::Interrupted => {}
                Err(why) => return Err(self.broken(why)),
            }
        }
    }

    pub(crate) fn refused(&self, why: String) -> LineError {
        LineError::Refused {
            address: self.address,
            why,
        }
    }

    fn broken(&self, why: io::Error) -> LineError {
        LineError::Connection {
            address: self.address,
            why,
        }
    }
}
