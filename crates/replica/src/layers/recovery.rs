//! Recovery: empty seats are filled again, first on the host of the lost member (§3.3, §4).
//!
//! Which member acts is a pure function of the ordered state; it takes the attempt in the total
//! order and only then asks a daemon.

use wire::Time;

use crate::layer::{Effect, Event, Layer, LayerContext};
use crate::layers::attempt::Attempts;
use crate::ordered::{Happened, Purpose, vacancy};

/// The recovery layer.
#[derive(Debug, Default)]
pub(crate) struct Recovery {
    attempts: Attempts,
}

impl Layer for Recovery {
    fn name(&self) -> &'static str {
        "Recovery"
    }

    fn handle(&mut self, cx: &LayerContext<'_>, event: &Event<'_>, out: &mut Vec<Effect>) {
        match event {
            Event::Changed => {
                self.attempts.look(cx, out);
                if let Ok(vacancy) = vacancy(cx.ordered, cx.group.membership())
                    && vacancy.by() == cx.me()
                {
                    self.attempts
                        .take(cx, vacancy.proposal(), vacancy.not_before(), out);
                } else {
                    self.attempts.rest();
                }
            }
            Event::Happened {
                what: Happened::Taken { seat, attempt },
                ..
            } => {
                if attempt.by == cx.me() && attempt.purpose == Purpose::Recovery {
                    self.attempts.start(cx, *seat, attempt, out);
                }
            }
            Event::Daemon { token, reply } => self.attempts.answered(cx, *token, reply, out),
            Event::Happened { .. } | Event::Delivered { .. } => {}
        }
    }

    fn deadline(&self) -> Option<Time> {
        self.attempts.deadline()
    }
}
