//! What must hold, said anew: in words of the paper, and not by the functions that are searched.
//!
//! The invariants that the replica's own tests and the simulator run (`broken_in_state` and
//! `broken_by_step`) are checked beside these.

use std::collections::BTreeSet;

use replica::ordered::UpgradeState;
use wire::MemberId;
use wire::log::{Proposal, UpgradeRequest};
use wire::member::{Member, Seat};

use super::act::{Act, Exchange, Post, Process};
use super::group::{Group, HERE, NOW, binary, request};
use super::life::Life;
use super::setup::Setup;

/// The sentences that do not hold.
fn broken(sentences: &[(bool, &str)]) -> Vec<String> {
    let broken = sentences.iter().filter(|(holds, _)| !holds);
    broken.map(|(_, sentence)| (*sentence).to_owned()).collect()
}

/// What must hold of the agreed value.
pub(super) fn of_a_group(setup: &Setup, group: &Group) -> Vec<String> {
    let membership = &group.membership;
    let ids: BTreeSet<MemberId> = group.processes.iter().map(|(id, _)| *id).collect();
    let attempts: BTreeSet<_> = group
        .processes
        .iter()
        .map(|(_, Process { seat, attempt, .. })| (seat, attempt))
        .collect();
    let everybody = group.processes.len();
    let members = membership.view.members.len();
    let turns = group.ordered.attempts().filter(|(_, a)| a.is_turn());
    let initial = setup.initial as usize;
    let parallel = setup.parallel as usize;
    broken(&[
        // §2: "uniquely identified".
        (ids.len() == everybody, "nobody is in the group twice"),
        // An attempt's number fences: whoever comes second with it is refused.
        (
            attempts.len() == everybody,
            "no attempt has brought two replicas",
        ),
        // §3.2: "the number of replicas that can be upgraded in parallel".
        (turns.count() <= parallel, "at most `k` turns run"),
        // §3.4: "only one additional replica is added to the group".
        (
            members <= initial + 1,
            "the group has its number of members, and one more for a moment",
        ),
        // §2.1: upgrades are atomic.
        (
            !runs(group) || refuses_another(setup, group),
            "another upgrade is refused while one runs, and changes nothing",
        ),
    ])
}

fn runs(group: &Group) -> bool {
    let upgrade = group.ordered.upgrade();
    upgrade.is_some_and(|upgrade| upgrade.state == UpgradeState::Running)
}

fn refuses_another(setup: &Setup, group: &Group) -> bool {
    let rival = UpgradeRequest {
        target: binary(9),
        token: 99,
        ..request(setup, 0)
    };
    let mut ordered = group.ordered.clone();
    let _ = ordered.apply(HERE, NOW, &Proposal::Upgrade(rival), &group.membership);
    ordered == group.ordered
}

/// What must hold of a step from one agreed value to the next.
pub(super) fn of_a_step(setup: &Setup, before: &Group, act: Act, after: &Group) -> Vec<String> {
    let turns = |group: &Group| {
        let attempts = group.ordered.attempts();
        let turns = attempts.filter(|(_, attempt)| attempt.is_turn());
        turns
            .map(|(seat, attempt)| (seat, attempt.number))
            .collect::<BTreeSet<_>>()
    };
    let starts = !turns(after).is_subset(&turns(before));
    let removes = matches!(act, Act::Change(Exchange::Remove(_)));
    let requested = matches!(act, Act::Propose(Post::Upgrade(_)));
    let activates = before.ordered.effective() != after.ordered.effective();
    broken(&[
        // §3.1, §3.3: "the minimum redundancy level".
        (
            !starts || undisturbed(after).count() >= setup.minimal as usize,
            "a turn leaves `l` members that serve",
        ),
        // Design 4.15. A crash can take it; no successor can.
        (
            removes || !(way_back(before) && closes(before, after)),
            "the last old member stays until activation",
        ),
        // §2: members stand in the order in which they came.
        (in_order(before, after), "nobody is reordered"),
        // §2.1: new behaviour only when all is ready for it, or on request for the way down.
        (
            !activates || requested || ready_to_activate(after),
            "behaviour changes when all seats but one run the target, and that one's successor is ready",
        ),
        (
            !activates || requested || matches!(act, Act::Propose(Post::Activate)),
            "behaviour changes at an activation",
        ),
    ])
}

