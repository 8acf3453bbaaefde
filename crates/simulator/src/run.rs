//! One run: a group grows, serves, is upgraded and suffers as its plan says; then peace, and
//! judgement.

use std::any::Any;
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::checkers::Fault;
use crate::checkers::memory::Memory;
use crate::plan::Plan;
use crate::process::{Life, Process};
use crate::table::Table;
use crate::trace::Line;
use crate::world::{Event, Installation, World};

/// How long the group may take until all its members serve, in virtual microseconds.
pub(crate) const GROWTH: u64 = 20_000_000;
/// How long after the last fault everything may take to come to rest.
pub(crate) const PEACE: u64 = 30_000_000;
/// How long faults that wait for a phase wait after the last upgrade: it may never come.
const PATIENCE: u64 = 400_000;
/// How long clients go on at the end, so that what the faults left behind is used.
const AFTERMATH: u64 = 300_000;
/// How long a group waits that has lost more than it bears, before it is left alone; nobody may go on
/// meanwhile.
const WAITING: u64 = 2_000_000;
/// How often everything that only has to be looked at is looked at.
pub(crate) const GLANCE: u64 = 5_000;

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// Requests that clients had answered.
    pub answered: u64,
    /// Views that were installed.
    pub views: usize,
    /// How long the run was, in virtual microseconds.
    pub lasted_us: u64,
    /// The longest time without any reply, in virtual microseconds.
    pub longest_gap_us: u64,
    /// How long nobody had had a reply when the run ended, in virtual microseconds.
    pub silent_us: u64,
    /// Events that happened.
    pub events: u64,
    /// How the upgrades ended.
    pub upgrades: Vec<String>,
    /// How long each took, and how long it might have taken, in milliseconds.
    pub upgrades_ms: Vec<(u64, u64)>,
    /// How long the group took to come to rest after the last fault, in virtual microseconds.
    pub rest_us: u64,
    /// The faults that came.
    pub table: Table,
    /// The digest of everything that happened: the same for the same plan.
    pub digest: u64,
    /// The most that a log held.
    pub log_bytes: u64,
    /// How often the group went on with a survivor.
    pub survivals: usize,
    /// Why nothing was ordered any more, if more died than survivors may go on without.
    pub lost: Option<String>,
    /// What was found, if anything.
    pub fault: Option<Fault>,
    /// What happened, for people.
    pub lines: Vec<Line>,
}

/// Runs a plan.
pub fn run(installation: &Installation, plan: &Plan) -> Report {
    let mut world = World::new(Cow::Borrowed(installation), Cow::Borrowed(plan));
    let mut rest_us = 0;
    // A machine that panics is a finding like any other.
    let ran = catch_unwind(AssertUnwindSafe(|| {
        if through(&mut world, &mut rest_us).is_some() || world.ended.is_some() {
            rests(&mut world);
            judge(&mut world);
        }
    }));
    if let Err(panic) = ran {
        let panicked = Err(panicked(panic.as_ref()));
        world.checkers.says("assertion", panicked);
    }
    Report {
        answered: world.checkers.replies.answered,
        views: world.checkers.views.count(),
        lasted_us: world.now,
        longest_gap_us: world.checkers.replies.longest_gap,
        silent_us: world.now - world.checkers.replies.last_reply,
        events: world.trace.events,
        upgrades: world.checkers.upgrade.ends.clone(),
        upgrades_ms: world.checkers.upgrade.took_ms.clone(),
        rest_us,
        table: world.table.clone(),
        digest: world.trace.digest(),
        log_bytes: world.checkers.memory.log_bytes,
        survivals: world.checkers.incarnations.count(),
        lost: world.ended.clone(),
        fault: world.checkers.fault().cloned(),
        lines: world.trace.lines(),
    }
}

/// A panic as a finding.
pub(crate) fn panicked(panic: &(dyn Any + Send)) -> String {
    let what = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a word");
    format!("a machine panicked: {what}")
}

