//! What a donor sends is a state, or is refused: sessions, and the stream of the service's bytes.

use ::fuzz::Decoder;

use super::super::kept::Kept;
use super::super::stream::ChunkReader;
use super::tally::NOTE;
use super::*;

fn donor() -> Member {
    let mut member = Member::founds(&v1());
    let sessions = [member.open(), member.open()];
    for number in 1..=3 {
        for session in sessions {
            member.call(call(session, number, NOTE, number).acknowledging(number / 2));
        }
    }
    member
}

#[test]
fn sessions_survive_whatever_comes() {
    let mut asked = Member::founds(&v1());
    for _ in 0..3000 {
        asked.open();
    }
    let valid = [
        Member::founds(&v1()).head(1).sessions,
        donor().head(1).sessions,
        asked.head(1).sessions,
    ];
    Decoder::of("sessions", valid.map(|bytes| bytes.to_vec()))
        // A session stands in two maps, and is some ten bytes when it is written.
        .times(24)
        .survives(|bytes| Kept::from_bytes(bytes).is_ok());
}

#[test]
fn the_stream_of_a_state_survives_whatever_comes() {
    let (_, stream) = donor().state(1);
    Decoder::of("stream", [stream])
        // What is read from it is thrown away.
        .buffer(16 << 10)
        .survives(|mut bytes| ChunkReader::new(&mut bytes).finish().is_ok());
}

#[test]
fn a_state_is_imported_or_refused_whatever_comes() {
    let donor = donor();
    let (head, (_, stream)) = (donor.head(1), donor.state(1));
    Decoder::of("state", [stream])
        .buffer(64 << 10)
        .survives(|mut bytes| v1().import(member(2), &head, &mut bytes).is_ok());
}
