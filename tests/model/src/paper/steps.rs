//! What can happen next: the order, each replica for itself, and misfortune.

use super::value::{Entry, Id, Value, Version};
use super::{Defect, Event, Figure, Replica, Rules, World, joining};
use crate::search::Next;

pub(super) fn steps(rules: &Rules, world: &World) -> Vec<Next<Rules>> {
    let mut around = Around {
        rules,
        world,
        head: world.head(rules),
        next: Vec::new(),
    };
    around.order();
    around.replicas_apply();
    around.replicas_multicast();
    around.successors_start();
    around.crashes();
    around.next
}

/// A world with what is ordered in it at hand, and what was found to follow.
struct Around<'a> {
    rules: &'a Rules,
    world: &'a World,
    head: Value,
    next: Vec<Next<Rules>>,
}

impl Around<'_> {
    fn push(&mut self, due: bool, step: Event, mut state: World) {
        forget(self.rules, &mut state);
        self.next.push(Next { step, due, state });
    }

    /// What flies, and what group communication and recovery see to by themselves.
    fn order(&mut self) {
        if self.world.log.len() == self.rules.behind {
            return;
        }
        for &entry in &self.world.flying {
            let mut world = self.world.clone();
            world.flying.retain(|other| *other != entry);
            world.log.push(entry);
            self.push(true, Event::Ordered(entry), world);
        }
        let runs = |id: Id| self.world.replica(id).is_some();
        let members: Vec<Id> = self.head.view.iter().map(|(id, _)| *id).collect();
        for &id in members.iter().filter(|&&id| !runs(id)) {
            self.by_itself(Entry::Crashed(id), |_| {});
        }
        if members.len() < 3 {
            self.recover();
        }
        for old in self.head.turns.clone() {
            if !runs(joining(old)) {
                let waits = self.world.starting.contains(&old);
                let asked = self.world.replica(old);
                let asked = asked.is_some_and(|replica| replica.figure == Figure::Upgrading);
                if asked && !waits {
                    self.by_itself(Entry::Passed(old), |_| {});
                }
            } else if self.head.may_swap(self.rules, old) {
                let id = self.head.next;
                self.by_itself(Entry::Swap(old), |world| {
                    let mut replicas = world.replicas.iter_mut();
                    if let Some(successor) = replicas.find(|r| r.id == joining(old)) {
                        successor.id = id;
                    }
                });
            }
        }
    }

    fn by_itself(&mut self, entry: Entry, change: impl FnOnce(&mut World)) {
        let mut world = self.world.clone();
        world.log.push(entry);
        change(&mut world);
        self.push(true, Event::Ordered(entry), world);
    }

    /// The recovery mechanism starts a replica, which comes in with the state of its own position.
    fn recover(&mut self) {
        let mut value = self.head.clone();
        value.apply(self.rules, Entry::Recovered);
        let Some(&(id, version)) = value.view.last() else {
            return;
        };
        let applied = self.world.log.len() + 1;
        let replica = Replica {
            id,
            version,
            applied,
            figure: value.figure(id),
            behaves: behaves(self.rules, version, value.effective),
        };
        self.by_itself(Entry::Recovered, |world| world.replicas.push(replica));
    }

    /// Each replica applies what is ordered, at its own pace.
    fn replicas_apply(&mut self) {
        for place in 0..self.world.replicas.len() {
            let replica = &self.world.replicas[place];
            let Some(&entry) = self.world.log.get(replica.applied) else {
                continue;
            };
            let mut world = self.world.clone();
            let value = world.value(self.rules, replica.applied + 1);
            let step = Event::Applied(replica.id);
            if entry == Entry::Swap(replica.id) {
                // leave_group, terminated.
                world.replicas.remove(place);
            } else {
                let starts = apply(&mut world.replicas[place], entry, &value);
                if starts {
                    world.starting.push(replica.id);
                }
            }
            self.push(true, step, world);
        }
    }

    /// Each replica says what its own value has it say, unless it said so and has not seen it yet.
    fn replicas_multicast(&mut self) {
        for replica in &self.world.replicas {
            let value = self.world.value(self.rules, replica.applied);
            let mut says = Vec::new();
            match replica.figure {
                Figure::Init => {
                    let olds = value
                        .turns
                        .iter()
                        .filter(|&&old| joining(old) == replica.id);
                    let waits = olds.filter(|old| !value.ready.contains(old));
                    says.extend(waits.map(|old| Entry::Ready(*old)));
                }
                Figure::Idle | Figure::IdleUpgrade | Figure::Upgrading => {
                    if value.enabled(self.rules) == Some(replica.id) {
                        says.push(Entry::Taken(replica.id));
                    }
                    let eldest = value.view.first().map(|(id, _)| *id);
                    if value.may_activate() && eldest == Some(replica.id) {
                        says.push(Entry::Activate);
                    }
                }
            }
            for entry in says {
                let unseen = self.world.log[replica.applied..].contains(&entry);
                if unseen || self.world.flying.contains(&entry) {
                    continue;
                }
                let mut world = self.world.clone();
                world.flying.push(entry);
                self.push(true, Event::Multicast(replica.id, entry), world);
            }
        }
    }

    /// `start_replica`, and the state of whoever gives it.
    fn successors_start(&mut self) {
        for &old in &self.world.starting {
            let mut world = self.world.clone();
            world.starting.retain(|other| *other != old);
            let wanted = self.head.turns.contains(&old);
            if !wanted || self.head.effective == Version::Old {
                // Nobody waits for it, or the version is bad.
                self.push(!wanted, Event::NotStarted(old), world.clone());
            }
            let members = self.world.replicas.iter();
            for donor in members.filter(|donor| wanted && donor.figure != Figure::Init) {
                let mut world = world.clone();
                world.replicas.push(Replica {
                    id: joining(old),
                    version: Version::New,
                    applied: donor.applied,
                    figure: Figure::Init,
                    behaves: behaves(self.rules, Version::New, donor.behaves),
                });
                self.push(true, Event::Transferred(old, donor.id), world);
            }
        }
        // Whose turn is over has no successor that waits.
        for replica in &self.world.replicas {
            let of_a_turn = self
                .head
                .turns
                .iter()
                .any(|&old| joining(old) == replica.id);
            if replica.id >= joining(0) && !of_a_turn {
                let mut world = self.world.clone();
                world.replicas.retain(|other| other.id != replica.id);
                self.push(true, Event::NotStarted(replica.id - joining(0)), world);
            }
        }
    }

    fn crashes(&mut self) {
        if self.world.crashes == 0 {
            return;
        }
        for place in 0..self.world.replicas.len() {
            let mut world = self.world.clone();
            let replica = world.replicas.remove(place);
            world.crashes -= 1;
            self.push(false, Event::Crashed(replica.id), world);
        }
    }
}

