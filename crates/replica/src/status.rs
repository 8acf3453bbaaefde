//! The answer to "what are you doing, and why does it wait?" (§4: management).

use group::{Group, Joiner};
use wire::status::{GroupStatus, MemberStatus, SCHEMA, TransferStatus};

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
        let why = "no majority of the members is reached from here: nothing is ordered";
        waiting.insert(0, why.to_owned());
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
        stack: foundation.stack.clone(),
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
