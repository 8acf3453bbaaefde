//! The upgrade layer: Figure 1 and the flow of Figure 5.
//!
//! Its state is not kept, it is what the ordered state says of this member (`ordered::state`): a
//! layer that begins anew in the middle of an upgrade does the same as one that saw its beginning.
//! Each view is evaluated: whose turn is it, is everything ready for the new behaviour?

use std::time::Duration;

use museum::Defect;
use wire::Time;

use crate::layer::{Effect, Event, Layer, LayerContext};
use crate::layers::attempt::{Attempts, Posts};
use crate::ordered::{Happened, NotYet, Purpose, activation, turn};

/// A hand-over is refused until its receiver has confirmed that it is a member: a round trip or two.
const HAND_OVER_AGAIN: Duration = Duration::from_millis(2);

/// The upgrade layer.
#[derive(Debug, Default)]
pub(crate) struct Upgrade {
    attempts: Attempts,
    posts: Posts,
    /// When a hand-over that may have been refused is tried again.
    again_at: Option<Time>,
}

impl Layer for Upgrade {
    fn name(&self) -> &'static str {
        "Upgrade"
    }

    fn requires(&self) -> &'static [&'static str] {
        &["PGMS", "EGMI", "Recovery"]
    }

    fn handle(&mut self, cx: &LayerContext<'_>, event: &Event<'_>, out: &mut Vec<Effect>) {
        match event {
            Event::Changed => {
                let proven = cx.ordered.upgrade().is_some_and(|upgrade| upgrade.proven);
                if !(museum::on(Defect::ViewsNotEvaluated) && proven) {
                    self.evaluate(cx, out);
                }
            }
            Event::Happened {
                what: Happened::Taken { seat, attempt },
                ..
            } => {
                if attempt.by == cx.me() && attempt.purpose == Purpose::Upgrade {
                    self.attempts.start(cx, *seat, attempt, out);
                }
            }
            Event::Daemon { token, reply } => self.attempts.answered(cx, *token, reply, out),
            Event::Happened { .. } | Event::Delivered { .. } => {}
        }
    }

    fn deadline(&self) -> Option<Time> {
        [
            self.attempts.deadline(),
            self.posts.deadline(),
            self.again_at,
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

impl Upgrade {
    fn evaluate(&mut self, cx: &LayerContext<'_>, out: &mut Vec<Effect>) {
        self.again_at = None;
        self.attempts.look(cx, out);
        self.posts.forget_old(cx.now.time);
        let membership = cx.group.membership();
        match turn(cx.ordered, membership) {
            Ok(turn) if turn.by() == cx.me() => {
                self.attempts
                    .take(cx, turn.proposal(), turn.not_before(), out);
            }
            Err(NotYet::HandOver { leader, to }) if leader == cx.me() => {
                // Refused, or under way and perhaps called off: either is looked at again.
                out.push(Effect::HandOver { to });
                self.again_at = Some(cx.now.time.after(HAND_OVER_AGAIN));
            }
            Ok(_) | Err(_) => self.attempts.rest(),
        }
        if cx.group.leads_of_record()
            && let Ok(activation) = activation(cx.ordered, membership)
        {
            self.posts.post(cx.now.time, activation.proposal(), out);
        }
    }
}
