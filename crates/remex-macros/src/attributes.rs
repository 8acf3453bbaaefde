//! What stands in the brackets: `#[service(name = ..., state_format = ...)]` and `#[since("...")]`.

use proc_macro2::{Span, TokenStream};
use syn::parse::Parser;
use syn::{Attribute, LitInt, LitStr};

/// The attribute of the whole service.
pub(crate) struct ServiceAttribute {
    /// The service's name; all its versions share it.
    pub(crate) name: LitStr,
    /// Raised when the shape of the state changes.
    pub(crate) state_format: LitInt,
    /// The version, where it is not that of the crate.
    pub(crate) version: Option<LitStr>,
}

const EXAMPLE: &str = "#[remex::service(name = \"ledger\", state_format = 1)]";

impl ServiceAttribute {
    pub(crate) fn parse(arguments: TokenStream) -> syn::Result<ServiceAttribute> {
        let mut name: Option<LitStr> = None;
        let mut state_format: Option<LitInt> = None;
        let mut version: Option<LitStr> = None;
        let parser = syn::meta::parser(|meta| {
            if meta.path.is_ident("name") {
                name = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("state_format") {
                state_format = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("version") {
                version = Some(meta.value()?.parse()?);
            } else if meta.path.is_ident("predecessor") || meta.path.is_ident("reversible") {
                return Err(meta.error(
                    "the predecessor is found by itself: implement `remex::Successor` (and \
                     `remex::Reversible` for the way back) and remove this",
                ));
            } else {
                return Err(
                    meta.error("unknown setting; there are `name`, `state_format` and `version`")
                );
            }
            Ok(())
        });
        parser.parse2(arguments)?;
        let missing = |what: &str| {
            syn::Error::new(
                Span::call_site(),
                format!("the service needs {what}, as in `{EXAMPLE}`"),
            )
        };
        let name = name.ok_or_else(|| missing("a `name`, which all its versions share"))?;
        let state_format = state_format.ok_or_else(|| {
            missing("a `state_format`, an integer that you raise when the state's shape changes")
        })?;
        check_name(&name)?;
        state_format.base10_parse::<u32>()?;
        if let Some(version) = &version {
            parse_version(version)?;
        }
        Ok(ServiceAttribute {
            name,
            state_format,
            version,
        })
    }

    /// The service's version, as far as it is known while the macro runs.
    pub(crate) fn known_version(&self) -> Option<semver::Version> {
        match &self.version {
            Some(version) => parse_version(version).ok(),
            None => std::env::var("CARGO_PKG_VERSION").ok()?.parse().ok(),
        }
    }
}

/// Names appear in paths of binaries and in commands, so that they are kept plain.
fn check_name(name: &LitStr) -> syn::Result<()> {
    let text = name.value();
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if text.starts_with(|c: char| c.is_ascii_lowercase()) && text.chars().all(plain) {
        return Ok(());
    }
    Err(syn::Error::new(
        name.span(),
        "a service's name begins with a small letter and has only small letters, digits and `-`",
    ))
}

/// The version of a `since`, which was checked when it was taken.
pub(crate) fn version(since: &LitStr) -> semver::Version {
    parse_version(since).expect("`take_since` has refused what is none")
}

fn parse_version(text: &LitStr) -> syn::Result<semver::Version> {
    text.value().parse().map_err(|why| {
        syn::Error::new(
            text.span(),
            format!("not a version ({why}); write all three numbers, as in \"2.0.0\""),
        )
    })
}

/// Takes `#[since("...")]` out of the attributes of a method or an argument.
pub(crate) fn take_since(
    attributes: &mut Vec<Attribute>,
    service: &ServiceAttribute,
) -> syn::Result<Option<LitStr>> {
    let Some(attribute) = take(attributes, "since")? else {
        return Ok(None);
    };
    let since: LitStr = attribute.parse_args().map_err(|why| {
        syn::Error::new(
            why.span(),
            "write the effective version from which it exists, as in `#[since(\"2.0.0\")]`",
        )
    })?;
    let version = parse_version(&since)?;
    match service.known_version() {
        Some(own) if version > own => Err(syn::Error::new(
            since.span(),
            format!("nobody could ever call this: the service's own version is {own}"),
        )),
        Some(_) | None => Ok(Some(since)),
    }
}

/// Takes `#[read]` out of the attributes of a method.
pub(crate) fn take_read(attributes: &mut Vec<Attribute>) -> syn::Result<bool> {
    let Some(attribute) = take(attributes, "read")? else {
        return Ok(false);
    };
    attribute.meta.require_path_only()?;
    Ok(true)
}

fn take(attributes: &mut Vec<Attribute>, name: &str) -> syn::Result<Option<Attribute>> {
    let Some(at) = attributes.iter().position(|a| a.path().is_ident(name)) else {
        return Ok(None);
    };
    let taken = attributes.remove(at);
    match attributes.iter().find(|a| a.path().is_ident(name)) {
        Some(second) => Err(syn::Error::new_spanned(
            second,
            format!("`{name}` is said twice; remove one"),
        )),
        None => Ok(Some(taken)),
    }
}
