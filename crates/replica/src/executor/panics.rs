//! Panics of the service: caught, answered, and told to the operator.
//!
//! A panic in a request must not end the process: the request stands in the order, so it would end
//! every member, one after the other, and every replacement. It is answered as such, and the
//! member goes on with the state as the panic left it. That state may be half changed, but it is
//! the *same* on every member of the same version: they execute the same request at the same
//! position on the same state, and where a deterministic service panics is deterministic too.
//! A service in which it is not, or a next version that panics where this one does not, gives
//! other outcomes than its peers, which is what the check of conformance looks for (design 4.16,
//! 4.17). What cannot be caught (an overflow of the stack, an abort) ends the member, and is
//! masked as a crash only if the others survive it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use wire::MethodId;
use wire::client::{Call, Outcome};

use crate::service::{Context, Description, Refusal};

/// Notes that wait to be taken. A request that panics is often repeated, and the first ones say
/// what there is to say.
const NOTES_MAX: usize = 16;

/// Catches panics, and remembers where they were.
#[derive(Clone, Debug)]
pub(super) struct Panics {
    names: BTreeMap<MethodId, String>,
    notes: Vec<String>,
}

impl Panics {
    pub(super) fn new(description: &Description) -> Panics {
        let methods = description.methods.iter();
        Panics {
            names: methods
                .map(|method| (method.id, method.name.clone()))
                .collect(),
            notes: Vec::new(),
        }
    }

    /// What came of a call that `execute` executes.
    pub(super) fn guard(
        &mut self,
        cx: &Context,
        call: &Call<'_>,
        execute: impl FnOnce() -> Result<Vec<u8>, Refusal>,
    ) -> Outcome {
        match catch_unwind(AssertUnwindSafe(execute)) {
            Ok(Ok(reply)) => Outcome::Done(reply.into()),
            Ok(Err(Refusal::UnknownMethod)) => Outcome::UnknownMethod,
            Ok(Err(Refusal::Malformed)) => Outcome::Malformed,
            Ok(Err(Refusal::WrongKind)) => Outcome::WrongKind,
            // What the panic said may contain what nobody but the client should see.
            Err(_) => {
                self.note(cx, call);
                Outcome::Panicked
            }
        }
    }

    /// The notes since the last time.
    pub(super) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    fn note(&mut self, cx: &Context, call: &Call<'_>) {
        if self.notes.len() >= NOTES_MAX {
            return;
        }
        let name = self.names.get(&call.method).map_or("?", String::as_str);
        self.notes.push(format!(
            "the service panicked in \"{name}\" at {} (request {} of session {})",
            cx.position, call.number, call.session
        ));
    }
}
