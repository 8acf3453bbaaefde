//! From the methods of an impl to the implementation of `Service`.

use proc_macro2::TokenStream;
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Ident, ImplItem, ItemImpl, Type};

use crate::attributes::{ServiceAttribute, version};
use crate::client;
use crate::method::{Argument, Method, Role};

/// All that the macro learned of a service.
pub(crate) struct Service {
    attribute: ServiceAttribute,
    /// The type of the state.
    state: Type,
    /// The state's bare name, from which the clients take theirs.
    pub(crate) name: Ident,
    pub(crate) methods: Vec<Method>,
    upgraded: bool,
}

/// `#[service(arguments)] item`.
pub(crate) fn service(arguments: TokenStream, item: TokenStream) -> syn::Result<TokenStream> {
    let attribute = ServiceAttribute::parse(arguments)?;
    let mut block: ItemImpl = syn::parse2(item).map_err(|why| {
        syn::Error::new(
            why.span(),
            format!("{why}; `#[remex::service]` stands on `impl YourType {{ .. }}`"),
        )
    })?;
    let service = Service::read(attribute, &mut block)?;
    let implementation = service.implementation();
    let clients = client::types(&service);
    Ok(quote! {
        #block
        #implementation
        #clients
    })
}

impl Service {
    /// Reads the methods off the impl; all faults are told, not only the first.
    fn read(attribute: ServiceAttribute, block: &mut ItemImpl) -> syn::Result<Service> {
        let name = check_block(block)?;
        let mut faults: Option<syn::Error> = None;
        let mut methods = Vec::new();
        let mut upgraded = false;
        for item in &mut block.items {
            let ImplItem::Fn(function) = item else {
                continue;
            };
            match Role::of(function, &attribute) {
                Ok(Role::Method(method)) => methods.push(*method),
                Ok(Role::Upgraded) => upgraded = true,
                Ok(Role::Helper) => {}
                Err(fault) => match &mut faults {
                    Some(faults) => faults.combine(fault),
                    None => faults = Some(fault),
                },
            }
        }
        if let Some(faults) = faults {
            return Err(faults);
        }
        if methods.is_empty() {
            return Err(syn::Error::new_spanned(
                &block.self_ty,
                "a service without a method: write at least one `pub fn`",
            ));
        }
        Ok(Service {
            attribute,
            state: (*block.self_ty).clone(),
            name,
            methods,
            upgraded,
        })
    }

    pub(crate) fn service_name(&self) -> String {
        self.attribute.name.value()
    }

    /// Everything but the types of the clients. Its names are hidden from the author's module.
    fn implementation(&self) -> TokenStream {
        let state = &self.state;
        let name = &self.attribute.name;
        let state_format = &self.attribute.state_format;
        let version = match &self.attribute.version {
            Some(version) => quote!(#version),
            None => quote!(::core::env!("CARGO_PKG_VERSION")),
        };
        let requests = self.methods.iter().map(Method::request);
        let distinct = self.distinct();
        let clients = client::implementations(self);
        let described = self.methods.iter().map(Method::described);
        let applied = self.methods.iter().map(Method::arm_in_apply);
        let read = self.methods.iter().map(Method::arm_in_read);
        let from_json = self.methods.iter().map(Method::arm_from_json);
        let to_json = self.methods.iter().map(Method::arm_to_json);
        let names = self.methods.iter().map(|method| wire_name(&method.name));
        let upgraded = self.upgraded.then(|| {
            quote! {
                fn upgraded(&mut self) {
                    <#state>::upgraded(self);
                }
            }
        });
        // Spanned at the type, so that a missing derive is told there.
        let initial = quote_spanned!(state.span()=> <#state as ::remex::private::State>::initial());
        quote! {
            const _: () = {
                use ::remex::private::{self, Edge as _};

                const NAMES: &[&str] = &[#(#names),*];
                const _: () = private::Chain::<#state>::FORMAT_IS_RAISED;
                #distinct
                #(#requests)*

                impl ::remex::Service for #state {
                    const NAME: &'static str = #name;
                    const VERSION: &'static str = #version;
                    const STATE_FORMAT: u32 = #state_format;

                    fn describe() -> ::remex::Description {
                        private::description::<#state>(
                            private::Chain::<#state>::older(),
                            private::Chain::<#state>::MAPS_BACK,
                            ::std::vec![#(#described),*],
                        )
                    }

                    fn initial() -> Self {
                        #initial
                    }

                    #[allow(unused_variables, clippy::let_unit_value)]
                    fn apply(
                        &mut self,
                        cx: &::remex::Context,
                        call: ::remex::Call<'_>,
                    ) -> ::core::result::Result<::std::vec::Vec<u8>, ::remex::Refusal> {
                        match call.method {
                            #(#applied)*
                            _ => Err(::remex::Refusal::UnknownMethod),
                        }
                    }

                    #[allow(unused_variables, clippy::let_unit_value)]
                    fn read(
                        &self,
                        cx: &::remex::Context,
                        call: ::remex::Call<'_>,
                    ) -> ::core::result::Result<::std::vec::Vec<u8>, ::remex::Refusal> {
                        match call.method {
                            #(#read)*
                            _ => Err(::remex::Refusal::UnknownMethod),
                        }
                    }

                    fn export(
                        &self,
                        format: u32,
                        out: &mut dyn ::std::io::Write,
                    ) -> ::core::result::Result<(), ::remex::StateError> {
                        if format == #state_format {
                            private::write_state(self, format, out)
                        } else {
                            private::Chain::<#state>::export_older(self, format, out)
                        }
                    }

                    fn import(
                        format: u32,
                        from: &mut dyn ::std::io::Read,
                    ) -> ::core::result::Result<Self, ::remex::StateError> {
                        if format == #state_format {
                            private::read_state(format, from)
                        } else {
                            private::Chain::<#state>::import_older(format, from)
                        }
                    }

                    fn call_from_json(
                        method: &str,
                        arguments: &private::JsonValue,
                    ) -> ::core::result::Result<::remex::OwnedCall, ::remex::JsonError> {
                        match method {
                            #(#from_json)*
                            _ => Err(private::unknown_method(method, NAMES)),
                        }
                    }

                    fn reply_to_json(
                        method: ::remex::MethodId,
                        reply: &[u8],
                    ) -> ::core::result::Result<private::JsonValue, ::remex::JsonError> {
                        match method {
                            #(#to_json)*
                            _ => Err(private::unknown_reply(method)),
                        }
                    }

                    #upgraded
                }

                #clients
            };
        }
    }

