//! Faults: when they come, whom they hit, what they do.

use group::Stays;
use replica::Replica;
use wire::MemberId;

use super::look::Target;
use super::{Event, World, host_name, place_of_daemon, place_of_host};
use crate::network::{Party, Weather};
use crate::plan::{Fault, Phase, Role, Strike, When};

/// How long a crashed daemon takes to be started again.
const DAEMON_RESTART: u64 = 500_000;
/// How wrong a wrong clock is, in milliseconds and parts per million.
const WRONG_MS: i64 = 3_600_000;
const DRIFT_PPM: i64 = 20_000;
/// Half a period of a flapping link.
const FLAP: u64 = 60_000;

impl World<'_> {
    /// The plan begins now.
    pub(crate) fn begin(&mut self) {
        self.began = self.now;
        self.requested.since = self.now;
        for (number, strike) in self.plan.strikes.iter().enumerate() {
            match strike.when {
                When::At(ms) => self.queue.push(self.now + ms * 1000, Event::Strike(number)),
                When::On(_) => {}
            }
            self.pending.push(number);
        }
        self.note_of("", "plan", "begins: the group is full".to_owned());
        self.news = true;
    }

    /// Faults that wait for a phase come when it is there.
    pub(crate) fn look(&mut self) {
        let waits = |number: &usize| matches!(self.plan.strikes[*number].when, When::On(_));
        if !self.pending.iter().any(waits) {
            return;
        }
        let phase = self.phase();
        let due: Vec<usize> = self
            .pending
            .iter()
            .copied()
            .filter(|&number| self.plan.strikes[number].when == When::On(phase))
            .filter(|&number| {
                let strike = self.plan.strikes[number];
                let target = self.who(strike.role);
                target.is_some_and(|target| self.bearable(strike, target))
            })
            .collect();
        if let Some(&number) = due.first() {
            self.strike(number, phase);
        }
    }

    pub(super) fn strike_due(&mut self, number: usize) {
        let phase = self.phase();
        self.strike(number, phase);
    }

    fn strike(&mut self, number: usize, phase: Phase) {
        self.pending.retain(|&pending| pending != number);
        let strike = self.plan.strikes[number];
        let Some(target) = self.who(strike.role) else {
            return;
        };
        if !self.bearable(strike, target) {
            let what = format!("{strike}: left out, a majority must remain");
            return self.note_of("", "fault", what);
        }
        self.table.count(strike.fault, strike.role, phase);
        if self.requested.asked > self.requested.ended {
            self.table.during_upgrade += 1;
        }
        self.hit(strike, target, phase);
    }

    pub(super) fn hit(&mut self, strike: Strike, target: Target, phase: Phase) {
        let who = match target {
            Target::Process(process) => format!("p{}", super::pid(process)),
            Target::Daemon(host) => format!("the daemon of {}", host_name(host)),
        };
        self.note_of(
            "",
            "fault",
            format!("{} {} ({who}), in {phase}", strike.fault, strike.role),
        );
        self.stir();
        let until = self.now + strike.fault.lasts_ms() * 1000;
        self.trouble_until = self.trouble_until.max(until).max(self.now);
        match target {
            Target::Process(process) => self.strike_process(process, strike.fault, until),
            Target::Daemon(host) => self.strike_daemon(host, strike.fault, until),
        }
    }

    fn strike_process(&mut self, process: usize, fault: Fault, until: u64) {
        let host = self.processes[process].host;
        match fault {
            Fault::Crash => self.dies(process, "signal: 9"),
            Fault::PowerOff => self.power_off(host),
            Fault::Pause(_) => self.processes[process].paused_until = until,
            Fault::Slow(_) => self.processes[process].slow_until = until,
            Fault::Isolate(_) => self.isolate(host, until, true, true),
            Fault::Deafen(_) => self.isolate(host, until, true, false),
            Fault::Mute(_) => self.isolate(host, until, false, true),
            Fault::Flap(_) => self.flap(host, until),
            Fault::SlowDisk(_) => self.hosts[host].disk_slow_until = until,
            Fault::WrongClock => self.wrong_clock(host),
            Fault::Forget => self.forget(process),
            Fault::Cut => {
                for connection in self.network.open_of(Party::Process(process)) {
                    self.break_off(connection);
                }
            }
            Fault::Weather(_) => self.weather(place_of_host(host), until),
        }
    }

    fn strike_daemon(&mut self, host: usize, fault: Fault, until: u64) {
        let place = place_of_daemon(host);
        match fault {
            Fault::Crash => {
                self.daemon_dies(host);
                self.after(DAEMON_RESTART, Event::DaemonStarts(host));
                self.trouble_until = self.trouble_until.max(self.now + DAEMON_RESTART);
            }
            Fault::PowerOff => self.power_off(host),
            Fault::Pause(_) | Fault::Slow(_) => self.hosts[host].daemon_paused_until = until,
            Fault::Isolate(_) | Fault::Flap(_) => self.cut_off(place, until, true, true),
            Fault::Deafen(_) => self.cut_off(place, until, true, false),
            Fault::Mute(_) => self.cut_off(place, until, false, true),
            Fault::SlowDisk(_) => self.hosts[host].disk_slow_until = until,
            Fault::WrongClock => self.wrong_clock(host),
            Fault::Forget => {
                self.daemon_dies(host);
                self.after(1, Event::DaemonStarts(host));
            }
            Fault::Cut => {
                let party = Party::Daemon(host, self.hosts[host].life);
                for connection in self.network.open_of(party) {
                    self.break_off(connection);
                }
            }
            Fault::Weather(_) => self.weather(place, until),
        }
    }

    fn forget(&mut self, process: usize) {
        let Some(member) = self.processes[process].member_mut() else {
            return;
        };
        if let Err(error) = member.replica.renew_layers(Vec::new()) {
            return self
                .checkers
                .fail(format!("the stack is none any more: {error}"));
        }
        self.wake(process, self.now + 1);
    }

    pub(super) fn places(&self) -> usize {
        2 * self.hosts.len() + self.customers.len()
    }

    /// Nothing passes between the host and others; within the host everything does.
    fn isolate(&mut self, host: usize, until: u64, inwards: bool, outwards: bool) {
        self.cut_off(place_of_host(host), until, inwards, outwards);
        self.cut_off(place_of_daemon(host), until, inwards, outwards);
    }

    fn cut_off(&mut self, place: usize, until: u64, inwards: bool, outwards: bool) {
        for other in 0..self.places() {
            if other / 2 == place / 2 && other < 2 * self.hosts.len() {
                continue;
            }
            if inwards {
                self.network.block(other, place, until);
            }
            if outwards {
                self.network.block(place, other, until);
            }
        }
    }

    pub(super) fn flap(&mut self, host: usize, until: u64) {
        if self.now >= until {
            return;
        }
        self.isolate(host, self.now + FLAP, true, true);
        self.after(2 * FLAP, Event::Flap(host, until));
    }

    fn wrong_clock(&mut self, host: usize) {
        let sign = if self.random.chance(500) { 1 } else { -1 };
        let now = self.now;
        self.hosts[host]
            .clock
            .go_wrong(now, sign * WRONG_MS, -sign * DRIFT_PPM);
    }

    fn weather(&mut self, place: usize, until: u64) {
        // What is overtaken matters to those that ask meanwhile.
        self.stirred_until = self.stirred_until.max(until);
        let weather = Weather {
            late: 100,
            lost: 5,
            doubled: 30,
            overtaken: 30,
            until,
        };
        self.network.set_weather(place, weather);
    }

    /// A crash must leave a majority of voters that live, in both halves of a joint change, or
    /// survivors that may go on without one; unless the plan says that everything may be lost. A
    /// host must remain to start replacements on.
    pub(super) fn bearable(&self, strike: Strike, target: Target) -> bool {
        let loses_host = strike.fault == Fault::PowerOff;
        if !loses_host && strike.fault != Fault::Crash {
            return true;
        }
        let hosts_left = self.hosts.iter().filter(|host| !host.off).count();
        if loses_host && hosts_left <= self.plan.members as usize {
            return false;
        }
        if strike.role == Role::Daemon && !loses_host {
            return true;
        }
        if self.plan.reckless {
            return true;
        }
        let gone = |process: usize| match target {
            Target::Process(target) if !loses_host => process == target,
            Target::Process(target) => self.processes[process].host == self.processes[target].host,
            Target::Daemon(host) => self.processes[process].host == host,
        };
        let remains = |member| {
            (0..self.processes.len()).any(|process| {
                self.processes[process].replica().map(replica::Replica::me) == Some(member)
                    && !gone(process)
            })
        };
        let left = || {
            (0..self.processes.len())
                .filter(|&process| !gone(process))
                .filter_map(|process| self.processes[process].replica())
        };
        // A change that only the dying leader knows to be committed helps nobody.
        let bears = |replica: &Replica| replica.membership().configuration.majority(remains);
        // Of a group of one nobody is left to have an opinion.
        let somebody = left().next().is_some();
        let majority = somebody && left().all(bears);
        majority || (!loses_host && self.survives(left().collect(), &remains))
    }

    /// Whether those that would be left may go on as survivors: all others are certainly dead then.
    fn survives(&self, left: Vec<&Replica>, remains: &impl Fn(MemberId) -> bool) -> bool {
        let mut voters = left.into_iter().filter(|replica| {
            let configuration = &replica.membership().configuration;
            configuration.votes(replica.me())
        });
        let may = |replica: &Replica| {
            let given = 1..replica.membership().next_member;
            let dead = given
                .filter_map(MemberId::new)
                .filter(|&member| !remains(member) && !self.lost.contains(&member))
                .collect();
            match replica.group().survival_without(&dead) {
                Ok(others) => others.iter().all(|&other| remains(other)),
                Err(Stays::Majority) => replica.membership().configuration.majority(remains),
                Err(Stays::NoVote | Stays::Unknown | Stays::Lost { .. }) => false,
            }
        };
        let first = voters.next().is_some_and(may);
        first && voters.all(may)
    }
}
