//! Members as they cross the wire: who they are, what they run, where they sit.

use std::net::SocketAddr;

use minicbor::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::{Build, MemberId, Version};

/// Code that can be run: a version and the digest of its binary.
#[derive(
    Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Encode, Decode, Serialize, Deserialize,
)]
pub struct Binary {
    /// The service's version.
    #[n(0)]
    pub version: Version,
    /// The digest of the binary.
    #[n(1)]
    pub build: Build,
}

impl std::fmt::Display for Binary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({})", self.version, self.build.short())
    }
}

/// A place in the group that recovery keeps filled; numbered from 0.
#[derive(
    Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Encode, Decode, Serialize, Deserialize,
)]
#[cbor(transparent)]
pub struct Seat(pub u32);

impl std::fmt::Display for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "seat {}", self.0)
    }
}

/// One member (or joiner) as the view lists it.
#[derive(Clone, PartialEq, Eq, Debug, Encode, Decode, Serialize, Deserialize)]
pub struct Member {
    /// Its id, never used again.
    #[n(0)]
    pub id: MemberId,
    /// The host it runs on, by name.
    #[n(1)]
    pub host: String,
    /// Where peers and clients reach it.
    #[cbor(n(2), with = "address")]
    pub address: SocketAddr,
    /// The code it runs (§4.2: the version number in the member identifier).
    #[n(3)]
    pub binary: Binary,
    /// State formats it reads and writes.
    #[n(4)]
    pub formats: Formats,
    /// The seat it takes or has.
    #[n(5)]
    pub seat: Seat,
    /// The attempt that started it.
    #[n(6)]
    pub attempt: u32,
    /// What the group's detector says of it.
    #[n(7)]
    pub standing: Standing,
}

/// The state formats of one binary. Who may donate to whom follows from them.
#[derive(Clone, PartialEq, Eq, Debug, Default, Encode, Decode, Serialize, Deserialize)]
pub struct Formats {
    /// The format it works in.
    #[n(0)]
    pub own: u32,
    /// The formats that it maps from, its own among them.
    #[cbor(n(1), with = "crate::list::exact")]
    pub reads: Vec<u32>,
    /// The formats that it can write, its own among them.
    #[cbor(n(2), with = "crate::list::exact")]
    pub writes: Vec<u32>,
}

/// Whether a member serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Encode, Decode, Serialize, Deserialize)]
pub enum Standing {
    /// It answers its peers.
    #[n(0)]
    Serving,
    /// It is silent: out of serving, but it keeps its vote until a replacement takes it.
    #[n(1)]
    Suspected,
}

/// How a socket address is written: as its text, which no family can confuse.
pub mod address {
    use std::net::SocketAddr;

    use minicbor::{Decoder, Encoder};

    /// Writes the address as text.
    ///
    /// # Errors
    /// The writer's.
    pub fn encode<C, W: minicbor::encode::Write>(
        value: &SocketAddr,
        e: &mut Encoder<W>,
        _: &mut C,
    ) -> Result<(), minicbor::encode::Error<W::Error>> {
        e.str(&value.to_string())?.ok()
    }

    /// Reads an address.
    ///
    /// # Errors
    /// A text that is none.
    pub fn decode<C>(
        d: &mut Decoder<'_>,
        _: &mut C,
    ) -> Result<SocketAddr, minicbor::decode::Error> {
        let at = d.position();
        let text = d.str()?;
        text.parse()
            .map_err(|e| minicbor::decode::Error::custom(e).at(at))
    }
}
