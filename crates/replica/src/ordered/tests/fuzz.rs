//! An ordered state that came with a transfer is one, or is refused.

use ::fuzz::Decoder;
use wire::daemon::HostRecord;

use super::situation::{binary, foundation, request};
use super::world::World;
use crate::ordered::Ordered;
use crate::ordered::seat::SeatState;

#[test]
fn an_ordered_state_survives_whatever_comes() {
    let founded = World::found(foundation(3, 1), binary(1));
    let mut upgraded = World::grown(foundation(3, 1), binary(1));
    let grown = upgraded.ordered.to_bytes();
    upgraded.request(request(binary(2)));
    let begun = upgraded.ordered.to_bytes();
    upgraded.rest();
    let valid = [
        founded.ordered.to_bytes(),
        grown,
        begun,
        upgraded.ordered.to_bytes(),
    ];
    Decoder::of("ordered state", valid)
        .list::<SeatState>(8)
        .list::<HostRecord>(9)
        .list::<String>(1)
        .survives(|bytes| Ordered::from_bytes(bytes).is_ok());
}
