//! The service of these tests: it notes every number that it is given, in order.
//!
//! Version 2 has another state format, and a method and a signature that version 1 has not.

use std::io::{Read, Write};

use rand_core::RngCore;
use serde_json::Value;
use wire::{MethodId, Version};

use crate::service::{
    Call, Context, Description, JsonError, Method, OwnedCall, Refusal, Service, StateError,
};

/// A method and the shape of arguments that its caller knows.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named {
    pub(super) name: &'static str,
    pub(super) signature: u32,
}

impl Named {
    pub(super) fn id(self) -> MethodId {
        MethodId::of(self.name)
    }
}

const fn named(name: &'static str, signature: u32) -> Named {
    Named { name, signature }
}

/// Notes a number; the reply says how many were noted, and what the context is.
pub(super) const NOTE: Named = named("note", 1);
/// The same, as callers built with version 2 send it.
pub(super) const NOTE_V2: Named = named("note", 2);
/// Notes a number and panics.
pub(super) const PANIC: Named = named("panic", 1);
/// A reply of as many bytes as the number says.
pub(super) const FILL: Named = named("fill", 1);
/// How many numbers were noted: a read.
pub(super) const COUNT: Named = named("count", 1);
/// Notes a number twice, since version 2.
pub(super) const TWICE: Named = named("twice", 1);

/// The numbers, in order.
#[derive(Debug, Default)]
pub(super) struct Tally<const VERSION: u32> {
    noted: Vec<u64>,
}

fn number(call: Call<'_>) -> Result<u64, Refusal> {
    let bytes = call.arguments.try_into().map_err(|_| Refusal::Malformed)?;
    Ok(u64::from_le_bytes(bytes))
}

impl<const VERSION: u32> Tally<VERSION> {
    fn method(named: Named, read: bool, since: Option<Version>) -> Method {
        Method {
            name: named.name.to_owned(),
            id: named.id(),
            read,
            since,
            arguments: Vec::new(),
            arguments_shape: String::new(),
            signature: named.signature,
            older_signatures: Vec::new(),
            reply_shape: String::new(),
        }
    }
}

impl<const V: u32> Service for Tally<V> {
    const NAME: &'static str = "tally";
    const VERSION: &'static str = if V == 1 { "1.0.0" } else { "2.0.0" };
    const STATE_FORMAT: u32 = V;

    fn describe() -> Description {
        let note = if V == 1 { NOTE } else { NOTE_V2 };
        let mut methods = vec![
            Self::method(note, false, None),
            Self::method(PANIC, false, None),
            Self::method(FILL, false, None),
            Self::method(COUNT, true, None),
        ];
        if V > 1 {
            let since = Some(Version::new(2, 0, 0));
            methods.push(Self::method(TWICE, false, since));
        }
        Description {
            service: Self::NAME.to_owned(),
            version: Version::parse(Self::VERSION).expect("it is one"),
            state_format: V,
            reads_formats: (1..=V).collect(),
            writes_formats: vec![V],
            state_shape: String::new(),
            methods,
        }
    }

    fn initial() -> Self {
        Tally { noted: Vec::new() }
    }

    fn apply(&mut self, cx: &Context, call: Call<'_>) -> Result<Vec<u8>, Refusal> {
        let number = number(call)?;
        if call.method == NOTE.id() {
            self.noted.push(number);
            let parts = [
                self.noted.len() as u64,
                cx.time().0,
                cx.position().0,
                u64::from(cx.index),
                cx.random().next_u64(),
            ];
            return Ok(parts.into_iter().flat_map(u64::to_le_bytes).collect());
        }
        if call.method == PANIC.id() {
            self.noted.push(number);
            panic!("the secret of {number}");
        }
        if call.method == FILL.id() {
            return Ok(vec![0; usize::try_from(number).expect("tests are modest")]);
        }
        if call.method == TWICE.id() && V > 1 {
            assert!(cx.behaves_as("2.0.0"), "no sooner than it is effective");
            self.noted.extend([number, number]);
            return Ok(Vec::new());
        }
        Err(Refusal::UnknownMethod)
    }

    fn read(&self, _: &Context, call: Call<'_>) -> Result<Vec<u8>, Refusal> {
        if call.method != COUNT.id() {
            return Err(Refusal::UnknownMethod);
        }
        // 99 is for the test of a read that panics.
        assert_ne!(number(call)?, 99, "the secret");
        Ok((self.noted.len() as u64).to_le_bytes().to_vec())
    }

    fn export(&self, format: u32, out: &mut dyn Write) -> Result<(), StateError> {
        if format != V {
            return Err(StateError::Format {
                found: format,
                known: vec![V],
            });
        }
        out.write_all(&(self.noted.len() as u64).to_le_bytes())?;
        for &number in &self.noted {
            let number = if format == 1 { number } else { !number };
            out.write_all(&number.to_le_bytes())?;
        }
        Ok(())
    }

    fn import(format: u32, from: &mut dyn Read) -> Result<Self, StateError> {
        if format == 0 || format > V {
            return Err(StateError::Format {
                found: format,
                known: (1..=V).collect(),
            });
        }
        let mut next = || {
            let mut bytes = [0; 8];
            let read = from.read_exact(&mut bytes);
            // Like a decoder that cannot tell a broken stream from a state cut short.
            read.map_err(|why| StateError::Malformed {
                format,
                why: why.to_string(),
            })?;
            Ok::<u64, StateError>(u64::from_le_bytes(bytes))
        };
        let count = next()?;
        let mut noted = Vec::new();
        for _ in 0..count {
            let number = next()?;
            noted.push(if format == 1 { number } else { !number });
        }
        Ok(Tally { noted })
    }

    fn call_from_json(method: &str, _: &Value) -> Result<OwnedCall, JsonError> {
        Err(JsonError::UnknownMethod {
            method: method.to_owned(),
            known: String::new(),
        })
    }

    fn reply_to_json(method: MethodId, reply: &[u8]) -> Result<Value, JsonError> {
        if method == FILL.id() {
            return Err(JsonError::Reply("zeros are no JSON".to_owned()));
        }
        let first = reply.first_chunk().copied();
        first
            .map(|bytes| Value::from(u64::from_le_bytes(bytes)))
            .ok_or_else(|| JsonError::Reply("too short".to_owned()))
    }
}
