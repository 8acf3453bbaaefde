//! Invariants, looked at after every position: each state, and each step from one to the next.

use group::Membership;
use wire::Position;

use crate::ordered::{Ordered, broken_by_step, broken_in_state};

/// The state that was last looked at.
#[derive(Debug, Default)]
pub(super) struct Watch {
    last: Option<(Ordered, Membership)>,
}

impl Watch {
    /// Looks at the state as of this position.
    ///
    /// # Errors
    /// Every sentence that does not hold.
    pub(super) fn look(
        &mut self,
        position: Position,
        ordered: &Ordered,
        membership: &Membership,
    ) -> Result<(), String> {
        // Most positions are requests, and change nothing of it.
        let same = |(before, members): &(Ordered, Membership)| {
            *before == *ordered && *members == *membership
        };
        if self.last.as_ref().is_some_and(same) {
            return Ok(());
        }
        let mut broken = broken_in_state(ordered, membership);
        if let Some((before, members)) = &self.last {
            broken.extend(broken_by_step((before, members), (ordered, membership)));
        }
        self.last = Some((ordered.clone(), membership.clone()));
        if broken.is_empty() {
            return Ok(());
        }
        Err(format!(
            "at {position} it does not hold that {}",
            broken.join("; that ")
        ))
    }
}
