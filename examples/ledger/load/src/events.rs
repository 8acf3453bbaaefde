//! What the load says while it runs, one line of JSON each, for whoever started it.

use std::io::{self, Write};

use serde::Serialize;

use crate::audit::Audit;

/// A line on the standard output. In the order in which they come.
#[derive(Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Event {
    /// Sessions and accounts are open; the first request starts at this moment.
    Began {
        /// Microseconds since 1970.
        began_us: u64,
    },
    /// Five times a second.
    Progress(Progress),
    /// The last one: the ledger was held against the record.
    Audited(Audit),
}

/// How it goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct Progress {
    /// Microseconds since the load began.
    pub(crate) at_us: u64,
    /// Requests that were to start by now.
    pub(crate) requests: u64,
    /// Of these, answered within their time.
    pub(crate) answered: u64,
    /// Not answered within their time.
    pub(crate) failed: u64,
    /// Sent once more, or again.
    pub(crate) retried: u64,
    /// Of the requests that ended since the last line: half took at most this, in microseconds.
    pub(crate) p50_us: u64,
    /// Of the same: the slowest took this, in microseconds.
    pub(crate) max_us: u64,
}

/// Says it. Whoever listened may be gone; the record is written all the same.
pub(crate) fn tell(event: &Event) {
    let mut out = io::stdout().lock();
    let line = serde_json::to_string(event).expect("names and numbers are JSON");
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that the demo has in its own test of the reader.
    #[test]
    fn events_are_what_their_readers_expect() {
        let json = |event: &Event| serde_json::to_string(event).unwrap_or_default();
        let began = Event::Began { began_us: 7 };
        assert_eq!(json(&began), r#"{"began":{"began_us":7}}"#);
        let progress = Event::Progress(Progress {
            at_us: 200_000,
            requests: 400,
            answered: 398,
            failed: 1,
            retried: 2,
            p50_us: 310,
            max_us: 900,
        });
        assert_eq!(
            json(&progress),
            concat!(
                r#"{"progress":{"at_us":200000,"requests":400,"answered":398,"failed":1,"#,
                r#""retried":2,"p50_us":310,"max_us":900}}"#
            )
        );
        let audited = Event::Audited(Audit::default());
        assert_eq!(
            json(&audited),
            concat!(
                r#"{"audited":{"acknowledged":0,"lost":0,"duplicated":0,"phantom":0,"#,
                r#""unresolved_present":0,"accounts_wrong":0,"sum_expected":0,"sum_found":0}}"#
            )
        );
    }
}
