//! What an operator sees of the ordered state: who does what, and why things wait.

use group::Membership;
use wire::member::{Member, Standing};
use wire::status::{MemberStatus, UpgradeStatus};

use super::activation::activation;
use super::answering::answering;
use super::donor::{donor, transfers};
use super::promotion::{NoPromotion, promotion};
use super::recovery::{NoVacancy, recovery};
use super::turn::{NoTurn, turn};
use super::upgrade::Outcome;
use super::{Attempt, Ordered, Seat};

/// The members by seniority, as the status document lists them.
pub fn members_status(ordered: &Ordered, membership: &Membership) -> Vec<MemberStatus> {
    let answers = answering(ordered, membership);
    let view = &membership.view;
    view.members
        .iter()
        .map(|member| {
            let doing = if view.leaving == Some(member.id) {
                "leaving"
            } else if member.standing == Standing::Suspected {
                "suspected"
            } else if ordered.turn_runs(member) {
                "upgrading"
            } else {
                "serving"
            };
            status(member, doing, answers.contains(&member.id))
        })
        .collect()
}

/// The joiners in the order of admission, as the status document lists them.
pub fn joiners_status(membership: &Membership) -> Vec<MemberStatus> {
    let doing = |ready: bool| if ready { "ready" } else { "joining" };
    membership
        .joiners
        .iter()
        .map(|joiner| status(&joiner.member, doing(joiner.ready), false))
        .collect()
}

fn status(member: &Member, doing: &str, takes_requests: bool) -> MemberStatus {
    MemberStatus {
        member: member.id,
        host: member.host.clone(),
        address: member.address,
        binary: member.binary.clone(),
        seat: member.seat,
        doing: doing.to_owned(),
        takes_requests,
    }
}

/// The running or the last upgrade.
pub fn upgrade_status(ordered: &Ordered, membership: &Membership) -> Option<UpgradeStatus> {
    let upgrade = ordered.upgrade()?;
    let (state, ended, reason) = match &upgrade.outcome {
        Outcome::Running => ("running", None, waits(ordered, membership).into_iter().next()),
        Outcome::Done { ended } => ("done", Some(*ended), None),
        Outcome::Failed { ended, reason } => ("failed", Some(*ended), Some(reason.clone())),
    };
    let done = ordered.seats().filter(|(seat, _)| {
        ordered
            .occupants(membership, *seat)
            .any(|member| member.binary == *upgrade.target())
    });
    Some(UpgradeStatus {
        upgrade: upgrade.at,
        from: upgrade.from.clone(),
        to: upgrade.target().clone(),
        state: state.to_owned(),
        seats_done: u32::try_from(done.count()).unwrap_or(u32::MAX),
        seats: ordered.seat_count(),
        activated: upgrade.activated,
        started: upgrade.started,
        ended,
        reason,
    })
}

/// Everything that waits, with its reason; empty when nothing does.
pub fn waits(ordered: &Ordered, membership: &Membership) -> Vec<String> {
    let mut waits = Vec::new();
    match recovery(ordered, membership) {
        Ok(vacancy) => waits.push(format!(
            "{} is vacant: {} has a replica of {} started, attempt {}{}",
            vacancy.seat(),
            vacancy.by(),
            vacancy.binary(),
            vacancy.attempt(),
            last_failure(ordered, vacancy.seat()),
        )),
        Err(why @ (NoVacancy::NobodyServes { .. } | NoVacancy::NoHosts { .. })) => {
            waits.push(why.to_string());
        }
        // What is under way is said with its attempt.
        Err(NoVacancy::AllFilled | NoVacancy::UnderWay { .. }) => {}
    }
    let attempts = ordered.attempts();
    waits.extend(attempts.filter_map(|(seat, attempt)| under_way(ordered, membership, seat, attempt)));
    let unserved = transfers(ordered, membership).into_iter();
    waits.extend(unserved.filter_map(|due| due.err().map(|why| why.to_string())));
    if let Err(why @ NoPromotion::Held { .. }) = promotion(ordered, membership) {
        waits.push(why.to_string());
    }
    match turn(ordered, membership) {
        Ok(turn) => waits.push(format!(
            "{}: it is {}'s turn, attempt {}{}",
            turn.seat(),
            turn.by(),
            turn.attempt(),
            last_failure(ordered, turn.seat()),
        )),
        Err(NoTurn::NoUpgrade | NoTurn::Complete | NoTurn::AllRun { .. }) => {}
        Err(
            why @ (NoTurn::Leaving { .. }
            | NoTurn::RecoveryFirst { .. }
            | NoTurn::NoLeader
            | NoTurn::Parallel { .. }
            | NoTurn::RedundancyTooLow { .. }
            | NoTurn::HandOver { .. }
            | NoTurn::LeaderLast { .. }
            | NoTurn::NoHosts { .. }),
        ) => waits.push(why.to_string()),
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
        let host = ordered.host(attempt.host).map_or("?", |host| &host.name);
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
        Some(transfer) => format!("{seat}: {id} takes the state of {} and catches up", transfer.donor),
        None => match donor(ordered, membership, id) {
            Ok(donor) => format!("{seat}: {id} is to take the state of {donor}"),
            Err(_) => return None,
        },
    })
}
