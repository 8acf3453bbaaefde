//! What the operator sees: tables and progress for people, one document for scripts.

use std::io::{self, Write};

use crate::outcome::Outcome;

/// Standard output and error.
#[derive(Debug)]
pub(crate) struct Screen {
    json: bool,
}

impl Screen {
    pub(crate) fn new(json: bool) -> Screen {
        Screen { json }
    }

    /// A line for people.
    pub(crate) fn line(&self, text: &str) {
        if !self.json {
            // A reader that has gone needs no more lines.
            let _ = writeln!(io::stdout(), "{text}");
        }
    }

    /// What happens while a command runs: not part of its result.
    pub(crate) fn progress(&self, text: &str) {
        let _ = writeln!(io::stderr(), "{text}");
    }

    /// The result for scripts.
    pub(crate) fn document(&self, document: &serde_json::Value) {
        if self.json {
            let _ = writeln!(io::stdout(), "{document}");
        }
    }

    /// Lines in columns.
    pub(crate) fn table(&self, head: &[&str], rows: &[Vec<String>]) {
        let mut widths: Vec<usize> = head.iter().map(|cell| cell.len()).collect();
        for row in rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        let line = |cells: Vec<&str>| {
            let cells: Vec<String> = cells
                .iter()
                .zip(&widths)
                .map(|(cell, &width)| format!("{cell:width$}"))
                .collect();
            cells.join("  ").trim_end().to_owned()
        };
        self.line(&line(head.to_vec()));
        for row in rows {
            self.line(&line(row.iter().map(String::as_str).collect()));
        }
    }

    /// Why the command did not end well.
    pub(crate) fn fault(&self, outcome: &Outcome) {
        if self.json {
            self.document(&serde_json::json!({
                "error": outcome.word(),
                "why": outcome.to_string(),
            }));
        } else {
            let _ = writeln!(io::stderr(), "remex: {outcome}");
        }
    }
}
