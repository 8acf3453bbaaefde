//! The upgrade algorithm, searched: turns, swaps, crashes, recovery, activation and the way back, in
//! every order in which they can happen to three members.
//!
//! Tests with examples and with seeds say that nothing was found. Here nothing is left to be found,
//! within stated bounds: every state is looked at, and their number is asserted, so that a model
//! which has lost half of its world does not stay green.
//!
//! **How to read it.**
//! 1. [`search`]: what is asked of a model (safety, nothing waits for ever, everything ends), and why
//!    the search is our own.
//! 2. [`paper`]: Figure 1 with replicas that lag, each acting on what it alone has seen. The table at
//!    its head leads from the figure to the model.
//! 3. [`ordered`]: the real ordered state and membership, with the processes, daemons and messages
//!    around it. Its head says what is abstracted, and why nothing is lost by it. `setup` is what can
//!    be asked, `life` who acts, `misfortunes` what goes wrong, `safety` what must hold.
//! 4. The tests: what was asked, and the numbers; then the same with a mistake put in, which must be
//!    found.
//!
//! What is found is a shortest way to it, in words. To look at another situation, write a test with
//! another `Setup` or `Rules`: hundreds of thousands of states take seconds.
//!
//! | question | where it is answered |
//! | --- | --- |
//! | never below `l`, less what has crashed | `safety::of_a_step`, `safety::of_a_life`; `paper` |
//! | at most `k` turns at a time | `safety::of_a_group`; `paper` |
//! | one upgrade at a time | `safety::of_a_group` |
//! | the last old member stays until activation | `safety::of_a_step`; `paper` |
//! | activation at one position on all | `safety::of_a_step`; `paper`, by each replica's own pace |
//! | nobody is two things | `safety::of_a_group`, `safety::of_a_life` |
//! | it ends, and how; in how many steps at most | `search`; asserted by each test |

pub mod ordered;
pub mod paper;
pub mod search;
