//! What holds after everything that happens to the machine; checked in all its tests.

use super::Machine;
use super::sending::NEVER;

impl Machine {
    pub(super) fn check_invariants(&mut self) {
        // Requests only leave on a link whose member has greeted us.
        if let Some(current) = self.links.current() {
            assert!(self.links.is_ready(current));
        }
        let mut queued = Vec::new();
        let mut admitted = Vec::new();
        for (place, entry) in self.sessions.iter_mut() {
            let sending = &entry.sending;
            // Nothing needs a look before the machine's own deadline.
            assert!(self.look_at <= sending.until && self.look_at <= sending.due);
            if sending.queued {
                queued.push(place);
            }
            // Nothing is forgotten: who is not queued has a time at which it is looked at.
            if sending.queued || sending.due != NEVER {
                admitted.push(place);
            }
            // What is queued is on no link.
            assert!(!sending.queued || sending.is_idle());
        }
        assert!(queued.iter().all(|&place| self.sessions.has_queued(place)));
        let places: Vec<_> = self.sessions.iter_mut().map(|(place, _)| place).collect();
        for place in places {
            // The window decides who takes part, and nobody else does.
            let is_admitted = admitted.contains(&place);
            assert_eq!(self.sessions.is_admitted(place), is_admitted, "{place:?}");
        }
    }
}