fn behaves(rules: &Rules, own: Version, transferred: Version) -> Version {
    if rules.has(Defect::BehavesAtStart) {
        own
    } else {
        transferred
    }
}

/// A replica's own step in Figure 1. Says whether it starts a successor.
fn apply(replica: &mut Replica, entry: Entry, value: &Value) -> bool {
    replica.applied += 1;
    match entry {
        Entry::Request => {
            if replica.figure == Figure::Idle {
                replica.figure = Figure::IdleUpgrade;
            }
        }
        Entry::Taken(by) => {
            let begins = by == replica.id && value.turns.contains(&by);
            if begins && replica.figure == Figure::IdleUpgrade {
                replica.figure = Figure::Upgrading;
                return true;
            }
        }
        Entry::Passed(by) => {
            let old = replica.version == Version::Old && replica.figure != Figure::Init;
            if old && value.failed {
                replica.figure = Figure::Idle;
            } else if by == replica.id {
                replica.figure = Figure::IdleUpgrade;
            }
        }
        Entry::Activate => replica.behaves = value.effective,
        Entry::Swap(_) => {
            if replica.figure == Figure::Init
                && value.view.last().is_some_and(|m| m.0 == replica.id)
            {
                replica.figure = Figure::Idle;
            }
        }
        Entry::Ready(_) | Entry::Crashed(_) | Entry::Recovered => {}
    }
    false
}

/// Entries that every running replica has applied become the base; what has no order gets one.
fn forget(rules: &Rules, world: &mut World) {
    let applied = world.replicas.iter().map(|replica| replica.applied);
    let all = applied.min().unwrap_or(0);
    for entry in world.log.drain(..all) {
        world.base.apply(rules, entry);
    }
    for replica in &mut world.replicas {
        replica.applied -= all;
    }
    world.replicas.sort_unstable_by_key(|replica| replica.id);
    world.flying.sort_unstable();
    world.starting.sort_unstable();
}
