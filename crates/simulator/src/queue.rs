//! Virtual time: what happens next. Events of the same moment happen in the order of their making,
//! so a run is a function of its seed.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Events by their moment, in virtual microseconds.
#[derive(Debug)]
pub(crate) struct Queue<E> {
    /// When, the how-manieth made, and where it lies. Events are large, and a heap moves much.
    heap: BinaryHeap<Reverse<(u64, u64, u32)>>,
    events: Vec<Option<E>>,
    free: Vec<u32>,
    made: u64,
}

impl<E> Queue<E> {
    pub(crate) fn new() -> Queue<E> {
        Queue {
            heap: BinaryHeap::new(),
            events: Vec::new(),
            free: Vec::new(),
            made: 0,
        }
    }

    pub(crate) fn push(&mut self, at: u64, event: E) {
        self.made += 1;
        let slot = match self.free.pop() {
            Some(slot) => {
                self.events[slot as usize] = Some(event);
                slot
            }
            None => {
                self.events.push(Some(event));
                u32::try_from(self.events.len() - 1).expect("fewer events wait than that")
            }
        };
        self.heap.push(Reverse((at, self.made, slot)));
    }

    pub(crate) fn pop(&mut self) -> Option<(u64, E)> {
        let Reverse((at, _, slot)) = self.heap.pop()?;
        self.free.push(slot);
        let event = self.events[slot as usize].take()?;
        Some((at, event))
    }
}
