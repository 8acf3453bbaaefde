//! Group communication: views, total order, failure detection, joining and state transfer.
//!
//! [`Group`] is one member's part in a group: it composes the order, the detector and the ordered
//! membership, and says by outputs what to send, what was delivered and what the view is now. It
//! decides nothing about seats, versions or upgrades. [`Joining`] is a replica's life before it is
//! a member. Paper: §2 (the view-oriented group communication system), §4.1 (the Jgroup daemon).

mod clock;
mod detector;
mod group;
mod joiners;
mod joining;
mod links;
mod membership;
mod multicast;
mod parting;

pub use clock::{Clock, Now};
pub use detector::{Detector, Verdict};
pub use group::{Delivered, Greeting, Group, LOG_BYTES_MAX, NotTaken, Output, Survived};
pub use joiners::Progress;
pub use joining::{Admitted, Joining, JoiningOutput};
pub use links::Links;
pub use membership::{Joiner, Membership, Snapshot, SnapshotError, Transfer, View};
pub use order::{Configuration, Refusal, Start, Stays, Tail};
