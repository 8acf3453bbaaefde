//! A service alone, without any group: calls are executed one after the other, and what each said
//! and left behind is written down.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use bytes::Bytes;
use remex::client::machine::{Answer, Asked, SessionKey};
use remex::client::{Attendant, Desk, Errand, Kind, Reply, Request, attended};
use remex::{
    Call, CallError, Context, OrderedTime, OwnedCall, Position, Refusal, Service, StateError,
    Version, blocking,
};
use wire::SessionId;

/// What the history's clock shows at its first call, in milliseconds since 1970, and how much later
/// each next call is.
const TIME: u64 = 1_700_000_000_000;
const TIME_STEP: u64 = 1_000;
/// Where the history's randomness comes from.
const SEED: u64 = 7;
/// What the states of one history may take together: every one is kept, to be shown.
const STATES_BYTES_MAX: usize = 512 << 20;

/// What came of one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    Reply(Vec<u8>),
    Refused(Refusal),
    /// The service panicked. It goes on with the state that this left, as in a group.
    Panicked,
}

/// One call that was executed.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) call: OwnedCall,
    pub(crate) said: Said,
    /// The state behind it.
    pub(crate) state: Arc<[u8]>,
}

/// A service and what it has executed.
#[derive(Debug)]
pub(crate) struct History {
    /// The state before the first call.
    pub(crate) initial: Arc<[u8]>,
    pub(crate) steps: Vec<Step>,
}

/// What comes with the how-manieth call of a history, counted from 1.
pub(crate) fn context(number: usize, effective: &Arc<Version>) -> Context {
    Context {
        time: OrderedTime(TIME + TIME_STEP * number as u64),
        position: Position(number as u64),
        index: 0,
        effective: Arc::clone(effective),
        seed: SEED,
    }
}

/// The version that a service is.
pub(crate) fn version<S: Service>() -> Arc<Version> {
    let version = Version::parse(S::VERSION);
    Arc::new(version.expect("the macro has read the version"))
}

/// The canonical bytes of a state.
pub(crate) fn state<S: Service>(service: &S) -> Result<Arc<[u8]>, StateError> {
    let mut bytes = Vec::new();
    service.export(S::STATE_FORMAT, &mut bytes)?;
    Ok(bytes.into())
}

/// Executes one call.
pub(crate) fn execute<S: Service>(service: &mut S, cx: &Context, call: &OwnedCall) -> Said {
    let asked = Call {
        method: call.method,
        signature: call.signature,
        arguments: &call.arguments,
    };
    let executed = catch_unwind(AssertUnwindSafe(|| match call.read {
        true => service.read(cx, asked),
        false => service.apply(cx, asked),
    }));
    match executed {
        Ok(Ok(reply)) => Said::Reply(reply),
        Ok(Err(refusal)) => Said::Refused(refusal),
        Err(_) => Said::Panicked,
    }
}

/// Executes a history that asks as it goes, in a new service.
pub(crate) fn record<S: Service>(
    history: impl FnOnce(blocking::Session),
) -> Result<(S, History), StateError> {
    let recorder = Arc::new(Recorder::<S>::new()?);
    let (client, desk) = attended(Arc::clone(&recorder) as Arc<dyn Attendant>);
    recorder.desk.get_or_init(|| desk);
    let client = blocking::Client::from(client);
    let session = client.session().expect("a recorder opens every session");
    history(session);
    let Recorded {
        service,
        history,
        broken,
        ..
    } = recorder.lock().take().expect("it is taken once");
    match broken {
        None => Ok((service, history)),
        Some(error) => Err(error),
    }
}

/// Stands where a group would stand, and is one service.
struct Recorder<S> {
    desk: OnceLock<Desk>,
    recorded: Mutex<Option<Recorded<S>>>,
}

struct Recorded<S> {
    service: S,
    effective: Arc<Version>,
    history: History,
    bytes: usize,
    /// Why the state could not be written.
    broken: Option<StateError>,
}

impl<S: Service> Recorder<S> {
    fn new() -> Result<Recorder<S>, StateError> {
        let service = S::initial();
        let initial = state(&service)?;
        let history = History {
            initial,
            steps: Vec::new(),
        };
        Ok(Recorder {
            desk: OnceLock::new(),
            recorded: Mutex::new(Some(Recorded {
                service,
                effective: version::<S>(),
                history,
                bytes: 0,
                broken: None,
            })),
        })
    }
}

impl<S> Recorder<S> {
    fn lock(&self) -> MutexGuard<'_, Option<Recorded<S>>> {
        // A panic of the service is caught, and one of ours ends the test.
        self.recorded.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Service> Attendant for Recorder<S> {
    fn attend(&self) {
        let errands = self.desk.get().map(Desk::take).unwrap_or_default();
        let mut recorded = self.lock();
        for errand in errands {
            match errand {
                Errand::Forget(_) => {}
                Errand::Ask(asked, waiting) => waiting.answer(match &mut *recorded {
                    Some(recorded) => recorded.answer(asked),
                    // A session that was carried out of its history.
                    None => Err(CallError::ShutDown),
                }),
            }
        }
    }
}

impl<S: Service> Recorded<S> {
    fn answer(&mut self, asked: Asked) -> Result<Answer, CallError> {
        match asked {
            Asked::Ready { .. } => Ok(Answer::Ready),
            Asked::Open => Ok(Answer::Opened(SessionId(1), SessionKey::numbered(1))),
            Asked::Call { request, .. } => self.call(&request),
            Asked::Json { .. } | Asked::Status | Asked::Upgrade(_) | Asked::Specify(_) => {
                let why = "a service alone takes typed calls, and nothing else".to_owned();
                Err(CallError::Invalid { why })
            }
        }
    }

    fn call(&mut self, request: &Request) -> Result<Answer, CallError> {
        let call = owned(request);
        let number = self.history.steps.len() + 1;
        let cx = context(number, &self.effective);
        let said = execute(&mut self.service, &cx, &call);
        let before = self.history.steps.last();
        let before = before.map_or(&self.history.initial, |step| &step.state);
        let state = match state(&self.service) {
            // Most calls of a history read.
            Ok(state) if state == *before => Arc::clone(before),
            Ok(state) => {
                self.bytes += state.len();
                state
            }
            Err(error) => {
                self.broken.get_or_insert(error);
                Arc::clone(before)
            }
        };
        assert!(
            self.bytes <= STATES_BYTES_MAX,
            "the states of this history take more than {STATES_BYTES_MAX} bytes: use smaller ones"
        );
        let answer = match &said {
            Said::Reply(reply) => Ok(Answer::Reply(Reply {
                position: cx.position,
                bytes: Bytes::copy_from_slice(reply),
            })),
            Said::Refused(Refusal::UnknownMethod) => Err(CallError::UnknownMethod),
            Said::Refused(Refusal::Malformed) => Err(CallError::Malformed),
            Said::Refused(Refusal::WrongKind) => Err(CallError::WrongKind),
            Said::Panicked => Err(CallError::Panicked),
        };
        self.history.steps.push(Step { call, said, state });
        answer
    }
}

/// A client's request as a service sees it.
pub(crate) fn owned(request: &Request) -> OwnedCall {
    OwnedCall {
        method: request.method,
        signature: request.signature,
        read: match request.kind {
            Kind::Write => false,
            Kind::Read | Kind::StaleRead => true,
        },
        arguments: request.arguments.to_vec(),
    }
}
