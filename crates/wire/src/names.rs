//! Names: the small values by which everything else speaks of members, positions and versions.
//!
//! They live with the wire format because every one of them crosses it, and the crates above must
//! agree on them. Paper: §2 (members), §4.2 (a version number in the member identifier).

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// One life of one replica in a group. A replacement is a new member, never a resurrected one (§2).
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize,
)]
#[cbor(transparent)]
pub struct MemberId(pub NonZeroU64);

impl MemberId {
    /// The member with this number, or `None` for zero, which names nobody.
    pub fn new(number: u64) -> Option<MemberId> {
        NonZeroU64::new(number).map(MemberId)
    }

    /// The bare number, at least 1.
    pub fn number(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "m{}", self.0)
    }
}

impl fmt::Debug for MemberId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! number {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[derive(Encode, Decode, Serialize, Deserialize)]
        #[cbor(transparent)]
        pub struct $name(pub u64);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
    };
}

number! {
    /// A place in the total order. The first entry of a new group stands at 2; 0 is before all.
    Position, "@"
}
number! {
    /// A client's session: the ordered place where it was opened, so that it is never given twice.
    SessionId, "s"
}
number! {
    /// Milliseconds since 1970 as agreed by the group: never backwards, the same on all members.
    OrderedTime, "t"
}

impl Position {
    /// The next place.
    #[must_use]
    pub fn next(self) -> Position {
        Position(self.0 + 1)
    }
}

/// A moment of one process's monotonic clock, in microseconds since an arbitrary start.
///
/// Machines are given it as an argument and never ask a clock. It never crosses a wire.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Time(pub u64);

impl Time {
    /// The moment `wait` after this one.
    #[must_use]
    pub fn after(self, wait: Duration) -> Time {
        let micros = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        Time(self.0.saturating_add(micros))
    }

    /// How long ago `earlier` was; zero if it lies ahead.
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// A service's version: the semver of its crate (§4.2: the member identifier's version number).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version(pub semver::Version);

impl Version {
    /// `major.minor.patch`.
    pub fn new(major: u64, minor: u64, patch: u64) -> Version {
        Version(semver::Version::new(major, minor, patch))
    }

    /// Reads `1.2.3`; the error says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Version, semver::Error> {
        semver::Version::parse(text).map(Version)
    }
}

impl std::str::FromStr for Version {
    type Err = semver::Error;

    fn from_str(text: &str) -> Result<Version, semver::Error> {
        Version::parse(text)
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl<C> Encode<C> for Version {
    fn encode<W: minicbor::encode::Write>(
        &self,
        e: &mut minicbor::Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(&self.0.to_string())?.ok()
    }
}

impl<'b, C> Decode<'b, C> for Version {
    fn decode(
        d: &mut minicbor::Decoder<'b>,
        _: &mut C,
    ) -> Result<Version, minicbor::decode::Error> {
        let at = d.position();
        Version::parse(d.str()?).map_err(|e| minicbor::decode::Error::custom(e).at(at))
    }
}

/// A build: the SHA-256 of a version's binary. One version may have several builds.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode)]
#[cbor(transparent)]
pub struct Build(#[cbor(with = "minicbor::bytes")] pub [u8; 32]);

impl Build {
    /// The build whose binary has these bytes.
    pub fn of(binary: &[u8]) -> Build {
        Build(Sha256::digest(binary).into())
    }

    /// Reads 64 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Build> {
        let digits = text.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
            let pair = std::str::from_utf8(pair).ok()?;
            *byte = u8::from_str_radix(pair, 16).ok()?;
        }
        Some(Build(bytes))
    }

    /// The first 12 hexadecimal digits, enough for people.
    pub fn short(self) -> String {
        self.to_string()[..12].to_owned()
    }
}

impl fmt::Display for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "build {}", self.short())
    }
}

impl Serialize for Build {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Build {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Build, D::Error> {
        let text = String::deserialize(deserializer)?;
        Build::parse(&text).ok_or_else(|| serde::de::Error::custom("not 64 hexadecimal digits"))
    }
}

/// Which method of a service a request is for: a hash of its name, fixed for ever.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Encode, Decode, Serialize, Deserialize,
)]
#[cbor(transparent)]
pub struct MethodId(pub u32);

impl MethodId {
    /// The id of the method with this name: 32-bit FNV-1a of its bytes.
    pub const fn of(name: &str) -> MethodId {
        MethodId(fingerprint(name))
    }
}

impl fmt::Debug for MethodId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "method {:08x}", self.0)
    }
}

/// 32-bit FNV-1a of a text: names methods and fingerprints the shapes of their arguments.
pub const fn fingerprint(text: &str) -> u32 {
    let bytes = text.as_bytes();
    let mut hash = 0x811c_9dc5_u32;
    let mut at = 0;
    while at < bytes.len() {
        hash = (hash ^ bytes[at] as u32).wrapping_mul(0x0100_0193);
        at += 1;
    }
    hash
}
