//! What must be true of a group at rest, whatever happened before.

use order::{Configuration, Content, Order};
use wire::MemberId;

use crate::recipe::{Members, Recipe};
use crate::stage::Stage;

/// How the recipe may have ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    Done,
    /// Whoever ordered it is gone, and perhaps its order too.
    DoneOrAbsent,
}

pub(crate) fn judge(stage: &mut Stage, recipe: Recipe, size: u64, ending: Ending) {
    all_agree(stage);
    wholly_done_or_absent(stage, recipe, size, ending);
    nothing_refused_is_seen(stage);
    no_leader_takes_itself_out(stage);
    each_is_delivered_once(stage);
    goes_on(stage);
}

/// One leader, whom all hear; one log, delivered by all up to its end; one configuration, which is
/// not joint; and nothing under way.
fn all_agree(stage: &Stage) {
    let leaders = stage.leaders();
    let [leader] = leaders[..] else {
        panic!("{leaders:?} lead: {}", stage.describe());
    };
    let order = &stage.world.nodes[&leader].order;
    let known = |order: &Order| {
        let delivered = order.committed() == order.last();
        (
            order.last(),
            delivered,
            order.term(),
            order.leader(),
            order.configuration().clone(),
        )
    };
    for (me, node) in &stage.world.nodes {
        assert_eq!(
            known(&node.order),
            known(order),
            "{me} and {leader}: {}",
            stage.describe()
        );
        let delivered = node.delivered.last().map(|last| last.position);
        let start = node.delivered.is_empty();
        assert!(
            start || delivered == Some(order.last()),
            "{me} delivers all"
        );
        assert!(
            node.order.hears_leader() && !node.order.change_pending() && !node.order.hands_over()
        );
        assert_eq!(node.needs_state, [], "{me} gives up nobody");
    }
    assert_eq!(
        stage.history.keys().next_back(),
        Some(&order.last()),
        "nothing is lost"
    );
}

fn wholly_done_or_absent(stage: &Stage, recipe: Recipe, size: u64, ending: Ending) {
    let configuration = stage.world.nodes[&stage.leaders()[0]].order.configuration();
    assert!(!configuration.joint() && configuration.learners_next.is_empty());
    let found: Members = (
        configuration.voters.iter().copied().collect(),
        configuration.learners.iter().copied().collect(),
    );
    let alive = |member: &MemberId| !stage.dead.contains(member);
    let living = |(voters, learners): Members| -> Members {
        let voters = voters.into_iter().filter(alive).collect();
        (voters, learners.into_iter().filter(alive).collect())
    };
    let done = living(recipe.done(size));
    let absent = living(recipe.absent(size));
    let absent = (ending == Ending::DoneOrAbsent).then_some(absent);
    assert!(
        found == done || Some(&found) == absent.as_ref(),
        "{ending:?}: {found:?}, neither {done:?} nor {absent:?}"
    );
    let (mut within, learners) = found;
    within.extend(learners);
    within.retain(|member| !stage.lost.contains(member));
    assert!(
        stage.world.nodes.keys().eq(&within),
        "who is in is who runs"
    );
}

fn nothing_refused_is_seen(stage: &Stage) {
    for delivery in stage.history.values() {
        if let Content::Change { context, .. } = &delivery.content {
            let refused = stage.refused.iter().any(|refused| **refused == context[..]);
            assert!(!refused, "a refused change is in force: {delivery:?}");
        }
    }
}

/// It hands over first. Another leader's change may do so, which was on its way before.
fn no_leader_takes_itself_out(stage: &Stage) {
    let mut before = None;
    for delivery in stage.history.values() {
        if let Content::Change { configuration, .. } = &delivery.content {
            if let Some(&leader) = stage.led.get(&delivery.term)
                && before.is_some_and(|before: &Configuration| before.votes(leader))
            {
                assert!(configuration.votes(leader), "{leader} took itself out");
            }
            before = Some(configuration);
        }
    }
}

/// What was taken is delivered once. Only another term's leader may have lost it, if it was not agreed.
fn each_is_delivered_once(stage: &Stage) {
    for taken in &stage.taken {
        let history = stage.history.values();
        let times = history.filter(|delivery| {
            matches!(&delivery.content, Content::Entry(bytes) if bytes[..] == *taken.entry.as_bytes())
        });
        let times = times.count();
        let order = stage.world.nodes.get(&taken.leader).map(|node| &node.order);
        let leads = order.is_some_and(|order| order.leads() && order.term() == taken.term);
        assert!(
            times == 1 || (times == 0 && !leads),
            "{taken:?}: {times} times"
        );
    }
}

/// A new entry reaches everybody, every member's read is answered with it, and so were all before.
fn goes_on(stage: &mut Stage) {
    stage.propose("afterwards");
    let taken = stage.taken.last().map(|taken| taken.entry);
    assert_eq!(taken, Some("afterwards"), "the leader takes it at once");
    stage.rest();
    all_agree(stage);
    each_is_delivered_once(stage);
    let members: Vec<MemberId> = stage.world.nodes.keys().copied().collect();
    for member in members {
        stage.read(member, 2);
    }
    stage.rest();
    all_agree(stage);
    for &(reader, token, floor) in &stage.reads {
        let Some(node) = stage.world.nodes.get(&reader) else {
            continue;
        };
        let mut answers = node
            .readable
            .iter()
            .filter(|(answered, _)| *answered == token);
        let answer = answers.next().map(|(_, position)| *position);
        assert!(
            answer >= Some(floor),
            "{reader} reads at {answer:?}, asked after {floor}"
        );
        assert_eq!(answers.next(), None, "a read is answered once");
    }
}
