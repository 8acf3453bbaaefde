//! What happened, in lines that people read, and a digest of everything that happened.

use std::collections::hash_map::DefaultHasher;
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

/// The lines, and the digest.
#[derive(Debug)]
pub(crate) struct Trace {
    lines: Vec<Line>,
    digest: DefaultHasher,
    pub(crate) events: u64,
}

impl Trace {
    pub(crate) fn new() -> Trace {
        Trace {
            lines: Vec::new(),
            digest: DefaultHasher::new(),
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

    pub(crate) fn lines(self) -> Vec<Line> {
        self.lines
    }
}
