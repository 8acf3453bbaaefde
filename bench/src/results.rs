//! The results, as a table for people and as JSON for scripts.

use std::fmt::Write as _;

use serde::Serialize;

use crate::measure::{Connections, Found, Setting};

/// One row. The names are those of the JSON.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Row {
    /// Members of the group.
    pub(crate) members: u32,
    /// Clients that wait for their replies.
    pub(crate) clients: u32,
    /// Connections that they share, or have.
    pub(crate) connections: u32,
    /// Writes that were answered, per second.
    pub(crate) per_s: f64,
    /// Half of the writes took at most this, in milliseconds.
    pub(crate) p50_ms: f64,
    /// 99 % took at most this, in milliseconds.
    pub(crate) p99_ms: f64,
    /// The slowest took this, in milliseconds.
    pub(crate) max_ms: f64,
    /// Writes that were not answered.
    pub(crate) failed: u64,
}

impl Row {
    /// What was found in this setting.
    pub(crate) fn new(members: u32, setting: Setting, found: &Found) -> Row {
        Row {
            members,
            clients: setting.clients,
            connections: match setting.connections {
                Connections::Each => setting.clients,
                Connections::Shared(connections) => connections,
            },
            per_s: found.per_second.round(),
            p50_ms: found.p50_us as f64 / 1e3,
            p99_ms: found.p99_us as f64 / 1e3,
            max_ms: found.max_us as f64 / 1e3,
            failed: found.failed,
        }
    }
}

/// The head of the table.
pub(crate) fn head() -> String {
    format!(
        "{:>7} {:>7} {:>11} {:>9} {:>8} {:>8} {:>8} {:>6}",
        "members", "clients", "connections", "writes/s", "p50 ms", "p99 ms", "max ms", "failed"
    )
}

/// One line of it.
pub(crate) fn line(row: &Row) -> String {
    let mut line = format!(
        "{:>7} {:>7} {:>11} {:>9.0}",
        row.members, row.clients, row.connections, row.per_s
    );
    for ms in [row.p50_ms, row.p99_ms, row.max_ms] {
        write!(line, " {ms:>8.2}").expect("writing to memory does not fail");
    }
    write!(line, " {:>6}", row.failed).expect("writing to memory does not fail");
    line
}

/// All rows as JSON.
pub(crate) fn json(rows: &[Row]) -> String {
    let text = serde_json::to_string_pretty(rows).expect("names and numbers are JSON");
    text + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_stand_under_their_head() {
        let row = Row {
            members: 3,
            clients: 256,
            connections: 4,
            per_s: 98_765.0,
            p50_ms: 1.234,
            p99_ms: 12.0,
            max_ms: 100.5,
            failed: 0,
        };
        assert_eq!(head().len(), line(&row).len());
        assert!(line(&row).ends_with("98765     1.23    12.00   100.50      0"));
        assert!(json(&[row]).contains("\"per_s\": 98765.0"));
    }
}