/// Members that can serve: not silent, not leaving, and not older than the group's behaviour.
fn able(group: &Group) -> impl Iterator<Item = &Member> {
    let members = group.membership.view.serving();
    members.filter(|member| member.binary.version >= group.ordered.effective().version)
}

/// Those of them whose turn does not run.
fn undisturbed(group: &Group) -> impl Iterator<Item = &Member> {
    able(group).filter(|member| {
        let turn = group.ordered.attempt(member.seat);
        turn.is_none_or(|turn| !turn.is_turn() || turn.number == member.attempt)
    })
}

/// Members that stay and run another binary than the target.
fn old(group: &Group) -> usize {
    let target = group.ordered.upgrade().map(|upgrade| upgrade.target());
    let view = &group.membership.view;
    let members = view.members.iter();
    members
        .filter(|member| view.leaving != Some(member.id))
        .filter(|member| Some(&member.binary) != target)
        .count()
}

/// Whether an upgrade runs that can still go back to members of the old version.
fn way_back(group: &Group) -> bool {
    let upgrade = group.ordered.upgrade();
    runs(group) && upgrade.is_some_and(|upgrade| upgrade.activated.is_none()) && old(group) > 0
}

fn closes(before: &Group, after: &Group) -> bool {
    let id = |group: &Group| group.ordered.upgrade().map(|upgrade| upgrade.id);
    id(before) == id(after) && old(after) == 0
}

fn in_order(before: &Group, after: &Group) -> bool {
    let ids = |group: &Group| -> Vec<MemberId> {
        let members = group.membership.view.members.iter();
        members.map(|member| member.id).collect()
    };
    let (was, is) = (ids(before), ids(after));
    let stayed = |id: &&MemberId| is.contains(id);
    let came = is.iter().filter(|id| !was.contains(id));
    was.iter().filter(stayed).chain(came).eq(&is)
}

fn ready_to_activate(group: &Group) -> bool {
    let Some(upgrade) = group.ordered.upgrade() else {
        return false;
    };
    let at_target = |member: &&Member| member.binary == *upgrade.target();
    let members = group.membership.view.serving().filter(at_target);
    let there: BTreeSet<Seat> = members.map(|member| member.seat).collect();
    let joiners = group.membership.joiners.iter();
    let ready = joiners.filter(|joiner| joiner.ready);
    let ready = ready.map(|joiner| &joiner.member).filter(at_target);
    let coming: BTreeSet<Seat> = ready.map(|member| member.seat).collect();
    let missing: Vec<_> = group
        .ordered
        .seats()
        .map(|(seat, _)| seat)
        .filter(|seat| !there.contains(seat))
        .collect();
    missing.len() <= 1 && missing.iter().all(|seat| coming.contains(seat))
}

/// What must hold of the agreed value and the processes together.
pub(super) fn of_a_life(setup: &Setup, group: &Group, life: &Life) -> Vec<String> {
    let (all, left) = (&setup.misfortune, &life.left);
    let hits = (all.deaths - left.deaths) + (all.doubts - left.doubts);
    let lives = |member: &&Member| {
        let process = group.process(member.id);
        !life.dead.iter().any(|(dead, _)| Some(*dead) == process)
    };
    let serving = undisturbed(group).filter(lives).count();
    let running = &life.running;
    let admitted = |process: &Process| group.processes.iter().any(|(_, other)| other == process);
    broken(&[
        // §3.1: "capable of processing client requests during the upgrade process".
        (
            serving + usize::from(hits) >= setup.minimal as usize,
            "`l` members live and serve, less those that misfortune has hit",
        ),
        (
            able(group).filter(lives).count() > 0,
            "somebody lives and can serve",
        ),
        (
            !running.iter().any(admitted),
            "a process is asking to be admitted, or it is in the group",
        ),
    ])
}
