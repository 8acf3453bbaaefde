//! An ordered state that came with a transfer is one, or is refused.

use ::fuzz::Decoder;

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
    let wide = World::found(foundation(3000, 1), binary(1));
    let valid = [
        wide.ordered.to_bytes(),
        founded.ordered.to_bytes(),
        grown,
        begun,
        upgraded.ordered.to_bytes(),
    ];
    Decoder::of("ordered state", valid)
        // A seat that nobody had is eight bytes when it is written.
        .times(size_of::<SeatState>().div_ceil(8))
        .survives(|bytes| Ordered::from_bytes(bytes).is_ok());
}
