//! A whole installation in one thread, from one seed.
//!
//! The machines are those of the real processes: joining, replica, executor, daemon, client. What
//! the host does with sockets, threads and clocks is done here by a queue of events in virtual time,
//! so that crashes, silences, cuts, late and lost messages come where only luck would bring them, and
//! come again with the same seed. The checkers judge what members and clients saw.
//!
//! Reading order: `plan.rs` (what a run is made of), `world.rs` (what can happen), `run.rs` (how a
//! run goes), `checkers.rs` (what must hold), `campaign.rs` (many runs), `simulation.rs` (a run that is led from outside).

mod campaign;
mod checkers;
mod client;
mod clock;
mod edition;
mod network;
mod plan;
mod process;
mod queue;
mod random;
mod run;
mod simulation;
mod table;
mod trace;
mod workload;
mod world;

pub use campaign::{aimed_seeds, random_plan, shrink, survivors_plan};
pub use checkers::Fault as Finding;
pub use checkers::linearizable::{Specification, Timed, linearizable};
pub use edition::{Edition, Manner};
pub use plan::{Fault, Load, Phase, Plan, PlanError, Role, Strike, Upgrade, When, Wish};
pub use random::Random;
pub use run::{Report, run};
pub use simulation::Simulation;
pub use table::{Table, cells, exists};
pub use trace::Line;
pub use workload::{Answered, Workload};
pub use world::{Installation, Unbearable};
