//! A joiner begins with the head of a state that a donor sent, or refuses it.

use ::fuzz::Decoder;
use replica::Replica;
use wire::frame::{decode_body, to_bytes};
use wire::peer::TransferHead;

use crate::members::{Members, Seen, setup};

#[test]
fn a_joiner_begins_or_refuses_whatever_head_comes() {
    let mut members = Members::found(2, 1);
    members.until("a second member is asked for", |members| {
        !members.asked.is_empty()
    });
    let asked = members.asked.remove(0);
    let arrival = members.admit(&asked);
    let (now, admitted) = (members.now(), arrival.admitted);
    Decoder::of("head", [to_bytes(&arrival.head)])
        .buffer(256 << 10)
        .slow(3)
        .survives(|bytes| {
            let Ok(head) = decode_body::<TransferHead>(bytes) else {
                return false;
            };
            let setup = setup("gamma", 2, 1, &Seen::default());
            Replica::start(now, setup, &admitted, &head).is_ok()
        });
}
