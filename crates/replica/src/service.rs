//! The service: the deterministic state machine that a user writes, as the replica sees it.
//!
//! Authors do not implement [`Service`] by hand: `#[remex::service]` does. The trait is apart so
//! that the replica, the simulator and tests see one small surface. Everything here must be
//! deterministic: the same calls at the same positions give the same state and the same bytes on
//! every member, and in every version that behaves as the same effective version. Paper: §2, §2.1.

use std::io;
use std::sync::Arc;

use rand_chacha::ChaCha8Rng;
use rand_core::SeedableRng;
use serde::{Deserialize, Serialize};
use wire::{MethodId, OrderedTime, Position, Version};

/// A deterministic state machine: what a group replicates.
pub trait Service: Send + Sized + 'static {
    /// The service's name; all its versions share it.
    const NAME: &'static str;
    /// This version: the semver of its crate unless said otherwise.
    const VERSION: &'static str;
    /// Raised by the author when the shape of the state changes.
    const STATE_FORMAT: u32;

    /// The methods with their shapes, and the state formats, for `--describe` and for refusal.
    fn describe() -> Description;

    /// The state of a new group.
    fn initial() -> Self;

    /// Executes one request. Called in the total order, on all members.
    ///
    /// # Errors
    /// A [`Refusal`]: deterministic, and the state is unchanged.
    fn apply(&mut self, cx: &Context, call: Call<'_>) -> Result<Vec<u8>, Refusal>;

    /// Executes one request that changes nothing.
    ///
    /// # Errors
    /// A [`Refusal`], as for [`Service::apply`].
    fn read(&self, cx: &Context, call: Call<'_>) -> Result<Vec<u8>, Refusal>;

    /// Writes the state in `format`: canonical bytes, the same for equal states.
    ///
    /// # Errors
    /// A format that this version cannot write, a value that does not map back, a writer's error.
    fn export(&self, format: u32, out: &mut dyn io::Write) -> Result<(), StateError>;

    /// Reads a state that was written in `format` and maps it to this version's (§2.1).
    ///
    /// # Errors
    /// A format that this version cannot read, bytes that do not decode, a state that does not map.
    fn import(format: u32, from: &mut dyn io::Read) -> Result<Self, StateError>;

    /// Turns a JSON call into the binary form. `arguments` is an array (by position), an object
    /// (by name), or null for none.
    ///
    /// # Errors
    /// Says which method or argument is wrong and what is expected.
    fn call_from_json(method: &str, arguments: &serde_json::Value) -> Result<OwnedCall, JsonError>;

    /// Turns the reply of `method` into JSON.
    ///
    /// # Errors
    /// Says which reply did not decode.
    fn reply_to_json(method: MethodId, reply: &[u8]) -> Result<serde_json::Value, JsonError>;

    /// The new version has taken this replica's place; it may shut down gracefully (§4.2).
    fn upgraded(&mut self) {}
}

/// One request as a service sees it.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// Which method.
    pub method: MethodId,
    /// Fingerprint of the argument shape that the caller was built with.
    pub signature: u32,
    /// The arguments, MessagePack, a map by name.
    pub arguments: &'a [u8],
}

/// One request that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedCall {
    /// Which method.
    pub method: MethodId,
    /// Fingerprint of the argument shape.
    pub signature: u32,
    /// Whether the method is marked `#[read]`.
    pub read: bool,
    /// The arguments, MessagePack, a map by name.
    pub arguments: Vec<u8>,
}

/// What comes with a request: the same on every member that executes it.
#[derive(Clone, Debug)]
pub struct Context {
    /// The group's agreed time of the request.
    pub time: OrderedTime,
    /// Where the request stands in the total order.
    pub position: Position,
    /// Its index among the requests at that position.
    pub index: u32,
    /// The version whose behaviour the group shows now.
    pub effective: Arc<Version>,
    /// The group's own seed, drawn once at its creation.
    pub seed: u64,
}

impl Context {
    /// The ordered time of this request, milliseconds since 1970.
    pub fn time(&self) -> OrderedTime {
        self.time
    }

