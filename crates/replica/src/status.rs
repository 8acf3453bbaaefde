//! The answer to "what are you doing, and why does it wait?" (§4: management).

use group::Group;
use wire::status::{GroupStatus, SCHEMA};

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
            .map(|joiner| member(&joiner.member))
            .collect(),
        upgrade: upgrade_status(ordered, membership),
        waits: waiting,
        history: ordered.history().collect(),
    }
}
