//! Between clients and the simulation: what clients ask lies on desks, and is answered as virtual
//! time passes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use remex::client::machine::Asked;
use remex::client::{Attendant, Client, Desk, Errand, Waiting, attended};
use remex::{CallError, OwnedCall};
use simulator::{Finding, Simulation};

use crate::alone::owned;

/// Calls that are remembered, so that a group whose members disagree can be told whether its
/// service is deterministic.
const CALLS_MAX: usize = 10_000;

/// The simulation, and everybody who waits for it.
pub(crate) struct Desks {
    inner: Mutex<Inner>,
}

pub(crate) struct Inner {
    pub(crate) simulation: Simulation,
    /// By the simulation's own numbers of clients.
    desks: BTreeMap<usize, Desk>,
    waiting: BTreeMap<(usize, u64), Waiting>,
    /// What was asked of the service.
    pub(crate) calls: Vec<OwnedCall>,
    /// What to say of a finding; it was said already if this is gone.
    pub(crate) tell: Option<Tell>,
}

/// How a finding becomes a test's failure.
pub(crate) type Tell = Box<dyn Fn(&Inner, &Finding) -> String + Send>;

impl Desks {
    pub(crate) fn new(simulation: Simulation, tell: Tell) -> Desks {
        Desks {
            inner: Mutex::new(Inner {
                simulation,
                desks: BTreeMap::new(),
                waiting: BTreeMap::new(),
                calls: Vec::new(),
                tell: Some(tell),
            }),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        // Whoever panicked here had a finding, which stays found.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A client of its own.
    pub(crate) fn client(self: &Arc<Self>) -> Client {
        let (client, desk) = attended(Arc::clone(self) as Arc<dyn Attendant>);
        let mut inner = self.lock();
        let number = inner.simulation.client();
        inner.desks.insert(number, desk);
        client
    }
}

impl Attendant for Desks {
    fn attend(&self) {
        let mut inner = self.lock();
        inner.take_errands();
        while !inner.waiting.is_empty() {
            inner.step();
        }
    }
}

impl Inner {
    /// Passes on what lies on the desks.
    pub(crate) fn take_errands(&mut self) {
        for (&client, desk) in &self.desks {
            for errand in desk.take() {
                match errand {
                    Errand::Ask(asked, waiting) => {
                        if let Some(why) = untimely(&asked) {
                            waiting.answer(Err(CallError::Invalid { why }));
                            continue;
                        }
                        if let Asked::Call { request, .. } = &asked
                            && self.calls.len() < CALLS_MAX
                        {
                            self.calls.push(owned(request));
                        }
                        let ticket = self.simulation.ask(client, asked);
                        self.waiting.insert((client, ticket), waiting);
                    }
                    Errand::Forget(session) => self.simulation.forget(client, session),
                }
            }
        }
        self.give_answers();
    }

    /// Lets the next thing happen.
    pub(crate) fn step(&mut self) {
        let stepped = self.simulation.step();
        self.sound(stepped);
        self.give_answers();
    }

    fn give_answers(&mut self) {
        for &client in self.desks.keys() {
            for (ticket, answer) in self.simulation.answers(client) {
                if let Some(waiting) = self.waiting.remove(&(client, ticket)) {
                    waiting.answer(answer);
                }
            }
        }
    }

    /// Whether anybody waits for an answer.
    pub(crate) fn is_asked(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Ends the test if something was found.
    #[track_caller]
    pub(crate) fn sound(&mut self, result: Result<(), Finding>) {
        if let Err(finding) = result {
            let tell = self.tell.take();
            // Nobody is answered any more.
            self.waiting.clear();
            let told = tell.map_or_else(|| finding.to_string(), |tell| tell(self, &finding));
            panic!("{told}");
        }
    }
}

/// Why this is not to be asked of a test's group.
fn untimely(asked: &Asked) -> Option<String> {
    match asked {
        Asked::Ready { .. } | Asked::Open | Asked::Call { .. } | Asked::Status => None,
        Asked::Json { .. } => Some("a test cluster takes typed calls".to_owned()),
        Asked::Upgrade(_) => Some("a test cluster is upgraded by its own method".to_owned()),
        Asked::Specify(_) => Some("a test cluster has as many members as it began with".to_owned()),
    }
}

/// What was opened, or the end of the test: nobody can go on without it.
#[track_caller]
pub(crate) fn opened<T>(opened: Result<T, CallError>) -> T {
    match opened {
        Ok(opened) => opened,
        Err(error) => panic!("no session could be opened: {error}"),
    }
}