    /// Ids are hashes of names: two names with one hash must not pass.
    fn distinct(&self) -> TokenStream {
        let pairs = self.methods.iter().enumerate().flat_map(|(at, one)| {
            self.methods[..at].iter().map(move |other| {
                let (one, other) = (&one.name, &other.name);
                let (first, second) = (wire_name(other), wire_name(one));
                let message = format!(
                    "the methods `{first}` and `{second}` have the same id; rename one of them"
                );
                quote_spanned! {one.span()=>
                    const _: () = ::core::assert!(
                        ::remex::MethodId::of(#first).0 != ::remex::MethodId::of(#second).0,
                        #message
                    );
                }
            })
        });
        quote!(#(#pairs)*)
    }
}

/// The name as it travels: without the `r#` of Rust's own words.
fn wire_name(name: &Ident) -> String {
    name.unraw().to_string()
}

/// Checks the impl itself; the state's bare name if it will do.
fn check_block(block: &ItemImpl) -> syn::Result<Ident> {
    if let Some((_, path, _)) = &block.trait_ {
        return Err(syn::Error::new_spanned(
            path,
            "`#[remex::service]` stands on the type's own `impl`, not on that of a trait",
        ));
    }
    if !block.generics.params.is_empty() {
        return Err(syn::Error::new_spanned(
            &block.generics,
            "a service cannot be generic: its state has one shape; name the types",
        ));
    }
    if let Type::Path(path) = &*block.self_ty
        && let Some(segment) = path.path.segments.last()
        && segment.arguments.is_empty()
    {
        return Ok(segment.ident.clone());
    }
    Err(syn::Error::new_spanned(
        &block.self_ty,
        "a service's state is one type with a name of its own, as in `impl Ledger`",
    ))
}

impl Method {
    /// Its id, computed where it is compiled.
    pub(crate) fn id(&self) -> TokenStream {
        let name = wire_name(&self.name);
        quote!(::remex::MethodId::of(#name))
    }

    /// The constant that holds its id: patterns take no calls.
    fn id_constant(&self) -> Ident {
        format_ident!("__ID_{}", wire_name(&self.name))
    }

    /// The type that holds its arguments on their way.
    pub(crate) fn request_type(&self) -> Ident {
        format_ident!("__{}Request", wire_name(&self.name))
    }

    pub(crate) fn reply_type(&self) -> TokenStream {
        match &self.reply {
            Some(reply) => quote!(#reply),
            None => quote!(()),
        }
    }

    /// The versions that added arguments, in order. Each made another form of them.
    fn added(&self) -> Vec<semver::Version> {
        let since = self.arguments.iter().filter_map(|a| a.since.as_ref());
        let mut versions: Vec<semver::Version> = since.map(version).collect();
        versions.sort();
        versions.dedup();
        versions
    }

    /// Its id and the type of its arguments.
    fn request(&self) -> TokenStream {
        let id = self.id();
        let constant = self.id_constant();
        let request = self.request_type();
        let fields = self.arguments.iter().map(Argument::field);
        let names = self
            .arguments
            .iter()
            .map(|argument| wire_name(&argument.name));
        let added = self.added();
        let forms = added.len() + 1;
        let form_of = |argument: &Argument| match &argument.since {
            Some(since) => {
                1 + added
                    .iter()
                    .take_while(|one| **one < version(since))
                    .count()
            }
            None => 0,
        };
        let shapes = self
            .arguments
            .iter()
            .map(|argument| argument.shape(form_of(argument)));
        let given = self
            .arguments
            .iter()
            .filter(|argument| argument.since.is_some())
            .map(|argument| {
                let (name, form) = (&argument.name, form_of(argument));
                quote!(if self.#name.is_some() { form = form.max(#form); })
            });
        quote! {
            #[allow(non_upper_case_globals)]
            const #constant: ::remex::MethodId = #id;

            #[allow(non_camel_case_types)]
            #[derive(private::serde::Serialize, private::serde::Deserialize)]
            #[serde(crate = "::remex::private::serde", deny_unknown_fields)]
            struct #request {
                #(#fields)*
            }

            impl private::Request for #request {
                const NAMES: &'static [&'static str] = &[#(#names),*];

                const FORMS: usize = #forms;

                fn shape(form: usize) -> ::std::string::String {
                    private::arguments_shape(form, &[#(#shapes),*])
                }

                fn signatures() -> &'static [u32] {
                    static SIGNATURES: ::std::sync::OnceLock<::std::vec::Vec<u32>> =
                        ::std::sync::OnceLock::new();
                    SIGNATURES.get_or_init(private::signatures_of::<#request>)
                }

                #[allow(unused_mut)]
                fn form(&self) -> usize {
                    let mut form = 0;
                    #(#given)*
                    form
                }
            }
        }
    }

    fn described(&self) -> TokenStream {
        let name = wire_name(&self.name);
        let read = self.read;
        let since = match &self.since {
            Some(since) => quote!(::core::option::Option::Some(#since)),
            None => quote!(::core::option::Option::None),
        };
        let request = self.request_type();
        let reply = self.reply_type();
        quote!(private::method::<#request, #reply>(#name, #read, #since))
    }

    /// Its arm in `apply`.
    fn arm_in_apply(&self) -> TokenStream {
        match self.read {
            true => self.refused(),
            false => self.executed(),
        }
    }

    /// Its arm in `read`.
    fn arm_in_read(&self) -> TokenStream {
        match self.read {
            true => self.executed(),
            false => self.refused(),
        }
    }

    /// Unknown is told before the kind: an older member, which has no such method, says the same.
    fn refused(&self) -> TokenStream {
        let constant = self.id_constant();
        let exists = self.exists();
        quote! {
            #constant => {
                #exists
                Err(::remex::Refusal::WrongKind)
            }
        }
    }

    fn executed(&self) -> TokenStream {
        let constant = self.id_constant();
        let exists = self.exists();
        let request = self.request_type();
        let name = &self.name;
        let context = self.context.then(|| quote!(cx,));
        let arguments = self.arguments.iter().map(|argument| {
            let name = &argument.name;
            match &argument.since {
                Some(since) => quote!(private::since(cx, #since, request.#name)?),
                None => quote!(request.#name),
            }
        });
        quote! {
            #constant => {
                #exists
                let request: #request = private::decode_request(call.arguments)?;
                let reply = self.#name(#context #(#arguments),*);
                Ok(private::encode(&reply))
            }
        }
    }

    fn exists(&self) -> Option<TokenStream> {
        self.since.as_ref().map(|since| {
            quote! {
                if !cx.behaves_as(#since) {
                    return Err(::remex::Refusal::UnknownMethod);
                }
            }
        })
    }

    fn arm_from_json(&self) -> TokenStream {
        let name = wire_name(&self.name);
        let read = self.read;
        let request = self.request_type();
        quote!(#name => private::call_from_json::<#request>(#name, #read, arguments),)
    }

    fn arm_to_json(&self) -> TokenStream {
        let constant = self.id_constant();
        let reply = self.reply_type();
        quote!(#constant => private::reply_to_json::<#reply>(reply),)
    }
}

impl Argument {
    fn field(&self) -> TokenStream {
        let (name, ty) = (&self.name, &self.ty);
        match &self.since {
            None => quote!(#name: #ty,),
            Some(_) => quote! {
                #[serde(
                    default,
                    deserialize_with = "::remex::private::present",
                    skip_serializing_if = "::core::option::Option::is_none",
                )]
                #name: ::core::option::Option<#ty>,
            },
        }
    }

    /// Its shape, and the first form of the arguments that has it.
    fn shape(&self, form: usize) -> TokenStream {
        let (name, ty) = (wire_name(&self.name), &self.ty);
        quote!((#name, private::shape::<#ty>(), #form))
    }
}
