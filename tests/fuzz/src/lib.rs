//! Feeds decoders whatever may come, and watches what they take.
//!
//! A decoder gets arbitrary bytes, and bytes that it understands after somebody has damaged them. It
//! refuses or understands them: it does not panic, and it never holds more than [`FACTOR`] times as
//! many bytes as it was given and [`BESIDE`]. The few that may hold more say how much, and why, where
//! they are fed; nothing is allocated because bytes only announce it.
//!
//! `PROPTEST_CASES=1000000 cargo test -p wire --test fuzz` and the like go on for longer.

mod damage;

pub use damage::damaged;

use std::panic::{AssertUnwindSafe, catch_unwind};

use proptest::prelude::{any, prop_oneof};
use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};

/// How many times its input a decoder may hold: once for the value, once more for a text that is
/// looked at before it is kept, and both twice as large as they need to be while they grow.
pub const FACTOR: usize = 4;
/// What any decoder may hold beside that: the text of one error.
pub const BESIDE: usize = 1 << 10;
/// Cases of one decoder where nobody asks for more: all decoders together take some seconds.
const CASES: u32 = 1500;
/// Valid inputs up to this length are damaged in every small way, see [`damage::every`].
const ENUMERATED_MAX: usize = 400;
/// Bytes of an input that are shown: its shape is seen from these.
const TOLD_MAX: usize = 120;
/// The longest arbitrary input: longer ones find nothing else.
const ARBITRARY_MAX: usize = 300;

/// A decoder to feed: what it understands, and what it may hold.
#[derive(Debug)]
pub struct Decoder {
    name: String,
    valid: Vec<Vec<u8>>,
    factor: usize,
    beside: usize,
    cases: u32,
}

impl Decoder {
    /// A decoder of this name that understands all of `valid`.
    pub fn of(name: &str, valid: impl IntoIterator<Item = Vec<u8>>) -> Decoder {
        Decoder {
            name: name.to_owned(),
            valid: valid.into_iter().collect(),
            factor: FACTOR,
            beside: BESIDE,
            cases: CASES,
        }
    }

    /// It may hold so many times its input, where [`FACTOR`] cannot be had.
    #[must_use]
    pub fn times(mut self, factor: usize) -> Decoder {
        self.factor = factor;
        self
    }

    /// It holds a buffer of this size, whatever comes.
    #[must_use]
    pub fn buffer(mut self, size: usize) -> Decoder {
        self.beside += size;
        self
    }

    /// It is slow: so many times fewer cases.
    #[must_use]
    pub fn slow(mut self, times: u32) -> Decoder {
        self.cases = (self.cases / times).max(1);
        self
    }

    /// Feeds it. `decode` says whether it understood the bytes.
    ///
    /// # Panics
    /// If the decoder panics, holds more than it may, or does not understand what is valid: with the
    /// smallest input that shows it.
    pub fn survives(self, decode: impl Fn(&[u8]) -> bool) {
        assert!(!self.valid.is_empty(), "{} has no valid input", self.name);
        for (at, bytes) in self.valid.iter().enumerate() {
            assert!(decode(bytes), "{}: valid input {at} is refused", self.name);
            if let Err(fault) = self.feed(bytes, &decode) {
                panic!("{}: {fault}; it is valid input {at}", self.name);
            }
            let small = bytes.len() <= ENUMERATED_MAX;
            for damaged in small.then(|| damage::every(bytes)).into_iter().flatten() {
                if let Err(fault) = self.feed(&damaged, &decode) {
                    panic!("{}: {fault}; the input is {}", self.name, told(&damaged));
                }
            }
        }
        let usual = Config::default();
        let wished = std::env::var_os("PROPTEST_CASES").is_some();
        let mut runner = TestRunner::new(Config {
            cases: if wished { usual.cases } else { self.cases },
            failure_persistence: None,
            ..usual
        });
        let arbitrary = proptest::collection::vec(any::<u8>(), 0..ARBITRARY_MAX);
        let inputs = prop_oneof![
            1 => arbitrary,
            4 => damage::damaged(self.valid.clone()),
        ];
        let outcome = runner.run(&inputs, |bytes| self.feed(&bytes, &decode));
        match outcome {
            Ok(()) => {}
            Err(TestError::Fail(why, input)) => {
                panic!("{}: {why}; the input is {}", self.name, told(&input));
            }
            Err(TestError::Abort(why)) => panic!("{}: not fed at all: {why}", self.name),
        }
    }

