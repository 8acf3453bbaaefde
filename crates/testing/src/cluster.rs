//! The cluster: a group of a service's replicas, and all that a test can do to it.

use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use remex::{OwnedCall, Service, Version, blocking};
use simulator::{Edition, Fault, Finding, Simulation, Unbearable};
use wire::MemberId;

use crate::desks::{Desks, Inner, opened};
use crate::deterministic::check_calls;
use crate::difference::Difference;

/// Members, unless a test says otherwise.
const MEMBERS: u32 = 3;
/// Lines of the transcript that a failure ends with.
const LAST_LINES: usize = 25;
/// How long the group may be without a leader that is asked for, in virtual microseconds.
const LEADERLESS_MAX: u64 = 30_000_000;

/// What a cluster will be.
#[derive(Clone, Debug)]
pub struct Settings {
    edition: Edition,
    service: String,
    seed: u64,
    members: u32,
    again: fn(&[OwnedCall]) -> Result<(), Difference>,
}

impl Settings {
    /// How many members the group has; three if nothing is said.
    #[must_use]
    pub fn members(mut self, members: u32) -> Settings {
        assert!(members > 0, "a group has members");
        self.members = members;
        self
    }

    /// Starts the group, and waits until all its members serve.
    ///
    /// # Panics
    /// If they do not come to serve: the failure says why.
    #[track_caller]
    pub fn start(self) -> TestCluster {
        let simulation = Simulation::new(self.edition.clone(), self.members, self.seed);
        let (service, seed, again) = (self.service, self.seed, self.again);
        let name = self.edition.program.description.service.clone();
        let tell =
            move |inner: &Inner, finding: &Finding| failure(&service, seed, inner, finding, again);
        let desks = Arc::new(Desks::new(simulation, Box::new(tell)));
        let mut inner = desks.lock();
        let grown = inner.simulation.grow();
        inner.sound(grown);
        drop(inner);
        TestCluster {
            desks,
            name,
            upgrade: None,
        }
    }
}

/// A group of replicas of one service, on hosts with daemons and a network, all in this thread and
/// from one seed. The same test with the same seed is the same run.
///
/// Virtual time passes only while a call waits for its reply, or a method of the cluster for what
/// it says. Checkers look at all that happens, and a test fails as soon as one of them finds
/// something, with the seed and the last of what happened. When the cluster is dropped it
/// [settles](TestCluster::settle) first, so that no test ends unjudged.
pub struct TestCluster {
    desks: Arc<Desks>,
    /// The service's name.
    name: String,
    /// The upgrade that was begun and not waited for.
    upgrade: Option<(usize, String)>,
}

/// Why a group was not upgraded. It serves on as it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the group was not upgraded to {to}: {why}")]
pub struct NotUpgraded {
    /// The service and version that it was to become.
    pub to: String,
    /// The group's own words.
    pub why: String,
}

impl std::fmt::Debug for TestCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TestCluster")
            .field("simulation", &self.desks.lock().simulation)
            .finish_non_exhaustive()
    }
}

impl TestCluster {
    /// A cluster of a service. All chance in it comes from the seed.
    pub fn of<S: Service>(seed: u64) -> Settings {
        Settings {
            edition: Edition::of::<S>(),
            service: format!("{} {}", S::NAME, S::VERSION),
            seed,
            members: MEMBERS,
            again: check_calls::<S>,
        }
    }

    // Clients.

    /// A session of a new client, for the typed client that blocks:
    /// `StoreBlockingClient::new(cluster.session())`. Each call returns when its reply has come, and
    /// as much virtual time has passed. Not for use within an async runtime, as with any blocking
    /// client.
    ///
    /// # Panics
    /// If no session can be opened: clients are cut off from a majority.
    #[track_caller]
    pub fn session(&self) -> blocking::Session {
        let client = blocking::Client::from(self.desks.client());
        opened(client.session())
    }

