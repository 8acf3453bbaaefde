//! SIGTERM as bytes in a pipe that the loop polls.

use std::io;
use std::os::unix::net::UnixStream as StdStream;

use mio::net::UnixStream;
use signal_hook::consts::SIGTERM;
use signal_hook::low_level::pipe;

/// Becomes readable when the process is asked to end.
pub(crate) fn terminations() -> io::Result<UnixStream> {
    let (reader, writer) = StdStream::pair()?;
    reader.set_nonblocking(true)?;
    pipe::register(SIGTERM, writer)?;
    Ok(UnixStream::from_std(reader))
}