    fn feed(&self, bytes: &[u8], decode: &impl Fn(&[u8]) -> bool) -> Result<(), TestCaseError> {
        let mut outcome = Ok(false);
        // A panic must not pass through the counting, which would be off from there on.
        let held = held(|| {
            outcome = catch_unwind(AssertUnwindSafe(|| decode(bytes)));
        });
        if let Err(panic) = outcome {
            let what = panic
                .downcast_ref::<String>()
                .map(String::as_str)
                .or_else(|| panic.downcast_ref::<&str>().copied());
            return Err(TestCaseError::fail(format!(
                "it panics: {}",
                what.unwrap_or("?")
            )));
        }
        let may = self.factor * bytes.len() + self.beside;
        if held > may {
            return Err(TestCaseError::fail(format!(
                "it holds {held} bytes for an input of {}, {may} are allowed",
                bytes.len()
            )));
        }
        Ok(())
    }
}

/// The most bytes that were held at a time while this ran, beside what was held before.
pub fn held(run: impl FnOnce()) -> usize {
    let held = allocation_counter::measure(run).bytes_max;
    usize::try_from(held).unwrap_or(usize::MAX)
}

/// Bytes in hexadecimal; of long ones both ends.
fn told(bytes: &[u8]) -> String {
    match bytes {
        [] => "empty".to_owned(),
        [first @ .., _] if first.len() < TOLD_MAX => format!("{bytes:02x?}"),
        [..] => {
            let (first, last) = (&bytes[..TOLD_MAX / 2], &bytes[bytes.len() - TOLD_MAX / 2..]);
            format!("{} bytes, {first:02x?} to {last:02x?}", bytes.len())
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    fn text(bytes: &[u8]) -> Option<&str> {
        let (&length, rest) = bytes.split_first()?;
        std::str::from_utf8(rest.get(..usize::from(length))?).ok()
    }

    fn fails(name: &str, decode: impl Fn(&[u8]) -> bool) -> String {
        let decoder = Decoder::of(name, [b"\x05hello".to_vec()]);
        let panic = catch_unwind(AssertUnwindSafe(|| decoder.survives(decode))).unwrap_err();
        panic.downcast_ref::<String>().unwrap().clone()
    }

    #[test]
    fn a_decoder_that_refuses_what_it_does_not_understand_survives() {
        Decoder::of("text", [b"\x05hello".to_vec()])
            .survives(|bytes| text(bytes).map(str::to_owned).is_some());
    }

    #[test]
    fn a_decoder_that_panics_is_found() {
        let fault = fails("careless", |bytes| {
            let length = usize::from(bytes.first().copied().unwrap_or(0));
            !bytes[1..=length].is_empty()
        });
        assert!(fault.starts_with("careless: "), "{fault}");
    }

    #[test]
    fn a_decoder_that_believes_what_is_announced_is_found() {
        let fault = fails("trusting", |bytes| {
            let length = usize::from(bytes.first().copied().unwrap_or(0));
            let mut kept = Vec::with_capacity(length << 10);
            kept.extend_from_slice(bytes);
            kept.len() == bytes.len()
        });
        assert!(
            fault.contains("trusting") && fault.contains("are allowed"),
            "{fault}"
        );
    }

    #[test]
    fn a_decoder_that_does_not_understand_what_is_valid_is_found() {
        assert!(fails("deaf", |_| false).contains("valid input 0 is refused"));
    }
}
