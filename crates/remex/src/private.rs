//! What the code written by `#[remex::service]` calls. No interface for anybody else: it changes
//! together with the macro.

mod caller;
mod chain;
mod codec;
mod describe;
mod json;
mod whole;

pub use caller::{BlockingCaller, Caller, unless_default};
pub use chain::{Chain, Edge, read_state, write_state};
pub use codec::{decode_request, encode, present, since};
pub use describe::{arguments_shape, description, method, shape, signatures_of};
pub use json::{call_from_json, reply_to_json, unknown_method, unknown_reply};
pub use serde;
pub use serde_json::Value as JsonValue;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// What the type behind a service must be able to do.
pub trait State: Default + Serialize + DeserializeOwned + Send + 'static {
    /// The state of a new group.
    fn initial() -> Self {
        Self::default()
    }
}

impl<S: Default + Serialize + DeserializeOwned + Send + 'static> State for S {}

/// The arguments of one method on their way.
pub trait Request: Serialize + DeserializeOwned {
    /// Their names, in the order of the method's.
    const NAMES: &'static [&'static str];

    /// How many forms they have had: the first, and one for each version that added some.
    const FORMS: usize;

    /// Their shape in a form, canonical text: what was added later is not in it.
    fn shape(form: usize) -> String;

    /// The fingerprints of all forms.
    fn signatures() -> &'static [u32];

    /// The first form that has all that is given here.
    fn form(&self) -> usize;

    /// The fingerprint of what is sent: who asks for nothing new is understood by older versions.
    fn signature(&self) -> u32 {
        Self::signatures()[self.form()]
    }
}
