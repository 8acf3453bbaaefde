//! Which replies are wanted as JSON. No ordered state: it concerns this member's connections alone.

use std::collections::{BTreeMap, VecDeque};

use wire::MethodId;
use wire::client::CallId;

/// Calls of one connection whose replies are wanted as JSON. What the order refuses is expected in
/// vain, so above this the oldest is forgotten: its reply would go out in the binary form.
const PER_CONNECTION_MAX: usize = 1024;

/// The expected replies, by connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Expected {
    connections: BTreeMap<u64, VecDeque<(CallId, MethodId)>>,
}

impl Expected {
    pub(super) fn is_empty(&self) -> bool {
        self.connections.is_empty()
    }

    /// The reply to this call is wanted as JSON.
    pub(super) fn expect(&mut self, connection: u64, call: CallId, method: MethodId) {
        let calls = self.connections.entry(connection).or_default();
        calls.retain(|(other, _)| *other != call);
        if calls.len() >= PER_CONNECTION_MAX {
            calls.pop_front();
        }
        calls.push_back((call, method));
    }

    /// The method of this call, if its reply is wanted as JSON. It is not expected any more.
    pub(super) fn take(&mut self, connection: u64, call: CallId) -> Option<MethodId> {
        let calls = self.connections.get_mut(&connection)?;
        let at = calls.iter().position(|(other, _)| *other == call)?;
        let (_, method) = calls.remove(at)?;
        if calls.is_empty() {
            self.connections.remove(&connection);
        }
        Some(method)
    }

    /// The connection is gone.
    pub(super) fn forget(&mut self, connection: u64) {
        self.connections.remove(&connection);
    }
}
