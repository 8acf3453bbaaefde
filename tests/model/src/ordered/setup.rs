//! What is searched: the group, the upgrade that is asked of it, and how much may go wrong.

/// One search.
#[derive(Clone, Debug)]
pub struct Setup {
    /// How many members the group has.
    pub initial: u32,
    /// The least that must serve: `l`.
    pub minimal: u32,
    /// At most so many turns at a time: `k`.
    pub parallel: u32,
    /// How often a seat is tried.
    pub attempts: u32,
    /// The versions that are asked for one after the other, from version 1; all but the last
    /// upgrade are over, without misfortune, when the search begins.
    pub targets: Vec<u8>,
    /// Whether the upgrade may be given up. If not, an end without it is none.
    pub may_give_up: bool,
    /// What may go wrong from the last request on.
    pub misfortune: Misfortune,
    /// What is wrong with the model, to see that the search finds it.
    pub defect: Option<Defect>,
}

/// What may still go wrong. Each number is of events in one life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Misfortune {
    /// Deaths: of a process (its daemon tells), of a daemon (what it is asked for from then on is
    /// lost), or of a whole host (nobody tells).
    pub deaths: u8,
    /// Starts that fail.
    pub starts: u8,
    /// Members that are alive and suspected.
    pub doubts: u8,
    /// Attempts that are passed though they would have come to something.
    pub impatience: u8,
    /// Leaders that are deposed though they live.
    pub depositions: u8,
    /// Proposals that are ordered twice, the second time at any later moment.
    pub repeats: u8,
    /// The target is bad: any of its starts may fail, as often as it is tried.
    pub bad_version: bool,
}

/// A mistake in the part that the model adds to the real functions, or in what it demands of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// The leader promotes every ready joiner, the last old member's successor too.
    LastOldReleased,
    /// The group knows a lower `l` than is demanded of it: its own, less one.
    MinimalIgnored,
    /// Nobody removes joiners whose attempt is over.
    IntrudersStay,
    /// Nobody passes an attempt behind which nothing is.
    NoPatience,
    /// An operator whose request was lost with a leader does not ask again.
    RequestNotRepeated,
    /// Nobody removes members that died.
    DeadStay,
}

impl Setup {
    /// Three members, `l` = 1, one turn at a time, two tries of each seat, from version 1 to 2, and
    /// nothing goes wrong.
    pub fn three() -> Setup {
        Setup {
            initial: 3,
            minimal: 1,
            parallel: 1,
            attempts: 2,
            targets: vec![2],
            may_give_up: false,
            misfortune: Misfortune::default(),
            defect: None,
        }
    }
}
