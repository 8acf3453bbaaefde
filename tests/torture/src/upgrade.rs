//! The upgrades: from one version to the other and back, one after the other.

use std::time::{Duration, Instant};

use installation::LineError;
use simulator::Random;
use wire::log::UpgradeRequest;
use wire::member::Binary;
use wire::status::GroupStatus;
use wire::{Position, Version};

use crate::strike::settled;
use crate::world::{World, versions};

/// How often a seat is tried: more often than strikes hit one upgrade.
const ATTEMPTS: u32 = 8;
/// How long a successor may take to appear.
const PATIENCE_MS: u64 = 4_000;
/// How long an upgrade may take: each seat as often, and as long, as it may.
const LASTS_MAX: Duration = Duration::from_millis(3 * ATTEMPTS as u64 * PATIENCE_MS + 60_000);
/// How long its request may go unanswered.
const ASKS_MAX: Duration = Duration::from_secs(60);
/// Between two upgrades, in milliseconds.
const BETWEEN_MS: (u64, u64) = (200, 3_000);

/// What the upgrades came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Done {
    /// To the newer version, and back to the older one.
    pub(crate) forth: u64,
    pub(crate) back: u64,
    /// Why the others were given up.
    pub(crate) failed: Vec<String>,
}

/// The upgrade that runs, or the time until the next.
#[derive(Debug)]
enum State {
    Rests {
        until: Instant,
    },
    Asks {
        request: UpgradeRequest,
        since: Instant,
    },
    Runs {
        upgrade: Position,
        target: Binary,
        since: Instant,
    },
}

/// The upgrades.
#[derive(Debug)]
pub(crate) struct Upgrades {
    state: State,
    random: Random,
    asked: u64,
    pub(crate) done: Done,
}

impl Upgrades {
    /// The first comes soon.
    pub(crate) fn new(seed: u64) -> Upgrades {
        Upgrades {
            state: State::Rests {
                until: Instant::now(),
            },
            random: Random::new(seed ^ 0x5eed),
            asked: 0,
            done: Done::default(),
        }
    }

    /// Whether none runs.
    pub(crate) fn rests(&self) -> bool {
        matches!(self.state, State::Rests { .. })
    }

    /// Goes on, beginning another one when it is time and it `may`; what happened.
    ///
    /// # Errors
    ///
    /// An upgrade does not end, or ends otherwise than the group says.
    pub(crate) fn go_on(
        &mut self,
        world: &mut World,
        status: &GroupStatus,
        may: bool,
    ) -> Result<Option<String>, String> {
        match &self.state {
            State::Rests { until } if may && *until <= Instant::now() => self.next(world, status),
            State::Rests { .. } => Ok(None),
            State::Asks { request, since } => {
                let (request, since) = (request.clone(), *since);
                self.ask(world, request, since)
            }
            State::Runs {
                upgrade,
                target,
                since,
            } => {
                let (upgrade, target, since) = (*upgrade, target.clone(), *since);
                self.look(status, upgrade, &target, since)
            }
        }
    }

    fn next(&mut self, world: &World, status: &GroupStatus) -> Result<Option<String>, String> {
        let mut others = versions()
            .into_iter()
            .filter(|version| *version != status.effective);
        let Some(target) = others.next().and_then(|version| world.binary(&version)) else {
            // No daemon answers at the moment.
            return Ok(None);
        };
        self.asked += 1;
        let request = UpgradeRequest {
            target,
            parallel: u32::try_from(self.random.range(1, 3)).unwrap_or(1),
            attempts: ATTEMPTS,
            patience_ms: PATIENCE_MS,
            token: self.asked,
        };
        self.state = State::Asks {
            request,
            since: Instant::now(),
        };
        Ok(None)
    }

    /// The same request may be repeated until somebody answers.
    fn ask(
        &mut self,
        world: &mut World,
        request: UpgradeRequest,
        since: Instant,
    ) -> Result<Option<String>, String> {
        let version = &request.target.version;
        match world.group().upgrade(&request) {
            Ok(upgrade) => {
                let news = format!("upgrade to {version}, {} at a time", request.parallel);
                let (target, since) = (request.target, Instant::now());
                self.state = State::Runs {
                    upgrade,
                    target,
                    since,
                };
                Ok(Some(news))
            }
            Err(why) if since.elapsed() > ASKS_MAX => {
                Err(format!("an upgrade to {version} is not taken: {why}"))
            }
            Err(
                LineError::Refused { .. }
                | LineError::Connection { .. }
                | LineError::Frame { .. }
                | LineError::Nobody { .. },
            ) => Ok(None),
        }
    }

    fn look(
        &mut self,
        status: &GroupStatus,
        upgrade: Position,
        target: &Binary,
        since: Instant,
    ) -> Result<Option<String>, String> {
        let version = &target.version;
        if since.elapsed() > LASTS_MAX {
            return Err(format!("the upgrade to {version} does not end: {status:?}"));
        }
        let said = status
            .upgrade
            .as_ref()
            .filter(|said| said.upgrade == upgrade);
        let Some(said) = said.filter(|said| said.state != "running") else {
            return Ok(None);
        };
        let took = since.elapsed().as_secs_f64();
        let news = if said.state == "done" {
            if !settled(status) {
                // The last old member may still be leaving, or somebody be replaced.
                return Ok(None);
            }
            runs(status, version)?;
            let forth = *version == versions()[1];
            self.done.forth += u64::from(forth);
            self.done.back += u64::from(!forth);
            format!("upgrade to {version} done in {took:.1} s")
        } else {
            let why = said
                .reason
                .clone()
                .unwrap_or_else(|| "no reason".to_owned());
            let news = format!("upgrade to {version} given up after {took:.1} s: {why}");
            self.done.failed.push(why);
            news
        };
        let pause = Duration::from_millis(self.random.range(BETWEEN_MS.0, BETWEEN_MS.1));
        self.state = State::Rests {
            until: Instant::now() + pause,
        };
        Ok(Some(news))
    }
}

/// Whether all members run this version, and behave so.
fn runs(status: &GroupStatus, version: &Version) -> Result<(), String> {
    let old = status.members.iter().any(|m| m.binary.version != *version);
    if old || status.effective != *version {
        return Err(format!(
            "the upgrade to {version} is done, and yet: {status:?}"
        ));
    }
    Ok(())
}
