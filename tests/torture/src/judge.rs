//! The judge: a thread that takes histories while the run goes on, so that its end does not wait.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};

use wire::Position;

use crate::history::History;

/// What was judged, and what was found.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// Histories.
    pub(crate) histories: u64,
    /// Operations in them.
    pub(crate) operations: u64,
    /// What cannot have been.
    pub(crate) faults: Vec<String>,
    /// Where the ledger gave each sequence, by sequence.
    sequences: Vec<Position>,
}

/// The thread.
#[derive(Debug)]
pub(crate) struct Judge {
    histories: Sender<History>,
    thread: JoinHandle<Judged>,
    done: Arc<AtomicU64>,
    found: Arc<AtomicU64>,
}

impl Judge {
    /// Waits for histories; one that is wrong is written into this directory.
    pub(crate) fn start(directory: &Path) -> Judge {
        let (histories, taken) = channel();
        let (done, found) = (Arc::default(), Arc::default());
        let counters = (Arc::clone(&done), Arc::clone(&found));
        let directory = directory.to_owned();
        let thread = thread::spawn(move || judge(&taken, &directory, counters));
        Judge {
            histories,
            thread,
            done,
            found,
        }
    }

    /// Where histories go.
    pub(crate) fn takes(&self) -> Sender<History> {
        self.histories.clone()
    }

    /// Histories that were judged so far, and how many of them were wrong.
    pub(crate) fn so_far(&self) -> (u64, u64) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        (read(&self.done), read(&self.found))
    }

    /// What it found; everybody else who gives it histories must be gone.
    pub(crate) fn end(self) -> Judged {
        drop(self.histories);
        match self.thread.join() {
            Ok(judged) => judged,
            Err(panicked) => std::panic::resume_unwind(panicked),
        }
    }
}

fn judge(
    taken: &Receiver<History>,
    directory: &Path,
    (done, found): (Arc<AtomicU64>, Arc<AtomicU64>),
) -> Judged {
    let mut judged = Judged::default();
    for history in taken {
        if let Err(why) = history.judge() {
            let file = directory.join(format!("history-{}.txt", judged.histories));
            judged.faults.push(match write(&file, &history) {
                Ok(()) => format!("{why}; the history is in {}", file.display()),
                Err(_) => why,
            });
            found.fetch_add(1, Ordering::Relaxed);
        }
        judged.take(&history);
        done.fetch_add(1, Ordering::Relaxed);
    }
    judged
}

fn write(file: &PathBuf, history: &History) -> std::io::Result<()> {
    let mut sorted: Vec<_> = history.operations.iter().collect();
    sorted.sort_by_key(|noted| noted.timed.asked_at);
    let mut text = format!("begins with {:?}\n", history.initial);
    for noted in sorted {
        text.push_str(&format!("{noted:?}\n"));
    }
    fs::write(file, text)
}

impl Judged {
    fn take(&mut self, history: &History) {
        self.histories += 1;
        self.operations += history.operations.len() as u64;
        for (receipt, position) in history.receipts() {
            let at = usize::try_from(receipt.sequence).unwrap_or(usize::MAX);
            if at >= self.sequences.len() {
                self.sequences
                    .resize(at.saturating_add(1), Position::default());
            }
            if self.sequences[at] != Position::default() {
                let fault = format!("two transfers were told that they were number {at}");
                self.faults.push(fault);
            }
            self.sequences[at] = position;
        }
    }

    /// Holds the sequences of all islands against each other and against the ledger's own count.
    /// Transfers whose replies nobody has may be missing among them.
    pub(crate) fn sequences(&self, applied: u64, unresolved: u64) -> Result<(), String> {
        let given = |position: &&Position| **position != Position::default();
        let known = self.sequences.iter().filter(given).count() as u64;
        if known > applied || known + unresolved < applied {
            return Err(format!(
                "{known} transfers were told their number, of {unresolved} more nothing is known, \
                 and the ledger counts {applied}"
            ));
        }
        let mut highest = Position::default();
        for (sequence, position) in self
            .sequences
            .iter()
            .enumerate()
            .filter(|(_, at)| given(at))
        {
            if *position < highest {
                return Err(format!(
                    "transfer number {sequence} was executed at {position}, and one of a lower \
                     number at {highest}"
                ));
            }
            highest = *position;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Positions of sequences 1, 2, ...; 0 for one that nobody was told.
    fn check(positions: &[u64], applied: u64, unresolved: u64) -> bool {
        let judged = Judged {
            sequences: [0]
                .iter()
                .chain(positions)
                .map(|at| Position(*at))
                .collect(),
            ..Judged::default()
        };
        judged.sequences(applied, unresolved).is_ok()
    }

    #[test]
    fn sequences_go_with_positions_and_are_all_there() {
        assert!(check(&[5, 5, 7], 3, 0));
        assert!(check(&[5, 0, 7], 3, 1));
        assert!(!check(&[5, 0, 7], 3, 0), "one is lost");
        assert!(!check(&[5, 5, 7], 2, 0), "one is too many");
        assert!(!check(&[5, 8, 7], 3, 0), "out of order");
    }
}
