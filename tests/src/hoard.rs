//! A service whose state is large enough that its way to a joiner takes a while.

use remex::Context;
use serde::{Deserialize, Serialize};

/// Bytes of a heap.
const HEAP_BYTES: usize = 1 << 20;

/// Heaps of letters, and a count of small writes.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Hoard {
    heaps: Vec<String>,
    coins: u64,
}

#[remex::service(name = "hoard", state_format = 1, version = "1.0.0")]
impl Hoard {
    /// Adds so many heaps of 1 MiB; no two are alike.
    pub fn heap(&mut self, cx: &Context, count: u32) {
        for number in 0..u64::from(count) {
            let seed = cx.position().0 << 16 | number;
            self.heaps.push(letters(seed));
        }
    }

    /// Counts a coin; how many there are.
    pub fn put(&mut self) -> u64 {
        self.coins += 1;
        self.coins
    }

    /// How many coins there are.
    #[read]
    pub fn coins(&self) -> u64 {
        self.coins
    }

    /// A number that depends on every byte of the state.
    #[read]
    pub fn checksum(&self) -> u64 {
        let bytes = self.heaps.iter().flat_map(|heap| heap.as_bytes().chunks(8));
        let words = bytes.map(|chunk| {
            chunk
                .iter()
                .fold(0, |word, byte| word << 8 | u64::from(*byte))
        });
        words.fold(self.coins, mixed)
    }
}

/// A heap of small letters.
fn letters(seed: u64) -> String {
    let mut word = mixed(seed, 0);
    let mut heap = String::with_capacity(HEAP_BYTES);
    while heap.len() < HEAP_BYTES {
        word = mixed(word, seed);
        let eight = word.to_le_bytes().map(|byte| char::from(b'a' + byte % 16));
        heap.extend(eight);
    }
    heap
}

/// Another number for every pair.
fn mixed(sum: u64, word: u64) -> u64 {
    (sum.rotate_left(5) ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}
