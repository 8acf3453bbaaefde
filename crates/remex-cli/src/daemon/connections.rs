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

/// Accepts on both sockets until the daemon ends.
pub(super) fn accept(local: UnixListener, remote: TcpListener, news: mpsc::UnboundedSender<News>) {
    tokio::spawn(async move {
        let mut next = 0;
        loop {
            next += 1;
            tokio::select! {
                accepted = local.accept() => {
                    if let Ok((stream, _)) = accepted {
                        tokio::spawn(serve(next, stream, news.clone()));
                    }
                }
                accepted = remote.accept() => {
                    if let Ok((stream, _)) = accepted {
                        let _ = stream.set_nodelay(true);
                        tokio::spawn(serve(next, stream, news.clone()));
                    }
                }
            }
        }
    });
}

async fn serve<S: AsyncRead + AsyncWrite + Send + 'static>(
    connection: u64,
    stream: S,
    news: mpsc::UnboundedSender<News>,
) {
    let (writer, bytes) = mpsc::unbounded_channel();
    let _ = news.send(News::Opened(connection, writer));
    carry(connection, stream, bytes, &news).await;
    let _ = news.send(News::Closed(connection));
}

/// Moves frames both ways; bytes that are no request end the connection.
async fn carry<S: AsyncRead + AsyncWrite>(
    connection: u64,
    stream: S,
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
