//! The daemon's connections: replicas at the local socket, operators and other hosts at the port.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener};
use tokio::sync::mpsc;
use wire::MemberId;
use wire::daemon::DaemonRequest;
use wire::frame::{CLIENT_FRAME_MAX, encode, split};
use wire::hello::{Hello, Opener};
use wire::peer::PeerMessage;

use super::News;

/// How often a member that does not answer is told of a death again, at most.
const TELL_TRIES: u32 = 3;
/// How long one try may take.
const TELL_PATIENCE: Duration = Duration::from_millis(500);

/// The pause after accepting failed: descriptors do not come back faster.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// From where a connection came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    /// Over the local socket: a replica of this host.
    Local,
    /// Over the port: an operator, or a member on another host.
    Remote,
}

impl Side {
    /// Whether this may be asked from there. Who registers names a process that is then stopped and
    /// killed like a replica: only this host's own processes may.
    fn may_ask(self, request: &DaemonRequest) -> bool {
        match request {
            DaemonRequest::Register { .. } | DaemonRequest::Members { .. } => self == Side::Local,
            DaemonRequest::Start { .. }
            | DaemonRequest::Stop { .. }
            | DaemonRequest::Inventory { .. }
            | DaemonRequest::Output { .. }
            | DaemonRequest::Fate { .. } => true,
        }
    }
}

/// Accepts on both sockets until the daemon ends.
pub(super) fn accept(local: UnixListener, remote: TcpListener, news: mpsc::UnboundedSender<News>) {
    tokio::spawn(async move {
        let mut next = 0;
        loop {
            next += 1;
            tokio::select! {
                accepted = local.accept() => {
                    match accepted {
                        Ok((stream, _)) => {
                            tokio::spawn(serve(next, stream, Side::Local, news.clone()));
                        }
                        Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                    }
                }
                accepted = remote.accept() => {
                    match accepted {
                        Ok((stream, _)) => {
                            let _ = stream.set_nodelay(true);
                            tokio::spawn(serve(next, stream, Side::Remote, news.clone()));
                        }
                        Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
                    }
                }
            }
        }
    });
}

async fn serve<S: AsyncRead + AsyncWrite + Send + 'static>(
    connection: u64,
    stream: S,
    side: Side,
    news: mpsc::UnboundedSender<News>,
) {
    let (writer, bytes) = mpsc::unbounded_channel();
    let _ = news.send(News::Opened(connection, writer));
    carry(connection, stream, side, bytes, &news).await;
    let _ = news.send(News::Closed(connection));
}

/// Moves frames both ways; bytes that are no request, or one that is not heard from there, end the
/// connection.
async fn carry<S: AsyncRead + AsyncWrite>(
    connection: u64,
    stream: S,
    side: Side,
    mut bytes: mpsc::UnboundedReceiver<Vec<u8>>,
    news: &mpsc::UnboundedSender<News>,
) {
    let (mut reader, mut writer) = tokio::io::split(stream);
    let mut buffer = Vec::new();
    loop {
        tokio::select! {
            read = reader.read_buf(&mut buffer) => {
                if !matches!(read, Ok(more) if more > 0) {
                    return;
                }
                let mut at = 0;
                loop {
                    match split(&buffer[at..], CLIENT_FRAME_MAX) {
                        Ok(Some(frame)) => {
                            at += frame.length;
                            let Ok(request) = frame.decode::<DaemonRequest>() else { return };
                            if !side.may_ask(&request) {
                                return;
                            }
                            let _ = news.send(News::Heard(connection, request));
                        }
                        Ok(None) => break,
                        Err(_) => return,
                    }
                }
                buffer.drain(..at);
            }
            out = bytes.recv() => {
                let Some(out) = out else { return };
                if writer.write_all(&out).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Tells a member that another one's process is gone.
pub(super) async fn tell_death(
    to: SocketAddr,
    group: String,
    host: String,
    incarnation: u64,
    member: MemberId,
    how: String,
) {
    let mut bytes = Vec::new();
    encode(&Hello::new(&group, Opener::Daemon { host }), &mut bytes);
    encode(
        &PeerMessage::Died {
            incarnation,
            member,
            how,
        },
        &mut bytes,
    );
    for _ in 0..TELL_TRIES {
        let told = tokio::time::timeout(TELL_PATIENCE, tell(to, &bytes)).await;
        if matches!(told, Ok(Ok(()))) {
            return;
        }
    }
}

async fn tell(to: SocketAddr, bytes: &[u8]) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    stream.write_all(bytes).await?;
    // Its welcome shows that it has read so far.
    let mut welcome = [0; 1];
    stream.read_exact(&mut welcome).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    /// What a daemon hears of a registration that comes from this side, until the connection ends.
    fn heard(side: Side) -> usize {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (mut replica, daemon) = tokio::io::duplex(1024);
            let (news, mut heard) = mpsc::unbounded_channel();
            let served = tokio::spawn(serve(1, daemon, side, news));
            let mut bytes = Vec::new();
            let register = DaemonRequest::Register {
                process: 1,
                group: "ledger".to_owned(),
                address: SocketAddr::from(([127, 0, 0, 1], 9)),
            };
            encode(&register, &mut bytes);
            replica.write_all(&bytes).await.unwrap();
            replica.shutdown().await.unwrap();
            served.await.unwrap();
            let mut count = 0;
            while let Some(news) = heard.recv().await {
                count += usize::from(matches!(news, News::Heard(_, _)));
            }
            count
        })
    }

    /// What a daemon hears of these bytes, until the connection ends; whether it is the daemon that
    /// ends it.
    fn ends(bytes: &[u8]) -> bool {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (mut operator, daemon) = tokio::io::duplex(1 << 20);
            let (news, mut heard) = mpsc::unbounded_channel();
            let served = tokio::spawn(serve(1, daemon, Side::Remote, news));
            let mut valid = Vec::new();
            encode(&DaemonRequest::Inventory { token: 3 }, &mut valid);
            operator.write_all(&valid).await.unwrap();
            operator.write_all(bytes).await.unwrap();
            let closed = tokio::time::timeout(TELL_PATIENCE, served).await.is_ok();
            let mut requests = 0;
            while let Ok(news) = heard.try_recv() {
                requests += usize::from(matches!(news, News::Heard(_, _)));
            }
            assert_eq!(requests, 1, "what came before is heard, and nothing else");
            closed
        })
    }

    #[test]
    fn bytes_that_are_no_request_end_their_connection() {
        for bytes in [
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            b"\xff\xff\xff\xff\x01\x06",
            b"\x00\x00\x00\x00",
            b"\x03\x00\x00\x00\x02\x06\x80",
            b"\x03\x00\x00\x00\x01\x04\x80",
            b"\x03\x00\x00\x00\x01\x06\x80",
            b"\x0b\x00\x00\x00\x01\x06\x9b\x10\0\0\0\0\0\0\0",
        ] {
            assert!(ends(bytes), "{bytes:02x?}");
        }
        assert!(!ends(b"\x03\x00\x00\x00\x01"), "the rest may come");
    }

    #[test]
    fn only_processes_of_this_host_register() {
        assert_eq!(heard(Side::Local), 1);
        assert_eq!(heard(Side::Remote), 0);
    }
}