    /// A session of a new client, for the async typed client, whose calls may overlap:
    /// [`run`](TestCluster::run) drives them.
    ///
    /// # Panics
    /// If no session can be opened: clients are cut off from a majority.
    #[track_caller]
    pub fn async_session(&self) -> remex::Session {
        let client = self.desks.client();
        opened(self.run(client.session()))
    }

    /// Runs a future to its end. It may wait for what async clients ask of this cluster, and for
    /// nothing else.
    ///
    /// # Panics
    /// If it waits for something else.
    #[track_caller]
    pub fn run<F: Future>(&self, future: F) -> F::Output {
        let mut future = pin!(future);
        let mut context = Context::from_waker(Waker::noop());
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return output;
            }
            let mut inner = self.desks.lock();
            inner.take_errands();
            assert!(
                inner.is_asked(),
                "the future waits for something that is no reply of this cluster"
            );
            inner.step();
        }
    }

    // Trouble.

    /// The members by seniority.
    pub fn members(&self) -> Vec<MemberId> {
        self.desks.lock().simulation.members()
    }

    /// The member that leads; waits until there is one.
    ///
    /// # Panics
    /// If there is none for 30 virtual seconds.
    #[track_caller]
    pub fn leader(&self) -> MemberId {
        let mut inner = self.desks.lock();
        let until = inner.simulation.now() + LEADERLESS_MAX;
        loop {
            if let Some(leader) = inner.simulation.leader() {
                return leader;
            }
            assert!(
                inner.simulation.now() < until,
                "nobody leads the group: was a majority of it cut off for long?"
            );
            inner.step();
        }
    }

    /// The member's process ends, and its daemon sees it. The group replaces the member.
    ///
    /// # Panics
    /// If no majority would remain, or there is no such member.
    #[track_caller]
    pub fn crash(&self, member: MemberId) {
        bearable(self.strike(member, Fault::Crash));
    }

    /// The member does nothing for so long, and nobody is told.
    ///
    /// # Panics
    /// If there is no such member.
    #[track_caller]
    pub fn pause(&self, member: MemberId, time: Duration) {
        bearable(self.strike(member, Fault::Pause(milliseconds(time))));
    }

    /// Nothing passes between the hosts of these members and the others for so long. Clients are
    /// with the others.
    ///
    /// # Panics
    /// If there is no such member.
    #[track_caller]
    pub fn partition(&self, members: &[MemberId], time: Duration) {
        let mut inner = self.desks.lock();
        bearable(inner.simulation.separate(members, microseconds(time)));
    }

    /// Any fault that the simulator knows hits the member, or its host.
    ///
    /// # Errors
    /// No majority would remain, or there is no such member. Nothing has happened.
    pub fn strike(&self, member: MemberId, fault: Fault) -> Result<(), Unbearable> {
        self.desks.lock().simulation.strike(member, fault)
    }

    // Upgrades.

    /// Upgrades the group to another version of its service, and waits for the end.
    ///
    /// # Errors
    /// Why it was refused, or ended without success.
    ///
    /// # Panics
    /// If that is another service, or an upgrade runs already.
    #[track_caller]
    pub fn upgrade<S: Service>(&mut self) -> Result<(), NotUpgraded> {
        self.begin_upgrade::<S>();
        self.finish_upgrade()
    }

    /// Asks for an upgrade and does not wait: it goes on while calls and the like let time pass.
    ///
    /// # Panics
    /// If that is another service, or an upgrade runs already.
    #[track_caller]
    pub fn begin_upgrade<S: Service>(&mut self) {
        assert_eq!(S::NAME, self.name, "an upgrade is to the same service");
        let mut inner = self.desks.lock();
        assert!(
            !inner.simulation.upgrades(),
            "an upgrade runs; finish it first"
        );
        let number = inner.simulation.upgrade(Edition::of::<S>());
        self.upgrade = Some((number, format!("{} {}", S::NAME, S::VERSION)));
    }

    /// Waits for the end of the upgrade that was begun last.
    ///
    /// # Errors
    /// Why it was refused, or ended without success.
    ///
    /// # Panics
    /// If none was begun.
    #[track_caller]
    pub fn finish_upgrade(&mut self) -> Result<(), NotUpgraded> {
        let Some((number, to)) = self.upgrade.take() else {
            panic!("no upgrade was begun");
        };
        let mut inner = self.desks.lock();
        loop {
            match inner.simulation.upgrade_ended(number) {
                Some("done") => return Ok(()),
                Some(why) => {
                    let why = why.to_owned();
                    return Err(NotUpgraded { to, why });
                }
                None => inner.step(),
            }
        }
    }

    /// The version whose behaviour the group shows.
    pub fn effective(&self) -> Version {
        let inner = self.desks.lock();
        let effective = inner.simulation.effective().cloned();
        effective.expect("a group whose growth was waited for has members")
    }

    // Time and state.

    /// Lets so much virtual time pass.
    ///
    /// # Panics
    /// If something is found meanwhile.
    #[track_caller]
    pub fn pass(&self, time: Duration) {
        let mut inner = self.desks.lock();
        let passed = inner.simulation.pass(microseconds(time));
        inner.sound(passed);
    }

    /// Waits until all trouble is over: faults have ended, the upgrade too if one runs, all members
    /// serve and have applied the same. Then everything that has happened so far is judged: each
    /// request was executed once, each reply is that of one history, and each member has the state
    /// of that history.
    ///
    /// # Panics
    /// If the group does not come to rest within 30 virtual seconds, or something does not hold.
    #[track_caller]
    pub fn settle(&self) {
        let mut inner = self.desks.lock();
        inner.take_errands();
        let rested = inner.simulation.rest();
        inner.sound(rested);
    }

    /// The furthest state of the group, as a value of the service's type.
    ///
    /// # Panics
    /// If no member has a state that this version writes.
    #[track_caller]
    pub fn state<S: Service>(&self) -> S {
        let inner = self.desks.lock();
        let state = inner.simulation.state(S::STATE_FORMAT);
        let Some(state) = state else {
            panic!("no member has a state of format {}", S::STATE_FORMAT);
        };
        match S::import(S::STATE_FORMAT, &mut &state[..]) {
            Ok(service) => service,
            Err(error) => panic!("the state is none of {} {}: {error}", S::NAME, S::VERSION),
        }
    }

    /// Everything that has happened, in columns: milliseconds, host, process and member, what.
    pub fn transcript(&self) -> String {
        let inner = self.desks.lock();
        let lines = inner.simulation.lines().iter();
        lines.map(|line| format!("{line}\n")).collect()
    }

    /// The digest of everything that has happened: the same for the same test with the same seed.
    pub fn digest(&self) -> u64 {
        self.desks.lock().simulation.digest()
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        let told = self.desks.lock().tell.is_none();
        if !told && !std::thread::panicking() {
            self.settle();
        }
    }
}

#[track_caller]
fn bearable(result: Result<(), Unbearable>) {
    if let Err(why) = result {
        panic!("{why}");
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// What a test says when it fails.
fn failure(
    service: &str,
    seed: u64,
    inner: &Inner,
    finding: &Finding,
    again: fn(&[OwnedCall]) -> Result<(), Difference>,
) -> String {
    let lines = inner.simulation.lines();
    let last = lines.get(lines.len().saturating_sub(LAST_LINES)..);
    let last: Vec<String> = last
        .iter()
        .flat_map(|l| l.iter())
        .map(|l| format!("  {l}"))
        .collect();
    let mut told = format!(
        "a cluster of {service} failed; the same test with seed {seed} fails again\n{finding}\n"
    );
    // Members that disagree have a service that does not do the same twice, more often than not.
    if matches!(finding.checker, "replies" | "transfer") {
        if let Err(difference) = again(&inner.calls) {
            told = format!("{told}the same calls without any group: {difference}\n");
        } else if inner.simulation.was_upgraded() {
            told = format!(
                "{told}an upgrade was asked for: testing::assert_mapping with the same calls says \
                 where the versions part\n"
            );
        }
    }
    format!("{told}the last of what happened:\n{}", last.join("\n"))
}
