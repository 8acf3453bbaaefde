//! The ledger as the load finds and prepares it: connections, sessions, accounts.

use std::time::Duration;

use client::{Client, Options};
use ledger_v1::LedgerClient;
use tokio::task::JoinSet;

use crate::Arguments;
use crate::load::LoadError;

/// What each account begins with: thousands of times what a transfer moves, so that none is
/// refused for want of money.
pub(crate) const INITIAL: u64 = 1_000_000;

/// How long the preparation and the audit may wait for one reply.
const PATIENCE: Duration = Duration::from_secs(10);
/// Accounts that are opened at a time.
const OPENINGS: usize = 64;

/// A ledger under load.
#[derive(Debug)]
pub(crate) struct Ledger {
    /// The connections.
    pub(crate) clients: Vec<Client>,
    /// The sessions, spread over the connections.
    pub(crate) sessions: Vec<LedgerClient>,
    /// How many accounts there are.
    pub(crate) accounts: u32,
}

impl Ledger {
    /// A session with patience, for what is not measured.
    pub(crate) fn patient(&self) -> LedgerClient {
        self.sessions[0].clone().with_deadline(PATIENCE)
    }

    /// How often requests were sent again so far.
    pub(crate) fn retried(&self) -> u64 {
        let counters = self.clients.iter().map(Client::counters);
        counters.map(|counters| counters.retried).sum()
    }
}

/// The name of an account.
pub(crate) fn account(number: u32) -> String {
    format!("account-{number:06}")
}

/// Connects, opens all sessions and all accounts.
pub(crate) async fn prepare(arguments: &Arguments) -> Result<Ledger, LoadError> {
    let mut clients = Vec::new();
    let contacts = arguments.contacts.iter().cycle();
    for contact in contacts.take(arguments.connections as usize) {
        // Each has one contact, so that they begin at different members; it learns the others.
        let options = Options::default();
        let connected = Client::connect_with(&arguments.group, &[*contact], options).await;
        clients.push(connected.map_err(LoadError::Connect)?);
    }
    let mut sessions = Vec::new();
    for client in clients.iter().cycle().take(arguments.sessions as usize) {
        sessions.push(LedgerClient::new(
            client.session().await.map_err(LoadError::Open)?,
        ));
    }
    let ledger = Ledger {
        clients,
        sessions,
        accounts: arguments.accounts,
    };
    if ledger.patient().total().await.map_err(LoadError::Open)? != 0 {
        return Err(LoadError::Used {
            group: arguments.group.clone(),
        });
    }
    open_accounts(&ledger).await?;
    Ok(ledger)
}

async fn open_accounts(ledger: &Ledger) -> Result<(), LoadError> {
    let mut openings = JoinSet::new();
    for number in 0..ledger.accounts {
        while openings.len() >= OPENINGS {
            finished(openings.join_next().await)?;
        }
        let session = &ledger.sessions[number as usize % ledger.sessions.len()];
        let session = session.clone().with_deadline(PATIENCE);
        openings.spawn(async move { session.open(account(number), INITIAL).await });
    }
    while !openings.is_empty() {
        finished(openings.join_next().await)?;
    }
    Ok(())
}

/// What the end of a task that opened an account means.
type Opening = Result<Result<(), ledger_v1::Refused>, remex::CallError>;

fn finished(joined: Option<Result<Opening, tokio::task::JoinError>>) -> Result<(), LoadError> {
    match joined {
        None => Ok(()),
        Some(Err(panicked)) => std::panic::resume_unwind(panicked.into_panic()),
        Some(Ok(Ok(Ok(())))) => Ok(()),
        Some(Ok(Ok(Err(refused)))) => Err(LoadError::Refused(refused)),
        Some(Ok(Err(why))) => Err(LoadError::Open(why)),
    }
}
