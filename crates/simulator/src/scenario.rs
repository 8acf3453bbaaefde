//! A scenario: a group that grows, serves, is upgraded, and suffers; then peace, and judgement.

use replica::Replica;
use replica::ordered::UpgradeState;

use crate::node::Life;
use crate::world::{Event, World, binary};

/// What a run is made of.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Where all chance comes from.
    pub seed: u64,
    /// Members that the group wants.
    pub members: u32,
    /// Clients.
    pub clients: usize,
    /// How long faults come, in virtual milliseconds.
    pub trouble_ms: u64,
    /// Whether anything goes wrong at all.
    pub faults: bool,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Report {
    /// Requests that clients had answered.
    pub answered: u64,
    /// Replies that showed the new behaviour.
    pub answered_by_new: u64,
    /// Processes that crashed or fell silent.
    pub crashes: u64,
    /// Views that were installed.
    pub views: usize,
    /// Virtual milliseconds in all.
    pub ended_ms: u64,
    /// How the upgrade ended: `done` or why not.
    pub upgrade: String,
}

/// How long the group may take to come to rest after the last fault, in virtual microseconds.
const PEACE: u64 = 60_000_000;

/// Runs a scenario.
///
/// # Errors
/// The first thing that does not fit one history, or that never came to an end, with the last
/// steps before it.
pub fn run(scenario: &Scenario) -> Result<Report, String> {
    let mut world = World::new(scenario.seed, 4, scenario.members);
    for _ in 0..scenario.clients {
        world.add_client();
    }
    let mut run = Run {
        scenario,
        crashes: 0,
        upgrade_at: 0,
        faults_end: 0,
    };
    match run.run(&mut world) {
        Ok(()) => Ok(run.report(&world)),
        Err(fault) => {
            let notes: Vec<String> = world.notes.iter().rev().take(400).cloned().collect();
            let notes: Vec<String> = notes.into_iter().rev().collect();
            Err(format!(
                "seed {}: {fault}\n{}",
                scenario.seed,
                notes.join("\n")
            ))
        }
    }
}

struct Run<'a> {
    scenario: &'a Scenario,
    crashes: u64,
    upgrade_at: u64,
    faults_end: u64,
}

impl Run<'_> {
    fn run(&mut self, world: &mut World) -> Result<(), String> {
        self.until(
            world,
            10_000_000,
            "the group has all its members",
            |world| full(world, world_members(world)),
        )?;
        let start = world.now;
        self.faults_end = start + self.scenario.trouble_ms * 1000;
        self.upgrade_at = start + world.random.range(0, self.scenario.trouble_ms * 500);
        if self.scenario.faults {
            world.late_per_mille = 10;
            world.failed_starts_per_mille = 100;
            world.after(1, Event::Fault);
        }
        let end = self.faults_end;
        self.until(
            world,
            self.scenario.trouble_ms * 1000 + 1_000,
            "",
            move |world| world.now >= end,
        )?;
        world.late_per_mille = 0;
        world.failed_starts_per_mille = 0;
        let mut token = 100;
        let mut asked = 0;
        self.until(
            world,
            PEACE,
            "the upgrade ends and all members serve",
            move |world| {
                // An operator whose request was lost asks again.
                if requested(world).is_none() && world.now > asked + 500_000 {
                    asked = world.now;
                    token += 1;
                    ask(world, token);
                }
                ended(world).is_some() && full(world, world_members(world))
            },
        )?;
        world.load = false;
        self.until(world, PEACE, "every request is answered", |world| {
            world
                .clients
                .iter()
                .all(|client| client.asked == crate::client::Asked::Nothing)
        })?;
        let rest = world.now + 2_000_000;
        self.until(world, 3_000_000, "", move |world| world.now >= rest)?;
        world.judge_states();
        world
            .checker
            .fault()
            .map_or(Ok(()), |fault| Err(fault.to_owned()))
    }

    fn until(
        &mut self,
        world: &mut World,
        patience: u64,
        what: &str,
        mut reached: impl FnMut(&mut World) -> bool,
    ) -> Result<(), String> {
        let end = world.now + patience;
        let mut looked = 0;
        loop {
            if let Some(fault) = world.checker.fault() {
                return Err(fault.to_owned());
            }
            // Looking is dear, and nothing that is waited for passes within a millisecond.
            if world.now >= looked + 1_000 {
                looked = world.now;
                if reached(world) {
                    return Ok(());
                }
            }
            if world.now > end {
                if what.is_empty() {
                    return Ok(());
                }
                return Err(format!("not in time: {what}\n{}", describe(world)));
            }
            let Some(event) = world.step() else {
                return Err(format!("nothing moves any more, before {what}"));
            };
            if matches!(event, Event::Fault) {
                self.fault(world);
            }
            world.happen(event);
        }
    }

    fn fault(&mut self, world: &mut World) {
        if world.now >= self.faults_end {
            return;
        }
        if self.upgrade_at != 0 && world.now >= self.upgrade_at {
            self.upgrade_at = 0;
            ask(world, 1);
        }
        let live: Vec<usize> = live(world);
        let serving = world
            .nodes
            .iter()
            .filter_map(crate::node::Node::replica)
            .filter(|replica| replica.membership().view.serves(replica.me()))
            .count();
        match world.random.range(0, 10) {
            // Never so many that a majority is gone for ever: that is the survivors' story.
            0 | 1 if self.may_crash(world) => {
                if let Some(&node) = world.random.pick(&live) {
                    let reported = world.random.chance(700);
                    world.crash(node, reported);
                    self.crashes += 1;
                }
            }
            2 | 3 => {
                let links = world.open_peer_links();
                if let Some(&link) = world.random.pick(&links) {
                    world.break_connection(link, true);
                }
            }
            4 if serving > 1 => {
                if let Some(&node) = world.random.pick(&live) {
                    let pause = world.random.range(1_000, 1_500_000);
                    world.nodes[node].paused_until = world.now + pause;
                }
            }
            _ => {}
        }
        let next = world.random.range(20_000, 400_000);
        world.after(next, Event::Fault);
    }

    /// The next crash must leave a majority of voters that live and are not paused.
    fn may_crash(&self, world: &World) -> bool {
        let now = world.now;
        let Some(leader) = world
            .nodes
            .iter()
            .filter_map(crate::node::Node::replica)
            .max_by_key(|replica| replica.membership().view.position)
        else {
            return false;
        };
        let members = &leader.membership().view.members;
        let healthy = members.iter().filter(|member| {
            world.nodes.iter().any(|node| {
                node.address == member.address && !node.is_dead() && node.paused_until <= now
            })
        });
        let joint = leader.membership().configuration.joint();
        members.len() >= 3 && healthy.count() == members.len() && !joint
    }

    fn report(&self, world: &World) -> Report {
        Report {
            answered: world.clients.iter().map(|client| client.resolved).sum(),
            answered_by_new: world.checker.marked(),
            crashes: self.crashes,
            views: world.checker.views(),
            ended_ms: world.now / 1000,
            upgrade: ended(world).unwrap_or_default(),
        }
    }
}

