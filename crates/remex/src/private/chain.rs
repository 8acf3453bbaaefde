//! States as bytes, and the chain of versions that can read and write each other's.
//!
//! A chain step exists where the state implements [`Successor`], and a step back where it
//! implements [`Reversible`]. The macro cannot see other impls, so the compiler decides: it prefers
//! the functions of [`Chain`] itself, whose bounds ask for the step, and takes those of [`Edge`]
//! where the bounds do not hold. Authors therefore name their predecessor once.

use std::io::{self, BufReader, BufWriter};
use std::marker::PhantomData;

use museum::Defect;
use replica::{Description, Service, StateError};
use rmp_serde::decode::Error as DecodeError;
use rmp_serde::encode::Error as EncodeError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::whole::{STATE_DEPTH_MAX, Shallow};
use crate::mapping::{Reversible, Successor, Unmappable};

/// Bytes collected before a state's writer or reader is called: values are small, calls are not.
const BUFFER: usize = 64 * 1024;

/// The versions before `S`.
#[derive(Debug)]
pub struct Chain<S>(PhantomData<S>);

/// Where the chain ends: no version before, or no way back to it.
pub trait Edge: Sized {
    /// The state at this end.
    type State: Service;

    /// Nothing to check against.
    const FORMAT_IS_RAISED: () = ();

    /// There is no way back.
    const MAPS_BACK: bool = false;

    /// There is no version before.
    fn older() -> Option<Description> {
        None
    }

    /// # Errors
    /// Always: this version reads only its own format.
    fn import_older(format: u32, _: &mut dyn io::Read) -> Result<Self::State, StateError> {
        Err(StateError::Format {
            found: format,
            known: vec![Self::State::STATE_FORMAT],
        })
    }

    /// # Errors
    /// Always: this version writes only its own format.
    fn export_older(_: &Self::State, format: u32, _: &mut dyn io::Write) -> Result<(), StateError> {
        Err(StateError::Format {
            found: format,
            known: vec![Self::State::STATE_FORMAT],
        })
    }
}

impl<S: Service> Edge for Chain<S> {
    type State = S;
}

impl<S: Service + Successor> Chain<S> {
    /// Fails to compile if two versions give different shapes the same format.
    pub const FORMAT_IS_RAISED: () = assert!(
        S::STATE_FORMAT > S::Predecessor::STATE_FORMAT,
        "a state that is mapped has another shape: raise `state_format` above the predecessor's"
    );

    /// The version before, which describes those before itself.
    pub fn older() -> Option<Description> {
        Some(S::Predecessor::describe())
    }

    /// Reads the state of a version before and maps it, step by step.
    ///
    /// # Errors
    /// Those of [`Service::import`].
    pub fn import_older(format: u32, from: &mut dyn io::Read) -> Result<S, StateError> {
        if museum::on(Defect::OldFormatReadAsNew) {
            return S::import(S::STATE_FORMAT, from);
        }
        let old = S::Predecessor::import(format, from).map_err(knowing::<S>)?;
        S::map(old).map_err(unmappable)
    }
}

impl<S: Service + Reversible> Chain<S> {
    /// What the version before can write, this one can.
    pub const MAPS_BACK: bool = true;

    /// Maps the state back, step by step, and writes it.
    ///
    /// # Errors
    /// Those of [`Service::export`].
    pub fn export_older(state: &S, format: u32, out: &mut dyn io::Write) -> Result<(), StateError> {
        // Asked before the state is mapped in vain: the mapped state is a second one in memory.
        let known = S::Predecessor::describe().writes_formats;
        if !known.contains(&format) {
            return Err(knowing::<S>(StateError::Format {
                found: format,
                known,
            }));
        }
        let old = state.map_back().map_err(unmappable)?;
        old.export(format, out)
    }
}

/// Adds the format of `S` to those that would have done.
fn knowing<S: Service>(error: StateError) -> StateError {
    match error {
        StateError::Format { found, mut known } => {
            known.push(S::STATE_FORMAT);
            StateError::Format { found, known }
        }
        StateError::Malformed { .. } | StateError::Unmappable(_) | StateError::Stream(_) => error,
    }
}

fn unmappable(why: Unmappable) -> StateError {
    StateError::Unmappable(why.to_string())
}

/// Writes a state's canonical bytes; the state is not copied.
///
/// # Errors
/// The writer's, or what the state's own `Serialize` says.
pub fn write_state<S: Serialize>(
    state: &S,
    format: u32,
    out: &mut dyn io::Write,
) -> Result<(), StateError> {
    let mut out = BufWriter::with_capacity(BUFFER, Shallow::new(out));
    let outcome = rmp_serde::encode::write_named(&mut out, state)
        .map_err(|why| written(why, format))
        .and_then(|()| io::Write::flush(&mut out).map_err(StateError::from));
    if out.get_ref().is_too_deep() {
        // What is left in the buffer has nowhere to go.
        let _ = out.into_parts();
        return Err(too_deep(format));
    }
    outcome
}

/// The encoder hides the writer's own error in one of its own; the operator needs the inner one.
fn written(why: EncodeError, format: u32) -> StateError {
    if let EncodeError::InvalidValueWrite(error) = why {
        return StateError::Stream(error.into());
    }
    StateError::Malformed {
        format,
        why: why.to_string(),
    }
}

fn too_deep(format: u32) -> StateError {
    let why = format!(
        "its values stand more than {STATE_DEPTH_MAX} deep in each other; keep what is deeper in a \
         flat list"
    );
    StateError::Malformed { format, why }
}

/// Reads a state's bytes, to the end of the stream.
///
/// # Errors
/// The reader's, or that the bytes are no such state.
pub fn read_state<S: DeserializeOwned>(
    format: u32,
    from: &mut dyn io::Read,
) -> Result<S, StateError> {
    let mut from = BufReader::with_capacity(BUFFER, Shallow::new(from));
    let malformed = |why: String| StateError::Malformed { format, why };
    let read = rmp_serde::from_read(&mut from);
    if from.get_ref().is_too_deep() {
        return Err(too_deep(format));
    }
    let state = read.map_err(|why| {
        if let DecodeError::InvalidMarkerRead(error) | DecodeError::InvalidDataRead(error) = why {
            // A stream that ends early is a state cut short, not a broken stream.
            return if error.kind() == io::ErrorKind::UnexpectedEof {
                malformed("it ends early".to_owned())
            } else {
                StateError::Stream(error)
            };
        }
        malformed(why.to_string())
    })?;
    match io::copy(&mut from, &mut io::sink())? {
        0 => Ok(state),
        more => Err(malformed(format!("{more} bytes follow the state's end"))),
    }
}
