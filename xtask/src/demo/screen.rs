//! The terminal: one line that changes, and lines that stay. Where there is no terminal, only lines
//! that stay, and the changing one now and then.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use super::load::Progress;

/// How often the changing line is drawn: as fast as people read.
const REDRAW: Duration = Duration::from_millis(200);
/// How often it is told where there is no terminal.
const RETELL: Duration = Duration::from_secs(5);
/// What fits on a line of most terminals.
const WIDTH: usize = 110;

/// Where the demo shows what happens.
#[derive(Debug)]
pub(crate) struct Screen {
    terminal: bool,
    drawn: Option<Instant>,
    /// Whether the changing line stands there now.
    open: bool,
}

impl Screen {
    /// The standard output.
    pub(crate) fn new() -> Screen {
        Screen {
            terminal: io::stdout().is_terminal(),
            drawn: None,
            open: false,
        }
    }

    /// A line that stays.
    pub(crate) fn say(&mut self, line: &str) {
        self.clear();
        println!("{line}");
    }

    /// The line that changes: what goes on, and how the load goes.
    pub(crate) fn progress(&mut self, phase: &str, load: Option<&Progress>, members: &str) {
        let wait = if self.terminal { REDRAW } else { RETELL };
        if self.drawn.is_some_and(|at| at.elapsed() < wait) {
            return;
        }
        self.drawn = Some(Instant::now());
        let line = line(phase, load, members);
        if self.terminal {
            print!("\r\x1b[2K{line}");
            // A terminal that is gone shows nothing.
            let _ = io::stdout().flush();
            self.open = true;
        } else {
            println!("{line}");
        }
    }

    /// Takes the changing line away.
    pub(crate) fn clear(&mut self) {
        if self.open {
            print!("\r\x1b[2K");
            let _ = io::stdout().flush();
            self.open = false;
        }
    }
}

fn line(phase: &str, load: Option<&Progress>, members: &str) -> String {
    let load = load.map_or_else(String::new, |load| {
        format!(
            "{:6.1} s  {} requests, {} failed, {} retried; p50 {:.2} ms, slowest {:.1} ms",
            load.at_us as f64 / 1e6,
            load.requests,
            load.failed,
            load.retried,
            load.p50_us as f64 / 1e3,
            load.max_us as f64 / 1e3,
        )
    });
    let line = [phase, &load, members].map(str::trim).join("  ");
    line.chars().take(WIDTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_changing_line_fits() {
        let load = Progress {
            at_us: 12_300_000,
            requests: 24_600,
            answered: 24_590,
            p50_us: 240,
            max_us: 1_240,
            ..Progress::default()
        };
        let line = line("steady", Some(&load), &"m ".repeat(200));
        assert!(line.starts_with(
            "steady  12.3 s  24600 requests, 0 failed, 0 retried; p50 0.24 ms, slowest 1.2 ms  m m"
        ));
        assert_eq!(line.chars().count(), WIDTH);
    }
}
