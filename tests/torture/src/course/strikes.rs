//! When somebody is hit, and whether the group has recovered from it.

use std::time::{Duration, Instant};

use wire::MemberId;
use wire::status::GroupStatus;

use super::{Running, Stop};
use crate::strike::{Act, Role, Strike, stop_ms, whole};

/// How long a strike waits until somebody plays its role: upgrades come every other second.
const ROLE_PATIENCE: Duration = Duration::from_secs(5);
/// Between the recovery from a strike and the next one, in milliseconds.
const BETWEEN_MS: (u64, u64) = (0, 1_500);
/// How long a dead daemon is away, in milliseconds.
const AWAY_MS: (u64, u64) = (50, 4_000);
/// A strike from which the group has not recovered.
#[derive(Debug)]
pub(super) struct Hit {
    strike: Strike,
    /// Who was hit; no member if it was a joiner that was not one yet, or a daemon.
    member: Option<MemberId>,
    process: u32,
    at: Instant,
}

impl Running<'_> {
    /// Strikes, if it is time, somebody plays the role, and the group can bear it.
    pub(super) fn strike_if_due(&mut self, status: &GroupStatus) -> Result<(), Stop> {
        if self.hit.is_some() || Instant::now() < self.next_at {
            return Ok(());
        }
        let (strike, since) = match self.wanted {
            Some((strike, since)) if since.elapsed() < ROLE_PATIENCE => (strike, since),
            Some(_) | None => {
                let came = &self.seen.strikes;
                let came = |of: Strike| came.get(&of).map_or(0, |came| came.count);
                // One daemon at a time.
                let misses = self.world.misses_a_daemon();
                let may = |of: Strike| !(misses && of.hits_daemon());
                let strike = Strike::choose(&mut self.random, may, came);
                (strike, Instant::now())
            }
        };
        self.wanted = Some((strike, since));
        let struck = if strike.hits_replica() {
            self.strike_replica(strike, status)?
        } else {
            self.strike_daemon(strike)
        };
        if struck {
            self.wanted = None;
            self.seen.strikes.entry(strike).or_default().count += 1;
        }
        Ok(())
    }

    fn strike_replica(&mut self, strike: Strike, status: &GroupStatus) -> Result<bool, Stop> {
        let random = &mut self.random;
        let Some(victim) = strike.player(random, status).filter(|_| whole(status)) else {
            return Ok(false);
        };
        let Some(process) = self.world.process(victim) else {
            return Ok(false);
        };
        // A joiner has no vote yet; it is gone by the time that all members were asked.
        let bearable = strike.role == Role::Joiner || self.world.agree(status);
        if self.world.stands_still(process) || !bearable {
            return Ok(false);
        }
        let who = format!(
            "{} ({}) on {}, process {process}",
            victim.member, victim.binary.version, victim.host
        );
        let (struck, how) = match strike.act {
            Act::Stop => {
                let lasts = stop_ms(random);
                let lasts = Duration::from_millis(lasts);
                (
                    self.world.stop(process, &who, lasts),
                    format!(" for {lasts:?}"),
                )
            }
            Act::Kill => {
                let mut how = String::new();
                // The daemon first: it must not tell of the death.
                if strike.role == Role::Host {
                    let away = Duration::from_millis(random.range(AWAY_MS.0, AWAY_MS.1));
                    self.world.kill_daemon(&victim.host, away);
                    how = format!(", the daemon for {away:?}");
                }
                (self.world.kill(process), how)
            }
        };
        if struck {
            self.say(&format!("{strike}: {who}{how}"));
            self.hit = Some(Hit {
                strike,
                member: Some(victim.member),
                process,
                at: Instant::now(),
            });
        }
        Ok(struck)
    }

    fn strike_daemon(&mut self, strike: Strike) -> bool {
        let hosts = self.world.hosts();
        let Some(host) = self.random.pick(&hosts).cloned() else {
            return false;
        };
        let Some(process) = self.world.daemon(&host) else {
            return false;
        };
        let lasts = match strike.act {
            Act::Kill => Duration::from_millis(self.random.range(AWAY_MS.0, AWAY_MS.1)),
            Act::Stop => Duration::from_millis(stop_ms(&mut self.random)),
        };
        let who = format!("the daemon of {host}, process {process}");
        let struck = match strike.act {
            Act::Kill => self.world.kill_daemon(&host, lasts),
            Act::Stop => self.world.stop(process, &who, lasts),
        };
        if struck {
            self.say(&format!("{strike}: {who} for {lasts:?}"));
            self.pause();
        }
        struck
    }

    /// Whether the group has recovered from the last strike.
    pub(super) fn recovered(&mut self, status: &GroupStatus) -> Result<(), Stop> {
        let Some(hit) = &self.hit else { return Ok(()) };
        let names = |id: MemberId| {
            let mut all = status.members.iter().chain(&status.joiners);
            all.any(|member| member.member == id)
        };
        let over = match hit.strike.act {
            Act::Kill => true,
            // Either it woke up in time, or the group goes on without it.
            Act::Stop => !self.world.stands_still(hit.process),
        };
        let named = hit.member.is_some_and(names);
        let there = hit.strike.act == Act::Stop && over;
        if !whole(status) || (named && !there) {
            let (strike, at) = (hit.strike, hit.at);
            return self.patient(at, || {
                format!("after \"{strike}\" the group is not whole: {status:?}")
            });
        }
        let took = hit.at.elapsed();
        let strike = hit.strike;
        self.hit = None;
        self.say(&format!("whole again after {took:.1?}"));
        let came = self.seen.strikes.entry(strike).or_default();
        came.longest_s = came.longest_s.max(took.as_secs_f64());
        self.pause();
        Ok(())
    }

    fn pause(&mut self) {
        let pause = self.random.range(BETWEEN_MS.0, BETWEEN_MS.1);
        self.next_at = Instant::now() + Duration::from_millis(pause);
    }
}
