//! One method of a service, read off its function, or the reason why it cannot be one.

use proc_macro2::TokenTree;
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::{
    Attribute, FnArg, Ident, ImplItemFn, LitStr, Pat, PatType, Receiver, ReturnType, Type,
    Visibility,
};

use crate::attributes::{ServiceAttribute, take_read, take_since};

/// A method that clients can call.
pub(crate) struct Method {
    pub(crate) name: Ident,
    /// Its doc comments, which its clients repeat.
    pub(crate) docs: Vec<Attribute>,
    pub(crate) read: bool,
    /// The effective version from which it exists.
    pub(crate) since: Option<LitStr>,
    /// Whether it asks for the context.
    pub(crate) context: bool,
    pub(crate) arguments: Vec<Argument>,
    /// What it returns; nothing for `()` that is not written.
    pub(crate) reply: Option<Type>,
}

/// One argument; its name travels with each request.
pub(crate) struct Argument {
    pub(crate) name: Ident,
    pub(crate) ty: Type,
    /// The effective version from which it exists.
    pub(crate) since: Option<LitStr>,
}

/// What a function of the impl is to the service.
pub(crate) enum Role {
    /// Clients can call it.
    Method(Box<Method>),
    /// Called when the next version has taken this replica's place.
    Upgraded,
    /// The author's own.
    Helper,
}

/// Names that the generated clients have for themselves.
const RESERVED: [&str; 5] = [
    "new",
    "connect",
    "session",
    "with_deadline",
    "with_stale_reads",
];

impl Role {
    /// Reads a function and takes our attributes off it.
    pub(crate) fn of(function: &mut ImplItemFn, service: &ServiceAttribute) -> syn::Result<Role> {
        let read = take_read(&mut function.attrs)?;
        let since = take_since(&mut function.attrs, service)?;
        if function.sig.ident == "upgraded" {
            return upgraded(function, read || since.is_some());
        }
        if !matches!(function.vis, Visibility::Public(_)) {
            return match read || since.is_some() {
                true => Err(error(
                    &function.sig.ident,
                    "only a `pub fn` is a method of the service; make it `pub`, or remove `read` \
                     and `since` to keep it a helper",
                )),
                false => Ok(Role::Helper),
            };
        }
        check_attributes(&function.attrs)?;
        check_signature(function)?;
        check_receiver(function, read)?;
        let (context, arguments) = arguments(function, service)?;
        Ok(Role::Method(Box::new(Method {
            name: function.sig.ident.clone(),
            docs: docs(&function.attrs),
            read,
            since,
            context,
            arguments,
            reply: reply(&function.sig.output)?,
        })))
    }
}

fn upgraded(function: &ImplItemFn, marked: bool) -> syn::Result<Role> {
    let signature = &function.sig;
    let plain = matches!(
        signature.receiver(),
        Some(Receiver {
            reference: Some(_),
            mutability: Some(_),
            ..
        })
    );
    if plain && signature.inputs.len() == 1 && !marked && signature.output == ReturnType::Default {
        return Ok(Role::Upgraded);
    }
    Err(error(
        &signature.ident,
        "`upgraded` is called when the next version has taken over; write `fn upgraded(&mut self)`",
    ))
}

fn check_attributes(attributes: &[Attribute]) -> syn::Result<()> {
    for attribute in attributes {
        if attribute.path().is_ident("write") {
            return Err(error(
                attribute,
                "unknown attribute; a method with `&mut self` is ordered without a mark, and one \
                 with `&self` is marked `#[read]`",
            ));
        }
        if attribute.path().is_ident("cfg") {
            return Err(error(
                attribute,
                "a method cannot be conditional: all builds of a version must offer the same",
            ));
        }
    }
    Ok(())
}

fn check_signature(function: &ImplItemFn) -> syn::Result<()> {
    let signature = &function.sig;
    if let Some(asyncness) = &signature.asyncness {
        return Err(error(
            asyncness,
            "a method cannot be `async`: it must give the same result on all replicas, so it can \
             wait for nothing; remove `async`",
        ));
    }
    if !signature.generics.params.is_empty() {
        return Err(error(
            &signature.generics,
            "a method cannot be generic: requests carry values of one type; name the type",
        ));
    }
    if let Some(unsafety) = &signature.unsafety {
        return Err(error(
            unsafety,
            "a method cannot be `unsafe`: clients call it from afar; make it safe or private",
        ));
    }
    if RESERVED.iter().any(|name| signature.ident == name) {
        return Err(error(
            &signature.ident,
            "the generated clients have a function of this name; choose another",
        ));
    }
    Ok(())
}

