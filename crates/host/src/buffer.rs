//! The bytes of a connection that are no message yet, and those that are not sent yet.

use std::io::{self, Write};

use wire::frame::{self, Frame, FrameError, Message};

/// A buffer that is empty and larger than this gives its memory back: most connections idle.
const KEPT: usize = 64 << 10;

/// Bytes that came, cut into frames from the front.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    bytes: Vec<u8>,
    start: usize,
}

impl Inbox {
    pub(crate) fn extend(&mut self, bytes: &[u8]) {
        // What is left is a part of one frame: moving it is cheap, and large frames only grow.
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// The next message, or `None` until it is whole.
    pub(crate) fn next<T>(
        &mut self,
        limit: usize,
        decode: impl FnOnce(&Frame<'_>) -> Result<T, FrameError>,
    ) -> Result<Option<T>, FrameError> {
        let Some(frame) = frame::split(&self.bytes[self.start..], limit)? else {
            return Ok(None);
        };
        let message = decode(&frame)?;
        self.start += frame.length;
        if self.start == self.bytes.len() {
            self.bytes.clear();
            self.start = 0;
            give_back(&mut self.bytes);
        }
        Ok(Some(message))
    }
}

/// Bytes to send, in order.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    bytes: Vec<u8>,
    start: usize,
}

impl Outbox {
    pub(crate) fn push<M: Message>(&mut self, message: &M) {
        frame::encode(message, &mut self.bytes);
    }

    /// Appends frames that are encoded already.
    pub(crate) fn push_frames(&mut self, frames: &[u8]) {
        self.bytes.extend_from_slice(frames);
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.start
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Gives everything to `to` in one call. What it does not take stays for the next time.
    pub(crate) fn write_to(&mut self, to: &mut impl Write) -> io::Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        match to.write(&self.bytes[self.start..]) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => self.start += written,
            Err(error) if would_block(&error) => {}
            Err(error) => return Err(error),
        }
        if self.is_empty() {
            self.bytes.clear();
            self.start = 0;
            give_back(&mut self.bytes);
        } else if self.start >= self.bytes.len() / 2 {
            // Moving at most as much as was written keeps the cost per byte constant.
            self.bytes.drain(..self.start);
            self.start = 0;
        }
        Ok(())
    }

    /// Everything that is not sent yet.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.drain(..std::mem::take(&mut self.start));
        bytes
    }
}

/// Whether trying again later is all that an error asks for.
pub(crate) fn would_block(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock || error.kind() == io::ErrorKind::Interrupted
}

fn give_back(empty: &mut Vec<u8>) {
    if empty.capacity() > KEPT {
        *empty = Vec::new();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use wire::client::ClientRequest;
    use wire::frame::CLIENT_FRAME_MAX;

    use super::*;

    fn open(token: u64) -> ClientRequest {
        ClientRequest::Open { token }
    }

    fn encoded(tokens: &[u64]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for &token in tokens {
            frame::encode(&open(token), &mut bytes);
        }
        bytes
    }

    fn tokens(inbox: &mut Inbox) -> Vec<u64> {
        let mut tokens = Vec::new();
        while let Some(request) = inbox
            .next(CLIENT_FRAME_MAX, |frame| frame.decode::<ClientRequest>())
            .unwrap()
        {
            if let ClientRequest::Open { token } = request {
                tokens.push(token);
            }
        }
        tokens
    }

    #[test]
    fn frames_come_out_however_the_bytes_were_cut() {
        let bytes = encoded(&[1, 2, 3]);
        for cut in 0..=bytes.len() {
            let mut inbox = Inbox::default();
            inbox.extend(&bytes[..cut]);
            let mut seen = tokens(&mut inbox);
            inbox.extend(&bytes[cut..]);
            seen.extend(tokens(&mut inbox));
            assert_eq!(seen, [1, 2, 3], "cut at {cut}");
        }
    }

    #[test]
    fn a_frame_above_the_limit_is_an_error_before_its_bytes_come() {
        let mut inbox = Inbox::default();
        inbox.extend(&1000_u32.to_le_bytes());
        let next = inbox.next(999, |frame| frame.decode::<ClientRequest>());
        assert_eq!(
            next,
            Err(FrameError::TooLong {
                length: 1000,
                limit: 999
            })
        );
    }

    /// Takes a few bytes at a time, then has enough.
    struct Slow(Vec<u8>);

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0.len() % 2 == 1 {
                self.0.push(bytes[0]);
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let taken = bytes.len().min(3);
            self.0.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_a_slow_receiver_does_not_take_stays() {
        let mut outbox = Outbox::default();
        outbox.push(&open(7));
        outbox.push_frames(&encoded(&[8]));
        let all = encoded(&[7, 8]);
        assert_eq!(outbox.len(), all.len());
        let mut slow = Slow(Vec::new());
        outbox.write_to(&mut slow).unwrap();
        assert_eq!(slow.0, all[..3]);
        outbox.write_to(&mut slow).unwrap();
        assert_eq!(outbox.take(), all[3..]);
        assert!(outbox.is_empty());
    }
}
