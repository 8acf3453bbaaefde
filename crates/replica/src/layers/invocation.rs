//! EGMI: external group method invocation, who takes clients' requests (§4.1).
//!
//! The paper stops the requests at a member that is being replaced; ours asks the ordered state
//! who answers, so that all members and clients know the same.

use wire::client::Decline;

use crate::layer::{Effect, Event, Layer, LayerContext};
use crate::ordered::answering;

/// Lets requests pass where this member answers them.
#[derive(Debug)]
pub(crate) struct Invocation;

impl Layer for Invocation {
    fn name(&self) -> &'static str {
        "EGMI"
    }

    fn handle(&mut self, _: &LayerContext<'_>, _: &Event<'_>, _: &mut Vec<Effect>) {}

    fn passes(&self, cx: &LayerContext<'_>) -> Result<(), Decline> {
        if answering(cx.ordered, cx.group.membership()).contains(&cx.me()) {
            Ok(())
        } else {
            Err(Decline::AskAnother)
        }
    }
}
