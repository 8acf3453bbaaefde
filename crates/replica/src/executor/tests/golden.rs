//! The sessions' encoding, byte for byte: what a release wrote, the next one reads.

use super::super::kept::Kept;
use super::tally::{NOTE, NOTE_V2};
use super::*;

/// What [`known`] gives in format 1. It never changes; another shape is another format.
const FORMAT_1: &str = concat!(
    "850183021a000f481ca20183011a000f481c81830305820081582801000000000000001c480f0000",
    "000000050000000000000000000000000000008475f615df6075cf0283001a000f42408081a51a39",
    "b1ddf483f5f681011a919a0c3d83f4f681021ab1ea624883f4f681011ab4a7d5f383f465322e302e",
    "3081011af5f3ff7483f4f6810165322e302e3007",
);

/// A group with two sessions; one keeps a reply and acknowledges another, a refusal.
fn known() -> Member {
    let mut member = Member::founds(&v2());
    let session = member.open();
    member.open();
    member.time += 1500;
    member.call(call(session, 1, NOTE, 5));
    member.call(call(session, 3, NOTE_V2, 5).acknowledging(1));
    member
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn the_encoding_is_what_it_was() {
    assert_eq!(hexadecimal(&known().execute.sessions()), FORMAT_1);
}

#[test]
fn what_was_written_then_is_read_now() {
    let bytes: Vec<u8> = FORMAT_1
        .as_bytes()
        .chunks(2)
        .map(|digits| u8::from_str_radix(std::str::from_utf8(digits).unwrap(), 16).unwrap())
        .collect();
    let kept = Kept::from_bytes(&bytes).unwrap();
    assert_eq!(kept.effective, Version::new(2, 0, 0));
    assert_eq!(kept.seed, SEED);
    assert_eq!(kept.to_bytes(), bytes);
}
