//! The clock of the load: a thread of its own hands out requests when they are due.
//!
//! The runtime's own timers tick in milliseconds, which is longer than most replies take.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

use crate::schedule::{Planned, Schedule};

/// Hands out the schedule from `began` on until `stop` is raised; the sender is dropped then.
pub(crate) fn start(
    schedule: Schedule,
    began: Instant,
    stop: Arc<AtomicBool>,
    due: UnboundedSender<Planned>,
) -> std::io::Result<()> {
    let ticks = move || {
        for planned in (0..).map(|number| schedule.planned(number)) {
            let at = began + Duration::from_micros(planned.at_us);
            let wait = at.saturating_duration_since(Instant::now());
            if !wait.is_zero() {
                thread::sleep(wait);
            }
            if stop.load(Ordering::Relaxed) || due.send(planned).is_err() {
                return;
            }
        }
    };
    thread::Builder::new()
        .name("ticker".to_owned())
        .spawn(ticks)
        .map(|_| ())
}
