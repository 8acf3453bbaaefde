//! A run that is led from outside, step by step, instead of by a plan: what tests of services stand
//! on. Time passes only while somebody waits for something, so that whoever asks the same gets the
//! same run. The checkers look at all of it as at any other run.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use client::machine::{Answer, Asked, SessionKey};
use client::{CallError, Request};
use wire::{MemberId, Version};

use crate::checkers::Fault as Finding;
use crate::edition::Edition;
use crate::plan::{Fault, Load, Plan};
use crate::random::Random;
use crate::run::{GLANCE, GROWTH, PEACE, judge, panicked, same};
use crate::trace::Line;
use crate::workload::{Answered, Workload};
use crate::world::{Event, Installation, Unbearable, World};

/// Hosts beyond the members', on which replacements of whole hosts find room.
const SPARE_HOSTS: u32 = 2;

/// A whole installation that does what it is told.
pub struct Simulation {
    world: World<'static>,
    /// When everything that only has to be looked at is looked at next.
    glance: u64,
}

/// Nobody asks anything but the guests.
struct Silence;

impl Workload for Silence {
    fn first(&mut self) -> Vec<Request> {
        Vec::new()
    }

    fn next(&mut self, _: &mut Random, _: u64) -> Request {
        unreachable!("a simulation without load asks nothing by itself")
    }

    fn judge(&self, _: &[Answered<'_>]) -> Result<(), String> {
        Ok(())
    }
}

impl std::fmt::Debug for Simulation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Simulation")
            .field("now", &self.world.now)
            .field("installation", &self.world.installation)
            .finish_non_exhaustive()
    }
}

impl Simulation {
    /// A group of so many members of this edition. Nothing has happened yet: [`grow`] lets it come
    /// to be.
    ///
    /// [`grow`]: Simulation::grow
    pub fn new(edition: Edition, members: u32, seed: u64) -> Simulation {
        let installation = Installation {
            editions: vec![edition],
            workload: || Box::new(Silence),
        };
        let plan = Plan {
            seed,
            members,
            hosts: members + SPARE_HOSTS,
            load: Load {
                bursts: 0,
                sessions: 0,
                every_ms: 1,
                singles: 0,
            },
            ..Plan::default()
        };
        Simulation {
            world: World::new(Cow::Owned(installation), Cow::Owned(plan)),
            glance: 0,
        }
    }

    // Time.

    /// Lets the next thing happen, and looks at what it has changed.
    ///
    /// # Errors
    /// What was found; it stays found, and nothing happens any more.
    pub fn step(&mut self) -> Result<(), Finding> {
        self.found()?;
        let (world, glance) = (&mut self.world, &mut self.glance);
        // A machine that panics is a finding like any other.
        let stepped = catch_unwind(AssertUnwindSafe(|| {
            if std::mem::take(&mut world.news) {
                world.look();
                world.upgrade_watched();
            }
            if world.now >= *glance {
                *glance = world.now + GLANCE;
                world.glance();
                world.after(GLANCE, Event::Look);
            }
            world.step();
        }));
        if let Err(panic) = stepped {
            self.world.checkers.fail(panicked(panic.as_ref()));
        }
        self.found()
    }

    fn found(&self) -> Result<(), Finding> {
        match self.world.checkers.fault() {
            None => Ok(()),
            Some(finding) => Err(finding.clone()),
        }
    }

