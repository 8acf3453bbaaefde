//! Calls and replies as JSON, for people and the command line.

use replica::{JsonError, OwnedCall};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use wire::MethodId;

use super::{Request, codec};

/// A call of `method` with arguments by position, by name, or none.
///
/// # Errors
/// [`JsonError::Arguments`] says what does not fit.
pub fn call_from_json<A: Request>(
    method: &str,
    read: bool,
    arguments: &Value,
) -> Result<OwnedCall, JsonError> {
    let wrong = |why: String| JsonError::Arguments {
        method: method.to_owned(),
        why,
        expected: format!("[{}]", A::NAMES.join(", ")),
    };
    let by_name = by_name(A::NAMES, arguments).map_err(wrong)?;
    let arguments: A = serde_json::from_value(by_name).map_err(|why| wrong(why.to_string()))?;
    Ok(OwnedCall {
        method: MethodId::of(method),
        signature: arguments.signature(),
        read,
        arguments: codec::encode(&arguments),
    })
}

fn by_name(names: &[&str], arguments: &Value) -> Result<Value, String> {
    match arguments {
        Value::Null => Ok(Value::Object(Map::new())),
        Value::Object(_) => Ok(arguments.clone()),
        Value::Array(values) if values.len() > names.len() => {
            Err(format!("{} arguments are too many", values.len()))
        }
        Value::Array(values) => {
            let named = names.iter().zip(values);
            let named = named.map(|(&name, value)| (name.to_owned(), value.clone()));
            Ok(Value::Object(named.collect()))
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            Err("they must be an array (by position) or an object (by name)".to_owned())
        }
    }
}

/// The reply of a method that returns `R`.
///
/// # Errors
/// [`JsonError::Reply`] if the bytes are no such reply, or it has no form in JSON.
pub fn reply_to_json<R: Serialize + DeserializeOwned>(reply: &[u8]) -> Result<Value, JsonError> {
    let reply: R = codec::decode(reply).map_err(JsonError::Reply)?;
    serde_json::to_value(&reply).map_err(|why| JsonError::Reply(why.to_string()))
}

/// No method has this name.
pub fn unknown_method(method: &str, names: &[&str]) -> JsonError {
    JsonError::UnknownMethod {
        method: method.to_owned(),
        known: names.join(", "),
    }
}

/// No method has this id.
pub fn unknown_reply(method: MethodId) -> JsonError {
    JsonError::Reply(format!("this version has no {method:?}"))
}
