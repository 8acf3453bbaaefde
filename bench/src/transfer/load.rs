//! A steady open-loop load: small writes that start when they are due, whatever became of those
//! before them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use client::Client;
use store::StoreClient;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

use super::{TransferError, now_us};

/// Writes per second: a load that leaves the machine time for the transfer, and one that a stall of
/// a few milliseconds shows in.
pub(super) const RATE: u64 = 1000;
/// A write that was not answered this long after it was due has failed.
pub(super) const LIMIT: Duration = Duration::from_secs(1);
/// Sessions, over so many connections: they begin at different members.
const SESSIONS: usize = 16;
const CONNECTIONS: usize = 4;
/// Small values, under keys that are soon all known, so that the state does not grow.
const VALUE_BYTES: usize = 64;
const KEYS: u64 = 10_000;
/// Between the preparation and the first write.
const LEAD: Duration = Duration::from_millis(100);

/// One write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Write {
    /// When it was due, in microseconds since 1970.
    pub(super) due_us: u64,
    /// When its reply came, if one did in time.
    pub(super) answered_us: Option<u64>,
}

/// A load that runs.
#[derive(Debug)]
pub(super) struct Load {
    stop: Arc<AtomicBool>,
    writes: JoinHandle<Vec<Write>>,
}

impl Load {
    /// Opens its sessions and begins.
    pub(super) async fn start(group: &str, contacts: &[SocketAddr]) -> Result<Load, TransferError> {
        let mut connections = Vec::new();
        for contact in contacts.iter().cycle().take(CONNECTIONS) {
            connections.push(Client::connect(group, &[*contact]).await?);
        }
        let mut sessions = Vec::new();
        for connection in connections.iter().cycle().take(SESSIONS) {
            sessions.push(StoreClient::new(connection.session().await?));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let began = Began {
            at: Instant::now() + LEAD,
            us: now_us() + micros(LEAD),
        };
        let due = ticker(began, Arc::clone(&stop)).map_err(TransferError::Ticker)?;
        let writes = tokio::spawn(run(sessions, began, due));
        Ok(Load { stop, writes })
    }

    /// Ends it; what became of all writes.
    pub(super) async fn stop(mut self) -> Vec<Write> {
        self.stop.store(true, Ordering::Relaxed);
        match (&mut self.writes).await {
            Ok(writes) => writes,
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// The beginning, by both clocks.
#[derive(Clone, Copy, Debug)]
struct Began {
    at: Instant,
    us: u64,
}

/// Hands out the numbers of writes when they are due. It is a thread of its own: a runtime's timers
/// tick in milliseconds, which is longer than most replies take.
fn ticker(began: Began, stop: Arc<AtomicBool>) -> std::io::Result<mpsc::UnboundedReceiver<u64>> {
    let (sender, due) = mpsc::unbounded_channel();
    let ticks = move || {
        for number in 0.. {
            let at = began.at + after(number);
            let wait = at.saturating_duration_since(Instant::now());
            if !wait.is_zero() {
                thread::sleep(wait);
            }
            if stop.load(Ordering::Relaxed) || sender.send(number).is_err() {
                return;
            }
        }
    };
    let thread = thread::Builder::new().name("ticker".to_owned());
    thread.spawn(ticks).map(|_| due)
}

/// How long after the beginning a write is due.
fn after(number: u64) -> Duration {
    Duration::from_micros(number * 1_000_000 / RATE)
}

async fn run(
    sessions: Vec<StoreClient>,
    began: Began,
    mut due: mpsc::UnboundedReceiver<u64>,
) -> Vec<Write> {
    let mut under_way = JoinSet::new();
    let mut writes = Vec::new();
    let mut sessions = sessions.iter().cycle();
    loop {
        tokio::select! {
            number = due.recv() => {
                let (Some(number), Some(session)) = (number, sessions.next()) else {
                    break;
                };
                under_way.spawn(write(session.clone(), began, number));
            }
            Some(ended) = under_way.join_next() => writes.push(joined(ended)),
        }
    }
    while let Some(ended) = under_way.join_next().await {
        writes.push(joined(ended));
    }
    writes
}

fn joined(ended: Result<Write, tokio::task::JoinError>) -> Write {
    ended.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))
}

async fn write(session: StoreClient, began: Began, number: u64) -> Write {
    let due = began.at + after(number);
    // Patience counts from the intended start, as latency does.
    let left = (due + LIMIT).saturating_duration_since(Instant::now());
    let session = session.with_deadline(left);
    // Successive writes go to keys far from each other.
    let key = format!("{:016}", number.wrapping_mul(0x9E37_79B9_7F4A_7C15) % KEYS);
    let written = session.put(key, "v".repeat(VALUE_BYTES)).await;
    let took = began.at.elapsed();
    let in_time = written.is_ok() && took <= after(number) + LIMIT;
    Write {
        due_us: began.us + micros(after(number)),
        answered_us: in_time.then(|| began.us + micros(took)),
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
