//! The real ordered state, searched: every order in which three members, their successors, their
//! daemons and their leader can act and die.
//!
//! A state is a [`Life`]: the group's agreed value, which is the real one, and around it the world as
//! small as it can be told: what has been proposed and has no place in the order yet, what daemons
//! were asked for, which processes run and which are dead. The members act by the real functions
//! (`turn`, `vacancy`, `promotion`, `activation`, `transfers`, `intruders`, `admission`), and what
//! they do takes effect by the real steps (`Ordered::apply` and `changed`, `Membership::ordered` and
//! `changed`). Whoever could act may act next; whatever flies may be ordered next.
//!
//! **What is abstracted, and why nothing is lost by it.**
//! - *Members that lag.* A member that has applied less acts on an earlier state; what it proposes
//!   then is what it would have proposed at that state, flying ever since. Proposals fly as long as
//!   they like here, and so do requests to daemons.
//! - *Lost proposals.* They are proposed again, so a lost one is one that was proposed later. Only
//!   what a dead or deposed leader had in its log is lost as such: any part of it.
//! - *Time.* Patience and pauses end whenever they like: an attempt behind which nothing is, is
//!   passed sooner or later; one that would have come to something, as often as the setup says.
//! - *The engine.* It orders, keeps one change of membership at a time, and elects any living member
//!   that serves; a majority lives. Commit and election are `order`'s, and tested there.
//! - *Clients and state.* A transfer is its donor's life until the joiner has it all.
//! - *Words.* History and reasons are cut from the state: nothing is decided by them.

mod act;
mod group;
mod life;
mod misfortunes;
mod safety;
mod setup;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use replica::ordered::{Happened, UpgradeState, broken_by_step, broken_in_state};
use wire::MemberId;

use crate::search::{Model, Next};

pub use act::{Act, Exchange, Post, Process};
pub use group::Group;
pub use life::{Event, Life};
pub use setup::{Defect, Misfortune, Setup};

use group::Decisions;

/// The model of one setup, with the groups that it has met.
#[derive(Debug)]
pub struct Ordered {
    setup: Setup,
    met: RefCell<Met>,
    beginning: Life,
}

/// Groups are few beside the lives around them, so each is kept once and thought about once.
#[derive(Debug, Default)]
struct Met {
    groups: Vec<Rc<Known>>,
    numbers: HashMap<Vec<u8>, u32>,
    steps: HashMap<(u32, Act), Rc<Became>>,
}

/// A group, and what follows from it alone.
#[derive(Debug)]
struct Known {
    group: Group,
    decisions: Decisions,
    broken: Vec<String>,
}

/// What a step makes of a group.
#[derive(Debug)]
struct Became {
    group: u32,
    /// An attempt was taken: what its holder asks a daemon for.
    asks: Option<(Process, MemberId)>,
    broken: Vec<String>,
}

impl Ordered {
    /// The model of this setup, at the moment of its last request.
    pub fn new(setup: Setup) -> Ordered {
        let mut calm = setup.clone();
        calm.misfortune = Misfortune::default();
        let founded = Group::found(&calm);
        let mut model = Ordered {
            setup: calm,
            met: RefCell::default(),
            beginning: Life::default(),
        };
        let group = model.number(founded);
        let mut life = Life {
            group,
            ..Life::default()
        };
        life = model.calmly(life);
        let last = setup.targets.len() - 1;
        for place in 0..=last {
            let place = u8::try_from(place).expect("requests are few in a search");
            life.flying.insert(Post::Upgrade(place));
            if usize::from(place) < last {
                life = model.calmly(life);
            }
        }
        life.left = setup.misfortune;
        model.beginning = life;
        model.setup = setup;
        model
    }

    /// How many values of the group were met.
    pub fn groups(&self) -> usize {
        self.met.borrow().groups.len()
    }

    /// Does what is due until nothing is.
    fn calmly(&self, mut life: Life) -> Life {
        while let Some(next) = self.steps(&life).into_iter().find(|next| next.due) {
            life = next.state;
        }
        life
    }

    fn known(&self, group: u32) -> Rc<Known> {
        Rc::clone(&self.met.borrow().groups[group as usize])
    }

