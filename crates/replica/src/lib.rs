//! One replicated server: the service, its layers, and the replica that composes them (§4.1).

mod clients;
mod executor;
mod layer;
mod layers;
pub mod ordered;
mod replica;
mod service;
mod stack;
mod status;

pub use executor::{Answer, Executable, Execute, Founding, ImportError, Program, Work};
pub use layer::{Effect, Event, Layer, LayerContext};
pub use replica::{End, Output, Replica, Setup, StartError};
pub use service::{
    Call, Context, Description, JsonError, Method, OwnedCall, Refusal, Service, StateError,
};
pub use stack::{Stack, StackError, USUAL};
