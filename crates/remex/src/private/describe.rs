//! What `--describe` tells of a service (§2.1, interfaces that conform).

use replica::{Description, Method, Service};
use serde::Serialize;
use serde::de::DeserializeOwned;
use wire::{MethodId, Version, fingerprint};

use super::Request;
use crate::shape;

/// The description of `S`, given that of the version before it, and whether it maps back to that.
pub fn description<S: Service + DeserializeOwned>(
    older: Option<Description>,
    maps_back: bool,
    mut methods: Vec<Method>,
) -> Description {
    let (older_read, older_written, older_methods) = match older {
        Some(older) => (older.reads_formats, older.writes_formats, older.methods),
        None => (Vec::new(), Vec::new(), Vec::new()),
    };
    let with_own = |older: Vec<u32>| {
        let mut formats = older;
        formats.push(S::STATE_FORMAT);
        formats
    };
    for method in &mut methods {
        if let Some(older) = older_methods.iter().find(|older| older.id == method.id) {
            inherit(method, older);
        }
    }
    Description {
        service: S::NAME.to_owned(),
        version: version(S::VERSION),
        state_format: S::STATE_FORMAT,
        reads_formats: with_own(older_read),
        writes_formats: with_own(if maps_back { older_written } else { Vec::new() }),
        state_shape: shape::<S>(),
        methods,
    }
}

/// Clients that were built with the version before call as they did: a group that was founded with
/// this version takes them like one that was upgraded to it.
fn inherit(method: &mut Method, older: &Method) {
    for &signature in older.older_signatures.iter().chain([&older.signature]) {
        if signature != method.signature && !method.older_signatures.contains(&signature) {
            method.older_signatures.push(signature);
        }
    }
}

/// The description of one method.
pub fn method<A: Request, R: Serialize + DeserializeOwned>(
    name: &str,
    read: bool,
    since: Option<&str>,
) -> Method {
    let (&signature, older_signatures) = A::signatures()
        .split_last()
        .expect("arguments have at least one form");
    Method {
        name: name.to_owned(),
        id: MethodId::of(name),
        read,
        since: since.map(version),
        arguments: A::NAMES.iter().map(|&name| name.to_owned()).collect(),
        arguments_shape: A::shape(A::FORMS - 1),
        signature,
        older_signatures: older_signatures.to_vec(),
        reply_shape: shape::<R>(),
    }
}

/// The shape of `T`, canonical text.
pub fn shape<T: DeserializeOwned>() -> String {
    shape::of::<T>()
}

/// The shape of arguments in a form, each by its name, its shape, and the first form that has it.
/// One that was added may be left out.
pub fn arguments_shape(form: usize, arguments: &[(&str, String, usize)]) -> String {
    let known = arguments.iter().filter(|(_, _, first)| *first <= form);
    let arguments = known.map(|(name, shape, first)| {
        let mark = if *first > 0 { "?" } else { "" };
        format!("{name}{mark}: {shape}")
    });
    format!("{{{}}}", arguments.collect::<Vec<_>>().join(", "))
}

/// The fingerprints of the shapes of these arguments, form by form.
pub fn signatures_of<A: Request>() -> Vec<u32> {
    let forms = (0..A::FORMS).map(|form| fingerprint(&A::shape(form)));
    forms.collect()
}

fn version(text: &str) -> Version {
    Version::parse(text).expect("versions were checked when the service was compiled")
}