    fn number(&self, group: Group) -> u32 {
        let key = group.key();
        if let Some(&number) = self.met.borrow().numbers.get(&key) {
            return number;
        }
        let mut broken = broken_in_state(&group.ordered, &group.membership);
        broken.extend(safety::of_a_group(&self.setup, &group));
        let known = Rc::new(Known {
            decisions: group.decisions(),
            group,
            broken,
        });
        let mut met = self.met.borrow_mut();
        let number = u32::try_from(met.groups.len()).expect("the search is bounded far below");
        met.groups.push(known);
        met.numbers.insert(key, number);
        number
    }

    /// What this act makes of a group; computed once.
    fn becomes(&self, group: u32, act: Act) -> Rc<Became> {
        if let Some(became) = self.met.borrow().steps.get(&(group, act)) {
            return Rc::clone(became);
        }
        let before = self.known(group);
        let (after, happened) = before.group.step(&self.setup, act);
        let mut broken = broken_by_step(
            (&before.group.ordered, &before.group.membership),
            (&after.ordered, &after.membership),
        );
        broken.extend(safety::of_a_step(&self.setup, &before.group, act, &after));
        let asks = happened.iter().find_map(|what| match what {
            Happened::Taken { seat, attempt } => {
                let process = Process {
                    seat: *seat,
                    attempt: attempt.number,
                    host: attempt.host,
                    version: group::version(&attempt.binary),
                };
                Some((process, attempt.by))
            }
            Happened::View { .. }
            | Happened::UpgradeAccepted { .. }
            | Happened::UpgradeRefused { .. }
            | Happened::Specified { .. }
            | Happened::SpecifyRefused { .. }
            | Happened::Ended { .. }
            | Happened::Activated { .. }
            | Happened::UpgradeDone { .. }
            | Happened::UpgradeFailed { .. }
            | Happened::Void { .. } => None,
        });
        let became = Rc::new(Became {
            group: self.number(after),
            asks,
            broken,
        });
        let mut met = self.met.borrow_mut();
        met.steps.insert((group, act), Rc::clone(&became));
        became
    }
}

impl Model for Ordered {
    type State = Life;
    type Step = Event;

    fn beginning(&self) -> Life {
        self.beginning.clone()
    }

    fn steps(&self, life: &Life) -> Vec<Next<Ordered>> {
        life::steps(self, life)
    }

    fn broken_in_state(&self, life: &Life) -> Vec<String> {
        let known = self.known(life.group);
        let mut broken = known.broken.clone();
        broken.extend(safety::of_a_life(&self.setup, &known.group, life));
        broken
    }

    fn broken_by_step(&self, before: &Life, event: &Event, _: &Life) -> Vec<String> {
        match event {
            Event::Ordered(act) | Event::OrderedOnce(act) => {
                self.becomes(before.group, *act).broken.clone()
            }
            Event::Proposed(_)
            | Event::Started(_)
            | Event::Lost(_)
            | Event::Refused(_)
            | Event::ProcessDies(_)
            | Event::DaemonDies(_)
            | Event::HostDies(_)
            | Event::Deposed(_) => Vec::new(),
        }
    }

    fn ended(&self, life: &Life) -> Result<&'static str, String> {
        let group = &self.known(life.group).group;
        let (ordered, membership) = (&group.ordered, &group.membership);
        if let Some((seat, _)) = ordered
            .seats()
            .find(|(seat, _)| !ordered.filled(membership, *seat))
        {
            return Err(format!("{seat} has nobody"));
        }
        if !life.dead.is_empty() || !membership.joiners.is_empty() {
            return Err("somebody is in the group who should not be".to_owned());
        }
        if membership.view.serving().count() < membership.view.members.len() {
            return Err("a member does not serve".to_owned());
        }
        match ordered.upgrade().map(|upgrade| &upgrade.state) {
            Some(UpgradeState::Done) => Ok("done"),
            Some(UpgradeState::Failed { .. }) if self.setup.may_give_up => Ok("given up"),
            Some(UpgradeState::Failed { .. }) => Err("the upgrade was given up".to_owned()),
            Some(UpgradeState::Running) => Err("the upgrade runs".to_owned()),
            None => Err("no upgrade was begun".to_owned()),
        }
    }
}
