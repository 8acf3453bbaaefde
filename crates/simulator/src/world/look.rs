//! Looking at the installation from outside: what phase the group is in, who has which role, what
//! changed. Nothing here changes anything but the checkers' and the trace's own records.

use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};

use group::{Membership, Stays};
use replica::Replica;
use replica::ordered::{self, NotYet, Ordered, Purpose, UpgradeState};
use wire::MemberId;

use super::{Requested, World};
use crate::checkers::incarnations::Seen;
use crate::plan::{Phase, Role};
use crate::process::{Life, Process};
use crate::trace::Digest;

/// Whom a fault hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Process(usize),
    Daemon(usize),
}

/// What changes only when the group's structure does.
fn fingerprint(ordered: &Ordered, membership: &Membership) -> u64 {
    let mut hasher = Digest::default();
    let view = &membership.view;
    (view.position, view.leaving, membership.leader).hash(&mut hasher);
    (membership.incarnation, membership.configuration.joint()).hash(&mut hasher);
    for member in &view.members {
        (
            member.id,
            member.standing == wire::member::Standing::Serving,
        )
            .hash(&mut hasher);
    }
    for joiner in &membership.joiners {
        let transfer = joiner.transfer.map(|transfer| transfer.position);
        (joiner.member.id, joiner.ready, transfer).hash(&mut hasher);
    }
    for (_, seat) in ordered.seats() {
        let current = seat
            .current()
            .map(|attempt| (attempt.number, attempt.joiner));
        (seat.attempts(), current).hash(&mut hasher);
    }
    if let Some(upgrade) = ordered.upgrade() {
        let state = std::mem::discriminant(&upgrade.state);
        (upgrade.id, upgrade.activated, upgrade.proven, state).hash(&mut hasher);
    }
    ordered.effective().hash(&mut hasher);
    hasher.finish()
}

fn seen(replica: &Replica) -> Seen {
    let membership = replica.membership();
    Seen {
        member: replica.me(),
        incarnation: membership.incarnation,
        view: membership.view.position,
        delivered: replica.delivered(),
        leads: replica.group().leads(),
    }
}

