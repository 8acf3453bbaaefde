//! The simulated service in two versions whose states have different shapes.
//!
//! It keeps every tag that a client adds, in order, and replies with the tag's place: a reply says
//! which history it belongs to, so a lost, doubled or reordered request shows. Version 2 keeps the
//! tags by place, in another format, and behaves as version 1 until it is effective; from then on it
//! marks its replies, so that a reply of the new behaviour before its time shows too.

use std::collections::BTreeMap;
use std::io::{Read, Write};

use replica::{
    Call, Context, Description, JsonError, Method, OwnedCall, Refusal, Service, StateError,
};
use wire::{MethodId, Version};

/// Adds a tag: 8 bytes little endian. The reply is its place, 8 bytes, and a mark.
pub(crate) const ADD: MethodId = MethodId::of("add");
/// How many tags there are: 8 bytes, and a mark.
pub(crate) const COUNT: MethodId = MethodId::of("count");
/// The shape of all arguments.
pub(crate) const SIGNATURE: u32 = 1;

/// Version 1: a list.
#[derive(Debug, Default)]
pub(crate) struct ListV1 {
    tags: Vec<u64>,
}

/// Version 2: by place.
#[derive(Debug, Default)]
pub(crate) struct ListV2 {
    tags: BTreeMap<u64, u64>,
}

fn reply(number: u64, cx: &Context) -> Vec<u8> {
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.push(u8::from(cx.behaves_as("2.0.0")));
    bytes
}

fn tag(call: Call<'_>) -> Result<u64, Refusal> {
    call.arguments
        .try_into()
        .map(u64::from_le_bytes)
        .map_err(|_| Refusal::Malformed)
}

fn describe(version: Version, format: u32, reads: &[u32]) -> Description {
    let method = |name: &str, read| Method {
        name: name.to_owned(),
        id: MethodId::of(name),
        read,
        since: None,
        arguments: Vec::new(),
        arguments_shape: String::new(),
        signature: SIGNATURE,
        reply_shape: String::new(),
    };
    Description {
        service: "list".to_owned(),
        version,
        state_format: format,
        reads_formats: reads.to_vec(),
        writes_formats: vec![format],
        state_shape: String::new(),
        methods: vec![method("add", false), method("count", true)],
    }
}

fn read_numbers(from: &mut dyn Read) -> Result<Vec<u64>, StateError> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes)?;
    Ok(bytes
        .chunks_exact(8)
        .map(|chunk| u64::from_le_bytes(chunk.try_into().expect("chunks of eight")))
        .collect())
}

fn no_json() -> JsonError {
    JsonError::Reply("the simulated service speaks no JSON".to_owned())
}

macro_rules! list {
    ($name:ident, $version:literal, $numbers:expr, $format:literal, $reads:expr) => {
        impl Service for $name {
            const NAME: &'static str = "list";
            const VERSION: &'static str = $version;
            const STATE_FORMAT: u32 = $format;

            fn describe() -> Description {
                describe(Version::new($numbers, 0, 0), $format, &$reads)
            }

            fn initial() -> Self {
                Self::default()
            }

            fn apply(&mut self, cx: &Context, call: Call<'_>) -> Result<Vec<u8>, Refusal> {
                if call.method != ADD {
                    return Err(Refusal::UnknownMethod);
                }
                let place = self.add(tag(call)?);
                Ok(reply(place, cx))
            }

            fn read(&self, cx: &Context, call: Call<'_>) -> Result<Vec<u8>, Refusal> {
                if call.method != COUNT {
                    return Err(Refusal::UnknownMethod);
                }
                Ok(reply(self.tags.len() as u64, cx))
            }

            fn export(&self, format: u32, out: &mut dyn Write) -> Result<(), StateError> {
                if format != $format {
                    return Err(StateError::Format {
                        found: format,
                        known: vec![$format],
                    });
                }
                for number in self.numbers() {
                    out.write_all(&number.to_le_bytes())?;
                }
                Ok(())
            }

            fn import(format: u32, from: &mut dyn Read) -> Result<Self, StateError> {
                if !$reads.contains(&format) {
                    return Err(StateError::Format {
                        found: format,
                        known: $reads.to_vec(),
                    });
                }
                Ok(Self::from_numbers(format, &read_numbers(from)?))
            }

            fn call_from_json(_: &str, _: &serde_json::Value) -> Result<OwnedCall, JsonError> {
                Err(no_json())
            }

            fn reply_to_json(_: MethodId, _: &[u8]) -> Result<serde_json::Value, JsonError> {
                Err(no_json())
            }
        }
    };
}

list!(ListV1, "1.0.0", 1, 1, [1]);
list!(ListV2, "2.0.0", 2, 2, [1, 2]);

impl ListV1 {
    fn add(&mut self, tag: u64) -> u64 {
        self.tags.push(tag);
        self.tags.len() as u64 - 1
    }

    fn numbers(&self) -> Vec<u64> {
        self.tags.clone()
    }

    fn from_numbers(_: u32, numbers: &[u64]) -> ListV1 {
        ListV1 {
            tags: numbers.to_vec(),
        }
    }
}

impl ListV2 {
    fn add(&mut self, tag: u64) -> u64 {
        let place = self.tags.len() as u64;
        self.tags.insert(place, tag);
        place
    }

    fn numbers(&self) -> Vec<u64> {
        self.tags
            .iter()
            .flat_map(|(&place, &tag)| [place, tag])
            .collect()
    }

    fn from_numbers(format: u32, numbers: &[u64]) -> ListV2 {
        let tags = if format == 1 {
            (0..).zip(numbers.iter().copied()).collect()
        } else {
            numbers
                .chunks_exact(2)
                .map(|pair| (pair[0], pair[1]))
                .collect()
        };
        ListV2 { tags }
    }
}

/// The tags in an exported state of either format, by place.
pub(crate) fn tags(format: u32, mut bytes: &[u8]) -> Vec<u64> {
    let numbers = read_numbers(&mut bytes).unwrap_or_default();
    ListV2::from_numbers(format, &numbers)
        .tags
        .into_values()
        .collect()
}
