//! What an order keeps, and what an idle one does.

use crate::world::World;

/// An idle group wants nothing: no ticks, no messages, no deadline.
#[test]
fn an_idle_group_is_silent() {
    let mut world = World::of(3);
    world.quiet();
    world.step();
    assert!(world.wire.is_empty());
    assert!(
        world
            .nodes
            .values()
            .all(|node| node.order.deadline().is_none())
    );
}

/// Memory stays bounded under endless load.
#[test]
fn a_compacted_log_is_small() {
    let mut world = World::of(3);
    for number in 0..500 {
        world.propose(&format!("{number}"));
        world.step();
        for member in 1..=3 {
            let last = world.get(member).committed();
            world.order(member).compact(last);
        }
    }
    world.quiet();
    assert!((1..=3).all(|member| world.get(member).log_bytes() < 8 << 10));
    assert_eq!(world.texts(2).len(), 500);
}
