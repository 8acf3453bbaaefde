//! `#[remex::service]`: from an inherent impl to a [`Service`] and its typed clients.
//!
//! It is apart because a procedural macro must be a crate of its own; authors use it through
//! `remex`. What it writes is kept small: the work is done by functions of `remex::private`, so
//! that the macro only names things. Whatever it cannot accept is an error at the place of the
//! fault that says what to write instead.
//!
//! [`Service`]: https://docs.rs/remex

mod attributes;
mod client;
mod expand;
mod method;

use proc_macro::TokenStream;

/// Makes a service of an inherent impl.
///
/// ```text
/// #[remex::service(name = "ledger", state_format = 2)]
/// impl Ledger {
///     pub fn transfer(&mut self, cx: &Context, from: Account, to: Account, amount: u64) -> Receipt
///     #[read] pub fn balance(&self, account: Account) -> Option<u64>
///     #[since("2.0.0")] pub fn freeze(&mut self, account: Account)
/// }
/// ```
///
/// Every `pub fn` becomes a method that clients can call; other functions stay helpers. A method
/// with `&mut self` is ordered, one with `&self` is marked `#[read]` and needs no place in the
/// order. `cx: &Context` may come first. Arguments travel by name. `#[since("2.0.0")]` on a method
/// or an argument keeps it out of reach until the group behaves as that version; such an argument
/// needs `Default` and `PartialEq`, and old clients leave it out. A function
/// `fn upgraded(&mut self)` is called when the next version has taken this replica's place.
///
/// The type needs `Default` (the state of a new group), `Serialize` and `Deserialize`.
/// `state_format` is raised when the shape of the state changes; the type then implements
/// `remex::Successor`, which is found without being named here. `version = "2.0.0"` stands in for
/// the crate's version where a crate holds several.
#[proc_macro_attribute]
pub fn service(arguments: TokenStream, item: TokenStream) -> TokenStream {
    expand::service(arguments.into(), item.into())
        .unwrap_or_else(syn::Error::into_compile_error)
        .into()
}
