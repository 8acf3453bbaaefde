//! The answer to "what are you doing, and why does it wait?" (§4: management).

use std::collections::BTreeSet;

use group::{Group, Joiner, Stays};
use wire::status::{GroupStatus, HostStatus, MemberStatus, SCHEMA, TransferStatus};

use crate::ordered::{Ordered, member_status, upgrade_status, waits};

/// The document.
pub(crate) fn document(status: &GroupStatus) -> String {
    serde_json::to_string(status).expect("the status has no maps with other keys than strings")
}

/// A group as this member sees it.
pub(crate) fn status(group: &Group, ordered: &Ordered) -> GroupStatus {
    let membership = group.membership();
    let member = |member| member_status(ordered, membership, member);
    let foundation = ordered.foundation();
    let mut waiting = waits(ordered, membership);
    if !group.available() {
        waiting.splice(0..0, unavailable(group));
    }
    GroupStatus {
        schema: SCHEMA,
        group: membership.group.clone(),
        service: membership.service.clone(),
        incarnation: membership.incarnation,
        answered_by: group.me(),
        position: group.delivered(),
        view: membership.view.position,
        leader: membership.leader,
        available: group.available(),
        effective: ordered.effective().version.clone(),
        initial: foundation.initial,
        minimal: foundation.minimal,
        generation: ordered.generation(),
        stack: foundation.stack.clone(),
        hosts: foundation
            .hosts
            .iter()
            .map(|record| HostStatus {
                host: record.name,
                daemon: record.daemon,
            })
            .collect(),
        members: membership.view.members.iter().map(member).collect(),
        joiners: membership
            .joiners
            .iter()
            .map(|joiner| joiner_status(group, ordered, joiner))
            .collect(),
        upgrade: upgrade_status(ordered, membership),
        waits: waiting,
        history: ordered.history().collect(),
    }
}

/// Why nothing is ordered, what is known of the others, and what may come of it (design 4.5).
fn unavailable(group: &Group) -> Vec<String> {
    let mut sentences = Vec::new();
    let nothing = "no majority of the members is reached from here: nothing is ordered";
    sentences.push(nothing.to_owned());
    let me = group.me();
    let others = group.membership().view.members.iter();
    let others: Vec<_> = others.filter(|member| member.id != me).collect();
    let mut hosts = BTreeSet::new();
    for member in others {
        let (id, host) = (member.id, &member.host);
        sentences.push(match group.death(id) {
            Some(how) => format!("{id} on {host} is certainly dead: {how}"),
            None if group.lives(id) => format!("{id} on {host} answers"),
            None => {
                hosts.insert(host.as_str());
                format!("{id} on {host} is silent, and nobody says that its process has ended")
            }
        });
    }
    let hosts = Vec::from_iter(hosts).join(", ");
    let back = format!(
        "an operator may bring back {hosts} and the execution daemon there: it says what became of \
         its processes, also of those that ended without it"
    );
    if group.stands_back() {
        let why = "this member has stood back for another one with a more advanced log, and ends when \
                   it hears that the group goes on";
        sentences.push(why.to_owned());
        return sentences;
    }
    match group.survival() {
        Ok(others) => {
            let others: Vec<String> = others.iter().map(ToString::to_string).collect();
            let others = others.join(" and ");
            sentences.push(format!(
                "this member goes on by itself once {others} have compared their logs with its own, or \
                 are certainly dead"
            ));
        }
        Err(Stays::Majority) => sentences.push(
            "the group goes on by itself when enough of them answer, or when enough are certainly \
             dead: silence alone proves no death"
                .to_owned(),
        ),
        Err(why @ (Stays::Lost { .. } | Stays::NoVote | Stays::Unknown)) => {
            sentences.push(format!("{why}: this member does not go on by itself"));
            if matches!(why, Stays::Lost { .. }) {
                let anew = "an operator who can do without what the dead acknowledged may stop what is \
                            left and create the group again, from nothing";
                sentences.push(anew.to_owned());
            }
        }
    }
    if !hosts.is_empty() {
        sentences.push(back);
    }
    sentences
}

/// A joiner, with what is known here of the state on its way to it.
fn joiner_status(group: &Group, ordered: &Ordered, joiner: &Joiner) -> MemberStatus {
    let progress = group.progress(joiner.member.id);
    let comes = !joiner.ready && progress.is_none_or(|progress| progress.applied.0 == 0);
    let transfer = joiner.transfer.filter(|_| comes);
    MemberStatus {
        transfer: transfer.map(|transfer| TransferStatus {
            donor: transfer.donor,
            position: transfer.position,
            received: progress.map(|progress| progress.received),
        }),
        ..member_status(ordered, group.membership(), &joiner.member)
    }
}
