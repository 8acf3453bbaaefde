//! The load itself: sends what is due, and notes what became of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use ledger_v1::{LedgerClient, Reference, Refused};
use remex::CallError;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::Arguments;
use crate::events::{Event, Progress, tell};
use crate::ledger::{Ledger, account};
use crate::schedule::{Kind, Planned, Schedule, account_to_read, transfer};
use crate::ticker;

/// How often progress is told.
const PROGRESS: Duration = Duration::from_millis(200);
/// How often it is noted how many requests were sent again: this exact is it known when.
const RETRIES: Duration = Duration::from_millis(10);
/// Between the preparation and the first request.
const LEAD: Duration = Duration::from_millis(100);

/// Why there was no load, or no audit.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// The system.
    #[error("the system refuses: {0}")]
    Runtime(std::io::Error),
    /// Nobody answers.
    #[error("{0}")]
    Connect(client::ConnectError),
    /// A session or an account could not be opened.
    #[error("the load could not be prepared: {0}")]
    Open(CallError),
    /// The ledger refused to open an account.
    #[error("an account could not be opened: {0:?}")]
    Refused(Refused),
    /// The ledger was used before, so that the record could not be held against it.
    #[error("the ledger of \"{group}\" is not empty: use a new group")]
    Used {
        /// The group.
        group: String,
    },
    /// The ledger did not answer the audit.
    #[error("the final state could not be read: {0}")]
    Audit(CallError),
    /// The record.
    #[error("the record cannot be written to {path}: {why}")]
    Record {
        /// Where.
        path: PathBuf,
        /// What the system says.
        why: std::io::Error,
    },
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Its reply came.
    Answered,
    /// It was certainly not executed.
    Refused,
    /// Nobody could say.
    Unresolved,
}

/// What the load knows of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its receipt came, or the word that it was made before.
    Acknowledged,
    /// It was refused, by the group or by the ledger: it must never show up.
    Refused,
    /// It may have been made.
    Unknown,
}

/// One request that has ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Done {
    /// As it was planned.
    pub(crate) planned: Planned,
    /// When it ended, in microseconds after the beginning.
    pub(crate) done_us: u64,
    /// How.
    pub(crate) outcome: Outcome,
    /// Of a transfer: its reference and its fate.
    pub(crate) transfer: Option<(Reference, Fate)>,
}

/// Some requests were sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resent {
    /// When it was noticed, in microseconds after the beginning.
    pub(crate) at_us: u64,
    /// How many sendings.
    pub(crate) count: u64,
}

/// Everything that became of the load.
#[derive(Debug)]
pub(crate) struct Ended {
    /// When it began, in microseconds since 1970.
    pub(crate) began_us: u64,
    /// What was planned.
    pub(crate) schedule: Schedule,
    /// After how long a request counts as failed.
    pub(crate) limit_ms: u32,
    /// All requests.
    pub(crate) requests: Vec<Done>,
    /// When requests were sent again.
    pub(crate) resent: Vec<Resent>,
}

/// Runs the load until it is asked to stop and everything under way has ended.
pub(crate) async fn run(
    arguments: &Arguments,
    ledger: &Ledger,
    mut stop: mpsc::Receiver<()>,
) -> Result<Ended, LoadError> {
    let schedule = Schedule {
        rate: arguments.rate,
        sessions: arguments.sessions,
        writes: arguments.writes,
    };
    let began = Instant::now() + LEAD;
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH);
    let began_us = micros(since_1970.unwrap_or_default() + LEAD);
    tell(&Event::Began { began_us });
    let stopped = Arc::new(AtomicBool::new(false));
    let (sender, mut due) = mpsc::unbounded_channel();
    ticker::start(schedule, began, Arc::clone(&stopped), sender).map_err(LoadError::Runtime)?;

    let mut running = Running {
        ledger,
        began,
        limit: arguments.limit(),
        numbers: vec![0; ledger.sessions.len()],
        under_way: JoinSet::new(),
        requests: Vec::new(),
        resent: Vec::new(),
        retried: ledger.retried(),
        progress: Progress::default(),
        recent: Vec::new(),
    };
    let mut telling = tokio::time::interval(PROGRESS);
    let mut noting = tokio::time::interval(RETRIES);
    let mut open = true;
    while open || !running.under_way.is_empty() {
        tokio::select! {
            planned = due.recv(), if open => match planned {
                Some(planned) => running.send(planned),
                None => open = false,
            },
            Some(done) = running.under_way.join_next() => match done {
                Ok(done) => running.note(done),
                Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
            },
            _ = noting.tick() => running.note_retries(),
            _ = telling.tick() => running.tell(),
            Some(()) = stop.recv() => stopped.store(true, Ordering::Relaxed),
        }
    }
    running.note_retries();
    running.tell();
    Ok(Ended {
        began_us,
        schedule,
        limit_ms: arguments.limit_ms,
        requests: running.requests,
        resent: running.resent,
    })
}

