//! The algorithm as the paper has it (Figure 1), searched: each replica by what it alone has seen.
//!
//! [`crate::ordered`] searches the code; it takes for granted that a member which lags does nothing
//! new. Here that is what is searched. There is one total order, and each replica applies it at its
//! own pace, keeps its own Figure 1 and its own behaviour, and acts on its own view, however old. A
//! successor begins with the state of whoever gives it, at the position where that one is.
//!
//! Smaller than the code: no leader, and `recovery` is the mechanism that the paper takes as given: a
//! lost member is replaced sooner or later. A start of the new version fails as often as it likes.
//!
//! | Figure 1 | here |
//! | --- | --- |
//! | init, `join_group` | [`Figure::Init`]: it has a state and catches up; [`Entry::Swap`] ends it |
//! | `upgrReq`, triggered | [`Entry::Request`] applied |
//! | `upgrade_enabled` | `Value::enabled`, asked of a replica's own value, and again where ordered |
//! | `start_replica`, upgrading | [`Entry::Taken`] applied by its holder |
//! | success, `leave_group` | [`Entry::Swap`] applied by the predecessor |

mod steps;
mod value;

use std::fmt;

use crate::search::{Model, Next};

pub use value::{Entry, Id, Value, Version};

/// What is searched.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// `l`, the least that must serve.
    pub minimal: usize,
    /// `k`, the turns that may run at a time.
    pub parallel: usize,
    /// How often the new version is tried.
    pub tries: u8,
    /// How many processes may crash.
    pub crashes: u8,
    /// By how many entries the slowest replica may be behind: the order waits for it beyond that.
    pub behind: usize,
    /// What is wrong with the rules.
    pub defect: Option<Defect>,
}

/// A mistake in the algorithm, to see that the search finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Defect {
    /// The second test is left out: how many serve does not matter.
    MinimalIgnored,
    /// A turn that was taken is not looked at again where it is ordered: old views may decide.
    TurnNotChecked,
    /// The last old member's successor takes its place before activation.
    LastOldReleased,
    /// A try that failed is not counted.
    TriesNotCounted,
    /// A new replica behaves as its own version from its start.
    BehavesAtStart,
    /// A turn does not end with the crash of its holder.
    TurnOutlivesHolder,
}

/// Where a replica is in Figure 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Figure {
    /// It catches up.
    Init,
    /// It serves, and was not triggered.
    Idle,
    /// It serves, and awaits its turn.
    IdleUpgrade,
    /// Its successor is on its way; clients go elsewhere.
    Upgrading,
}

/// One replica that runs.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replica {
    /// Which; a successor that is no member yet has its predecessor's and a hundred.
    pub id: Id,
    /// What it runs.
    pub version: Version,
    /// How many of the entries that somebody still lacks it has applied.
    pub applied: usize,
    /// Its own Figure 1.
    pub figure: Figure,
    /// As which version it behaves.
    pub behaves: Version,
}

/// One state of the search.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// What follows from all entries that every running replica has applied.
    pub base: Value,
    /// The entries after those.
    pub log: Vec<Entry>,
    /// Who runs, in the order of their numbers.
    pub replicas: Vec<Replica>,
    /// What was multicast and has no place in the order yet.
    pub flying: Vec<Entry>,
    /// For whom a successor is being started, and has no state yet.
    pub starting: Vec<Id>,
    /// How many processes may still crash.
    pub crashes: u8,
}

/// What leads from one state to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A replica multicasts.
    Multicast(Id, Entry),
    /// An entry takes its place in the order.
    Ordered(Entry),
    /// A replica applies the next entry that it lacks.
    Applied(Id),
    /// The successor of the first gets the state of the second.
    Transferred(Id, Id),
    /// The successor of this one does not start.
    NotStarted(Id),
    /// A process crashes.
    Crashed(Id),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Multicast(by, entry) => write!(f, "{by} multicasts {entry:?}"),
            Event::Ordered(entry) => write!(f, "ordered: {entry:?}"),
            Event::Applied(by) => write!(f, "{by} applies the next entry"),
            Event::Transferred(old, donor) => {
                write!(f, "the successor of {old} gets the state of {donor}")
            }
            Event::NotStarted(old) => write!(f, "the successor of {old} does not start"),
            Event::Crashed(id) => write!(f, "{id} crashes"),
        }
    }
}

impl Rules {
    /// Three members, `l` = 1, one turn at a time, two tries, one crash.
    pub fn three() -> Rules {
        Rules {
            minimal: 1,
            parallel: 1,
            tries: 2,
            crashes: 1,
            behind: 2,
            defect: None,
        }
    }

