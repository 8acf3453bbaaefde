//! Whether MessagePack is all there and no deeper than values are, looked at before it is decoded.
//!
//! A list says how many elements follow, and whoever decodes it makes room for them at once: up to a
//! mebibyte for five bytes that only announce, and again for each list that stands in another. And a
//! type that holds itself is followed as deep as its bytes go: a request of a few hundred kilobytes
//! would exhaust the stack of all members alike. So bytes that do not hold what they announce, or
//! hold it too deep, are refused first. A state comes and goes as a stream: only its depth is looked
//! at, piece by piece.

use std::io::{self, Read, Write};

/// How deep lists and maps may stand in each other in a request: as deep as in JSON, whose reader has
/// this limit.
const DEPTH_MAX: usize = 128;

/// How deep they may stand in a state: it holds what requests brought, in lists and maps of its own,
/// and a thread's stack bears that many.
pub(crate) const STATE_DEPTH_MAX: usize = 256;

/// The longest beginning of a value: its kind and a length of 32 bits.
const HEAD_MAX: usize = 5;

/// Whether these bytes begin with one value, all of which is in them.
pub(crate) fn is_whole(bytes: &[u8]) -> bool {
    let mut scan = Scan::new(DEPTH_MAX);
    scan.pass(bytes).is_ok() && scan.is_over
}

/// Why bytes are no value that can be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    TooDeep,
    NoBeginning,
}

/// Goes through one value, in pieces that end anywhere.
#[derive(Debug)]
struct Scan {
    depth_max: usize,
    /// What is still to come on each level.
    left: Vec<u64>,
    /// Bytes of a text or number that are still to come.
    content: u64,
    /// A beginning that the last piece cut.
    cut: [u8; HEAD_MAX],
    cut_length: usize,
    /// All of the value has passed; what follows is somebody else's.
    is_over: bool,
}

impl Scan {
    fn new(depth_max: usize) -> Scan {
        Scan {
            depth_max,
            left: Vec::new(),
            content: 0,
            cut: [0; HEAD_MAX],
            cut_length: 0,
            is_over: false,
        }
    }

    /// The next piece.
    fn pass(&mut self, mut bytes: &[u8]) -> Result<(), Fault> {
        while !self.is_over && !bytes.is_empty() {
            if self.content > 0 {
                let here = usize::try_from(self.content).unwrap_or(usize::MAX);
                let here = here.min(bytes.len());
                bytes = &bytes[here..];
                self.content -= here as u64;
                if self.content == 0 {
                    self.end();
                }
                continue;
            }
            let Some((content, values)) = self.begin(&mut bytes)? else {
                return Ok(());
            };
            if values > 0 {
                if self.left.len() == self.depth_max {
                    return Err(Fault::TooDeep);
                }
                self.left.push(values);
            } else if content > 0 {
                self.content = content;
            } else {
                self.end();
            }
        }
        Ok(())
    }

    /// What the next value begins with, `None` if the piece cuts it.
    fn begin(&mut self, bytes: &mut &[u8]) -> Result<Option<(u64, u64)>, Fault> {
        if self.cut_length == 0 {
            let mut behind = *bytes;
            if let Some(head) = head(&mut behind) {
                *bytes = behind;
                return Ok(Some(head));
            }
        }
        while let Some((&byte, behind)) = bytes.split_first() {
            self.cut[self.cut_length] = byte;
            self.cut_length += 1;
            *bytes = behind;
            if let Some(head) = head(&mut &self.cut[..self.cut_length]) {
                self.cut_length = 0;
                return Ok(Some(head));
            }
            if self.cut_length == HEAD_MAX || self.cut[0] == NO_BEGINNING {
                return Err(Fault::NoBeginning);
            }
        }
        Ok(None)
    }

    /// A value is over, and with it perhaps those that it stands in.
    fn end(&mut self) {
        while let Some(last) = self.left.last_mut() {
            *last -= 1;
            if *last > 0 {
                return;
            }
            self.left.pop();
        }
        self.is_over = true;
    }
}