    /// Where this request stands in the total order.
    pub fn position(&self) -> Position {
        self.position
    }

    /// The version whose behaviour the group shows at this position.
    pub fn effective(&self) -> &Version {
        &self.effective
    }

    /// Whether the group already behaves as `version` (`"2.0.0"`) or a later one.
    ///
    /// A text that is no version is never reached.
    pub fn behaves_as(&self, version: &str) -> bool {
        Version::parse(version).is_ok_and(|version| *self.effective >= version)
    }

    /// A generator seeded by the group, the position and the index: equal on all members.
    pub fn random(&self) -> ChaCha8Rng {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&self.seed.to_le_bytes());
        seed[8..16].copy_from_slice(&self.position.0.to_le_bytes());
        seed[16..20].copy_from_slice(&self.index.to_le_bytes());
        ChaCha8Rng::from_seed(seed)
    }
}

/// Why a service did not execute a request. Neutral: no version's own words are in it, so members
/// of different versions give the same bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// No such method, or the effective version does not have it yet.
    #[error("the group's effective version has no such method")]
    UnknownMethod,
    /// The arguments do not decode.
    #[error("the arguments do not decode as the method's")]
    Malformed,
    /// A read was sent as a write or the other way round.
    #[error("the method is not of that kind (read or write)")]
    WrongKind,
}

/// Why a state could not be written or read. What came of it: the old state is untouched.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// This version does not know the format.
    #[error("state format {found} is unknown here; this version knows {known:?}")]
    Format {
        /// The format that was asked for or found.
        found: u32,
        /// The formats that would do.
        known: Vec<u32>,
    },
    /// The bytes are not a state of that format.
    #[error("the bytes are no state of format {format}: {why}")]
    Malformed {
        /// The format.
        format: u32,
        /// The decoder's words.
        why: String,
    },
    /// The author's mapping refused (§2.1).
    #[error("the state does not map: {0}")]
    Unmappable(String),
    /// The stream broke.
    #[error("the stream broke: {0}")]
    Stream(#[from] io::Error),
}

/// Why a JSON call or reply could not be translated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// No such method.
    #[error("no method \"{method}\"; there are: {known}")]
    UnknownMethod {
        /// The name that was asked for.
        method: String,
        /// The names that exist, comma-separated.
        known: String,
    },
    /// The arguments do not fit.
    #[error("the arguments of \"{method}\" do not fit: {why}; expected {expected}")]
    Arguments {
        /// The method.
        method: String,
        /// What is wrong.
        why: String,
        /// The names of the arguments in order, as `[from, to, amount]`.
        expected: String,
    },
    /// The reply does not decode.
    #[error("the reply does not decode: {0}")]
    Reply(String),
}

/// What a binary is: printed by `--describe`, compared before an upgrade (§2.1).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The service's name.
    pub service: String,
    /// This version.
    pub version: Version,
    /// The state format that this version writes.
    pub state_format: u32,
    /// The formats that it can read: its own, and its predecessors' by mapping.
    pub reads_formats: Vec<u32>,
    /// The formats that it can write: its own, and those it maps back to.
    pub writes_formats: Vec<u32>,
    /// The shape of the state, canonical text.
    pub state_shape: String,
    /// The methods, in the order of the source.
    pub methods: Vec<Method>,
}

/// One method of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Method {
    /// Its name.
    pub name: String,
    /// The hash of its name.
    pub id: MethodId,
    /// Whether it changes nothing.
    pub read: bool,
    /// The effective version from which it exists, if it did not always.
    pub since: Option<Version>,
    /// Names of the arguments in order.
    pub arguments: Vec<String>,
    /// The shape of the arguments, canonical text.
    pub arguments_shape: String,
    /// Fingerprint of the arguments' shape.
    pub signature: u32,
    /// Fingerprints of the shapes that they had before, as far as this version knows: callers that
    /// were built with those are taken too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub older_signatures: Vec<u32>,
    /// The shape of the reply, canonical text.
    pub reply_shape: String,
}