fn check_receiver(function: &ImplItemFn, read: bool) -> syn::Result<()> {
    let signature = &function.sig;
    let Some(receiver) = signature.receiver() else {
        return Err(error(
            &signature.ident,
            "a `pub fn` of a service is a method: take `&mut self`, or `&self` with `#[read]`; a \
             function without `self` must not be `pub`",
        ));
    };
    let borrowed = receiver.reference.is_some() && receiver.colon_token.is_none();
    match (borrowed, receiver.mutability.is_some(), read) {
        (false, _, _) => Err(error(
            receiver,
            "a method borrows the state: write `&mut self`, or `&self` with `#[read]`",
        )),
        (true, true, true) => Err(error(
            receiver,
            "a `#[read]` changes nothing: write `&self`, or remove `#[read]`",
        )),
        (true, false, false) => Err(error(
            receiver,
            "a method with `&self` changes nothing: mark it `#[read]`, or take `&mut self`",
        )),
        (true, true, false) | (true, false, true) => Ok(()),
    }
}

fn arguments(
    function: &mut ImplItemFn,
    service: &ServiceAttribute,
) -> syn::Result<(bool, Vec<Argument>)> {
    let mut context = false;
    let mut arguments = Vec::new();
    for (index, input) in function.sig.inputs.iter_mut().enumerate() {
        match input {
            FnArg::Receiver(_) => {}
            FnArg::Typed(typed) if is_context(typed)? => {
                if index != 1 {
                    return Err(error(typed, "the context comes first, right after `self`"));
                }
                context = true;
            }
            FnArg::Typed(typed) => arguments.push(argument(typed, service)?),
        }
    }
    Ok((context, arguments))
}

/// Whether it is the context; an error if it only looks like it.
fn is_context(typed: &PatType) -> syn::Result<bool> {
    let named_cx =
        matches!(&*typed.pat, Pat::Ident(pat) if pat.ident == "cx" || pat.ident == "_cx");
    let (reference, inner) = if let Type::Reference(reference) = &*typed.ty {
        (Some(reference), &*reference.elem)
    } else {
        (None, &*typed.ty)
    };
    let names_context = matches!(inner, Type::Path(path)
        if path.path.segments.last().is_some_and(|last| last.ident == "Context"));
    match (names_context, reference) {
        (true, Some(reference)) if reference.mutability.is_none() => Ok(true),
        (true, _) => Err(error(
            &typed.ty,
            "the context is lent: write `cx: &Context`",
        )),
        (false, _) if named_cx => Err(error(
            &typed.ty,
            "`cx` is the context: write `cx: &Context`, or give this argument another name",
        )),
        (false, _) => Ok(false),
    }
}

fn argument(typed: &mut PatType, service: &ServiceAttribute) -> syn::Result<Argument> {
    let since = take_since(&mut typed.attrs, service)?;
    let Pat::Ident(pattern) = &*typed.pat else {
        return Err(error(
            &typed.pat,
            "arguments travel by name: give this one a plain name and take it apart in the body",
        ));
    };
    if pattern.by_ref.is_some() || pattern.subpat.is_some() {
        return Err(error(
            pattern,
            "arguments travel by name: write `name: Type`",
        ));
    }
    if pattern.ident.to_string().starts_with('_') {
        return Err(error(
            pattern,
            "arguments travel by name, and clients see it: write it without the leading `_`",
        ));
    }
    check_type(&typed.ty, "argument", "arrives with the request")?;
    Ok(Argument {
        name: pattern.ident.clone(),
        ty: (*typed.ty).clone(),
        since,
    })
}

fn reply(output: &ReturnType) -> syn::Result<Option<Type>> {
    match output {
        ReturnType::Default => Ok(None),
        ReturnType::Type(_, ty) => {
            check_type(ty, "reply", "is sent to the client")?;
            Ok(Some((**ty).clone()))
        }
    }
}

fn check_type(ty: &Type, what: &str, how: &str) -> syn::Result<()> {
    if matches!(ty, Type::Reference(_)) {
        return Err(error(
            ty,
            &format!("the {what} {how}: use an owned type, as `String` for `&str`"),
        ));
    }
    if matches!(ty, Type::ImplTrait(_)) {
        return Err(error(ty, &format!("the {what} {how} as one type: name it")));
    }
    if names_self(ty.to_token_stream()) {
        return Err(error(
            ty,
            &format!("the {what} {how}, and `Self` means another type there: write its name"),
        ));
    }
    Ok(())
}

fn names_self(tokens: proc_macro2::TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Group(group) => names_self(group.stream()),
        TokenTree::Ident(ident) => ident == "Self",
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

fn docs(attributes: &[Attribute]) -> Vec<Attribute> {
    let is_doc = |attribute: &&Attribute| attribute.path().is_ident("doc");
    attributes.iter().filter(is_doc).cloned().collect()
}

fn error(at: &(impl ToTokens + Spanned), message: &str) -> syn::Error {
    syn::Error::new_spanned(at, message)
}
