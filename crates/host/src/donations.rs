//! States that this member was named to give away, and the joiners that dial for them.
//!
//! Announcement and joiner come in either order; whichever is first waits for the other, the
//! announcement in the executor's queue, the joiner here.

use std::collections::BTreeMap;
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};

use wire::{MemberId, Position, Time};

use crate::transfer::{Bulk, MEETING_PATIENCE};

/// Joiners that wait for their announcement: more than a group lets in at a time, and few enough that
/// strangers who say that they are joiners take no descriptors that are needed.
pub(crate) const EARLY_MAX: usize = 16;

#[derive(Debug, Default)]
pub(crate) struct Donations {
    announced: BTreeMap<MemberId, Announced>,
    early: Vec<Early>,
}

#[derive(Debug)]
struct Announced {
    position: Position,
    /// Until the joiner has come.
    door: Option<Sender<Bulk>>,
    /// The connection on which the state goes out.
    line: Option<TcpStream>,
}

#[derive(Debug)]
struct Early {
    joiner: MemberId,
    position: Position,
    bulk: Bulk,
    until: Time,
}

impl Donations {
    /// A state will be given: the executor gets the joiner's connection from what this returns.
    pub(crate) fn announce(&mut self, joiner: MemberId, position: Position) -> Receiver<Bulk> {
        self.cancel(joiner);
        let (door, bulk) = channel();
        let announced = Announced {
            position,
            door: Some(door),
            line: None,
        };
        self.announced.insert(joiner, announced);
        let matches = |early: &Early| early.joiner == joiner && early.position == position;
        if let Some(at) = self.early.iter().position(matches) {
            let early = self.early.swap_remove(at);
            self.meet(joiner, early.bulk);
        }
        bulk
    }

    /// A joiner has dialled for a state.
    pub(crate) fn arrived(&mut self, now: Time, joiner: MemberId, position: Position, bulk: Bulk) {
        let announced = self.announced.get(&joiner);
        if announced.is_some_and(|announced| announced.position == position) {
            self.meet(joiner, bulk);
        } else {
            // One per joiner waits: whoever dials again has given the older one up.
            self.early.retain(|early| early.joiner != joiner);
            if self.early.len() == EARLY_MAX {
                self.early.remove(0);
            }
            self.early.push(Early {
                joiner,
                position,
                bulk,
                until: now.after(MEETING_PATIENCE),
            });
        }
    }

    fn meet(&mut self, joiner: MemberId, bulk: Bulk) {
        if let Some(announced) = self.announced.get_mut(&joiner)
            && let Some(door) = announced.door.take()
        {
            announced.line = bulk.handle().ok();
            // An executor that waits no longer reports that by itself; the socket closes here.
            let _late = door.send(bulk);
        }
    }

    /// Nobody wants this state any more.
    pub(crate) fn cancel(&mut self, joiner: MemberId) {
        if let Some(announced) = self.announced.remove(&joiner)
            && let Some(line) = announced.line
        {
            // The joiner may be gone already.
            let _closed = line.shutdown(Shutdown::Both);
        }
    }

    /// The executor is done with it. False if it was cancelled or replaced before.
    pub(crate) fn done(&mut self, joiner: MemberId, position: Position) -> bool {
        let current = self
            .announced
            .get(&joiner)
            .is_some_and(|announced| announced.position == position);
        if current {
            self.announced.remove(&joiner);
        }
        current
    }

    /// Closes on joiners for which nothing was announced in time.
    pub(crate) fn expire(&mut self, now: Time) {
        self.early.retain(|early| now < early.until);
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        self.early.iter().map(|early| early.until).min()
    }
}
