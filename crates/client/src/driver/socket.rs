//! One connection: bytes in, frames out, and the other way round.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use wire::client::{ClientReply, ClientRequest};
use wire::frame::{self, FrameError, Kind};
use wire::hello::Welcome;

/// The largest frame accepted from a member: all replies that it had for this connection at once,
/// a full window of large ones for hundreds of sessions.
const REPLY_FRAME_MAX: usize = 64 << 20;
/// Bytes that a member may leave unread before its connection is given up.
const UNSENT_MAX: usize = 64 << 20;
/// Memory of a buffer that is kept when it is empty.
const KEPT_BYTES: usize = 1 << 20;
/// Reads of one connection in a turn, so that none starves the others.
const READS_MAX: usize = 8;

/// What a member said.
pub(super) enum Heard {
    Welcome(Welcome),
    Reply(ClientReply),
}

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("cannot be reached: {0}")]
    Dial(io::Error),
    #[error("the connection broke: {0}")]
    Broke(#[from] io::Error),
    #[error("the member closed the connection")]
    Closed,
    #[error("it sent what is no message: {0}")]
    Malformed(#[from] FrameError),
    #[error("it does not read what it is sent")]
    Stuck,
}

type Dial = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

enum Stream {
    Dialling(Dial),
    Open(TcpStream),
}

pub(super) struct Socket {
    stream: Stream,
    received: Vec<u8>,
    unsent: Vec<u8>,
    /// Bytes of `unsent` that are already written.
    written: usize,
}

impl Socket {
    pub(super) fn dial(address: SocketAddr) -> Socket {
        let dial = async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        };
        Socket {
            stream: Stream::Dialling(Box::pin(dial)),
            received: Vec::new(),
            unsent: Vec::new(),
            written: 0,
        }
    }

    /// Hands over every message that has come. Whether there was any progress.
    pub(super) fn read(
        &mut self,
        cx: &mut Context<'_>,
        hello: &[u8],
        bytes: &mut [u8],
        mut heard: impl FnMut(Heard),
    ) -> Result<bool, Ended> {
        let mut progress = false;
        if let Stream::Dialling(dial) = &mut self.stream {
            let Poll::Ready(dialled) = dial.as_mut().poll(cx) else {
                return Ok(false);
            };
            self.stream = Stream::Open(dialled.map_err(Ended::Dial)?);
            self.unsent.extend_from_slice(hello);
            progress = true;
        }
        let Stream::Open(stream) = &mut self.stream else {
            return Ok(progress);
        };
        for _ in 0..READS_MAX {
            let mut buffer = ReadBuf::new(bytes);
            match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
                Poll::Pending => break,
                Poll::Ready(Err(error)) => return Err(Ended::Broke(error)),
                Poll::Ready(Ok(())) if buffer.filled().is_empty() => return Err(Ended::Closed),
                Poll::Ready(Ok(())) => {
                    progress = true;
                    self.received.extend_from_slice(buffer.filled());
                    cut(&mut self.received, &mut heard)?;
                }
            }
        }
        Ok(progress)
    }

    /// Appends a request to what is written next.
    pub(super) fn push(&mut self, request: &ClientRequest) {
        frame::encode(request, &mut self.unsent);
    }

    pub(super) fn write(&mut self, cx: &mut Context<'_>) -> Result<(), Ended> {
        let Stream::Open(stream) = &mut self.stream else {
            return Ok(());
        };
        while self.written < self.unsent.len() {
            let rest = &self.unsent[self.written..];
            match Pin::new(&mut *stream).poll_write(cx, rest)? {
                Poll::Ready(0) => return Err(Ended::Closed),
                Poll::Ready(written) => self.written += written,
                Poll::Pending if rest.len() > UNSENT_MAX => return Err(Ended::Stuck),
                Poll::Pending => return Ok(()),
            }
        }
        self.written = 0;
        self.unsent.clear();
        self.unsent.shrink_to(KEPT_BYTES);
        Ok(())
    }
}

/// Takes all whole frames from the start of `received`.
fn cut(received: &mut Vec<u8>, heard: &mut impl FnMut(Heard)) -> Result<(), FrameError> {
    let mut start = 0;
    while let Some(frame) = frame::split(&received[start..], REPLY_FRAME_MAX)? {
        if frame.kind == Kind::Welcome as u8 {
            heard(Heard::Welcome(frame.decode()?));
        } else {
            heard(Heard::Reply(frame.decode()?));
        }
        start += frame.length;
    }
    received.drain(..start);
    if received.is_empty() {
        received.shrink_to(KEPT_BYTES);
    }
    Ok(())
}
