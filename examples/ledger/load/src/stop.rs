//! When the load is asked to stop: after a time, or by a signal, a line, the end of its input.

use std::io::{self, BufRead};
use std::thread;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::load::LoadError;

/// Something arrives when the load should stop; asked once.
pub(crate) fn asked(duration: Option<Duration>) -> Result<mpsc::Receiver<()>, LoadError> {
    let (sender, receiver) = mpsc::channel(4);
    for kind in [SignalKind::terminate(), SignalKind::interrupt()] {
        let mut signals = signal(kind).map_err(LoadError::Runtime)?;
        let sender = sender.clone();
        tokio::spawn(async move {
            signals.recv().await;
            // Somebody else may have asked already.
            let _ = sender.try_send(());
        });
    }
    match duration {
        Some(duration) => {
            tokio::spawn(async move {
                tokio::time::sleep(duration).await;
                let _ = sender.try_send(());
            });
        }
        None => {
            thread::spawn(move || {
                await_line(io::stdin().lock());
                let _ = sender.try_send(());
            });
        }
    }
    Ok(receiver)
}

/// Returns at the line `stop`, or when there are no more lines: whoever started the load is gone.
fn await_line(input: impl BufRead) {
    let mut lines = input.lines();
    while let Some(Ok(line)) = lines.next() {
        if line.trim() == "stop" {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_stop_or_the_end_is_awaited() {
        let mut input: &[u8] = b"go on\n stop \nnot read\n";
        await_line(&mut input);
        assert_eq!(input, b"not read\n");
        await_line(&mut input);
        assert!(input.is_empty());
    }
}
