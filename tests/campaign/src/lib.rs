//! Campaigns over the ledger in the simulator: its three versions, versions that fail, and what
//! clients ask of it.

pub mod bad;
pub mod count;
pub mod island;
mod load;
mod methods;
pub mod museum;
pub mod scenario;

use remex::Version;
use simulator::{Edition, Installation, Manner};

pub use load::Transfers;
pub use methods::Methods;

/// Major and minor number of a version that ends as soon as it is started.
pub const EXITS: (u64, u64) = (2, 1);
/// Major and minor number of a version whose mapping panics.
pub const PANICS: (u64, u64) = (2, 2);
/// Major and minor number of a version that is started and says nothing.
pub const SILENT: (u64, u64) = (2, 3);
/// Major and minor number of a version that ends a moment after it was started.
pub const DIES: (u64, u64) = (2, 4);
/// Major and minor number of a version that reads no state of its predecessor.
pub const UNMAPPABLE: (u64, u64) = (2, 5);

fn version((major, minor): (u64, u64)) -> Version {
    Version::new(major, minor, 0)
}

/// The ledger on hosts that have all its versions, good and bad.
pub fn ledger() -> Installation {
    let bad = |manner| Edition::that::<ledger_v2::Ledger>(manner, 9);
    Installation {
        editions: vec![
            Edition::of::<ledger_v1::Ledger>(),
            Edition::of::<ledger_v2::Ledger>(),
            Edition::of::<ledger_v3::Ledger>(),
            bad(Manner::Exits).called(version(EXITS)),
            Edition::of::<bad::Panics>(),
            bad(Manner::NeverJoins).called(version(SILENT)),
            bad(Manner::DiesAfter(2)).called(version(DIES)),
            Edition::of::<bad::Unmappable>(),
        ],
        workload: || Box::new(Transfers::new()),
    }
}

/// What a group that begins with version 1 is upgraded to, one after the other.
pub fn targets() -> Vec<Vec<Version>> {
    let (one, two, three) = (version((1, 0)), version((2, 0)), version((3, 0)));
    vec![
        vec![two.clone()],
        vec![two.clone()],
        vec![two.clone(), three],
        vec![two.clone(), one],
        vec![version(EXITS), two.clone()],
        vec![version(PANICS), two.clone()],
        vec![version(SILENT), two.clone()],
        vec![version(DIES), two.clone()],
        vec![version(UNMAPPABLE), two],
    ]
}

/// Those of the [`targets`] that survivors may go on to: up, and down again. No version that fails,
/// because a group of one that behaves as one has no way back. And not the third, which opens accounts
/// by itself: in so small a group it would come before all of them are open.
pub fn survivors_targets() -> Vec<Vec<Version>> {
    let (two, three) = (version((2, 0)), version((3, 0)));
    let works = |path: &Vec<Version>| path[0] == two && !path.contains(&three);
    targets().into_iter().filter(works).collect()
}
