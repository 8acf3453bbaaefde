//! One measurement: so many clients, each of which sends its next write when the last one is
//! answered.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use client::{CallError, Client, ConnectError};
use store::StoreClient;
use tokio::task::JoinSet;

/// The length of a value. Keys are 16 bytes long.
const VALUE_BYTES: usize = 64;
/// How many keys there are: more than fit into a processor's nearest cache, few enough that the
/// state does not grow during the measurement.
const KEYS: u64 = 10_000;
/// Before the measurement: connections, allocators and caches settle.
const WARM: Duration = Duration::from_secs(1);

/// How clients reach the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Connections {
    /// Each has one of its own.
    Each,
    /// They are sessions over this many.
    Shared(u32),
}

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setting {
    /// Clients that wait for their replies.
    pub(crate) clients: u32,
    /// How they reach the group.
    pub(crate) connections: Connections,
    /// For how long, after it has warmed up.
    pub(crate) duration: Duration,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Found {
    /// Replies per second.
    pub(crate) per_second: f64,
    /// Half of the writes took at most this.
    pub(crate) p50_us: u64,
    /// 99 % took at most this.
    pub(crate) p99_us: u64,
    /// The slowest took this.
    pub(crate) max_us: u64,
    /// Writes that were not answered.
    pub(crate) failed: u64,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MeasureError {
    /// Nobody answers.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// A session could not be opened.
    #[error("a session could not be opened: {0}")]
    Open(#[from] CallError),
    /// The group did something else than its clients were told.
    #[error("the group counts {counted} writes, its clients had {answered} answered")]
    Miscounted {
        /// By the group.
        counted: u64,
        /// By the clients.
        answered: u64,
    },
}

/// Measures a group over these members.
pub(crate) async fn measure(
    group: &str,
    contacts: &[SocketAddr],
    setting: Setting,
) -> Result<Found, MeasureError> {
    let count = match setting.connections {
        Connections::Each => setting.clients,
        Connections::Shared(connections) => connections,
    };
    let mut connections = Vec::new();
    for contact in contacts.iter().cycle().take(count as usize) {
        // One contact each, so that they are spread over the members.
        connections.push(Client::connect(group, &[*contact]).await?);
    }
    let mut loops = JoinSet::new();
    let mut sessions = Vec::new();
    for connection in connections.iter().cycle().take(setting.clients as usize) {
        sessions.push(StoreClient::new(connection.session().await?));
    }
    let counter = StoreClient::new(connections[0].session().await?);
    let before = counter.writes().await?;
    let from = Instant::now() + WARM;
    let until = from + setting.duration;
    for (number, session) in (0..).zip(sessions) {
        loops.spawn(closed_loop(session, number, from, until));
    }
    let mut latencies = Vec::new();
    let mut failed = 0;
    let mut answered = 0;
    while let Some(ended) = loops.join_next().await {
        match ended {
            Ok(seen) => {
                latencies.extend(seen.latencies_us);
                failed += seen.failed;
                answered += seen.answered;
            }
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
    // What failed may have been done or not; everything else was done exactly once.
    let counted = counter.writes().await? - before;
    if !(answered..=answered + failed).contains(&counted) {
        return Err(MeasureError::Miscounted { counted, answered });
    }
    Ok(found(latencies, failed, setting.duration))
}

/// What one client saw.
#[derive(Debug, Default)]
struct Seen {
    /// Of the writes that count.
    latencies_us: Vec<u64>,
    /// All writes, also those that do not count.
    answered: u64,
    failed: u64,
}

async fn closed_loop(session: StoreClient, number: u64, from: Instant, until: Instant) -> Seen {
    let value = "v".repeat(VALUE_BYTES);
    let mut seen = Seen::default();
    let mut write = number;
    loop {
        let started = Instant::now();
        if started >= until {
            return seen;
        }
        // Successive writes of a client, and its neighbours', go to keys far from each other.
        write = write
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(number | 1);
        let key = format!("{:016}", (write >> 32) % KEYS);
        let written = session.put(key, value.clone()).await;
        let ended = Instant::now();
        let counts = started >= from && ended <= until;
        match written {
            Ok(()) => {
                seen.answered += 1;
                if counts {
                    seen.latencies_us.push(micros(ended - started));
                }
            }
            Err(_) => seen.failed += 1,
        }
    }
}

fn found(mut latencies: Vec<u64>, failed: u64, duration: Duration) -> Found {
    latencies.sort_unstable();
    // The smallest value that this share does not exceed (nearest rank).
    let percentile = |percent: usize| {
        let rank = (latencies.len() * percent).div_ceil(100).max(1);
        latencies.get(rank - 1).copied().unwrap_or(0)
    };
    Found {
        per_second: latencies.len() as f64 / duration.as_secs_f64(),
        p50_us: percentile(50),
        p99_us: percentile(99),
        max_us: percentile(100),
        failed,
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_of_the_nearest_rank_and_per_second() {
        let latencies = (1..=200).rev().collect();
        let found = found(latencies, 3, Duration::from_secs(2));
        assert!((found.per_second - 100.0).abs() < 1e-9);
        assert_eq!((found.p50_us, found.p99_us, found.max_us), (100, 198, 200));
        assert_eq!(found.failed, 3);
    }

    #[test]
    fn of_nothing_nothing_is_found() {
        let nothing = found(Vec::new(), 0, Duration::from_secs(1));
        assert_eq!(nothing, Found::default());
    }
}
