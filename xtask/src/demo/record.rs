//! What the load wrote down: one line of JSON for its head, then one for each request, and one
//! whenever some requests were sent again.
//!
//! `ledger-load` writes this file and nothing else reads its memory, so that every figure of the
//! report can be computed again by anybody from the file alone. Times are microseconds since the
//! load began; the head says when that was by the machine's clock.

use std::io::{self, BufRead};

use serde::Deserialize;

/// The format of the record that this reader knows.
const SCHEMA: u32 = 1;

/// The first line of a record.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Head {
    /// The format of the lines that follow.
    pub(crate) schema: u32,
    /// When the load began, in microseconds since 1970.
    pub(crate) began_us: u64,
    /// How many sessions it had.
    pub(crate) sessions: u32,
    /// Requests that it meant to send, per second.
    pub(crate) rate: u32,
    /// After how long a request counts as failed.
    pub(crate) limit_ms: u32,
}

/// What a request was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// It changed the state.
    Write,
    /// It read the state, linearizably.
    Read,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// It was executed and its reply came, if perhaps late.
    Answered,
    /// It was certainly not executed.
    Refused,
    /// Nobody could say what became of it.
    Unresolved,
}

/// One request as its client saw it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub(crate) struct Request {
    /// When it was meant to start: latency counts from here, however late it was really sent.
    pub(crate) at: u64,
    /// When its outcome was known.
    pub(crate) done: u64,
    /// What it was for.
    pub(crate) kind: Kind,
    /// Its session, from 0.
    pub(crate) session: u32,
    /// What became of it.
    pub(crate) outcome: Outcome,
}

/// Some requests were sent again, under the same number and perhaps to another member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) struct Resent {
    /// When the load noticed.
    pub(crate) at: u64,
    /// How many sendings.
    #[serde(rename = "resent")]
    pub(crate) count: usize,
}

/// A line after the head.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Request(Request),
    Resent(Resent),
}

/// A whole record, in the order of the intended starts.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Record {
    /// Its first line.
    pub(crate) head: Head,
    /// All requests.
    pub(crate) requests: Vec<Request>,
    /// When requests were sent again.
    pub(crate) resent: Vec<Resent>,
}

/// Why a file is not a record.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RecordError {
    /// It cannot be read.
    #[error("the load's record cannot be read: {0}")]
    Unreadable(#[from] io::Error),
    /// It is empty: the load ended before it wrote.
    #[error("the load's record is empty; its last words are in its output")]
    Empty,
    /// Another format.
    #[error("the load's record has format {found}, this reader knows {SCHEMA}; build both anew")]
    Schema {
        /// What the head says.
        found: u32,
    },
    /// A line that is none of ours.
    #[error("line {number} of the load's record is none that is known: {why}")]
    Line {
        /// Its number, from 1.
        number: usize,
        /// The reader's words.
        why: serde_json::Error,
    },
}

impl Record {
    /// Reads a record.
    pub(crate) fn read(from: impl BufRead) -> Result<Record, RecordError> {
        let mut lines = from.lines().enumerate();
        let (_, first) = lines.next().ok_or(RecordError::Empty)?;
        let head: Head = line(1, &first?)?;
        if head.schema != SCHEMA {
            return Err(RecordError::Schema { found: head.schema });
        }
        let mut requests = Vec::new();
        let mut resent = Vec::new();
        for (index, text) in lines {
            match line(index + 1, &text?)? {
                Line::Request(request) => requests.push(request),
                Line::Resent(some) => resent.push(some),
            }
        }
        requests.sort_by_key(|request: &Request| request.at);
        Ok(Record {
            head,
            requests,
            resent,
        })
    }

    /// The time after which a request counts as failed, in microseconds.
    pub(crate) fn limit_us(&self) -> u64 {
        u64::from(self.head.limit_ms) * 1000
    }
}

fn line<'a, T: Deserialize<'a>>(number: usize, text: &'a str) -> Result<T, RecordError> {
    serde_json::from_str(text).map_err(|why| RecordError::Line { number, why })
}

impl Request {
    /// How long it took from its intended start until its outcome was known.
    pub(crate) fn latency_us(&self) -> u64 {
        self.done.saturating_sub(self.at)
    }

    /// Whether it failed a client that waits for at most `limit_us`.
    pub(crate) fn failed(&self, limit_us: u64) -> bool {
        self.outcome != Outcome::Answered || self.latency_us() > limit_us
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    const HEAD: &str =
        r#"{"schema":1,"began_us":1700000000000000,"sessions":64,"rate":2000,"limit_ms":1000}"#;

    fn read(text: &str) -> Result<Record, RecordError> {
        Record::read(text.as_bytes())
    }

    /// The lines that `ledger-load` has in its own test of the writer.
    #[test]
    fn lines_of_the_load_are_read() {
        let text = format!(
            "{HEAD}\n{}\n{}\n",
            r#"{"at":1500,"done":1001501,"kind":"write","session":1,"outcome":"answered"}"#,
            r#"{"at":1000,"done":1310,"kind":"read","session":0,"outcome":"answered"}"#,
        ) + "{\"at\":101000,\"resent\":3}\n";
        let record = read(&text).unwrap();
        assert_eq!(record.head.sessions, 64);
        assert_eq!(record.requests[0].kind, Kind::Read, "by intended start");
        assert_eq!(record.requests[0].latency_us(), 310);
        assert!(!record.requests[0].failed(record.limit_us()));
        assert!(
            record.requests[1].failed(record.limit_us()),
            "answered, but after its time"
        );
        let (at, count) = (101_000, 3);
        assert_eq!(record.resent, [Resent { at, count }]);
    }

    #[test]
    fn what_is_no_record_is_refused() {
        assert!(matches!(read(""), Err(RecordError::Empty)));
        assert!(matches!(
            read(&HEAD.replace(":1,", ":2,")),
            Err(RecordError::Schema { found: 2 })
        ));
        let cut = format!("{HEAD}\n{{\"at\":1000,\"do");
        assert!(matches!(
            read(&cut),
            Err(RecordError::Line { number: 2, .. })
        ));
    }
}
