//! Bans, licences and sources of what we depend on, by cargo-deny where it is installed.

use crate::tree::{Tree, cargo, has_cargo};
use crate::verdict::{Verdict, quietly};

/// Runs cargo-deny with `deny.toml`, or says that it is not there.
///
/// Advisories are left to a run by hand (`cargo deny check advisories`): they change without a
/// change of ours, and a build must not turn red by itself.
pub(crate) fn check(_: &Tree) -> Verdict {
    if has_cargo("deny") {
        quietly(&mut cargo(&[
            "deny", "check", "bans", "licenses", "sources",
        ]))
    } else {
        Verdict::Skipped("cargo-deny is not installed".to_owned())
    }
}
