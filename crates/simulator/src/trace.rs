//! What happened, in lines that people read, and a digest of everything that happened.

use std::fmt;
use std::hash::{Hash, Hasher};

/// One line of a transcript.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When, in virtual microseconds.
    pub at: u64,
    /// Where: a host, or nothing.
    pub place: String,
    /// Who: a process and what it is, a client, the network.
    pub who: String,
    /// What.
    pub what: String,
}

impl fmt::Display for Line {
    /// Milliseconds, place, who, what.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ms, us) = (self.at / 1000, self.at % 1000);
        write!(
            f,
            "{ms:>7}.{us:03}  {:<6} {:<9} {}",
            self.place, self.who, self.what
        )
    }
}

/// A quick digest, the same on every machine: nobody tries to fool it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Digest(u64);

impl Hasher for Digest {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, word: u64) {
        let mixed = (self.0.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 29);
    }

    fn write_u8(&mut self, byte: u8) {
        self.write_u64(u64::from(byte));
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// The lines, and the digest.
#[derive(Debug)]
pub(crate) struct Trace {
    lines: Vec<Line>,
    digest: Digest,
    pub(crate) events: u64,
}

impl Trace {
    pub(crate) fn new() -> Trace {
        Trace {
            lines: Vec::new(),
            digest: Digest::default(),
            events: 0,
        }
    }

    /// Something happened: what kind, to whom.
    pub(crate) fn event(&mut self, at: u64, kind: u8, to: u64) {
        self.events += 1;
        (at, kind, to).hash(&mut self.digest);
    }

    pub(crate) fn line(&mut self, at: u64, place: String, who: String, what: String) {
        (at, &place, &who, &what).hash(&mut self.digest);
        self.lines.push(Line {
            at,
            place,
            who,
            what,
        });
    }

    pub(crate) fn digest(&self) -> u64 {
        self.digest.finish()
    }

    pub(crate) fn written(&self) -> &[Line] {
        &self.lines
    }

    pub(crate) fn lines(self) -> Vec<Line> {
        self.lines
    }
}
