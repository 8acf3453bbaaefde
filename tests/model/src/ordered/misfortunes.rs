//! Misfortune: what may happen and need not, as often as the setup says.

use std::collections::BTreeSet;

use wire::MemberId;
use wire::member::Standing;

use super::act::{Act, Exchange, Post, Process};
use super::life::{Around, Event, Life};
use super::setup::Defect;

pub(super) fn befall(around: &mut Around<'_>) {
    if around.life.left.deaths > 0 {
        processes_die(around);
        hosts_die(around);
    }
    starts_fail(around);
    doubts(around);
    impatience(around);
    deposition(around);
}

/// A death must leave a majority that serves, in both halves of a joint change: what happens without
/// one is another story (a group that waits).
fn bearable(around: &Around<'_>, gone: &[MemberId]) -> bool {
    let view = &around.known.group.membership.view;
    let successor = view.members.last().map(|member| member.id);
    let halves = match view.leaving {
        Some(leaving) => [Some(leaving), successor],
        None => [None, None],
    };
    halves.into_iter().all(|without| {
        let half = || {
            let members = view.members.iter();
            members.filter(|member| Some(member.id) != without)
        };
        let live = half().filter(|member| {
            member.standing == Standing::Serving
                && !gone.contains(&member.id)
                && around.lives(member.id)
        });
        2 * live.count() > half().count()
    })
}

/// What dies with a process that is a member or a joiner.
fn kill(life: &mut Life, id: MemberId, process: Process, told: bool) {
    life.dead.insert((process, told));
    life.asked.retain(|(_, by)| *by != id);
}

fn processes_die(around: &mut Around<'_>) {
    let known = around.known;
    for &(id, process) in &known.group.processes {
        if around.lives(id) && bearable(around, &[id]) {
            let mut life = around.life.clone();
            life.left.deaths -= 1;
            kill(&mut life, id, process, true);
            let leads = around.leader() == Some(id);
            push_with_losses(around, leads, Event::ProcessDies(process), &life);
        }
    }
    for process in &around.life.running {
        let mut life = around.life.clone();
        life.left.deaths -= 1;
        kill_unadmitted(&mut life, *process, true);
        around.push(false, Event::ProcessDies(*process), life);
    }
}

fn kill_unadmitted(life: &mut Life, process: Process, told: bool) {
    life.running.remove(&process);
    if life.change == Some(Exchange::Admit(process)) {
        life.dead.insert((process, told));
    }
}

fn hosts_die(around: &mut Around<'_>) {
    if around.life.down.is_some() {
        return;
    }
    for host in 0..around.model.setup.initial {
        let mut life = around.life.clone();
        life.left.deaths -= 1;
        life.down = Some(host);
        around.push(false, Event::DaemonDies(host), life.clone());
        let there = |process: &Process| process.host == host;
        let mut gone = Vec::new();
        for &(id, process) in &around.known.group.processes {
            if there(&process) && around.lives(id) {
                kill(&mut life, id, process, false);
                gone.push(id);
            }
        }
        for process in around.life.running.iter().copied().filter(there) {
            kill_unadmitted(&mut life, process, false);
        }
        if bearable(around, &gone) {
            let leader = around.leader();
            let leads = leader.is_some_and(|leader| gone.contains(&leader));
            push_with_losses(around, leads, Event::HostDies(host), &life);
        }
    }
}

/// A leader that goes may take along any part of what was proposed and not ordered.
fn push_with_losses(around: &mut Around<'_>, leads: bool, event: Event, life: &Life) {
    if !leads {
        return around.push(false, event, life.clone());
    }
    let flying: Vec<Post> = life.flying.iter().copied().collect();
    let changes = if life.change.is_some() {
        vec![life.change, None]
    } else {
        vec![None]
    };
    for kept in 0..1_u32 << flying.len() {
        let posts = flying.iter().enumerate();
        let kept: BTreeSet<Post> = posts
            .filter(|(place, _)| kept & (1 << place) != 0)
            .map(|(_, post)| *post)
            .collect();
        for change in &changes {
            let mut life = Life {
                flying: kept.clone(),
                change: *change,
                ..life.clone()
            };
            // An operator who hears nothing asks again.
            let requests = flying
                .iter()
                .filter(|post| matches!(post, Post::Upgrade(_)));
            if !around.has(Defect::RequestNotRepeated) {
                life.flying.extend(requests);
            }
            around.bury(&mut life);
            around.push(false, event, life);
        }
    }
}

fn starts_fail(around: &mut Around<'_>) {
    let group = &around.known.group;
    let upgrade = group.ordered.upgrade();
    // What is activated is not given up any more, so that even a bad version must start in the end.
    let bad = upgrade
        .filter(|upgrade| around.life.left.bad_version && upgrade.runs())
        .filter(|upgrade| upgrade.activated.is_none() || upgrade.activated_first())
        .map(|upgrade| super::group::version(upgrade.target()));
    for asked in &around.life.asked {
        let (process, _) = *asked;
        let mut life = around.life.clone();
        life.asked.remove(asked);
        if bad == Some(process.version) {
            around.push(false, Event::Lost(process), life);
        } else if life.left.starts > 0 {
            life.left.starts -= 1;
            around.push(false, Event::Lost(process), life);
        }
    }
}

/// The leader suspects a member that lives; it may answer again at any moment.
fn doubts(around: &mut Around<'_>) {
    let Some(leader) = around.leader() else {
        return;
    };
    let known = around.known;
    for member in &known.group.membership.view.members {
        if !around.lives(member.id) {
            continue;
        }
        match member.standing {
            Standing::Serving => {
                let able = member.id != leader && bearable(around, &[member.id]);
                if able && around.life.left.doubts > 0 {
                    let doubt = Post::Stands(member.id, false);
                    around.propose(false, doubt, |life| life.left.doubts -= 1);
                }
            }
            Standing::Suspected => {
                around.propose(false, Post::Stands(member.id, true), |_| {});
            }
        }
    }
}

/// The leader passes an attempt that would have come to something; never a ready joiner's.
fn impatience(around: &mut Around<'_>) {
    if around.life.left.impatience == 0 || around.leader().is_none() {
        return;
    }
    let group = &around.known.group;
    for (seat, attempt) in group.ordered.attempts() {
        let joiner = attempt.joiner.and_then(|id| group.membership.joiner(id));
        if joiner.is_none_or(|joiner| !joiner.ready) {
            let passed = Post::Passed(seat, attempt.number);
            around.propose(false, passed, |life| life.left.impatience -= 1);
        }
    }
}

fn deposition(around: &mut Around<'_>) {
    let Some(leader) = around.leader() else {
        return;
    };
    if around.life.left.depositions == 0 {
        return;
    }
    for heir in around.heirs() {
        if heir != leader {
            let mut life = around.ordered(Act::Propose(Post::Leads(heir)));
            life.left.depositions -= 1;
            push_with_losses(around, true, Event::Deposed(heir), &life);
        }
    }
}
