//! Upgrades: one at a time, ended in bounded time, and only the versions that were asked for.

use std::collections::BTreeSet;

use group::Membership;
use replica::ordered::{Ordered, UpgradeState};
use wire::member::Member;
use wire::{Position, Version};

use super::Opinion;
use crate::plan::{Plan, Upgrade};
use crate::world::Installation;

/// The longest pause between two tries, in milliseconds: part of what an attempt may take.
const PAUSE_MS: u64 = 10_000;

#[derive(Debug)]
pub(crate) struct Upgrades {
    upgrades: Vec<Upgrade>,
    members: u64,
    allowed: BTreeSet<Version>,
    running: Option<(Position, u64)>,
    known: BTreeSet<Position>,
    /// How they ended, in their order.
    pub(crate) ends: Vec<String>,
    /// How long each took, and might have taken, in milliseconds.
    pub(crate) took_ms: Vec<(u64, u64)>,
}

impl Upgrades {
    pub(crate) fn new(plan: &Plan, installation: &Installation) -> Upgrades {
        let first = installation.editions[0].binary.version.clone();
        let wished = plan.wishes.iter().map(|wish| wish.members);
        let most = wished.fold(plan.members, u32::max);
        Upgrades {
            upgrades: plan.upgrades.clone(),
            members: u64::from(most),
            allowed: BTreeSet::from([first]),
            running: None,
            known: BTreeSet::new(),
            ends: Vec::new(),
            took_ms: Vec::new(),
        }
    }

    /// How long an upgrade may take where nothing stops the group: members x attempts x deadline.
    pub(crate) fn bound_ms(&self, number: usize) -> u64 {
        let upgrade = &self.upgrades[number];
        // A try may take its patience to appear and once more to make progress.
        let deadline = 2 * upgrade.patience_ms + PAUSE_MS;
        self.members * u64::from(upgrade.attempts) * deadline
    }

    /// One more will be asked for than was planned.
    pub(crate) fn planned(&mut self, upgrade: Upgrade) {
        self.upgrades.push(upgrade);
    }

    pub(crate) fn requested(&mut self, number: usize) {
        self.allowed.insert(self.upgrades[number].to.clone());
    }

    pub(crate) fn looks(
        &mut self,
        now: u64,
        ordered: &Ordered,
        membership: &Membership,
    ) -> Opinion {
        for member in membership.everybody() {
            if !self.allowed.contains(&member.binary.version) {
                return Err(format!(
                    "{} runs {}, which nobody asked for",
                    member.id, member.binary.version
                ));
            }
        }
        if !self.allowed.contains(&ordered.effective().version) {
            let effective = &ordered.effective().version;
            return Err(format!("{effective} is effective, and nobody asked for it"));
        }
        let Some(upgrade) = ordered.upgrade() else {
            return Ok(());
        };
        if upgrade.runs() && self.known.insert(upgrade.id) {
            if let Some((other, _)) = self.running {
                return Err(format!("{} begins while {other} runs", upgrade.id));
            }
            self.running = Some((upgrade.id, now));
        }
        let at_target = |member: &Member| member.binary == *upgrade.target();
        if upgrade.state == UpgradeState::Done
            && self.running.is_some_and(|(id, _)| id == upgrade.id)
            && (!membership.view.members.iter().all(at_target)
                || ordered.effective() != upgrade.target())
        {
            return Err(format!("{} is called done, and is not", upgrade.id));
        }
        if !upgrade.runs()
            && let Some((_, since)) = self.running.take_if(|(id, _)| *id == upgrade.id)
        {
            let number = self
                .took_ms
                .len()
                .min(self.upgrades.len().saturating_sub(1));
            let bound = self.bound_ms(number);
            self.took_ms.push(((now - since) / 1000, bound));
        }
        Ok(())
    }

    /// Whether the running one takes longer than it may; `trouble` is how long faults kept the
    /// group from doing anything.
    pub(crate) fn in_time(&self, now: u64, trouble_ms: u64) -> Opinion {
        let Some((id, since)) = self.running else {
            return Ok(());
        };
        let bound = self.bound_ms(self.took_ms.len()) + trouble_ms;
        if (now - since) / 1000 > bound {
            return Err(format!("the upgrade {id} has taken more than {bound} ms"));
        }
        Ok(())
    }
}
