//! Ways to damage bytes that a decoder understands, so that it comes further than with arbitrary ones.

use proptest::prelude::{Just, Strategy, any, prop_oneof};
use proptest::sample::{Index, select};

/// Heads that announce far more than ever follows: CBOR's arrays, byte strings, texts and maps,
/// MessagePack's of 32 bits, and the length fields of frames and chunks.
const BOMBS: [&[u8]; 12] = [
    b"\x9b\x10\0\0\0\0\0\0\0",
    b"\x5b\x10\0\0\0\0\0\0\0",
    b"\x7b\x10\0\0\0\0\0\0\0",
    b"\xbb\x10\0\0\0\0\0\0\0",
    b"\x9a\xff\xff\xff\xff",
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff",
    b"\xc9\xff\xff\xff\xff",
    b"\xff\xff\xff\xff",
    b"\xff\xff\xff\x7f",
];
/// Heads that can stand in each other without end: CBOR, MessagePack, JSON.
const NESTS: [&[u8]; 8] = [
    b"\x81",
    b"\x9f",
    b"\xa1\x00",
    b"\xbf\x00",
    b"\xd8\x20",
    b"\x91",
    b"[",
    b"{\"\":",
];
/// Deeper than any recursion that is not bounded survives in a test's thread.
const DEPTH_MAX: usize = 30_000;
/// Parts that are repeated are repeated up to so many times.
const REPEATED_MAX: usize = 200;
/// Longer inputs find nothing else, and take long.
const LONGEST: usize = 64 << 10;
/// How many times one input is damaged.
const DAMAGES_MAX: usize = 6;

#[derive(Clone, Debug)]
enum Damage {
    Flip(Index, u8),
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Delete(Index, Index),
    Truncate(Index),
    Repeat(Index, Index, usize),
    /// In place of what stands there, or before it.
    Bomb(Index, &'static [u8], bool),
    Nest(Index, &'static [u8], usize),
    /// Goes on with the rest of another input that is understood.
    Splice(Index, Index, Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<Index>;
    prop_oneof![
        4 => (at(), 0..8_u8).prop_map(|(at, bit)| Damage::Flip(at, bit)),
        4 => (at(), any::<u8>()).prop_map(|(at, to)| Damage::Set(at, to)),
        2 => (at(), proptest::collection::vec(any::<u8>(), 1..9))
            .prop_map(|(at, what)| Damage::Insert(at, what)),
        2 => (at(), at()).prop_map(|(from, to)| Damage::Delete(from, to)),
        2 => at().prop_map(Damage::Truncate),
        2 => (at(), at(), 1..REPEATED_MAX).prop_map(|(from, to, times)| Damage::Repeat(from, to, times)),
        4 => (at(), select(&BOMBS[..]), any::<bool>())
            .prop_map(|(at, bomb, instead)| Damage::Bomb(at, bomb, instead)),
        1 => (at(), select(&NESTS[..]), prop_oneof![Just(DEPTH_MAX), 1..200_usize])
            .prop_map(|(at, head, depth)| Damage::Nest(at, head, depth)),
        2 => (at(), at(), at()).prop_map(|(at, other, from)| Damage::Splice(at, other, from)),
    ]
}

/// Everything small that is done to one input: cut short anywhere, or with a bomb anywhere.
pub(crate) fn every(valid: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    let cut = (0..valid.len()).map(|at| valid[..at].to_vec());
    let bombs = (0..=valid.len()).flat_map(move |at| {
        BOMBS.iter().map(move |bomb| {
            let rest = valid.get(at + bomb.len()..).unwrap_or_default();
            [&valid[..at], bomb, rest].concat()
        })
    });
    cut.chain(bombs)
}

/// Inputs that are nearly understood.
pub fn damaged(valid: Vec<Vec<u8>>) -> impl Strategy<Value = Vec<u8>> {
    let damages = proptest::collection::vec(damage(), 1..=DAMAGES_MAX);
    (any::<Index>(), damages).prop_map(move |(which, damages)| {
        let mut bytes = valid[which.index(valid.len())].clone();
        for damage in damages {
            apply(&mut bytes, damage, &valid);
            bytes.truncate(LONGEST);
        }
        bytes
    })
}

fn apply(bytes: &mut Vec<u8>, damage: Damage, valid: &[Vec<u8>]) {
    // Every place of the bytes, and the one behind them.
    let place = |bytes: &[u8], at: Index| at.index(bytes.len() + 1);
    match damage {
        Damage::Flip(at, bit) => {
            let at = place(bytes, at);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << bit;
            }
        }
        Damage::Set(at, to) => {
            let at = place(bytes, at);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = to;
            }
        }
        Damage::Insert(at, what) => {
            let at = place(bytes, at);
            bytes.splice(at..at, what);
        }
        Damage::Delete(from, to) => {
            let (from, to) = between(bytes, from, to);
            bytes.drain(from..to);
        }
        Damage::Truncate(at) => bytes.truncate(at.index(bytes.len() + 1)),
        Damage::Repeat(from, to, times) => {
            let (from, to) = between(bytes, from, to);
            let part = &bytes[from..to];
            let part = part.repeat(times.min(LONGEST / part.len().max(1)));
            bytes.splice(to..to, part);
        }
        Damage::Bomb(at, bomb, instead) => {
            let at = place(bytes, at);
            let end = if instead {
                bytes.len().min(at + bomb.len())
            } else {
                at
            };
            bytes.splice(at..end, bomb.iter().copied());
        }
        Damage::Nest(at, head, depth) => {
            let at = place(bytes, at);
            bytes.splice(at..at, head.repeat(depth));
        }
        Damage::Splice(at, other, from) => {
            let other = &valid[other.index(valid.len())];
            bytes.truncate(at.index(bytes.len() + 1));
            bytes.extend_from_slice(&other[from.index(other.len() + 1)..]);
        }
    }
}

fn between(bytes: &[u8], one: Index, other: Index) -> (usize, usize) {
    let (one, other) = (one.index(bytes.len() + 1), other.index(bytes.len() + 1));
    (one.min(other), one.max(other))
}
