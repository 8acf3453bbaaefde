//! The state on its way: whole, damaged, broken, of the wrong kind.

use std::io::{self, Read, Write};

use super::super::program::ImportError;
use super::super::stream::{CHUNK, ChunkReader, ChunkWriter};
use super::tally::NOTE;
use super::*;
use crate::service::StateError;

/// A member with a little of everything in its state.
fn donor() -> Member {
    let mut member = Member::founds(&v1());
    let sessions = [member.open(), member.open()];
    for number in 1..=3 {
        member.time += 2000;
        for session in sessions {
            member.call(call(session, number, NOTE, number).acknowledging(number / 2));
        }
    }
    member
}

fn import(program: &Program, head: &TransferHead, bytes: &[u8]) -> Result<(), ImportError> {
    let imported = program.import(member(2), head, &mut &bytes[..]);
    imported.map(|_| ())
}

#[test]
fn a_joiner_has_the_same_state_and_goes_on_alike() {
    let mut donor = donor();
    let mut joiner = donor.joiner(&v1(), 2, 1);
    assert_eq!(joiner.state(1), donor.state(1));
    let again = call(SessionId(1), 3, NOTE, 3);
    let next = call(SessionId(2), 4, NOTE, 4);
    assert_eq!(joiner.calls(&[again, next]), donor.calls(&[again, next]));
    assert_eq!(joiner.state(1), donor.state(1));
}

#[test]
fn a_joiner_forgets_the_same_sessions() {
    let mut donor = donor();
    let mut joiner = donor.joiner(&v1(), 2, 1);
    for member in [&mut donor, &mut joiner] {
        member.time += 11 * 60 * 1000;
        member.call(call(SessionId(1), 4, NOTE, 4));
    }
    assert_eq!(joiner.state(1), donor.state(1));
}

#[test]
fn each_bit_that_flips_is_noticed() {
    let donor = donor();
    let (head, (_, bytes)) = (donor.head(1), donor.state(1));
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            let error = import(&v1(), &head, &damaged).unwrap_err();
            assert!(error.is_broken_stream(), "byte {at}, bit {bit}: {error}");
        }
    }
}

#[test]
fn each_cut_is_noticed_and_nobody_else_is_blamed() {
    let donor = donor();
    let (head, (_, bytes)) = (donor.head(1), donor.state(1));
    for length in 0..bytes.len() {
        let error = import(&v1(), &head, &bytes[..length]).unwrap_err();
        assert!(matches!(error, ImportError::Stream(_)), "{length}: {error}");
    }
}

#[test]
fn sessions_that_are_damaged_do_not_panic() {
    let donor = donor();
    let (mut head, (_, bytes)) = (donor.head(1), donor.state(1));
    let sessions = head.sessions.clone();
    let mut refused = 0;
    for at in 0..sessions.len() {
        for bit in 0..8 {
            let mut damaged = sessions.to_vec();
            damaged[at] ^= 1 << bit;
            head.sessions = damaged.into();
            refused += u32::from(import(&v1(), &head, &bytes).is_err());
        }
        head.sessions = sessions.slice(..at);
        assert!(import(&v1(), &head, &bytes).is_err(), "cut at {at}");
    }
    assert!(refused > 0);
}

#[test]
fn what_cannot_be_used_is_refused_with_both_sides_named() {
    let donor = donor();
    let (head, (_, bytes)) = (donor.head(1), donor.state(1));

    let mut other = head.clone();
    other.service = "ledger".to_owned();
    let error = import(&v1(), &other, &bytes).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a state of the service \"ledger\", this is \"tally\""
    );
    assert!(!error.is_broken_stream());

    let mut newer = head.clone();
    newer.format = 2;
    let error = import(&v1(), &newer, &bytes).unwrap_err();
    let formats = "state format 2 is unknown here; this version knows [1]";
    assert_eq!(error.to_string(), formats);
    assert!(!error.is_broken_stream());

    let mut later = head.clone();
    // An array of one field more than this build knows, and the next format.
    let mut sessions = later.sessions.to_vec();
    assert_eq!(sessions[..2], [0x85, 0x01]);
    sessions[0] = 0x87;
    sessions[1] = 0x03;
    sessions.extend([0xf6, 0x00]);
    later.sessions = sessions.into();
    let error = import(&v1(), &later, &bytes).unwrap_err();
    assert!(
        matches!(error, ImportError::SessionsFormat { found: 3 }),
        "{error}"
    );
}

#[test]
fn a_version_that_cannot_behave_as_the_group_does_not_join() {
    let mut donor = donor().joiner(&v2(), 2, 1);
    donor.activate("2.0.0");
    let (_, bytes) = donor.state(2);
    let error = import(&v1(), &donor.head(2), &bytes).unwrap_err();
    let words =
        "the group behaves as 2.0.0, this is 1.0.0: only that version or a later one can join";
    assert_eq!(error.to_string(), words);
}

#[test]
fn a_format_that_cannot_be_written_is_refused() {
    let error = donor().execute.export(2, &mut Vec::new()).unwrap_err();
    assert!(matches!(error, StateError::Format { found: 2, .. }));
}

#[test]
fn a_whole_state_that_is_none_is_the_donors_fault() {
    let donor = donor();
    let head = donor.head(1);
    let stream = |state: &[u8]| {
        let mut bytes = Vec::new();
        let mut chunks = ChunkWriter::new(&mut bytes);
        chunks.write_all(state).unwrap();
        chunks.finish().unwrap();
        bytes
    };
    let short = import(&v1(), &head, &stream(&[3; 12])).unwrap_err();
    let malformed = matches!(short, ImportError::State(StateError::Malformed { .. }));
    assert!(malformed, "{short}");
    let long = import(&v1(), &head, &stream(&[0; 12])).unwrap_err();
    assert!(matches!(long, ImportError::Unread { bytes: 4 }), "{long}");
}

#[test]
fn a_stream_does_not_depend_on_how_it_is_written() {
    let state: Vec<u8> = (0..CHUNK * 2 + 17).map(|at| (at % 251) as u8).collect();
    let written = |pieces: usize| {
        let mut bytes = Vec::new();
        let mut chunks = ChunkWriter::new(&mut bytes);
        for piece in state.chunks(pieces) {
            chunks.write_all(piece).unwrap();
            chunks.flush().unwrap();
        }
        chunks.finish().unwrap();
        bytes
    };
    let whole = written(state.len());
    assert_eq!(whole.len(), state.len() + 3 * 4 + 4 + 32);
    assert_eq!(written(1000), whole);

    let mut slow = Slow {
        bytes: &whole,
        turn: 0,
    };
    let mut chunks = ChunkReader::new(&mut slow);
    let mut read = vec![0; state.len()];
    chunks.read_exact(&mut read).unwrap();
    assert_eq!(read, state);
    assert_eq!(chunks.finish().unwrap(), 0);
}

/// Gives little at a time, and is interrupted now and then.
struct Slow<'a> {
    bytes: &'a [u8],
    turn: usize,
}

impl Read for Slow<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.turn += 1;
        if self.turn.is_multiple_of(5) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let length = buffer.len().min(self.turn % 977 + 1);
        self.bytes.read(&mut buffer[..length])
    }
}
