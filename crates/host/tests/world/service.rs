//! The tests' service: a list of tags. The reply to an added tag is its place and a mark that says
//! as which version the service behaves.

use std::io::{Read, Write};

use replica::{
    Call, Context, Description, JsonError, Method, OwnedCall, Program, Refusal, Service, StateError,
};
use wire::daemon::Assignment;
use wire::{MethodId, Version};

/// Adds a tag: 8 bytes.
pub const ADD: MethodId = MethodId::of("add");
/// How many tags there are.
pub const COUNT: MethodId = MethodId::of("count");
/// The shape of all arguments.
pub const SIGNATURE: u32 = 1;
/// A tag that version 2 cannot map: it panics.
pub const UNMAPPABLE: u64 = 666;

/// The list, as its version `V`.
#[derive(Debug, Default)]
pub struct List<const V: u64> {
    tags: Vec<u64>,
}

/// The program that an assignment asks for.
pub fn program(assignment: &Assignment) -> Program {
    if assignment.version >= Version::new(2, 0, 0) {
        Program::of::<List<2>>()
    } else {
        Program::of::<List<1>>()
    }
}

fn method(name: &str, read: bool) -> Method {
    Method {
        name: name.to_owned(),
        id: MethodId::of(name),
        read,
        since: None,
        arguments: Vec::new(),
        arguments_shape: String::new(),
        signature: SIGNATURE,
        older_signatures: Vec::new(),
        reply_shape: String::new(),
    }
}

fn reply(number: usize, cx: &Context) -> Vec<u8> {
    let mut bytes = (number as u64).to_le_bytes().to_vec();
    bytes.push(if cx.behaves_as("2.0.0") { 2 } else { 1 });
    bytes
}

impl<const V: u64> Service for List<V> {
    const NAME: &'static str = "list";
    const VERSION: &'static str = if V == 1 { "1.0.0" } else { "2.0.0" };
    const STATE_FORMAT: u32 = V as u32;

    fn describe() -> Description {
        Description {
            service: Self::NAME.to_owned(),
            version: Version::new(V, 0, 0),
            state_format: Self::STATE_FORMAT,
            reads_formats: (1..=Self::STATE_FORMAT).collect(),
            writes_formats: vec![Self::STATE_FORMAT],
            state_shape: String::new(),
            methods: vec![method("add", false), method("count", true)],
        }
    }

    fn initial() -> Self {
        Self::default()
    }

    fn apply(&mut self, cx: &Context, call: Call<'_>) -> Result<Vec<u8>, Refusal> {
        let tag = call.arguments.try_into().map_err(|_| Refusal::Malformed)?;
        self.tags.push(u64::from_le_bytes(tag));
        Ok(reply(self.tags.len(), cx))
    }

    fn read(&self, cx: &Context, _: Call<'_>) -> Result<Vec<u8>, Refusal> {
        Ok(reply(self.tags.len(), cx))
    }

    fn export(&self, format: u32, out: &mut dyn Write) -> Result<(), StateError> {
        assert_eq!(format, Self::STATE_FORMAT);
        for tag in &self.tags {
            out.write_all(&tag.to_le_bytes())?;
        }
        Ok(())
    }

    fn import(format: u32, from: &mut dyn Read) -> Result<Self, StateError> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes)?;
        let tags = bytes.chunks_exact(8);
        let tags: Vec<u64> = tags
            .map(|tag| u64::from_le_bytes(tag.try_into().unwrap()))
            .collect();
        let maps = format == Self::STATE_FORMAT || !tags.contains(&UNMAPPABLE);
        assert!(maps, "{UNMAPPABLE} does not map");
        Ok(List { tags })
    }

    fn call_from_json(_: &str, _: &serde_json::Value) -> Result<OwnedCall, JsonError> {
        Err(JsonError::Reply("the tests speak no JSON".to_owned()))
    }

    fn reply_to_json(_: MethodId, _: &[u8]) -> Result<serde_json::Value, JsonError> {
        Err(JsonError::Reply("the tests speak no JSON".to_owned()))
    }
}