    fn has(&self, defect: Defect) -> bool {
        self.defect == Some(defect)
    }
}

/// What a successor is called until it is a member: by whose place it will take.
fn joining(old: Id) -> Id {
    100 + old
}

impl World {
    /// What follows from all that is ordered.
    fn head(&self, rules: &Rules) -> Value {
        self.value(rules, self.log.len())
    }

    /// What follows from the base and so many entries.
    fn value(&self, rules: &Rules, applied: usize) -> Value {
        let mut value = self.base.clone();
        for entry in &self.log[..applied] {
            value.apply(rules, *entry);
        }
        value
    }

    fn replica(&self, id: Id) -> Option<&Replica> {
        self.replicas.iter().find(|replica| replica.id == id)
    }
}

impl Model for Rules {
    type State = World;
    type Step = Event;

    fn beginning(&self) -> World {
        let replica = |id| Replica {
            id,
            version: Version::Old,
            applied: 0,
            figure: Figure::Idle,
            behaves: Version::Old,
        };
        World {
            base: Value::of_three(),
            log: Vec::new(),
            replicas: (1..=3).map(replica).collect(),
            flying: vec![Entry::Request],
            starting: Vec::new(),
            crashes: self.crashes,
        }
    }

    fn steps(&self, world: &World) -> Vec<Next<Rules>> {
        steps::steps(self, world)
    }

    fn broken_in_state(&self, world: &World) -> Vec<String> {
        let head = world.head(self);
        let crashed = usize::from(self.crashes - world.crashes);
        let serves = |id: &&(Id, Version)| {
            let replica = world.replica(id.0);
            !head.turns.contains(&id.0)
                && replica.is_some_and(|replica| replica.figure != Figure::Upgrading)
        };
        let upgrading = world.replicas.iter().filter(|replica| {
            replica.figure == Figure::Upgrading && head.view.iter().any(|(id, _)| *id == replica.id)
        });
        let follows = |replica: &Replica| {
            let value = world.value(self, replica.applied);
            replica.figure == value.figure(replica.id)
        };
        let alike = |replica: &Replica| {
            let value = world.value(self, replica.applied);
            replica.behaves == value.effective
        };
        let sentences = [
            // §3.1, less what has crashed.
            (
                head.view.iter().filter(serves).count() + crashed >= self.minimal,
                "`l` members serve, less those that crashed",
            ),
            // §3.2.
            (
                upgrading.count() <= self.parallel,
                "at most `k` members are upgrading",
            ),
            // Abstract: self-stabilising. What a replica remembers is what the order says of it.
            (
                world.replicas.iter().all(follows),
                "each replica is where the order says in Figure 1",
            ),
            // Design 4.13: what each replica behaves as is a matter of the position alone.
            (
                world.replicas.iter().all(alike),
                "behaviour changes at one position on all replicas",
            ),
            // §2.
            (
                head.view.len() <= 3,
                "no vote is added to the group's number",
            ),
        ];
        let broken = sentences.iter().filter(|(holds, _)| !holds);
        broken.map(|(_, sentence)| (*sentence).to_owned()).collect()
    }

    fn broken_by_step(&self, before: &World, event: &Event, _: &World) -> Vec<String> {
        let Event::Ordered(entry) = event else {
            return Vec::new();
        };
        let was = before.head(self);
        let mut is = was.clone();
        is.apply(self, *entry);
        let crashed = matches!(entry, Entry::Crashed(_));
        let old = |value: &Value| value.olds().count();
        let sentences = [
            (
                is.turns.is_subset(&was.turns) || is.serving() >= self.minimal,
                "a turn leaves `l` members that serve",
            ),
            (
                crashed
                    || !was.runs()
                    || was.effective == Version::New
                    || old(&was) == 0
                    || old(&is) > 0,
                "the last old member stays until activation",
            ),
            (
                was.effective == is.effective || is.olds().count() <= 1,
                "behaviour changes when at most the last old member is left",
            ),
        ];
        let broken = sentences.iter().filter(|(holds, _)| !holds);
        broken.map(|(_, sentence)| (*sentence).to_owned()).collect()
    }

    fn ended(&self, world: &World) -> Result<&'static str, String> {
        let head = world.head(self);
        if head.view.len() < 3 || world.replicas.len() != 3 {
            return Err("the group is not whole".to_owned());
        }
        match (head.triggered, head.failed, head.effective) {
            (false, _, _) => Err("nobody was triggered".to_owned()),
            (true, true, _) => Ok("given up"),
            (true, false, Version::New) if head.olds().next().is_none() => Ok("done"),
            (true, false, Version::New | Version::Old) => Err("the upgrade runs".to_owned()),
        }
    }
}
