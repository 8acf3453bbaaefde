//! Where two executions of one history part: what the checks find, in words that name the service,
//! the call and both values.

use std::fmt;

use remex::{OwnedCall, Service, StateError};

use crate::alone::Said;
use crate::show;

/// How the second execution came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Once more from the beginning: in another instance, on another thread, at another time.
    Again,
    /// Once more, and the state went to a new instance after each call, as it goes to a joiner.
    Handed,
    /// By the next version, which took over the state before the first call and behaves as the
    /// version before.
    Mapped,
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Way::Again => "executed once more",
            Way::Handed => "executed once more, the state handed to a new instance after each call",
            Way::Mapped => "executed by the next version on the mapped state",
        })
    }
}

/// What was not the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// What the call was answered.
    Reply {
        /// The first time.
        first: String,
        /// The second time.
        second: String,
    },
    /// The state that the call left behind.
    State {
        /// The first time.
        first: String,
        /// The second time.
        second: String,
    },
    /// A state could not be written, or not be read again.
    Lost {
        /// The service's words.
        why: String,
    },
}

/// The first call at which two executions of one history part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The service and its version.
    pub service: String,
    /// How the second execution came about.
    pub way: Way,
    /// Which call of the history, counted from 1; 0 if the states differ before the first one.
    pub number: usize,
    /// The call, its method first.
    pub call: String,
    /// What was not the same.
    pub what: What,
}

impl std::error::Error for Difference {}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fault = match self.way {
            Way::Again | Way::Handed => "is not deterministic",
            Way::Mapped => "does not behave as the version before it",
        };
        writeln!(f, "{} {fault}", self.service)?;
        match self.number {
            0 => writeln!(f, "before the first call")?,
            number => writeln!(f, "call {number}: {}", self.call)?,
        }
        write!(f, "{}", self.way)?;
        match &self.what {
            What::Reply { first, second } => {
                write!(
                    f,
                    ", it replied otherwise\n  first: {first}\n  then:  {second}"
                )
            }
            What::State { first, second } => {
                write!(
                    f,
                    ", the state is another\n  first: {first}\n  then:  {second}"
                )
            }
            What::Lost { why } => write!(f, ", the state is lost: {why}"),
        }
    }
}

/// Where an execution is, so that what is found there can be named.
#[derive(Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) way: Way,
    /// The call and its number, once there is one.
    pub(crate) call: Option<(usize, &'a OwnedCall)>,
}

impl Place<'_> {
    /// Whether both executions said the same.
    pub(crate) fn replies<S: Service>(self, first: &Said, second: &Said) -> Result<(), Difference> {
        if first == second {
            return Ok(());
        }
        let (first, second) = show::around(&said(first), &said(second));
        Err(self.differs::<S>(What::Reply { first, second }))
    }

    /// Whether both executions left the same state.
    pub(crate) fn states<S: Service>(self, first: &[u8], second: &[u8]) -> Result<(), Difference> {
        if first == second {
            return Ok(());
        }
        let (first, second) = show::around(&show::value(first), &show::value(second));
        Err(self.differs::<S>(What::State { first, second }))
    }

    /// A state could not be written or read.
    pub(crate) fn lost<S: Service>(self, error: &StateError) -> Difference {
        let why = error.to_string();
        self.differs::<S>(What::Lost { why })
    }

    pub(crate) fn differs<S: Service>(self, what: What) -> Difference {
        let (number, call) = self.call.map_or((0, String::new()), |(number, call)| {
            (number, told::<S>(call))
        });
        Difference {
            service: format!("{} {}", S::NAME, S::VERSION),
            way: self.way,
            number,
            call,
            what,
        }
    }
}

fn said(said: &Said) -> String {
    match said {
        Said::Reply(reply) => show::value(reply),
        Said::Refused(refusal) => format!("refused: {refusal}"),
        Said::Panicked => "a panic".to_owned(),
    }
}

/// A call for people.
fn told<S: Service>(call: &OwnedCall) -> String {
    let methods = S::describe().methods;
    let known = methods.into_iter().find(|known| known.id == call.method);
    let name = known.map_or_else(|| format!("{:?}", call.method), |known| known.name);
    format!("`{name}` {}", show::value(&call.arguments))
}
