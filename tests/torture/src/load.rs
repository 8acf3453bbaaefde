//! The load: clients that move something within small islands of accounts and look at them, and note
//! everything.
//!
//! Each island is worked on by a few sessions at a time. Now and then they stop, the island is looked
//! at while nothing is under way, and what was done to it until then is a history to be judged; the
//! next one begins with what was seen. So histories stay short however long the run is, and islands
//! take their breaks at different times.

mod worker;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::Sender;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use campaign::Methods;
use campaign::island::{ACCOUNTS, Island, Seen};
use client::{CallError, Client, ConnectError, Options};
use simulator::Random;
use tokio::task::JoinSet;

use crate::audit::{self, Held, Told};
use crate::history::{History, Noted};
use crate::tally::Tally;
use worker::Worker;

/// Islands: no transfer leaves one.
const ISLANDS: u64 = 8;
/// Sessions that work on an island: histories of a few at a time are judged in no time.
const SESSIONS: u64 = 3;
/// Clients, each with its own connections, that the sessions share.
const CLIENTS: usize = 4;
/// What each account begins with: little, so that some transfers are refused.
const INITIAL: u64 = 1_000;
/// How long sessions work on an island until it is looked at, in milliseconds.
const HISTORY_MS: (u64, u64) = (6_000, 14_000);
/// How long the preparation may wait for one reply.
const PATIENCE: Duration = Duration::from_secs(10);
/// Operations of which nobody knows, from which on an island is given up: each doubles what has to be
/// tried, and the run has failed anyway.
const UNKNOWN_MAX: usize = 6;

/// Why there was no load.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoadError {
    /// The runtime of the clients.
    #[error("the system refuses: {0}")]
    Runtime(std::io::Error),
    /// Nobody answers.
    #[error("{0}")]
    Connect(ConnectError),
    /// A session or an account could not be opened.
    #[error("the load could not be prepared: {0}")]
    Prepare(CallError),
    /// A reply that no version gives.
    #[error("{0}")]
    Reply(String),
}

/// What is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) group: String,
    pub(crate) contacts: Vec<SocketAddr>,
    pub(crate) seed: u64,
    /// After how long a request has failed.
    pub(crate) deadline: Duration,
}

/// What became of it.
#[derive(Debug)]
pub(crate) struct Ended {
    /// What each session was told.
    pub(crate) told: Vec<Told>,
    /// What the ledger holds, if it said so.
    pub(crate) held: Result<Held, CallError>,
    /// Requests that were sent again.
    pub(crate) retried: u64,
    /// Islands that could not be judged to their end.
    pub(crate) given_up: Vec<u64>,
}

/// What all accounts hold together.
pub(crate) const SUM: u64 = ISLANDS * ACCOUNTS * INITIAL;

/// The load while it runs.
#[derive(Debug)]
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Ended, LoadError>>,
}

impl Load {
    /// Starts it, in a thread of its own.
    pub(crate) fn start(terms: Terms, tally: Arc<Tally>, histories: Sender<History>) -> Load {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .map_err(LoadError::Runtime)?;
            runtime.block_on(run(&terms, tally, histories, stopped))
        });
        Load { stop, thread }
    }

    /// Whether it has ended by itself: something is wrong with it.
    pub(crate) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends it; every request that is under way is waited for.
    pub(crate) fn end(self) -> Result<Ended, LoadError> {
        self.stop.store(true, Ordering::Relaxed);
        match self.thread.join() {
            Ok(ended) => ended,
            Err(panicked) => std::panic::resume_unwind(panicked),
        }
    }
}

async fn run(
    terms: &Terms,
    tally: Arc<Tally>,
    histories: Sender<History>,
    stop: Arc<AtomicBool>,
) -> Result<Ended, LoadError> {
    let options = Options {
        deadline: terms.deadline,
        ..Options::default()
    };
    let mut clients = Vec::new();
    for contact in terms.contacts.iter().cycle().take(CLIENTS) {
        // Each has one contact, so that they begin at different members; it learns the others.
        let connected = Client::connect_with(&terms.group, &[*contact], options).await;
        clients.push(connected.map_err(LoadError::Connect)?);
    }
    let world = Arc::new(Shared {
        methods: Methods::new(),
        floor: AtomicU64::new(0),
        tally,
        stop,
        histories,
    });
    let mut islands = Vec::new();
    for number in 0..ISLANDS {
        islands.push(prepare(number, &clients, terms.seed, &world).await?);
    }
    world.tally.begins();
    let mut working = JoinSet::new();
    for island in islands {
        working.spawn(island.work());
    }
    let mut ended = Ended {
        told: Vec::new(),
        held: Err(CallError::ShutDown),
        retried: 0,
        given_up: Vec::new(),
    };
    while let Some(done) = working.join_next().await {
        let island = joined(done)?;
        if island.unknown() > UNKNOWN_MAX {
            ended.given_up.push(island.number);
        }
        ended
            .told
            .extend(island.workers.into_iter().map(|worker| worker.told));
    }
    ended.held = match clients[0].session().await {
        Ok(session) => audit::read(session).await,
        Err(why) => Err(why),
    };
    ended.retried = clients.iter().map(|client| client.counters().retried).sum();
    Ok(ended)
}

