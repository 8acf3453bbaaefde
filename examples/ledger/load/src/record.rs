//! The record: one line of JSON for its head, then one for each request, and one whenever some
//! requests were sent again. Every figure of a report can be computed from it again.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use crate::load::{Done, Ended, Outcome, Resent};
use crate::schedule::Kind;

/// The format of the lines.
const SCHEMA: u32 = 1;

/// Writes the record to a file.
pub(crate) fn write(path: &Path, ended: &Ended) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    lines(&mut out, ended)?;
    out.flush()
}

fn lines(out: &mut impl Write, ended: &Ended) -> io::Result<()> {
    let Ended {
        began_us,
        schedule,
        limit_ms,
        requests,
        resent,
    } = ended;
    writeln!(
        out,
        r#"{{"schema":{SCHEMA},"began_us":{began_us},"sessions":{},"rate":{},"limit_ms":{limit_ms}}}"#,
        schedule.sessions, schedule.rate,
    )?;
    requests.iter().try_for_each(|done| request(out, done))?;
    resent.iter().try_for_each(|Resent { at_us, count }| {
        writeln!(out, r#"{{"at":{at_us},"resent":{count}}}"#)
    })
}

fn request(out: &mut impl Write, done: &Done) -> io::Result<()> {
    let kind = match done.planned.kind {
        Kind::Write => "write",
        Kind::Read => "read",
    };
    let outcome = match done.outcome {
        Outcome::Answered => "answered",
        Outcome::Refused => "refused",
        Outcome::Unresolved => "unresolved",
    };
    writeln!(
        out,
        r#"{{"at":{},"done":{},"kind":"{kind}","session":{},"outcome":"{outcome}"}}"#,
        done.planned.at_us, done.done_us, done.planned.session,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::{Planned, Schedule};

    /// The lines that the demo has in its own test of the reader.
    #[test]
    fn lines_are_what_their_readers_expect() {
        let done = |at_us, done_us, kind, session| Done {
            planned: Planned {
                number: 0,
                at_us,
                session,
                kind,
            },
            done_us,
            outcome: Outcome::Answered,
            transfer: None,
        };
        let ended = Ended {
            began_us: 1_700_000_000_000_000,
            schedule: Schedule {
                rate: 2000,
                sessions: 64,
                writes: 80,
            },
            limit_ms: 1000,
            requests: vec![
                done(1500, 1_001_501, Kind::Write, 1),
                done(1000, 1310, Kind::Read, 0),
            ],
            resent: vec![Resent {
                at_us: 101_000,
                count: 3,
            }],
        };
        let mut text = Vec::new();
        assert!(lines(&mut text, &ended).is_ok());
        let expected = concat!(
            r#"{"schema":1,"began_us":1700000000000000,"sessions":64,"rate":2000,"limit_ms":1000}"#,
            "\n",
            r#"{"at":1500,"done":1001501,"kind":"write","session":1,"outcome":"answered"}"#,
            "\n",
            r#"{"at":1000,"done":1310,"kind":"read","session":0,"outcome":"answered"}"#,
            "\n",
            r#"{"at":101000,"resent":3}"#,
            "\n",
        );
        assert_eq!(String::from_utf8_lossy(&text), expected);
    }
}
