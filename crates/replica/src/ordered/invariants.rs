//! Invariants: what must hold in every state, and between two states that follow each other.
//!
//! Tests and the simulator run both after every step; each sentence that comes back is a fault.

use group::Membership;
use wire::MemberId;
use wire::member::Member;

use super::Ordered;
use super::answering::answering;

/// What is wrong with this state; empty if nothing is.
pub fn broken_in_state(ordered: &Ordered, membership: &Membership) -> Vec<String> {
    let mut broken = Vec::new();
    let mut must = |holds: bool, sentence: &str| {
        if !holds {
            broken.push(sentence.to_owned());
        }
    };
    let running = ordered.upgrade().filter(|upgrade| upgrade.runs());

    // There is a seat for each member that is wanted.
    must(
        ordered.seats().count() == ordered.foundation().initial.max(1) as usize,
        "the number of seats is that of the wanted members",
    );
    for (seat, attempt) in ordered.attempts() {
        // The number of a running attempt is the last that its seat gave.
        must(
            ordered.seat(seat).map(|state| state.attempts()) == Some(attempt.number),
            "a running attempt has its seat's last number",
        );
        // Turns run while an upgrade runs.
        must(
            !attempt.is_turn() || running.is_some(),
            "turns run while an upgrade runs",
        );
        // An attempt that brought a replica runs as long as that replica is a joiner, no longer.
        must(
            attempt
                .joiner
                .is_none_or(|joiner| membership.joiner(joiner).is_some()),
            "a running attempt's replica is a joiner",
        );
        // Without a replica an attempt needs a holder that serves: nobody else asks a daemon.
        must(
            attempt.joiner.is_some() || membership.view.serves(attempt.by),
            "a running attempt has a replica, or a holder that serves",
        );
    }
    // At most as many turns run as the request allows (§3.2: "the number of replicas that can be
    // upgraded in parallel").
    must(
        running.is_none_or(|upgrade| ordered.turns() <= upgrade.request.parallel),
        "at most `parallel` turns run",
    );
    // Once activated and until another upgrade, the group behaves as the target.
    must(
        ordered
            .upgrade()
            .filter(|upgrade| upgrade.activated.is_some())
            .is_none_or(|upgrade| ordered.effective() == upgrade.target()),
        "an activated upgrade's target is effective",
    );
    // Before activation the group behaves as it did before the upgrade, done or given up.
    must(
        ordered
            .upgrade()
            .filter(|upgrade| upgrade.activated.is_none())
            .is_none_or(|upgrade| *ordered.effective() == upgrade.from),
        "before activation the effective version is that of before the upgrade",
    );
    // A client finds somebody as long as somebody serves (§3.1).
    let answers = answering(ordered, membership);
    must(
        membership.view.serving().next().is_none() || !answers.is_empty(),
        "somebody answers while somebody serves",
    );
    // Nobody is sent to a member that is silent, leaving or unable.
    let able = |member: &MemberId| ordered.able(membership).any(|other| other.id == *member);
    must(
        ordered.able(membership).next().is_none() || answers.iter().all(able),
        "who answers can serve",
    );
    // While an old member can answer, no client sees a byte of the target before activation.
    let native = |id: &MemberId| {
        let member = membership.view.member(*id);
        member.is_some_and(|member| member.binary.version == ordered.effective().version)
    };
    let natives = ordered.able(membership).any(|member| native(&member.id));
    must(
        !natives || answers.iter().all(native),
        "members of the effective version answer before others",
    );
    // Nobody answers while its turn runs, if another could (§4.2: `stopRequests`).
    let free = |member: &Member| native(&member.id) && !ordered.turn_runs(member);
    let stopped = ordered
        .able(membership)
        .filter(|member| ordered.turn_runs(member));
    let answers_stopped = stopped
        .map(|member| member.id)
        .any(|id| answers.contains(&id));
    must(
        !answers_stopped || !ordered.able(membership).any(free),
        "whose turn runs answers only if no other can",
    );
    // Whoever is of the effective version and does nothing else takes requests (§3.2, 3a).
    let idle = |member: &Member| free(member) && !ordered.exports(membership, member.id, None);
    let mut idle_ones = ordered.able(membership).filter(|member| idle(member));
    must(
        idle_ones.all(|member| answers.contains(&member.id)),
        "who is of the effective version and does nothing else answers",
    );
    // What travels in a state transfer arrives as it was.
    must(
        Ordered::from_bytes(&ordered.to_bytes()).as_ref() == Ok(ordered),
        "a transferred state is equal",
    );
    broken
}