/// `None` as soon as a checker has found something.
fn through(world: &mut World<'_>, rest_us: &mut u64) -> Option<()> {
    until(world, GROWTH, "the group has all its members", |world| {
        world.full()
    })?;
    world.begin();
    // Upgrades follow each other; faults come when their time or their phase comes.
    until(world, u64::MAX, "the plan is through", |world| {
        world.wish_if_due();
        let requested = world.requested;
        if requested.asked > requested.ended {
            world.upgrade_watched();
            return false;
        }
        if let Some(next) = world.plan.upgrades.get(requested.asked) {
            if world.now >= requested.since + next.after_ms * 1000 {
                world.ask_upgrade(requested.asked);
            }
            return false;
        }
        let patience = requested.since.max(world.trouble_until) + PATIENCE;
        let (now, began) = (world.now, world.began);
        let strikes = &world.plan.strikes;
        world.pending.retain(|&number| match strikes[number].when {
            crate::plan::When::On(_) => now < patience,
            crate::plan::When::At(ms) => now <= began + ms * 1000,
        });
        world.pending.is_empty()
            && world.now >= world.trouble_until
            && world.wished.heard == world.plan.wishes.len()
    })?;
    let calm = world.now;
    until(world, PEACE, "all members serve", |world| world.full())?;
    *rest_us = world.now - calm;
    let going_on = world.now + AFTERMATH;
    until(world, u64::MAX, "", |world| world.now >= going_on)?;
    world.load = false;
    until(world, PEACE, "every request is answered", |world| {
        world.customers.iter().all(crate::client::Customer::rests)
    })?;
    until(world, PEACE, "all have applied the same", same)
}

pub(crate) fn same(world: &mut World<'_>) -> bool {
    let mut positions = world
        .processes
        .iter()
        .filter_map(Process::member)
        .map(|member| {
            let idle = member.jobs.is_empty();
            (idle, member.executor.position(), member.replica.delivered())
        });
    let Some((_, first, _)) = positions.next() else {
        return false;
    };
    let rest: Vec<_> = positions.collect();
    rest.iter()
        .all(|(idle, applied, delivered)| *idle && *applied == first && *delivered == first)
        && world.full()
}

fn until(
    world: &mut World<'_>,
    patience: u64,
    what: &str,
    mut reached: impl FnMut(&mut World<'_>) -> bool,
) -> Option<()> {
    let end = world.now.saturating_add(patience);
    let mut glance = 0;
    let mut lost_at = world.now + WAITING;
    loop {
        if world.checkers.fault().is_some() {
            return None;
        }
        if std::mem::take(&mut world.news) {
            world.look();
        }
        if world.now >= glance {
            glance = world.now + GLANCE;
            world.glance();
            if reached(world) {
                return Some(());
            }
            world.after(GLANCE, Event::Look);
        }
        if world.now >= lost_at {
            let why = world.lost();
            // It has waited all that time, and will for ever.
            if why.is_some() && world.waits.is_some() {
                world.ended = why;
                return None;
            }
            world.waits = why;
            lost_at = world.now + WAITING;
        }
        if world.now > end {
            let state = world.describe();
            world
                .checkers
                .says("availability", Err(format!("not in time: {what}\n{state}")));
            return None;
        }
        world.step();
    }
}

/// Nobody asks for anything any more, and all have applied the same.
fn rests(world: &mut World<'_>) {
    for member in world.processes.iter().filter_map(Process::member) {
        let opinion = Memory::rests(&member.replica);
        world.checkers.says("memory", opinion);
    }
}

pub(crate) fn judge(world: &mut World<'_>) {
    for process in &world.processes {
        if let Life::Member(member) = &process.life {
            world.checkers.sees_state(
                member.replica.me(),
                process.edition,
                member.executor.as_ref(),
                &world.installation,
            );
        }
    }
    world.checkers.judge(&world.installation);
}
