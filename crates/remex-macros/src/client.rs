//! The typed clients of a service.

use proc_macro2::TokenStream;

use crate::expand::Service;

/// The clients of `service`.
pub(crate) fn clients(_service: &Service) -> TokenStream {
    TokenStream::new()
}
