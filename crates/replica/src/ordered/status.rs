//! What an operator sees of the ordered state: who does what, and why things wait.

use group::Membership;
use wire::member::Member;
use wire::status::{MemberStatus, UpgradeStatus};

use super::activation::activation;
use super::answering::answering;
use super::donor::{donor, transfers};
use super::figure::doing;
use super::promotion::{HeldBack, promotion};
use super::recovery::{NotVacant, vacancy};
use super::turn::{NotYet, turn};
use super::upgrade::{NO_WAY_BACK, UpgradeState};
use super::wish::{NoSurplus, Surplus, surplus};
use super::{Attempt, Ordered, Seat};

/// A member or joiner, as the status document lists it.
pub fn member_status(ordered: &Ordered, membership: &Membership, member: &Member) -> MemberStatus {
    MemberStatus {
        member: member.id,
        host: member.host.clone(),
        address: member.address,
        binary: member.binary.clone(),
        seat: member.seat,
        doing: doing(ordered, membership, member.id).word().to_owned(),
        takes_requests: answering(ordered, membership).contains(&member.id),
        transfer: None,
    }
}

/// The running or the last upgrade.
pub fn upgrade_status(ordered: &Ordered, membership: &Membership) -> Option<UpgradeStatus> {
    let upgrade = ordered.upgrade()?;
    let (state, reason) = match &upgrade.state {
        UpgradeState::Running => ("running", waits(ordered, membership).into_iter().next()),
        UpgradeState::Done => ("done", None),
        UpgradeState::Failed { reason } => ("failed", Some(reason.clone())),
    };
    let done = ordered.seats().filter(|(seat, _)| {
        ordered
            .occupants(membership, *seat)
            .any(|member| member.binary == *upgrade.target())
    });
    Some(UpgradeStatus {
        upgrade: upgrade.id,
        from: upgrade.from.clone(),
        to: upgrade.target().clone(),
        state: state.to_owned(),
        seats_done: u32::try_from(done.count()).unwrap_or(u32::MAX),
        seats: ordered.seat_count(),
        activated: upgrade.activated,
        started: upgrade.started,
        ended: upgrade.ended,
        reason,
    })
}

/// Everything that waits, with its reason; empty when nothing does.
pub fn waits(ordered: &Ordered, membership: &Membership) -> Vec<String> {
    let mut waits = Vec::new();
    match vacancy(ordered, membership) {
        Ok(vacancy) => waits.push(format!(
            "{} is vacant: {} has a replica of {} started, attempt {}{}",
            vacancy.seat(),
            vacancy.by(),
            vacancy.binary(),
            vacancy.attempt(),
            last_failure(ordered, vacancy.seat()),
        )),
        Err(why @ NotVacant::NobodyServes { .. }) => {
            waits.push(why.to_string());
        }
        // What is under way is said with its attempt.
        Err(NotVacant::Full | NotVacant::UnderWay { .. }) => {}
    }
    let attempts = ordered.attempts();
    waits.extend(
        attempts.filter_map(|(seat, attempt)| under_way(ordered, membership, seat, attempt)),
    );
    let unserved = transfers(ordered, membership).into_iter();
    waits.extend(unserved.filter_map(|due| due.err().map(|why| why.to_string())));
    if let Err(why @ HeldBack::LastOldStays { .. }) = promotion(ordered, membership) {
        waits.push(why.to_string());
    }
    match surplus(ordered, membership) {
        Ok(Surplus::Goes { member, reason }) => waits.push(format!("{member} goes: {reason}")),
        Ok(Surplus::HandsOver { leader, to }) => waits.push(format!(
            "{leader} is not wanted any more, and hands over to {to} before it goes"
        )),
        Err(why @ NoSurplus::Vacant { .. }) => waits.push(why.to_string()),
        Err(NoSurplus::Nobody) => {}
    }
    match turn(ordered, membership) {
        Ok(turn) => waits.push(format!(
            "{}: it is {}'s turn, attempt {}{}",
            turn.seat(),
            turn.by(),
            turn.attempt(),
            last_failure(ordered, turn.seat()),
        )),
        Err(NotYet::NoUpgrade | NotYet::Complete | NotYet::AllRun { .. }) => {}
        Err(
            why @ (NotYet::Leaving { .. }
            | NotYet::Recovering { .. }
            | NotYet::NoLeader
            | NotYet::Parallel { .. }
            | NotYet::RedundancyTooLow { .. }
            | NotYet::HandOver { .. }
            | NotYet::LeaderLast { .. }),
        ) => waits.push(why.to_string()),
    }
    if ordered.way_back_closed(membership) {
        waits.push(NO_WAY_BACK.to_owned());
    }
    if let Ok(activation) = activation(ordered, membership) {
        waits.push(format!(
            "all seats are ready: the leader activates {}",
            activation.version()
        ));
    }
    waits
}

fn last_failure(ordered: &Ordered, seat: Seat) -> String {
    let failure = ordered.seat(seat).and_then(|state| state.failure());
    failure.map_or_else(String::new, |failure| {
        format!(" (attempt {} failed: {})", failure.attempt, failure.reason)
    })
}

/// What an attempt waits for.
fn under_way(
    ordered: &Ordered,
    membership: &Membership,
    seat: Seat,
    attempt: &Attempt,
) -> Option<String> {
    let number = attempt.number;
    let Some(joiner) = attempt.joiner.and_then(|joiner| membership.joiner(joiner)) else {
        let host = &ordered.host(attempt.host).name;
        return Some(format!(
            "{seat}: attempt {number} of {} waits for a replica of {} on {host}",
            attempt.by, attempt.binary
        ));
    };
    let id = joiner.member.id;
    // A ready joiner that is held says so by itself.
    if joiner.ready {
        return None;
    }
    Some(match joiner.transfer {
        Some(transfer) => format!(
            "{seat}: {id} takes the state of {} and catches up",
            transfer.donor
        ),
        None => match donor(ordered, membership, &joiner.member) {
            Ok(donor) => format!("{seat}: {id} is to take the state of {donor}"),
            Err(_) => return None,
        },
    })
}