/// The load while it runs.
struct Running<'a> {
    ledger: &'a Ledger,
    began: Instant,
    limit: Duration,
    /// The last transfer of each stream.
    numbers: Vec<u64>,
    under_way: JoinSet<Done>,
    requests: Vec<Done>,
    resent: Vec<Resent>,
    retried: u64,
    progress: Progress,
    /// Latencies since progress was last told.
    recent: Vec<u64>,
}

impl Running<'_> {
    fn send(&mut self, planned: Planned) {
        self.progress.requests += 1;
        let accounts = self.ledger.accounts;
        let session = planned.session as usize;
        // Patience counts from the intended start, as latency does.
        let until = self.began + Duration::from_micros(planned.at_us) + self.limit;
        let left = until.saturating_duration_since(Instant::now());
        let session_client = self.ledger.sessions[session].clone().with_deadline(left);
        let began = self.began;
        match planned.kind {
            Kind::Write => {
                self.numbers[session] += 1;
                let reference = Reference {
                    stream: planned.session,
                    number: self.numbers[session],
                };
                self.under_way.spawn(async move {
                    let (outcome, fate) = write(&session_client, reference, accounts).await;
                    Done {
                        planned,
                        done_us: micros(began.elapsed()),
                        outcome,
                        transfer: Some((reference, fate)),
                    }
                });
            }
            Kind::Read => {
                let account = account(account_to_read(planned.number, accounts));
                self.under_way.spawn(async move {
                    let outcome = match session_client.balance(account).await {
                        Ok(_) => Outcome::Answered,
                        Err(why) => unanswered(&why).0,
                    };
                    Done {
                        planned,
                        done_us: micros(began.elapsed()),
                        outcome,
                        transfer: None,
                    }
                });
            }
        }
    }

    fn note(&mut self, done: Done) {
        let latency = done.done_us.saturating_sub(done.planned.at_us);
        if done.outcome == Outcome::Answered && latency <= micros(self.limit) {
            self.progress.answered += 1;
        } else {
            self.progress.failed += 1;
        }
        self.recent.push(latency);
        self.requests.push(done);
    }

    fn note_retries(&mut self) {
        let retried = self.ledger.retried();
        let count = retried - self.retried;
        if count > 0 {
            let at_us = micros(self.began.elapsed());
            self.resent.push(Resent { at_us, count });
            self.retried = retried;
            self.progress.retried += count;
        }
    }

    fn tell(&mut self) {
        self.recent.sort_unstable();
        self.progress.at_us = micros(self.began.elapsed());
        self.progress.p50_us = self.recent.get(self.recent.len() / 2).copied().unwrap_or(0);
        self.progress.max_us = self.recent.last().copied().unwrap_or(0);
        self.recent.clear();
        tell(&Event::Progress(self.progress));
    }
}

/// Makes the transfer with this reference.
async fn write(session: &LedgerClient, reference: Reference, accounts: u32) -> (Outcome, Fate) {
    let planned = transfer(reference, accounts);
    let (from, to) = (account(planned.from), account(planned.to));
    match session.transfer(from, to, planned.amount, reference).await {
        // Each reference is used once: a repetition is the group's, and the audit counts it.
        Ok(Ok(_) | Err(Refused::Repeated)) => (Outcome::Answered, Fate::Acknowledged),
        Ok(Err(
            Refused::UnknownAccount { .. } | Refused::Insufficient { .. } | Refused::Denied { .. },
        )) => (Outcome::Answered, Fate::Refused),
        Err(why) => unanswered(&why),
    }
}

fn unanswered(why: &CallError) -> (Outcome, Fate) {
    if why.is_definite() {
        (Outcome::Refused, Fate::Refused)
    } else {
        (Outcome::Unresolved, Fate::Unknown)
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
