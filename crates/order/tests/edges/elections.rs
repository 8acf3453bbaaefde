//! Edges of elections, which our detector times and not the engine, and the recipe of a nudge.

use std::collections::BTreeSet;

use order::{Content, Reach, Refusal, Step};
use wire::Time;

use crate::world::{World, id};

/// Edge: proposals vanish at a change of leader; the new term's first entry tells.
#[test]
fn a_new_term_begins_with_nothing() {
    let mut world = World::of(3);
    world.quiet();
    let before = world.nodes[&id(2)].delivered.len();
    world.lose(1, true);
    world.until("another leads", |world| world.leader().is_some());
    world.until("its first entry", |world| {
        world.nodes[&id(2)].delivered.len() > before
    });
    assert_eq!(
        world.nodes[&id(2)].delivered[before].content,
        Content::Nothing
    );
}

/// Edge: votes against a leader that one still hears are refused.
#[test]
fn a_member_that_suspects_alone_does_not_depose_the_leader() {
    let mut world = World::of(3);
    world.order(3).silent(BTreeSet::from([id(1)]));
    world.quiet();
    for _ in 0..2_000 {
        world.step();
    }
    assert!(world.get(1).leads());
    assert_eq!(world.get(1).term(), world.get(2).term());
    world.propose("goes on");
    world.until("delivered", |world| world.texts(2) == ["goes on"]);
}

/// Edge: a leader that lost a majority of its peers steps down by itself, and a heal brings one.
#[test]
fn a_leader_without_a_majority_steps_down() {
    let mut world = World::of(3);
    world.cut_off(1);
    world.step();
    assert!(!world.get(1).leads());
    assert_eq!(
        world.order(1).propose(b"lost".to_vec()),
        Err(Refusal::NotLeading)
    );
    world.until("the others go on", |world| {
        world.leader().is_some_and(|leader| leader != 1)
    });
    world.heal();
    world.quiet();
    world.propose("healed");
    world.until("all have it", |world| world.texts(1) == ["healed"]);
}

/// Without a majority nobody can be elected: who tried nevertheless would only count terms.
#[test]
fn who_is_left_without_a_majority_waits() {
    let mut world = World::of(3);
    world.lose(1, true);
    world.step();
    assert!(world.get(2).deadline().is_some(), "it looks for a leader");
    world.lose(3, true);
    world.step();
    let term = world.get(2).term();
    for _ in 0..1_000 {
        world.step();
    }
    assert_eq!(world.get(2).term(), term);
    assert_eq!(world.get(2).deadline(), None);
}

/// A member that does not know its leader, for whatever reason, is told by it.
#[test]
fn who_looks_for_a_leader_that_lives_hears_of_it() {
    let mut world = World::of(3);
    let reach = Reach {
        last_term: 1,
        last_index: 1,
        term: 1,
    };
    let now = Time(world.now);
    // As if the leader had looked for one: it was long ago, and comes late.
    world.order(2).reach(now, id(1), reach);
    assert_eq!(world.get(2).leader(), None);
    world.quiet();
    assert_eq!(world.get(2).leader(), Some(id(1)));
    assert_eq!(world.get(2).deadline(), None);
}

/// A leader that has heard of a later term leads no more. Its word of that may be lost while others
/// still hear it; whoever hears of the later term forgets it, and votes.
#[test]
fn a_leader_of_an_older_term_is_not_waited_for() {
    let mut world = World::of(3);
    let now = Time(world.now);
    world.order(1).hand_over(now, id(3)).unwrap();
    world.until("the named one campaigns", |world| {
        world.get(3).term() > world.get(1).term()
    });
    // Only the leader gets that, and what it says from now on comes to nobody.
    let mute = [(id(1), id(2)), (id(1), id(3))];
    world.cut.extend(mute);
    world.cut.insert((id(3), id(2)));
    world.step();
    world.cut.remove(&(id(3), id(2)));
    assert_eq!(world.get(1).term(), world.get(3).term());
    assert_eq!(world.get(2).leader(), Some(id(1)), "it has not heard");
    world.until("the others go on", |world| {
        world.get(2).leads() || world.get(3).leads()
    });
}

/// Recipe: nudge. A certain death skips every wait.
#[test]
fn after_a_certain_death_another_leads_within_milliseconds() {
    let mut world = World::of(3);
    world.propose("before");
    world.until("delivered", |world| world.texts(3).len() == 1);
    let lost = world.now;
    world.lose(1, true);
    world.until("another leads", |world| world.leader().is_some());
    assert!(world.now - lost < 5_000, "{} µs", world.now - lost);
}

/// Recipe: nudge. The one with the longest log campaigns; the others would be refused.
#[test]
fn who_has_the_longest_log_leads_next() {
    let mut world = World::of(3);
    world.cut.insert((id(1), id(2)));
    world.propose("only the third has it");
    world.until("committed", |world| world.texts(1).len() == 1);
    world.cut.clear();
    world.lose(1, false);
    world.until("another leads", |world| world.leader().is_some());
    assert_eq!(world.leader(), Some(3));
    world.until("nothing is lost", |world| {
        world.texts(2) == ["only the third has it"]
    });
}

/// Edge: the engine's election jitter comes from a thread's random source, and must decide nothing:
/// the same inputs give the same outputs, whoever campaigns and however often.
#[test]
fn the_same_inputs_give_the_same_outputs() {
    let lived = || {
        let mut world = World::of(3);
        let mut seen = Vec::new();
        for (round, cut) in [1, 2, 3, 1, 2].into_iter().enumerate() {
            world.cut_off(cut);
            world.until("the others lead", |world| {
                world.leader().is_some_and(|leader| leader != cut)
            });
            world.propose(&format!("round {round}"));
            world.heal();
            for _ in 0..100 {
                world.step();
                seen.push(format!("{:?}", world.wire));
            }
        }
        (seen, world.now, world.get(1).term())
    };
    assert_eq!(lived(), lived());
}

/// Edge: campaigning is silently refused while committed changes are not applied. Whoever gets the
/// change and the word to lead in one turn applies it first, and leads.
#[test]
fn who_is_named_together_with_a_change_leads() {
    let mut world = World::of(3);
    world.join(4);
    let promotion = Step::Promote(id(4));
    world.order(1).change(promotion, Vec::new()).unwrap();
    let last = world.get(1).last();
    world.until("it is sent", |world| world.get(2).last() == last);
    world.cut.insert((id(1), id(2)));
    world.until("the others apply it", |world| {
        world.get(3).committed() == last && world.get(1).committed() == last
    });
    world.quiet();
    world.cut.clear();
    assert!(
        world.get(2).committed() < last,
        "it has it, and does not know"
    );
    let now = Time(world.now);
    world.order(1).connected();
    world.order(1).hand_over(now, id(2)).unwrap();
    world.until("the named one leads", |world| world.get(2).leads());
    assert!(world.get(2).configuration().voters.contains(&id(4)));
}
