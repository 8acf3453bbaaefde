//! `cargo xtask tidy`: the checks of the house, which no compiler does for us.
//!
//! Each check is one file: a function of the checkout, and tests that show it red.

mod arrows;
mod dependencies;
mod heads;
mod layers;
mod links;
mod museum;
pub(crate) mod paper;

use crate::protocol;
use crate::tree::Tree;
use crate::verdict::Verdict;

/// A check of the house.
type Check = fn(&Tree) -> Verdict;

/// All checks, in the order in which they are told.
const CHECKS: [(&str, Check); 8] = [
    ("arrows", arrows::check),
    ("heads", heads::check),
    ("layers", layers::check),
    ("protocol", protocol::check),
    ("paper", paper::check),
    ("museum", museum::check),
    ("links", links::check),
    ("dependencies", dependencies::check),
];

/// Runs all checks of the house; whether all were green.
pub(crate) fn run() -> bool {
    let tree = match Tree::read() {
        Ok(tree) => tree,
        Err(error) => return Verdict::Red(vec![error.to_string()]).tell("checkout"),
    };
    let mut green = true;
    for (name, check) in CHECKS {
        green &= check(&tree).tell(name);
    }
    green
}
