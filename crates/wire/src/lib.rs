//! Bytes and values: every message of remex, versioned and tagged.

mod names;

pub use names::{
    Build, MemberId, MethodId, OrderedTime, Position, SessionId, Time, Version, fingerprint,
};
