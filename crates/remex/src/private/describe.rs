//! What `--describe` tells of a service (§2.1, interfaces that conform).

use replica::{Description, Method, Service};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wire::{MethodId, Version, fingerprint};

use super::Request;
use crate::shape;

/// The description of `S`, given the formats of the versions before it.
pub fn description<S: Service + DeserializeOwned>(
    older_read: Vec<u32>,
    older_written: Vec<u32>,
    methods: Vec<Method>,
) -> Description {
    let with_own = |older: Vec<u32>| {
        let mut formats = older;
        formats.push(S::STATE_FORMAT);
        formats
    };
    Description {
        service: S::NAME.to_owned(),
        version: version(S::VERSION),
        state_format: S::STATE_FORMAT,
        reads_formats: with_own(older_read),
        writes_formats: with_own(older_written),
        state_shape: shape::<S>(),
        methods,
    }
}

/// The description of one method.
pub fn method<A: Request, R: Serialize + DeserializeOwned>(
    name: &str,
    read: bool,
    since: Option<&str>,
) -> Method {
    Method {
        name: name.to_owned(),
        id: MethodId::of(name),
        read,
        since: since.map(version),
        arguments: A::NAMES.iter().map(|&name| name.to_owned()).collect(),
        arguments_shape: A::shape(),
        signature: A::signature(),
        reply_shape: shape::<R>(),
    }
}

/// The shape of `T`, canonical text.
pub fn shape<T: DeserializeOwned>() -> String {
    shape::of::<T>()
}

/// The shape of arguments, each by its name, its shape, and whether it may be left out.
pub fn arguments_shape(arguments: &[(&str, String, bool)]) -> String {
    let arguments = arguments.iter().map(|(name, shape, optional)| {
        let mark = if *optional { "?" } else { "" };
        format!("{name}{mark}: {shape}")
    });
    format!("{{{}}}", arguments.collect::<Vec<_>>().join(", "))
}

/// The fingerprint of the shape of these arguments.
pub fn signature_of<A: Request>() -> u32 {
    fingerprint(&A::shape())
}

fn version(text: &str) -> Version {
    Version::parse(text).expect("versions were checked when the service was compiled")
}
