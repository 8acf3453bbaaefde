//! The built-in layers, from the group to the service.

mod attempt;
mod invocation;
mod membership;
mod recovery;
mod upgrade;

pub(crate) use invocation::Invocation;
pub(crate) use membership::Membership;
pub(crate) use recovery::Recovery;
pub(crate) use upgrade::Upgrade;