impl World<'_> {
    /// What a process's turn has changed in its ordered state is judged and written down.
    pub(super) fn look_at(&mut self, process: usize) {
        let now = self.now;
        let Life::Member(member) = &mut self.processes[process].life else {
            return;
        };
        let (ordered, membership) = (member.replica.ordered(), member.replica.membership());
        let print = fingerprint(ordered, membership);
        if print == std::mem::replace(&mut member.fingerprint, print) {
            return;
        }
        let living: BTreeSet<MemberId> = self
            .processes
            .iter()
            .filter(|process| !process.is_dead())
            .filter_map(Process::me)
            .collect();
        let Life::Member(member) = &self.processes[process].life else {
            return;
        };
        let (ordered, membership) = (member.replica.ordered(), member.replica.membership());
        let me = member.replica.me();
        let position = member.replica.delivered();
        self.checkers.looks(now, me, ordered, membership, &living);
        self.look_at_incarnation(process);
        let furthest = self.processes[self.newest].replica();
        let further = furthest.is_none_or(|newest| newest.delivered() <= position);
        if further {
            self.newest = process;
            self.write_history();
        }
        self.stir();
    }

    fn look_at_incarnation(&mut self, process: usize) {
        let Some(replica) = self.processes[process].replica() else {
            return;
        };
        let (seen, membership) = (seen(replica), replica.membership());
        let configuration = membership.configuration.clone();
        let uncertain = self.uncertain();
        let incarnations = &mut self.checkers.incarnations;
        let opinion = incarnations.looks(seen, configuration, &uncertain);
        self.checkers.says("incarnations", opinion);
    }

    /// Members of whom nobody can say for certain that they are dead or act no more: those that run
    /// and have not stood back, and those on hosts without power.
    fn uncertain(&self) -> BTreeSet<MemberId> {
        let runs = self
            .processes
            .iter()
            .filter_map(|process| process.replica());
        let runs = runs.filter(|replica| !replica.group().stands_back());
        runs.map(Replica::me)
            .chain(self.lost.iter().copied())
            .collect()
    }

    /// Why nothing will ever be ordered again, if that is as it must be: more has died than a
    /// majority bears, and no survivor may go on whatever daemons could still tell.
    pub(crate) fn lost(&self) -> Option<String> {
        let replicas = || {
            self.processes
                .iter()
                .filter_map(|process| process.replica())
        };
        let uncertain = self.uncertain();
        let mut why = "nobody is left".to_owned();
        for replica in replicas() {
            let group = replica.group();
            if group.available() {
                return None;
            }
            if group.stands_back() {
                continue;
            }
            let next = group.membership().next_member;
            let dead: BTreeSet<MemberId> = (1..next)
                .filter_map(MemberId::new)
                .filter(|member| !uncertain.contains(member))
                .collect();
            match group.survival_without(&dead) {
                // Those that live, or may, could still be enough.
                Err(Stays::Majority) => {
                    let living: BTreeSet<MemberId> = replicas().map(Replica::me).collect();
                    let configuration = &group.membership().configuration;
                    if configuration.majority(|voter| living.contains(&voter)) {
                        return None;
                    }
                    why = "a death is not certain".to_owned();
                }
                Err(stays) => why = stays.to_string(),
                Ok(others) if others.iter().any(|other| self.lost.contains(other)) => {
                    why = "a death is not certain".to_owned();
                }
                Ok(_) => return None,
            }
        }
        Some(why)
    }

    /// What the ordered history says since the last time.
    fn write_history(&mut self) {
        let Some(replica) = self.processes[self.newest].replica() else {
            return;
        };
        let known = self.checkers.views.written;
        let records: Vec<_> = replica
            .ordered()
            .history()
            .filter(|record| Some(record.position) > known)
            .collect();
        for record in records {
            self.checkers.views.written = Some(record.position);
            let what = format!("{} [{}]", record.what, record.members.join(" "));
            let at = record.position.to_string();
            self.trace.line(self.now, "group".to_owned(), at, what);
        }
    }

    /// The ordered state that is the furthest.
    pub(crate) fn state(&self) -> Option<(&Ordered, &Membership)> {
        let newest = self.processes[self.newest].replica().or_else(|| {
            let members = self
                .processes
                .iter()
                .filter_map(crate::process::Process::replica);
            members.max_by_key(|replica| replica.delivered())
        })?;
        Some((newest.ordered(), newest.membership()))
    }

    /// What the group is doing.
    pub(crate) fn phase(&self) -> Phase {
        let Some((ordered, membership)) = self.state() else {
            return Phase::RecoveryStart;
        };
        if membership.configuration.joint() || membership.view.leaving.is_some() {
            return Phase::Swap;
        }
        let running = ordered.upgrade().is_some_and(|upgrade| upgrade.runs());
        let attempts = || ordered.attempts();
        if let Some((_, attempt)) = attempts().find(|(_, attempt)| attempt.is_turn()) {
            let joiner = attempt.joiner.and_then(|id| membership.joiner(id));
            return match joiner {
                None => Phase::TurnStart,
                Some(joiner) if joiner.ready => Phase::TurnReady,
                Some(joiner) if self.has_state(joiner.member.id) => Phase::TurnCatchUp,
                Some(_) => Phase::TurnTransfer,
            };
        }
        let recovers = |purpose: Purpose| purpose == Purpose::Recovery;
        if let Some((_, attempt)) = attempts().find(|(_, attempt)| recovers(attempt.purpose)) {
            return match attempt.joiner {
                Some(id) if self.has_state(id) => Phase::RecoveryCatchUp,
                Some(_) => Phase::RecoveryTransfer,
                None => Phase::RecoveryStart,
            };
        }
        let serving = membership.view.serving().count();
        if serving < ordered.seat_count() as usize {
            return Phase::RecoveryStart;
        }
        if self.leaver().is_some() && running {
            return Phase::Leaving;
        }
        match ordered.upgrade() {
            Some(_) if running => match ordered::turn(ordered, membership) {
                Err(NotYet::HandOver { .. }) => Phase::HandOver,
                Ok(_) | Err(_) => Phase::Mixed,
            },
            Some(_) if self.requested.ended >= self.plan.upgrades.len() => Phase::After,
            Some(_) => Phase::Mixed,
            None => Phase::Steady,
        }
    }

    fn has_state(&self, member: MemberId) -> bool {
        self.process_of_member(member)
            .is_some_and(|process| self.processes[process].member().is_some())
    }

    /// A process that is no member any more and still runs.
    fn leaver(&self) -> Option<usize> {
        let (_, membership) = self.state()?;
        let known: Vec<MemberId> = membership.everybody().map(|member| member.id).collect();
        self.processes.iter().position(|process| {
            process
                .replica()
                .is_some_and(|replica| !known.contains(&replica.me()))
        })
    }

    pub(crate) fn process_of_member(&self, member: MemberId) -> Option<usize> {
        self.processes
            .iter()
            .position(|process| !process.is_dead() && process.me() == Some(member))
    }

    /// Who has a role now.
    pub(crate) fn who(&self, role: Role) -> Option<Target> {
        let (ordered, membership) = self.state()?;
        let process = |member| self.process_of_member(member).map(Target::Process);
        let leaving = membership.view.leaving;
        let turn = ordered.attempts().find(|(_, attempt)| attempt.is_turn());
        let recovery = ordered
            .attempts()
            .find(|(_, attempt)| attempt.purpose == Purpose::Recovery);
        let started = |seat, number| {
            self.processes
                .iter()
                .position(|process| !process.is_dead() && process.purpose == Some((seat, number)))
        };
        match role {
            Role::Leader => process(membership.leader?),
            Role::Old => match (leaving, turn) {
                (Some(leaving), _) => process(leaving),
                (None, Some((_, attempt))) => process(attempt.by),
                (None, None) => self.leaver().map(Target::Process),
            },
            Role::New => match (leaving, turn) {
                (Some(_), _) => process(membership.view.members.last()?.id),
                (None, Some((seat, attempt))) => started(seat, attempt.number).map(Target::Process),
                (None, None) => {
                    let target = ordered.upgrade()?.target();
                    let members = &membership.view.members;
                    let new = members
                        .iter()
                        .rev()
                        .find(|member| member.binary == *target)?;
                    process(new.id)
                }
            },
            Role::Joiner => {
                let (seat, attempt) = recovery?;
                started(seat, attempt.number).map(Target::Process)
            }
            Role::Donor => {
                let joiner = membership.joiners.iter().find(|joiner| !joiner.ready)?;
                process(joiner.transfer?.donor)
            }
            Role::Member => {
                let donor = membership
                    .joiners
                    .iter()
                    .find_map(|joiner| Some(joiner.transfer?.donor));
                let held = turn.map(|(_, attempt)| attempt.by);
                let mut others = membership.view.serving().filter(|member| {
                    let id = Some(member.id);
                    id != membership.leader && id != donor && id != held && id != leaving
                });
                others.find_map(|member| process(member.id))
            }
            Role::Daemon => {
                let attempt = turn.or(recovery).map(|(_, attempt)| attempt);
                let host = match attempt {
                    Some(attempt) => usize::try_from(attempt.host).ok()? % self.hosts.len(),
                    None => self.plan.seed as usize % self.hosts.len(),
                };
                self.hosts[host]
                    .daemon
                    .as_ref()
                    .map(|_| Target::Daemon(host))
            }
        }
    }

    /// How the last upgrade that was accepted ended.
    pub(crate) fn upgrade_ended(&self) -> Option<String> {
        let (ordered, _) = self.state()?;
        match &ordered.upgrade()?.state {
            UpgradeState::Running => None,
            UpgradeState::Done => Some("done".to_owned()),
            UpgradeState::Failed { reason, .. } => Some(format!("failed: {reason}")),
        }
    }

    /// Looks whether the last upgrade that was asked for has ended.
    pub(crate) fn upgrade_watched(&mut self) {
        let Requested { asked, ended, .. } = self.requested;
        if asked > ended
            && let Some(how) = self.upgrade_ended()
            && (self.upgrade_is(asked - 1) || self.intruder_came(asked - 1))
        {
            self.upgrade_over(asked - 1, how);
        }
    }

    pub(crate) fn upgrade_over(&mut self, number: usize, how: String) {
        if self.requested.ended <= number {
            self.requested.ended = number + 1;
            self.requested.since = self.now;
            self.checkers.upgrade.ends.push(how.clone());
            self.news = true;
            self.note_of("", "upgrade", format!("ends: {how}"));
        }
    }

    /// All seats are filled, everybody knows, nobody joins or leaves.
    pub(crate) fn full(&self) -> bool {
        let Some((ordered, newest)) = self.state() else {
            return false;
        };
        let wanted = ordered.seat_count() as usize;
        let mut count = 0;
        for process in &self.processes {
            match &process.life {
                Life::Ended => continue,
                // Its daemon ends it, later: it hinders nobody.
                Life::Idle => continue,
                Life::Joining(_) => return false,
                Life::Member(member) => {
                    let membership = member.replica.membership();
                    let settled = membership.view.position == newest.view.position
                        && membership.view.serving().count() == wanted
                        && membership.view.leaving.is_none()
                        && membership.joiners.is_empty();
                    if !settled {
                        return false;
                    }
                    count += 1;
                }
            }
        }
        count == wanted && newest.leader.is_some()
    }
}