    /// Lets things happen until something is reached, but not for ever.
    fn until(
        &mut self,
        patience: u64,
        what: &str,
        reached: impl Fn(&mut World<'static>) -> bool,
    ) -> Result<(), Finding> {
        let end = self.world.now.saturating_add(patience);
        while !reached(&mut self.world) {
            self.step()?;
            if self.world.now > end {
                let state = self.world.describe();
                let what = format!("not in time: {what}\n{state}");
                self.world.checkers.says("availability", Err(what));
                return self.found();
            }
        }
        Ok(())
    }

    /// Virtual time since the beginning, in microseconds.
    pub fn now(&self) -> u64 {
        self.world.now
    }

    /// Lets so much time pass.
    ///
    /// # Errors
    /// What was found meanwhile.
    pub fn pass(&mut self, microseconds: u64) -> Result<(), Finding> {
        let end = self.world.now.saturating_add(microseconds);
        // Something happens then.
        self.world.after(microseconds, Event::Look);
        self.until(u64::MAX, "", |world| world.now >= end)
    }

    /// Waits until the group has all its members.
    ///
    /// # Errors
    /// Why it has not.
    pub fn grow(&mut self) -> Result<(), Finding> {
        self.until(GROWTH, "the group has all its members", |world| {
            world.full()
        })?;
        self.world.begin();
        Ok(())
    }

    /// Waits until all faults are over, no upgrade runs, all members serve, and all have applied
    /// the same; then lets all that happened be judged.
    ///
    /// # Errors
    /// What does not come to rest, or was found.
    pub fn rest(&mut self) -> Result<(), Finding> {
        self.until(u64::MAX, "", |world| world.now >= world.trouble_until)?;
        // The checker of upgrades knows how long one may take.
        self.until(u64::MAX, "", |world| {
            world.requested.asked == world.requested.ended
        })?;
        self.until(PEACE, "all members serve", |world| world.full())?;
        self.until(PEACE, "all have applied the same", same)?;
        let world = &mut self.world;
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| judge(world))) {
            self.world.checkers.fail(panicked(panic.as_ref()));
        }
        self.found()
    }

    // Clients.

    /// A client of its own, by its number.
    pub fn client(&mut self) -> usize {
        self.world.add_guest()
    }

    /// A client asks: the ticket of its answer.
    pub fn ask(&mut self, client: usize, asked: Asked) -> u64 {
        self.world.guest_asks(client, asked)
    }

    /// A client's session has no users any more.
    pub fn forget(&mut self, client: usize, session: SessionKey) {
        self.world.guest_forgets(client, session);
    }

    /// What a client was answered since the last time, by ticket.
    pub fn answers(&mut self, client: usize) -> Vec<(u64, Result<Answer, CallError>)> {
        std::mem::take(&mut self.world.customers[client].answers)
    }

    // The group.

    /// The members by seniority.
    pub fn members(&self) -> Vec<MemberId> {
        let state = self.world.state();
        let members = state.map(|(_, membership)| &membership.view.members);
        members.into_iter().flatten().map(|m| m.id).collect()
    }

    /// The leader of record, if there is one now that lives.
    pub fn leader(&self) -> Option<MemberId> {
        let leader = self.world.state()?.1.leader?;
        self.world.process_of_member(leader).map(|_| leader)
    }

    /// The version whose behaviour the group shows.
    pub fn effective(&self) -> Option<&Version> {
        Some(&self.world.state()?.0.effective().version)
    }

    /// The furthest state that any member holds, in a format that it can write.
    pub fn state(&self, format: u32) -> Option<Vec<u8>> {
        self.world.furthest_state(format)
    }

    /// A fault hits a member, or its host.
    ///
    /// # Errors
    /// The group could not bear it, or there is no such member.
    pub fn strike(&mut self, member: MemberId, fault: Fault) -> Result<(), Unbearable> {
        self.world.strike_member(member, fault)
    }

    /// For so many microseconds nothing passes between the hosts of these members and all others;
    /// clients are with the others.
    ///
    /// # Errors
    /// There is no such member.
    pub fn separate(&mut self, members: &[MemberId], microseconds: u64) -> Result<(), Unbearable> {
        let until = self.world.now + microseconds;
        self.world.separate(members, until)
    }

    /// Whether an upgrade runs.
    pub fn upgrades(&self) -> bool {
        self.world.requested.asked > self.world.requested.ended
    }

    /// Whether any upgrade was asked for.
    pub fn was_upgraded(&self) -> bool {
        self.world.requested.asked > 0
    }

    /// The operator asks for another edition, which all hosts have from now on: the number of this
    /// upgrade. No other may run.
    pub fn upgrade(&mut self, edition: Edition) -> usize {
        assert!(!self.upgrades(), "one upgrade at a time");
        self.world.upgrade_to(edition)
    }

    /// How an upgrade ended, once it has: `done`, or why not.
    pub fn upgrade_ended(&self, number: usize) -> Option<&str> {
        let ends = &self.world.checkers.upgrade.ends;
        ends.get(number).map(String::as_str)
    }

    /// What happened, for people.
    pub fn lines(&self) -> &[Line] {
        self.world.trace.written()
    }

    /// The digest of everything that happened: the same for whoever asked the same.
    pub fn digest(&self) -> u64 {
        self.world.trace.digest()
    }
}
