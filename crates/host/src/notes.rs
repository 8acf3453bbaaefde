//! What the process says to its operator: one line each on standard error, which the execution
//! daemon keeps.

use std::fmt;
use std::io::{self, Write};

use crate::clock::wall_ms;

const MS_PER_DAY: u64 = 24 * 60 * 60 * 1000;

/// One line, with the time of day (UTC). The last line before the end is the reason of the end.
pub(crate) fn note(text: impl fmt::Display) {
    let line = format!("{} {text}\n", time_of_day(wall_ms()));
    // Nobody can be told that standard error is closed.
    let _closed = io::stderr().lock().write_all(line.as_bytes());
}

fn time_of_day(wall_ms: u64) -> String {
    let ms = wall_ms % MS_PER_DAY;
    let seconds = ms / 1000;
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!(
        "{hours:02}:{minutes:02}:{:02}.{:03}",
        seconds % 60,
        ms % 1000
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_day_is_readable() {
        assert_eq!(time_of_day(1_700_000_000_123), "22:13:20.123");
    }
}