fn live(world: &World) -> Vec<usize> {
    world
        .nodes
        .iter()
        .enumerate()
        .filter(|(_, node)| !node.is_dead() && node.paused_until <= world.now)
        .map(|(number, _)| number)
        .collect()
}

fn newest(world: &World) -> Option<&Replica> {
    world
        .nodes
        .iter()
        .filter_map(crate::node::Node::replica)
        .max_by_key(|replica| replica.status().position)
}

fn requested(world: &World) -> Option<()> {
    newest(world)?.ordered().upgrade().map(|_| ())
}

fn ended(world: &World) -> Option<String> {
    match &newest(world)?.ordered().upgrade()?.state {
        UpgradeState::Running => None,
        UpgradeState::Done => Some("done".to_owned()),
        UpgradeState::Failed { reason, .. } => Some(reason.clone()),
    }
}

fn ask(world: &mut World, token: u64) {
    let members: Vec<usize> = live(world)
        .into_iter()
        .filter(|&node| world.nodes[node].replica().is_some())
        .collect();
    if let Some(&node) = world.random.pick(&members) {
        world.upgrade(node, 2, token);
    }
}

fn world_members(world: &World) -> usize {
    newest(world).map_or(0, |replica| replica.ordered().seat_count() as usize)
}

/// All members serve, nobody joins or leaves, and everybody knows.
fn full(world: &World, members: usize) -> bool {
    let Some(newest) = newest(world) else {
        return false;
    };
    let membership = newest.membership();
    let settled = |replica: &Replica| {
        let view = &replica.membership().view;
        view.position == membership.view.position
            && view.serving().count() == members
            && view.leaving.is_none()
            && replica.membership().joiners.is_empty()
    };
    let present = world
        .nodes
        .iter()
        .filter(|node| matches!(node.life, Life::Member { .. }))
        .filter_map(crate::node::Node::replica);
    let mut count = 0;
    for replica in present {
        count += 1;
        if !settled(replica) {
            return false;
        }
    }
    count == members
}

fn describe(world: &World) -> String {
    let mut text = format!("target {}, at {}\n", binary(2), world.position());
    for (number, node) in world.nodes.iter().enumerate() {
        let what = match &node.life {
            Life::Dead => continue,
            Life::Joining { joining, .. } => format!("{joining:?}"),
            Life::Member { replica, jobs, .. } => {
                let status = replica.status();
                let members: Vec<String> = status
                    .members
                    .iter()
                    .chain(&status.joiners)
                    .map(|m| format!("{}:{}:{}", m.member, m.binary.version, m.doing))
                    .collect();
                format!(
                    "{} at {} jobs {} leader {:?} available {} [{}] waits {:?} upgrade {:?}",
                    replica.me(),
                    status.position,
                    jobs.len(),
                    status.leader,
                    status.available,
                    members.join(" "),
                    status.waits,
                    status.upgrade.map(|upgrade| upgrade.state),
                )
            }
        };
        text += &format!(
            "p{number} started {} paused {}: {what}\n",
            node.started, node.paused_until
        );
    }
    let waiting: Vec<u64> = world
        .clients
        .iter()
        .filter(|client| client.asked != crate::client::Asked::Nothing)
        .map(|client| client.number)
        .collect();
    text + &format!("clients that wait: {waiting:?}")
}
