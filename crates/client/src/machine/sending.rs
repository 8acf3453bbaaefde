//! What is known of one request's copies: who has one, and whether it may have been executed.
//!
//! A request is executed at most once however often it is sent, so sending again is always safe.
//! What must not be lost is the other knowledge: an error may only be called definite if every copy
//! that was ever sent has been declined.

use std::time::Duration;

use wire::Time;

use super::LinkId;

/// The patience with a member doubles from the third sending on, this often at most.
const DOUBLINGS_MAX: u8 = 3;

#[derive(Debug)]
pub(super) struct Sending {
    /// The time by which it is resolved, with or without a reply.
    pub(super) until: Time,
    /// When it needs a look: it was not answered, or its pause is over. Never while it is queued.
    pub(super) due: Time,
    /// When it was sent last.
    pub(super) sent_at: Time,
    /// Whether it is in the queue of what leaves next.
    pub(super) queued: bool,
    /// Whether a member declined it for want of a majority.
    pub(super) unavailable: bool,
    /// Who has its last copy.
    on: Option<LinkId>,
    /// Who has an earlier copy and has not declined it.
    earlier: Option<LinkId>,
    /// Whether there are still earlier copies.
    lost: bool,
    tries: u8,
}

/// A time that does not come.
pub(super) const NEVER: Time = Time(u64::MAX);

impl Sending {
    pub(super) fn new(until: Time) -> Sending {
        Sending {
            until,
            due: NEVER,
            sent_at: Time(0),
            queued: false,
            unavailable: false,
            on: None,
            earlier: None,
            lost: false,
            tries: 0,
        }
    }

    /// It leaves on `link`. Whether it left before.
    pub(super) fn sent(&mut self, now: Time, link: LinkId, retry_after: Duration) -> bool {
        let again = self.tries > 0;
        self.queued = false;
        self.on = Some(link);
        self.sent_at = now;
        self.tries = self.tries.saturating_add(1);
        let doublings = self.tries.saturating_sub(2).min(DOUBLINGS_MAX);
        self.due = now.after(retry_after.saturating_mul(1 << doublings));
        again
    }

    pub(super) fn is_on(&self, link: LinkId) -> bool {
        self.on == Some(link)
    }

    /// Nobody has it: it waits in the queue, for its pause, or for the window.
    pub(super) fn is_idle(&self) -> bool {
        self.on.is_none()
    }

    /// It will be sent again, although whoever has it may have taken it.
    pub(super) fn queue_again(&mut self) {
        if let Some(link) = self.on.take() {
            match self.earlier {
                None => self.earlier = Some(link),
                Some(_) => self.lost = true,
            }
        }
        self.queued = true;
        self.due = NEVER;
    }

    /// Nobody is asked before `until`.
    pub(super) fn hold(&mut self, until: Time) {
        self.due = until;
    }

    /// A member declined one copy: from that one nothing will come. Whether it is known to have had
    /// one.
    pub(super) fn declined(&mut self, link: LinkId) -> bool {
        if self.earlier == Some(link) {
            self.earlier = None;
        } else if self.on == Some(link) {
            self.on = None;
            self.due = NEVER;
        } else {
            return false;
        }
        true
    }

    /// Whether a copy may have been, or may still be, executed.
    pub(super) fn may_be_taken(&self) -> bool {
        self.on.is_some() || self.earlier.is_some() || self.lost
    }
}