/// Reads or writes a state as far as it is no deeper than [`STATE_DEPTH_MAX`].
#[derive(Debug)]
pub(crate) struct Shallow<S> {
    stream: S,
    scan: Scan,
    is_too_deep: bool,
}

impl<S> Shallow<S> {
    pub(crate) fn new(stream: S) -> Shallow<S> {
        Shallow {
            stream,
            scan: Scan::new(STATE_DEPTH_MAX),
            is_too_deep: false,
        }
    }

    /// Whether that is why it went no further.
    pub(crate) fn is_too_deep(&self) -> bool {
        self.is_too_deep
    }

    /// What is wrong in another way is for the decoder to say.
    fn pass(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.scan.pass(bytes) == Err(Fault::TooDeep) {
            self.is_too_deep = true;
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok(())
    }
}

impl<R: Read> Read for Shallow<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.stream.read(buffer)?;
        self.pass(&buffer[..read])?;
        Ok(read)
    }
}

impl<W: Write> Write for Shallow<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.stream.write(bytes)?;
        self.pass(&bytes[..written])?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

/// The byte that begins nothing.
const NO_BEGINNING: u8 = 0xc1;

/// Cuts what a value begins with; how many bytes and how many values belong to it. `None` if it is
/// not there, or is no beginning.
fn head(rest: &mut &[u8]) -> Option<(u64, u64)> {
    let first = number(rest, 1)?;
    Some(match first {
        0x00..=0x7f | 0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => (0, 0),
        0x80..=0x8f => (0, (first & 0x0f) * 2),
        0x90..=0x9f => (0, first & 0x0f),
        0xa0..=0xbf => (first & 0x1f, 0),
        // Byte strings and texts, then extensions with the byte of their type.
        0xc4 | 0xd9 => (number(rest, 1)?, 0),
        0xc5 | 0xda => (number(rest, 2)?, 0),
        0xc6 | 0xdb => (number(rest, 4)?, 0),
        0xc7 => (number(rest, 1)? + 1, 0),
        0xc8 => (number(rest, 2)? + 1, 0),
        0xc9 => (number(rest, 4)? + 1, 0),
        0xca | 0xce | 0xd2 => (4, 0),
        0xcb | 0xcf | 0xd3 => (8, 0),
        0xcc | 0xd0 => (1, 0),
        0xcd | 0xd1 => (2, 0),
        0xd4..=0xd8 => ((1 << (first - 0xd4)) + 1, 0),
        0xdc => (0, number(rest, 2)?),
        0xdd => (0, number(rest, 4)?),
        0xde => (0, number(rest, 2)? * 2),
        0xdf => (0, number(rest, 4)? * 2),
        _ => return None,
    })
}

