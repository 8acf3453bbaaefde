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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use std::io::Read;

    use signal_hook::low_level::raise;

    use super::*;

    #[test]
    fn a_termination_is_a_byte_and_does_not_end_the_process() {
        let pipe = terminations().unwrap();
        raise(SIGTERM).unwrap();
        let mut pipe = StdStream::from(pipe);
        pipe.set_nonblocking(false).unwrap();
        assert_eq!(pipe.read(&mut [0; 8]).unwrap(), 1);
    }
}
