//! The typed clients of a service: one for async code, one that blocks.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::Ident;

use crate::expand::Service;
use crate::method::{Argument, Method};

/// The types of the clients, for the module of the service.
pub(crate) fn types(service: &Service) -> TokenStream {
    let blocking = quote!(::remex::private::BlockingCaller);
    let types = [
        (
            client_type(service),
            quote!(::remex::private::Caller),
            "Async methods.",
        ),
        (
            blocking_type(service),
            blocking,
            "Its methods block the thread.",
        ),
    ];
    let types = types.into_iter().map(|(name, caller, how)| {
        let doc = format!(
            "A client of the service `{}`: one session of one group. {how} Clones share the \
             session, and their requests overlap.",
            service.service_name(),
        );
        quote! {
            #[doc = #doc]
            #[allow(dead_code, unreachable_pub)]
            #[derive(Clone, Debug)]
            pub struct #name(#caller);
        }
    });
    quote!(#(#types)*)
}

/// What the clients can do; it needs the types of the requests.
pub(crate) fn implementations(service: &Service) -> TokenStream {
    let client = Client {
        name: client_type(service),
        caller: quote!(private::Caller),
        session: quote!(::remex::Session),
        wait: Some(quote!(.await)),
    };
    let blocking = Client {
        name: blocking_type(service),
        caller: quote!(private::BlockingCaller),
        session: quote!(::remex::blocking::Session),
        wait: None,
    };
    let client = client.implementation(&service.methods);
    let blocking = blocking.implementation(&service.methods);
    quote!(#client #blocking)
}

/// One of the two clients.
struct Client {
    name: Ident,
    /// What it calls through.
    caller: TokenStream,
    /// The session in it.
    session: TokenStream,
    /// How it waits for a reply.
    wait: Option<TokenStream>,
}

impl Client {
    fn implementation(&self, methods: &[Method]) -> TokenStream {
        let Client {
            name,
            caller,
            session,
            wait,
        } = self;
        let asyncness = self.asyncness();
        let methods = methods.iter().map(|method| self.method(method));
        quote! {
            #[allow(dead_code, unreachable_pub, clippy::too_many_arguments)]
            impl #name {
                /// Connects to a member of `group` and opens a session. Any contact will do: the
                /// others are learned from it.
                ///
                /// # Errors
                /// Says whom it could not reach, and why.
                pub #asyncness fn connect(
                    group: &str,
                    contacts: &[::std::net::SocketAddr],
                ) -> ::core::result::Result<Self, ::remex::OpenError> {
                    ::core::result::Result::Ok(Self(#caller::connect(group, contacts)#wait?))
                }

                /// A client on a session that is open already.
                pub fn new(session: #session) -> Self {
                    Self(#caller::new(session))
                }

                /// Its session.
                pub fn session(&self) -> &#session {
                    self.0.session()
                }

                /// The same with `deadline` for each request from now on.
                #[must_use]
                pub fn with_deadline(self, deadline: ::std::time::Duration) -> Self {
                    Self(self.0.with_deadline(deadline))
                }

                /// The same with reads that any member answers from its possibly old state.
                #[must_use]
                pub fn with_stale_reads(self) -> Self {
                    Self(self.0.with_stale_reads())
                }

                #(#methods)*
            }
        }
    }

    fn method(&self, method: &Method) -> TokenStream {
        let asyncness = self.asyncness();
        let wait = &self.wait;
        let docs = &method.docs;
        let name = &method.name;
        let id = method.id();
        let read = method.read;
        let request = method.request_type();
        let reply = method.reply_type();
        let arguments = method
            .arguments
            .iter()
            .map(|Argument { name, ty, .. }| quote!(#name: #ty));
        let fields = method.arguments.iter().map(|argument| {
            let name = &argument.name;
            match &argument.since {
                Some(_) => quote!(#name: private::unless_default(#name)),
                None => quote!(#name),
            }
        });
        quote! {
            #(#docs)*
            ///
            /// # Errors
            /// What became of the request if there is no reply: `is_definite` tells whether it
            /// certainly did not happen.
            pub #asyncness fn #name(
                &self,
                #(#arguments),*
            ) -> ::core::result::Result<#reply, ::remex::CallError> {
                self.0.call(#id, #read, &#request { #(#fields),* })#wait
            }
        }
    }

    fn asyncness(&self) -> Option<TokenStream> {
        self.wait.as_ref().map(|_| quote!(async))
    }
}

fn client_type(service: &Service) -> Ident {
    format_ident!("{}Client", service.name)
}

fn blocking_type(service: &Service) -> Ident {
    format_ident!("{}BlockingClient", service.name)
}
