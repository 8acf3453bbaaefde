//! Who answers clients (design 4.14; §4.2: `stopRequests`).
//!
//! Who runs the effective version itself answers before who only behaves as it: while versions are
//! mixed no client sees a byte of the new version. Whoever's turn runs, or whose state is being
//! exported, sends clients elsewhere as long as there is an elsewhere.

use group::Membership;
use museum::Defect;
use wire::MemberId;
use wire::member::Member;

use super::Ordered;

/// Members that take clients' requests, eldest first. Never empty while somebody serves.
pub fn answering(ordered: &Ordered, membership: &Membership) -> Vec<MemberId> {
    let native = |member: &Member| {
        museum::on(Defect::NewAnswersEarly) || member.binary.version == ordered.effective().version
    };
    let free = |member: &Member| museum::on(Defect::HolderAnswers) || !ordered.turn_runs(member);
    let idle = |member: &Member| !ordered.exports(membership, member.id, None);
    let choose = |wanted: &dyn Fn(&Member) -> bool| -> Vec<MemberId> {
        ordered
            .able(membership)
            .filter(|member| wanted(member))
            .map(|member| member.id)
            .take(if museum::on(Defect::EldestAnswersAlone) {
                1
            } else {
                usize::MAX
            })
            .collect()
    };
    // From the best set to the last resort; the first that has somebody is taken.
    let steps: [&dyn Fn(&Member) -> bool; 7] = [
        &|member| native(member) && free(member) && idle(member),
        &|member| native(member) && free(member),
        &|member| native(member) && idle(member),
        &native,
        &|member| free(member) && idle(member),
        &free,
        &|_| true,
    ];
    steps
        .into_iter()
        .map(choose)
        .find(|chosen| !chosen.is_empty())
        .unwrap_or_else(|| {
            // A group of one between activation and swap: requests are ordered, and its successor
            // answers them.
            membership.view.serving().map(|member| member.id).collect()
        })
}
