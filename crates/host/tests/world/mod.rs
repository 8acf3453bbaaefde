//! What the tests put around real replicas: a service, hosts with daemons, clients. All replicas
//! run in this process, on threads; their sockets are real.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test uses its own part of it"
)]

pub mod client;
pub mod installation;
pub mod service;

use std::io::{Read, Write};

use wire::frame::{self, Message};

/// The group's name.
pub const GROUP: &str = "lists";

/// Reads one frame. `None` at the end of the stream.
pub fn read_frame<M: Message>(from: &mut impl Read) -> Option<M> {
    let mut bytes = vec![0; 4];
    from.read_exact(&mut bytes).ok()?;
    let length = u32::from_le_bytes(bytes[..4].try_into().unwrap()) as usize;
    bytes.resize(4 + length, 0);
    from.read_exact(&mut bytes[4..]).ok()?;
    let frame = frame::split(&bytes, 64 << 20).unwrap().unwrap();
    Some(frame.decode().unwrap())
}

/// Writes one frame. False if nobody reads any more.
pub fn write_frame<M: Message>(to: &mut impl Write, message: &M) -> bool {
    let mut bytes = Vec::new();
    frame::encode(message, &mut bytes);
    to.write_all(&bytes).is_ok()
}
