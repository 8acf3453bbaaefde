//! Total order and agreed membership of one group.
//!
//! [`Order`] wraps the consensus engine (tikv's `raft`, ticks off) as a synchronous machine. It is
//! the only crate that knows the engine, and it owns the engine's sharp edges: what the rest sees is
//! propose, deliver, membership, position, reads and hand-over of leadership. Who is alive is not
//! decided here: the group's detector tells ([`Order::silent`], [`Order::dead`]). Paper: §2 (totally
//! ordered multicast).

mod configuration;
mod convert;
mod log;
mod nudge;
mod order;
mod reads;
mod survivors;

pub use configuration::{Configuration, Start, Step, Tail};
pub use nudge::Reach;
pub use order::{Content, Delivery, Order, Output, Refusal};
pub use survivors::{Before, Reign, Stays, survivors};
