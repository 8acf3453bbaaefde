//! Edges of links that break: with ticks off nothing is sent again by itself.

use order::Output;
use wire::engine::{EngineKind, EngineMessage};

use crate::world::{World, id};

/// How many messages are under way that are so.
fn under_way(world: &World, so: impl Fn(&EngineMessage) -> bool) -> usize {
    let wire = world.wire.iter();
    wire.filter(|(.., output)| matches!(output, Output::Send { message, .. } if so(message)))
        .count()
}

/// What a broken link carried may be lost. The leader sends one probe and no more into it, and begins
/// behind what the receiver is known to have: once the link stands again nothing has to be rejected.
#[test]
fn a_broken_link_is_probed_and_not_filled() {
    let mut world = World::of(3);
    world.cut.extend([(id(1), id(2)), (id(2), id(1))]);
    world.propose("lost with the link");
    world.step();
    world.order(1).disconnected(id(2));
    let mut appends = 0;
    for number in 1..=5 {
        world.propose(&format!("behind it {number}"));
        world.step();
        appends += under_way(&world, |message| {
            message.kind == EngineKind::Append && message.to == 2
        });
    }
    assert_eq!(appends, 1, "one probe");
    world.cut.clear();
    world.order(1).connected();
    let mut rejections = 0;
    for _ in 0..20 {
        world.step();
        rejections += under_way(&world, |message| message.reject);
    }
    assert_eq!(world.texts(2).len(), 6);
    assert_eq!(rejections, 0);
}
