//! Requests and replies as bytes: MessagePack, structures as maps by name.

use replica::{Context, Refusal};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};

use super::whole::is_whole;

/// The bytes of a reply or of arguments.
///
/// # Panics
/// If the value's own `Serialize` refuses it. That is a fault of the service which shows on all
/// members alike, and a panic in a request is what members agree on how to answer.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    rmp_serde::to_vec_named(value).expect("the value's own Serialize accepts it")
}

/// The value that these bytes are, all of them.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    if !is_whole(bytes) {
        return Err("it ends early, is no MessagePack, or stands too deep in itself".to_owned());
    }
    let mut rest = bytes;
    let value = rmp_serde::from_read(&mut rest).map_err(|why| why.to_string())?;
    match rest.len() {
        0 => Ok(value),
        more => Err(format!("{more} bytes follow its end")),
    }
}

/// The arguments of a method.
///
/// # Errors
/// [`Refusal::Malformed`], without the decoder's words: other versions would use others.
pub fn decode_request<R: DeserializeOwned>(arguments: &[u8]) -> Result<R, Refusal> {
    decode(arguments).map_err(|_| Refusal::Malformed)
}

/// The value of an argument that exists since `version`: its default if it was not sent.
///
/// # Errors
/// [`Refusal::Malformed`] if it was sent before the group behaves as that version: an older
/// member, which does not know the argument, says the same.
pub fn since<T: Default>(cx: &Context, version: &str, sent: Option<T>) -> Result<T, Refusal> {
    match sent {
        None => Ok(T::default()),
        Some(value) if cx.behaves_as(version) => Ok(value),
        Some(_) => Err(Refusal::Malformed),
    }
}

/// Reads an argument that was sent, so that a sent `None` is told apart from one not sent.
///
/// # Errors
/// The decoder's.
pub fn present<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    decoder: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(decoder).map(Some)
}