/// Cuts a number of so many bytes, the highest first.
fn number(rest: &mut &[u8], bytes: usize) -> Option<u64> {
    let (digits, behind) = rest.split_at_checked(bytes)?;
    *rest = behind;
    let number = digits
        .iter()
        .fold(0, |number, &digit| number << 8 | u64::from(digit));
    Some(number)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use serde_json::{Value, json};

    use super::*;

    /// Every form of every length.
    fn values() -> Vec<Value> {
        let text = |length| json!("x".repeat(length));
        let list = |length: usize| json!(vec![json!(null); length]);
        let map = |length: u32| {
            let entries = (0..length).map(|key| (key.to_string(), json!([key])));
            Value::Object(entries.collect())
        };
        let numbers = [0, 127, 128, 255, 256, 65_535, 65_536, u64::MAX].map(|number| json!(number));
        let negative = [-1, -32, -33, -129, -32_769, i64::MIN].map(|number| json!(number));
        let texts = [0, 31, 32, 255, 256, 65_536].map(text);
        let lists = [0, 15, 16, 65_536].map(list);
        let maps = [0, 15, 16, 65_536].map(map);
        let others = [json!(1.5), json!(true), json!({"a": [{"b": [[], {}]}]})];
        [&numbers[..], &negative, &texts, &lists, &maps, &others].concat()
    }

    #[test]
    fn what_is_written_is_whole_and_what_is_cut_is_not() {
        for value in values() {
            let bytes = rmp_serde::to_vec_named(&value).unwrap();
            assert!(is_whole(&bytes));
            assert!(is_whole(&[&bytes[..], b"more"].concat()));
            let cuts = 0..bytes.len();
            for cut in cuts.step_by(1 + bytes.len() / 50) {
                assert!(!is_whole(&bytes[..cut]), "{cut} of {} bytes", bytes.len());
            }
        }
    }

    #[test]
    fn lists_and_maps_stand_in_each_other_up_to_the_limit() {
        let nested = |head: &[u8], depth| [head.repeat(depth), vec![0xc0]].concat();
        for head in [
            &b"\x91"[..],
            b"\x81\xa1a",
            b"\xdc\x00\x01",
            b"\xdf\0\0\0\x01\x00",
        ] {
            assert!(is_whole(&nested(head, DEPTH_MAX)), "{head:02x?}");
            assert!(!is_whole(&nested(head, DEPTH_MAX + 1)), "{head:02x?}");
        }
        let (deep, deeper) = (nested(b"\x91", DEPTH_MAX - 1), nested(b"\x91", DEPTH_MAX));
        assert!(is_whole(&[b"\x92", &deep[..], &deep].concat()));
        assert!(!is_whole(&[b"\x92", &deep[..], &deeper].concat()));
    }

    /// Where a stream is cut is nobody's choice.
    #[test]
    fn pieces_of_any_length_are_the_same_value() {
        for value in values() {
            let bytes = rmp_serde::to_vec_named(&value).unwrap();
            for length in [1, 2, 3, 7, 4096] {
                let mut scan = Scan::new(STATE_DEPTH_MAX);
                for piece in bytes.chunks(length) {
                    assert!(!scan.is_over, "before all of it has passed");
                    scan.pass(piece).unwrap();
                }
                assert!(scan.is_over, "{length} bytes at a time");
            }
        }
    }

    #[test]
    fn a_stream_goes_on_up_to_the_limit() {
        for (depth, expected) in [(STATE_DEPTH_MAX, true), (STATE_DEPTH_MAX + 1, false)] {
            let bytes = [b"\x91".repeat(depth), vec![0xc0]].concat();
            let mut read = Shallow::new(&bytes[..]);
            assert_eq!(io::copy(&mut read, &mut io::sink()).is_ok(), expected);
            assert_eq!(read.is_too_deep(), !expected);
            let mut written = Shallow::new(io::sink());
            assert_eq!(written.write_all(&bytes).is_ok(), expected);
            assert_eq!(written.is_too_deep(), !expected);
        }
        let mut none = Shallow::new(&b"\xc1\x91"[..]);
        assert_eq!(io::copy(&mut none, &mut io::sink()).unwrap(), 2);
    }

    #[test]
    fn byte_strings_and_extensions_are_whole_with_all_their_bytes() {
        for (head, content) in [
            (&b"\xc4\x03"[..], 3),
            (b"\xc5\x00\x03", 3),
            (b"\xc6\x00\x00\x00\x03", 3),
            (b"\xc7\x03", 4),
            (b"\xc8\x00\x03", 4),
            (b"\xc9\x00\x00\x00\x03", 4),
            (b"\xca", 4),
            (b"\xd4", 2),
            (b"\xd8", 17),
        ] {
            let bytes = [head, &vec![0xc1; content]].concat();
            assert!(is_whole(&bytes), "{head:02x?}");
            assert!(!is_whole(&bytes[..bytes.len() - 1]), "{head:02x?}");
        }
        assert!(!is_whole(b"\xc1"), "nothing begins so");
    }
}
