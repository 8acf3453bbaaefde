//! Replication management (§4, Figure 2): what an operator wishes, and what has to be done for it.
//!
//! So far it holds the [`specification`] of an application and the [`placement`] of its members.

pub mod placement;
pub mod specification;
