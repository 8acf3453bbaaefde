//! A service without methods, in two versions: the layers are what is tested.

use std::io::{Read, Write};

use replica::{Call, Context, Description, JsonError, OwnedCall, Refusal, Service, StateError};
use wire::{MethodId, Version};

macro_rules! nothing {
    ($name:ident, $version:literal) => {
        #[derive(Debug)]
        pub(crate) struct $name;

        impl Service for $name {
            const NAME: &'static str = "nothing";
            const VERSION: &'static str = $version;
            const STATE_FORMAT: u32 = 1;

            fn describe() -> Description {
                Description {
                    service: Self::NAME.to_owned(),
                    version: Version::parse(Self::VERSION).unwrap(),
                    state_format: 1,
                    reads_formats: vec![1],
                    writes_formats: vec![1],
                    state_shape: String::new(),
                    methods: Vec::new(),
                }
            }

            fn initial() -> $name {
                $name
            }

            fn apply(&mut self, _: &Context, _: Call<'_>) -> Result<Vec<u8>, Refusal> {
                Err(Refusal::UnknownMethod)
            }

            fn read(&self, _: &Context, _: Call<'_>) -> Result<Vec<u8>, Refusal> {
                Err(Refusal::UnknownMethod)
            }

            fn export(&self, _: u32, _: &mut dyn Write) -> Result<(), StateError> {
                Ok(())
            }

            fn import(_: u32, _: &mut dyn Read) -> Result<$name, StateError> {
                Ok($name)
            }

            fn call_from_json(method: &str, _: &serde_json::Value) -> Result<OwnedCall, JsonError> {
                let method = method.to_owned();
                Err(JsonError::UnknownMethod {
                    method,
                    known: String::new(),
                })
            }

            fn reply_to_json(_: MethodId, _: &[u8]) -> Result<serde_json::Value, JsonError> {
                Ok(serde_json::Value::Null)
            }
        }
    };
}

nothing!(First, "1.0.0");
nothing!(Second, "2.0.0");