/// A task's own result; its panic goes on here.
fn joined<T>(done: Result<Result<T, LoadError>, tokio::task::JoinError>) -> Result<T, LoadError> {
    match done {
        Ok(result) => result,
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// What all sessions share.
#[derive(Debug)]
struct Shared {
    methods: Methods,
    /// The furthest position that anybody was answered at.
    floor: AtomicU64,
    tally: Arc<Tally>,
    stop: Arc<AtomicBool>,
    histories: Sender<History>,
}

/// A few accounts and those who work on them.
#[derive(Debug)]
struct Place {
    number: u64,
    workers: Vec<Worker>,
    random: Random,
    /// What is done since the state was known.
    initial: Island,
    operations: Vec<Noted>,
    world: Arc<Shared>,
}

async fn prepare(
    number: u64,
    clients: &[Client],
    seed: u64,
    world: &Arc<Shared>,
) -> Result<Place, LoadError> {
    let mut workers = Vec::new();
    for worker in 0..SESSIONS {
        let index = number * SESSIONS + worker;
        let skipped = usize::try_from(index).unwrap_or(0);
        let mut clients = clients.iter().cycle().skip(skipped);
        let (Some(here), Some(there)) = (clients.next(), clients.next()) else {
            return Err(LoadError::Prepare(CallError::ShutDown));
        };
        workers.push(Worker {
            session: here.session().await.map_err(LoadError::Prepare)?,
            elsewhere: there.session().await.map_err(LoadError::Prepare)?,
            island: number,
            random: Random::new(seed ^ (index + 1) << 32),
            told: Told {
                stream: u32::try_from(index + 1).unwrap_or(u32::MAX),
                ..Told::default()
            },
            world: Arc::clone(world),
        });
    }
    for account in 0..ACCOUNTS {
        let mut request = world.methods.open(number, account, INITIAL);
        request.deadline = Some(PATIENCE);
        let (method, arguments) = (request.method, request.arguments.clone());
        let reply = workers[0]
            .session
            .call(request)
            .await
            .map_err(LoadError::Prepare)?;
        let seen = world.methods.seen(method, &arguments, &reply.bytes);
        match seen.map_err(LoadError::Reply)? {
            (_, Seen::Open { reply: Ok(()), .. }) => {}
            (_, other) => return Err(LoadError::Reply(format!("{other:?}: use a new group"))),
        }
    }
    Ok(Place {
        number,
        workers,
        random: Random::new(seed ^ (number + 1) << 48),
        initial: [Some(INITIAL); ACCOUNTS as usize],
        operations: Vec::new(),
        world: Arc::clone(world),
    })
}

impl Place {
    /// Until the load is stopped.
    async fn work(mut self) -> Result<Place, LoadError> {
        while !self.world.stop.load(Ordering::Relaxed) && self.unknown() <= UNKNOWN_MAX {
            let lasts = Duration::from_millis(self.random.range(HISTORY_MS.0, HISTORY_MS.1));
            let until = Instant::now() + lasts;
            let mut working = JoinSet::new();
            for worker in self.workers.drain(..) {
                working.spawn(worker.work(until));
            }
            while let Some(done) = working.join_next().await {
                let (worker, operations) = joined(done)?;
                self.workers.push(worker);
                self.operations.extend(operations);
            }
            self.look().await?;
        }
        if self.unknown() <= UNKNOWN_MAX {
            self.close(None);
        }
        Ok(self)
    }

    /// How many operations may have been done or not.
    fn unknown(&self) -> usize {
        let unknown = |noted: &&Noted| noted.timed.answered_at.is_none();
        self.operations.iter().filter(unknown).count()
    }

    /// Looks at all accounts while nothing else is under way. If everything until here was answered,
    /// what was seen is where the next history begins.
    async fn look(&mut self) -> Result<(), LoadError> {
        let mut island = Island::default();
        let mut all = true;
        for account in 0..ACCOUNTS {
            let worker = &self.workers[0];
            let noted = worker.balance(&worker.session, account).await?;
            if let Some(Seen::Balance { account, reply }) =
                noted.as_ref().map(|noted| &noted.timed.operation)
            {
                island[*account] = *reply;
            } else {
                all = false;
            }
            self.operations.extend(noted);
        }
        if all && self.unknown() == 0 {
            self.close(Some(island));
        }
        Ok(())
    }

    /// Gives the history to the judge; the next one begins here.
    fn close(&mut self, next: Option<Island>) {
        let operations = std::mem::take(&mut self.operations);
        if operations.is_empty() {
            return;
        }
        let history = History {
            island: self.number,
            initial: self.initial,
            operations,
        };
        self.initial = next.unwrap_or(self.initial);
        // The judge is there until the load is gone.
        let _ = self.world.histories.send(history);
    }
}