/// What is wrong with a step from one state to the next; empty if nothing is.
pub fn broken_by_step(
    before: (&Ordered, &Membership),
    after: (&Ordered, &Membership),
) -> Vec<String> {
    let mut broken = Vec::new();
    let mut must = |holds: bool, sentence: &str| {
        if !holds {
            broken.push(sentence.to_owned());
        }
    };
    let ((old, old_membership), (new, new_membership)) = (before, after);

    for ((seat, was), (_, is)) in old.seats().zip(new.seats()) {
        // Attempt numbers fence: they never fall, and never skip.
        must(
            is.attempts() == was.attempts() || is.attempts() == was.attempts() + 1,
            "a seat's attempts are numbered one by one",
        );
        // Each seat has one attempt at a time: an end and the next beginning never share a position,
        // because nobody asks for the next before it has seen the end.
        must(
            was.current().is_none() || is.attempts() == was.attempts(),
            "an attempt begins where none runs",
        );
        // A turn starts only if more than the minimum serve without turns, its holder included
        // (§3.3: "whether the current redundancy level is greater than l").
        let begun = is.current().filter(|_| is.attempts() > was.attempts());
        // What has been seen to work is what a repair begins with, if anybody can give it a state.
        let proven = new
            .upgrade()
            .filter(|upgrade| upgrade.runs() && upgrade.proven);
        let repair = begun.filter(|attempt| !attempt.is_turn());
        if let (Some(upgrade), Some(repair)) = (proven, repair) {
            let given = new
                .formats(upgrade.target())
                .is_some_and(|formats| new.somebody_gives(new_membership, formats));
            must(
                repair.binary == *upgrade.target() || !given,
                "a repair starts the target once a successor is a member",
            );
        }
        let started = begun.filter(|attempt| attempt.is_turn());
        if started.is_some() {
            let able = new.able(new_membership);
            let redundancy = able
                .filter(|member| member.seat == seat || !new.turn_runs(member))
                .count();
            must(
                redundancy > new.foundation().minimal as usize,
                "a turn starts with more than `minimal` members",
            );
            // The eldest first (§4.2), but the leader. A turn that ran as this one began may have been
            // passed at the same position.
            let busy = |member: &Member| new.turn_runs(member) || old.turn_runs(member);
            let eldest = new.old(new_membership).find(|member| {
                member.seat == seat || (Some(member.id) != new_membership.leader && !busy(member))
            });
            must(
                eldest.is_none_or(|eldest| eldest.seat == seat),
                "a turn is the eldest old member's that does not lead",
            );
            // The leader's turn never starts while another member could lead.
            let leads = started.map(|attempt| attempt.by) == new_membership.leader;
            must(
                !leads || new.able(new_membership).count() == 1,
                "the leader of record has handed over before its turn",
            );
        }
    }
    // A wish is heard once, and never an older one (it fences those that a deposed manager still has).
    must(
        new.generation() >= old.generation(),
        "the generation of wishes never falls",
    );
    // While who is replaced by whom is an upgrade's to say, nobody wishes otherwise.
    must(
        new.generation() == old.generation() || old.upgrade().is_none_or(|was| !was.runs()),
        "a running upgrade's group keeps its seats",
    );
    let same = match (old.upgrade(), new.upgrade()) {
        (Some(was), Some(is)) => was.id == is.id,
        (None, _) | (_, None) => false,
    };
    let (was_activated, is_activated) = (
        old.upgrade().and_then(|upgrade| upgrade.activated),
        new.upgrade().and_then(|upgrade| upgrade.activated),
    );
    // Behaviour changes at the activation of an upgrade and nowhere else: once per upgrade.
    must(
        old.effective() == new.effective()
            || (is_activated.is_some() && (!same || was_activated.is_none())),
        "the effective version changes only at an activation",
    );
    // Nothing waits for a successor when the last old member stops (design 4.15). A way down
    // activates first, and its successors come after.
    let unready = new.upgrade().filter(|_| old.effective() != new.effective());
    if let Some(upgrade) = unready.filter(|upgrade| !upgrade.activated_first()) {
        let of_target =
            |member: &Member, seat| member.seat == seat && member.binary == *upgrade.target();
        let mut seats = new.seats().map(|(seat, _)| seat);
        let joiners = &new_membership.joiners;
        must(
            seats.all(|seat| {
                let mut serving = new_membership.view.serving();
                serving.any(|member| of_target(member, seat))
                    || joiners
                        .iter()
                        .any(|joiner| joiner.ready && of_target(&joiner.member, seat))
            }),
            "at an activation every seat has a member of the new version, or one that is ready",
        );
    }
    // At the activation somebody goes on serving, but in a group of one, whose swap is next.
    must(
        old.effective() == new.effective()
            || new.seat_count() == 1
            || new.able(new_membership).next().is_some(),
        "an activation leaves a member that can serve",
    );
    must(
        !same || was_activated.is_none() || was_activated == is_activated,
        "an upgrade is activated once",
    );
    // What has ended stays ended, and only another request takes its place (§2.1).
    must(
        old.upgrade()
            .is_none_or(|was| was.runs() || !same || new.upgrade() == Some(was)),
        "an upgrade that ended stays as it ended",
    );
    must(
        same || old.upgrade().is_none_or(|was| !was.runs()),
        "a running upgrade is not displaced",
    );
    // The last old member of a view stays until activation: no successor takes its vote. (Which of
    // several is the last that serves, a change that is under way cannot know.)
    let leaver = new_membership
        .view
        .leaving
        .filter(|_| old_membership.view.leaving.is_none());
    let held = old
        .upgrade()
        .filter(|upgrade| upgrade.runs() && upgrade.activated.is_none());
    // A vote is taken by who has come for its seat.
    let seat = |id| new_membership.view.member(id).map(|member| member.seat);
    let successor = new_membership.view.members.last();
    must(
        leaver.is_none_or(|leaver| seat(leaver) == successor.map(|successor| successor.seat)),
        "a successor takes the vote of its own seat's member",
    );
    if let (Some(leaver), Some(upgrade)) = (leaver, held) {
        let olds: Vec<MemberId> = old.old(old_membership).map(|member| member.id).collect();
        let members = &new_membership.view.members;
        let youngest = members.last().map(|member| &member.binary);
        must(
            youngest != Some(upgrade.target()) || olds != [leaver],
            "the last old member is not replaced before activation",
        );
    }
    broken
}
