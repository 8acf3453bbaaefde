//! The museum: defects that can be put into the code on purpose, so that the checkers are checked.
//!
//! A checker that has never found anything proves little. Each [`Defect`] is a mistake that a
//! programmer could make, at the place where he would make it: `if museum::on(Defect::..)`. In every
//! ordinary build [`on`] is the constant `false`, and nothing of a defect is left. Only a build with
//! `--cfg museum` can show one, and such a build cannot be a release: it does not compile without
//! debug assertions. `cargo xtask museum` builds it, shows one defect after the other, and says which
//! checker found it after how many seeds.
//!
//! It is a room of its own, below all others, because every machine has defects to show and none of
//! them is the right place to say which is on.

mod defect;

pub use defect::{About, Defect};

#[cfg(all(museum, not(debug_assertions)))]
compile_error!("a build that can show defects is no release: build it without --release");

/// Whether this defect is shown: never, in this build.
#[cfg(not(museum))]
#[inline(always)]
pub const fn on(_: Defect) -> bool {
    false
}

/// That it is a constant is seen here: a compiler leaves out what stands behind it.
#[cfg(not(museum))]
const _: () = assert!(!on(Defect::ALL[0]));

/// What `judge` says with no defect shown: who judges the code under test must not have the defect
/// itself.
#[cfg(not(museum))]
#[inline(always)]
pub fn aside<T>(judge: impl FnOnce() -> T) -> T {
    judge()
}

#[cfg(museum)]
mod shown;
#[cfg(museum)]
pub use shown::{VARIABLE, aside, on, show};