impl World<'_> {
    /// Whether the ordered state's last upgrade is this one of the plan.
    pub(crate) fn upgrade_is(&self, number: usize) -> bool {
        self.state()
            .and_then(|(ordered, _)| ordered.upgrade())
            .is_some_and(|upgrade| upgrade.request.token == number as u64 + 1)
    }

    /// Whether the upgrade that an intruder asked for in the middle of this one has begun: this one
    /// must have ended before.
    pub(crate) fn intruder_came(&self, number: usize) -> bool {
        self.state()
            .and_then(|(ordered, _)| ordered.upgrade())
            .is_some_and(|upgrade| upgrade.request.token == super::clients::intruder(number))
    }

    /// What is looked at now and then.
    pub(crate) fn glance(&mut self) {
        for process in &self.processes {
            if let Some(member) = process.member() {
                let opinion = self
                    .checkers
                    .memory
                    .looks(&member.replica, member.jobs.len());
                self.checkers.says("memory", opinion);
                let opinion = self.checkers.incarnations.fits(seen(&member.replica));
                self.checkers.says("incarnations", opinion);
            }
        }
        let trouble_ms = self.trouble_until.saturating_sub(self.began) / 1000;
        let opinion = self.checkers.upgrade.in_time(self.now, trouble_ms);
        self.checkers.says("upgrade", opinion);
    }

    /// What everybody is doing, for people.
    pub(crate) fn describe(&self) -> String {
        let mut lines = vec![format!("phase {}", self.phase())];
        for (number, process) in self.processes.iter().enumerate() {
            let what = match &process.life {
                Life::Ended => continue,
                Life::Idle => "says nothing".to_owned(),
                Life::Joining(asking) => format!("{:?}", asking.joining),
                Life::Member(member) => {
                    let status = member.replica.status();
                    let members: Vec<String> = status
                        .members
                        .iter()
                        .chain(&status.joiners)
                        .map(|m| format!("{}:{}:{}", m.member, m.binary.version, m.doing))
                        .collect();
                    format!(
                        "{} at {}, applied {}, {} jobs, leader {:?}, available {} [{}] waits {:?}",
                        member.replica.me(),
                        status.position,
                        member.executor.position(),
                        member.jobs.len(),
                        status.leader,
                        status.available,
                        members.join(" "),
                        status.waits,
                    )
                }
            };
            let host = process.host;
            lines.push(format!("p{} on host{host}: {what}", super::pid(number)));
        }
        let open: usize = self.customers.iter().map(|c| c.tickets.len()).sum();
        lines.push(format!("{open} requests are open"));
        lines.join("\n")
    }
}
