//! Exports to real sockets, with a service that is only its bytes.
#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Instant;

use bytes::Bytes;
use replica::{Answer, StateError, Work};
use wire::member::Binary;
use wire::{Build, Time, Version};

use super::*;
use crate::donations::{Donations, EARLY_MAX};

/// What the service writes.
#[derive(Clone, Copy, Debug)]
enum State {
    Bytes(&'static [u8]),
    /// Until nobody takes it.
    Endless,
    Zeros(usize),
    Panics,
}

#[derive(Debug)]
struct Fake {
    state: State,
}

impl Execute for Fake {
    fn handle(&mut self, _: Work, _: &mut Vec<Answer>) {}

    fn position(&self) -> Position {
        Position(7)
    }

    fn sessions(&self) -> Bytes {
        Bytes::from_static(b"sessions")
    }

    fn export(&self, _: u32, out: &mut dyn Write) -> Result<(), StateError> {
        match self.state {
            State::Bytes(bytes) => Ok(out.write_all(bytes)?),
            State::Endless => loop {
                out.write_all(&[0; 4096])?;
            },
            State::Zeros(size) => Ok(out.write_all(&vec![0; size])?),
            State::Panics => panic!("no such state"),
        }
    }

    fn upgraded(&mut self) {}
}

fn joiner() -> MemberId {
    MemberId::new(4).unwrap()
}

fn head(position: u64) -> TransferHead {
    TransferHead {
        position: Position(position),
        term: 1,
        service: "fake".to_owned(),
        binary: Binary {
            version: Version::new(1, 0, 0),
            build: Build([0; 32]),
        },
        format: 1,
        group: Bytes::new(),
        replica: Bytes::new(),
        sessions: Bytes::new(),
    }
}

fn wanted(position: u64, bulk: Receiver<Bulk>) -> Export {
    Export {
        joiner: joiner(),
        position: Position(position),
        format: 1,
        head: head(position),
        alone: false,
        bulk,
    }
}

/// A joiner's end and what the loop makes of the other.
fn dialled() -> (TcpStream, Bulk) {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let joiner = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (here, _) = listener.accept().unwrap();
    here.set_nonblocking(true).unwrap();
    (joiner, Bulk::new(here, b"welcome".to_vec()).unwrap())
}

fn met(bulk: Bulk) -> Receiver<Bulk> {
    let (door, receiver): (Sender<Bulk>, _) = channel();
    door.send(bulk).unwrap();
    receiver
}

/// What the executor and the donor's thread do, one after the other.
fn give(state: State, wanted: Export) -> Result<(), ExportError> {
    match export(&Fake { state }, wanted)? {
        Exported::All => Ok(()),
        Exported::Image(image) => image.send(),
    }
}

fn export_of(state: State, bulk: Bulk) -> Result<(), ExportError> {
    give(state, wanted(7, met(bulk)))
}

#[test]
fn the_joiner_gets_what_was_unsent_the_head_with_the_sessions_and_the_state() {
    let (mut there, bulk) = dialled();
    export_of(State::Bytes(b"state"), bulk).unwrap();
    let mut welcome = [0; 7];
    there.read_exact(&mut welcome).unwrap();
    assert_eq!(&welcome, b"welcome");
    let came: TransferHead = read_frame(&mut there, HEAD_FRAME_MAX).unwrap();
    let sessions = Bytes::from_static(b"sessions");
    assert_eq!(
        came,
        TransferHead {
            sessions,
            ..head(7)
        }
    );
    let mut state = Vec::new();
    there.read_to_end(&mut state).unwrap();
    assert_eq!(state, b"state");
}

#[test]
fn another_position_is_never_given_away() {
    let (_there, bulk) = dialled();
    let result = give(State::Bytes(b"state"), wanted(8, met(bulk)));
    assert!(matches!(result, Err(ExportError::Position { .. })));
}

/// Whoever asks the service waits neither for a joiner that does not come, nor for one that is slow.
#[test]
fn the_service_goes_on_while_a_joiner_is_awaited() {
    let (door, bulk): (Sender<Bulk>, _) = channel();
    let fake = Fake {
        state: State::Bytes(b"state"),
    };
    let exported = export(&fake, wanted(7, bulk)).unwrap();
    let Exported::Image(image) = exported else {
        panic!("nobody has come for it: {exported:?}");
    };
    let (mut there, here) = dialled();
    door.send(here).unwrap();
    drop(door);
    image.send().unwrap();
    let mut all = Vec::new();
    there.read_to_end(&mut all).unwrap();
    assert!(all.ends_with(b"state"));
}

#[test]
fn a_large_state_is_kept_only_by_who_alone_answers() {
    let size = IMAGE_MAX + 1;
    let (door, bulk): (Sender<Bulk>, _) = channel();
    drop(door);
    let failed = give(State::Zeros(size), wanted(7, bulk));
    assert!(matches!(failed, Err(ExportError::Cancelled)), "{failed:?}");
    let (_door, bulk): (Sender<Bulk>, _) = channel();
    let alone = Export {
        alone: true,
        ..wanted(7, bulk)
    };
    let fake = Fake {
        state: State::Zeros(size),
    };
    let exported = export(&fake, alone).unwrap();
    assert!(matches!(exported, Exported::Image(_)));
}

#[test]
fn a_cancelled_export_does_not_wait_for_its_joiner() {
    let mut donations = Donations::default();
    let bulk = donations.announce(joiner(), Position(7));
    donations.cancel(joiner());
    let begin = Instant::now();
    let result = give(State::Endless, wanted(7, bulk));
    assert!(matches!(result, Err(ExportError::Cancelled)));
    assert!(begin.elapsed() < MEETING_PATIENCE);
    assert!(!donations.done(joiner(), Position(7)), "it was cancelled");
}

#[test]
fn an_export_that_runs_is_ended_by_cancelling_it() {
    let mut donations = Donations::default();
    let bulk = donations.announce(joiner(), Position(7));
    let (mut there, here) = dialled();
    donations.arrived(Time(0), joiner(), Position(7), here);
    let exporting = thread::spawn(move || give(State::Endless, wanted(7, bulk)));
    // Some of it has come, and nothing more is taken: the export stands in a write.
    there.read_exact(&mut [0; 100]).unwrap();
    donations.cancel(joiner());
    assert!(exporting.join().unwrap().is_err());
}

#[test]
fn a_joiner_that_dials_early_is_kept_for_the_announcement() {
    let mut donations = Donations::default();
    let (mut there, here) = dialled();
    donations.arrived(Time(0), joiner(), Position(7), here);
    donations.expire(Time(1_999_999));
    let other = donations.announce(joiner(), Position(6));
    assert!(other.try_recv().is_err(), "it came for another position");
    let bulk = donations.announce(joiner(), Position(7));
    give(State::Bytes(b"state"), wanted(7, bulk)).unwrap();
    assert!(donations.done(joiner(), Position(7)));
    let mut all = Vec::new();
    drop(donations);
    there.read_to_end(&mut all).unwrap();
    assert!(all.ends_with(b"state"));
}

#[test]
fn a_joiner_that_nobody_announces_is_turned_away() {
    let mut donations = Donations::default();
    let (mut there, here) = dialled();
    donations.arrived(Time(0), joiner(), Position(7), here);
    let deadline = donations.deadline().unwrap();
    donations.expire(deadline);
    assert_eq!(there.read(&mut [0; 1]).unwrap(), 0);
    assert_eq!(donations.deadline(), None);
}

#[test]
fn only_so_many_joiners_wait_that_nobody_announces() {
    let mut donations = Donations::default();
    let mut there: Vec<TcpStream> = Vec::new();
    for number in 1..=EARLY_MAX + 1 {
        let (joiner, here) = dialled();
        there.push(joiner);
        let id = MemberId::new(number as u64).unwrap();
        donations.arrived(Time(0), id, Position(7), here);
    }
    assert_eq!(there[0].read(&mut [0; 1]).unwrap(), 0, "the first gave way");
    there[1].set_nonblocking(true).unwrap();
    let second = there[1].read(&mut [0; 1]).unwrap_err();
    assert_eq!(second.kind(), io::ErrorKind::WouldBlock, "the next waits");
}

#[test]
fn a_panic_of_the_service_fails_the_export_and_nothing_else() {
    let (mut there, bulk) = dialled();
    let failed = export_of(State::Panics, bulk);
    assert!(matches!(failed, Err(ExportError::Panicked(text)) if text == "no such state"));
    let mut rest = Vec::new();
    there.read_to_end(&mut rest).unwrap();
}

#[test]
fn a_joiner_that_is_gone_fails_the_export() {
    let (there, bulk) = dialled();
    drop(there);
    let failed = export_of(State::Endless, bulk);
    assert!(matches!(
        failed,
        Err(ExportError::Stream(_) | ExportError::State(StateError::Stream(_)))
    ));
}

#[test]
fn a_wrong_length_costs_no_memory() {
    let mut bytes: &[u8] = &[0xff, 0xff, 0xff, 0x3f, 1, 8, 0];
    let read: Result<TransferHead, _> = read_frame(&mut bytes, HEAD_FRAME_MAX);
    assert!(matches!(read, Err(FetchError::Broken(_))));
    let mut bytes: &[u8] = &[0xff, 0xff, 0xff, 0xff];
    let read: Result<TransferHead, _> = read_frame(&mut bytes, HEAD_FRAME_MAX);
    assert!(matches!(read, Err(FetchError::Broken(_))));
}

#[test]
fn a_cancelled_fetch_ends_before_it_is_dialled() {
    let (there, _bulk) = dialled();
    let ticket = Ticket::default();
    ticket.cancel();
    assert!(matches!(ticket.stands(&there), Err(FetchError::Broken(_))));
}

#[test]
fn a_fetch_that_waits_for_its_donor_is_ended_by_cancelling_it() {
    let (there, _bulk) = dialled();
    let ticket = Arc::new(Ticket::default());
    ticket.stands(&there).unwrap();
    let reading = thread::spawn(move || (&there).read(&mut [0; 1]).unwrap());
    ticket.cancel();
    assert_eq!(reading.join().unwrap(), 0);
}
