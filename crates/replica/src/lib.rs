//! One replicated server: the service, its layers, and the replica that composes them (§4.1).

mod service;

pub use service::{
    Call, Context, Description, JsonError, Method, OwnedCall, Refusal, Service, StateError,
};
