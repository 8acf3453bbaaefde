//! States on their way between versions: chains, ways back, and what cannot be read.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod counter;

use std::io::{self, Read, Write};

use remex::{Service, StateError};

use counter::{v1, v2, v3};

fn export<S: Service>(state: &S, format: u32) -> Result<Vec<u8>, StateError> {
    let mut bytes = Vec::new();
    state.export(format, &mut bytes)?;
    Ok(bytes)
}

fn import<S: Service>(format: u32, bytes: &[u8]) -> Result<S, StateError> {
    S::import(format, &mut &bytes[..])
}

#[test]
fn a_state_comes_back_as_it_was() {
    let state = v2::Counter { up: 7, down: 3 };
    let bytes = export(&state, 2).unwrap();
    assert_eq!(import::<v2::Counter>(2, &bytes).unwrap(), state);
    assert_eq!(bytes, export(&state, 2).unwrap());
}

#[test]
fn an_older_state_is_mapped_step_by_step() {
    let old = export(&v1::Counter { count: 9 }, 1).unwrap();
    assert_eq!(
        import::<v2::Counter>(1, &old).unwrap(),
        v2::Counter { up: 9, down: 0 }
    );
    assert_eq!(
        import::<v3::Counter>(1, &old).unwrap(),
        v3::Counter { count: 9 }
    );
    let middle = export(&v2::Counter { up: 9, down: 4 }, 2).unwrap();
    assert_eq!(
        import::<v3::Counter>(2, &middle).unwrap(),
        v3::Counter { count: 5 }
    );
}

#[test]
fn a_reversible_version_writes_the_older_format() {
    let state = v2::Counter { up: 9, down: 4 };
    let back = export(&state, 1).unwrap();
    assert_eq!(
        import::<v1::Counter>(1, &back).unwrap(),
        v1::Counter { count: 5 }
    );
}

#[test]
fn formats_are_described_with_the_whole_chain() {
    let formats =
        |description: remex::Description| (description.reads_formats, description.writes_formats);
    assert_eq!(formats(v1::Counter::describe()), (vec![1], vec![1]));
    assert_eq!(formats(v2::Counter::describe()), (vec![1, 2], vec![1, 2]));
    assert_eq!(formats(v3::Counter::describe()), (vec![1, 2, 5], vec![5]));
}

#[test]
fn an_unknown_format_is_refused_with_those_that_would_do() {
    let told = |error: StateError| match error {
        StateError::Format { found, known } => (found, known),
        StateError::Malformed { .. } | StateError::Unmappable(_) | StateError::Stream(_) => {
            panic!("another error: {error}")
        }
    };
    assert_eq!(
        told(import::<v1::Counter>(2, b"").unwrap_err()),
        (2, vec![1])
    );
    assert_eq!(
        told(import::<v3::Counter>(4, b"").unwrap_err()),
        (4, vec![1, 2, 5])
    );
    assert_eq!(
        told(export(&v1::Counter { count: 1 }, 2).unwrap_err()),
        (2, vec![1])
    );
    assert_eq!(
        told(export(&v2::Counter::default(), 9).unwrap_err()),
        (9, vec![1, 2])
    );
    assert_eq!(
        told(export(&v3::Counter { count: 1 }, 2).unwrap_err()),
        (2, vec![5])
    );
}

#[test]
fn what_does_not_map_says_why() {
    let told = |error: StateError| error.to_string();
    let thirteen = export(&v1::Counter { count: 13 }, 1).unwrap();
    let why = "the state does not map: thirteen has no place here";
    assert_eq!(told(import::<v2::Counter>(1, &thirteen).unwrap_err()), why);
    assert_eq!(told(import::<v3::Counter>(1, &thirteen).unwrap_err()), why);
    let large = v2::Counter {
        up: u64::MAX,
        down: 0,
    };
    assert_eq!(
        told(export(&large, 1).unwrap_err()),
        "the state does not map: the count is too large"
    );
}

#[test]
fn bytes_that_are_no_state_are_refused() {
    let good = export(&v2::Counter { up: 7, down: 3 }, 2).unwrap();
    let mut long = good.clone();
    long.push(0);
    for bytes in [b"" as &[u8], b"\xc1", &good[..good.len() - 1], &long] {
        let error = import::<v2::Counter>(2, bytes).unwrap_err();
        assert!(
            matches!(error, StateError::Malformed { format: 2, .. }),
            "{error}"
        );
    }
}

struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    }
}

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::from(io::ErrorKind::ConnectionReset))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_broken_stream_is_told_apart_from_a_bad_state() {
    let error = v2::Counter::import(2, &mut Broken).unwrap_err();
    assert!(matches!(error, StateError::Stream(_)), "{error}");
    let error = v2::Counter::default().export(2, &mut Broken).unwrap_err();
    assert!(matches!(error, StateError::Stream(_)), "{error}");
}

/// A state of many small entries, some megabytes of them.
mod large {
    #![allow(
        unreachable_pub,
        reason = "a service's methods are `pub`, wherever it lies"
    )]

    use std::collections::BTreeMap;

    use serde::{Deserialize, Serialize};

    #[derive(Default, PartialEq, Serialize, Deserialize)]
    pub(crate) struct Shelf {
        pub(crate) entries: BTreeMap<u64, String>,
    }

    #[remex::service(name = "shelf", state_format = 1, version = "1.0.0")]
    impl Shelf {
        #[read]
        pub fn size(&self) -> u64 {
            self.entries.len() as u64
        }
    }
}

/// Counts what passes, and the largest piece.
#[derive(Default)]
struct Pieces {
    bytes: Vec<u8>,
    largest: usize,
    read: usize,
}

impl Write for Pieces {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.largest = self.largest.max(piece.len());
        self.bytes.extend_from_slice(piece);
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Pieces {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        self.largest = self.largest.max(piece.len());
        let read = (&self.bytes[self.read..]).read(piece)?;
        self.read += read;
        Ok(read)
    }
}

/// A transferred state must not need a second copy of itself in memory.
#[test]
fn a_state_passes_in_pieces() {
    let entries = (0..100_000).map(|number| (number, format!("entry {number}")));
    let state = large::Shelf {
        entries: entries.collect(),
    };
    let mut pieces = Pieces::default();
    state.export(1, &mut pieces).unwrap();
    assert!(pieces.bytes.len() > 1 << 20);
    assert!(
        pieces.largest <= 64 * 1024,
        "wrote {} at once",
        pieces.largest
    );
    pieces.largest = 0;
    let imported = large::Shelf::import(1, &mut pieces).unwrap();
    assert!(imported == state);
    assert!(
        pieces.largest <= 64 * 1024,
        "read {} at once",
        pieces.largest
    );
}
