//! What all sessions together may keep, and what goes when it is too much.

use wire::MethodId;

use super::super::session::Reply;
use super::super::sessions::Sessions;
use super::*;

const MEGABYTE: u64 = 1 << 20;

/// Sessions whose replies share one allocation, so that tests may keep many of them.
struct Group {
    sessions: Sessions,
    megabyte: Bytes,
    time: u64,
}

impl Group {
    fn new() -> Group {
        Group {
            sessions: Sessions::default(),
            megabyte: vec![0; MEGABYTE as usize].into(),
            time: 1,
        }
    }

    fn open(&mut self) -> SessionId {
        self.sessions.open(OrderedTime(self.time))
    }

    /// A request that is answered with a megabyte.
    fn call(&mut self, session: SessionId, number: u64, acknowledged: u64) -> Result<(), Outcome> {
        self.call_for(self.megabyte.clone(), session, number, acknowledged)
    }

    /// One that is answered with next to nothing.
    fn call_small(
        &mut self,
        session: SessionId,
        number: u64,
        acknowledged: u64,
    ) -> Result<(), Outcome> {
        self.call_for(Bytes::new(), session, number, acknowledged)
    }

    fn call_for(
        &mut self,
        reply: Bytes,
        session: SessionId,
        number: u64,
        acknowledged: u64,
    ) -> Result<(), Outcome> {
        let call = Call {
            session,
            number,
            acknowledged,
            method: MethodId(1),
            signature: 1,
            arguments: &[],
        };
        let time = OrderedTime(self.time);
        let execute = || Outcome::Done(reply);
        let executed = self.sessions.once(&call, time, Position(9), execute);
        executed.map(|_: &Reply| ())
    }

    /// Two seconds pass.
    fn pass(&mut self) {
        self.time += 2000;
        self.sessions.pass(OrderedTime(self.time));
    }
}

#[test]
fn above_the_soft_limit_each_session_gets_one_request_at_a_time() {
    let mut group = Group::new();
    let sessions: Vec<SessionId> = (0..256).map(|_| group.open()).collect();
    for &session in &sessions {
        group.call(session, 1, 0).unwrap();
    }
    let session = group.open();
    group.call_small(session, 1, 0).unwrap();
    let refused = group.call_small(session, 2, 0);
    assert_eq!(refused, Err(Outcome::WindowFull));
    group.call_small(session, 2, 1).unwrap();

    // One gives its megabyte back, and the others go on as before.
    group.call_small(sessions[0], 2, 1).unwrap();
    group.call_small(session, 3, 1).unwrap();
}

#[test]
fn above_the_hard_limit_the_most_silent_sessions_go() {
    let mut group = Group::new();
    let quiet = group.open();
    let busy = group.open();
    group.pass();
    group.call(busy, 1, 0).unwrap();
    for _ in 0..511 {
        group.pass();
        let session = group.open();
        group.call(session, 1, 0).unwrap();
        group.call(busy, 1, 0).unwrap();
    }
    group.pass();
    assert_eq!(group.call(quiet, 1, 0), Err(Outcome::SessionExpired));
    group.call(busy, 2, 1).unwrap();
}

#[test]
fn above_so_many_sessions_the_most_silent_one_goes() {
    let mut group = Group::new();
    let (heard, silent) = (group.open(), group.open());
    group.pass();
    group.call(heard, 1, 0).unwrap();
    for _ in 0..100_000 - 2 {
        group.open();
    }
    group.call(silent, 1, 0).unwrap();
    group.time += 2000;
    group.call(heard, 1, 0).unwrap();
    group.call(silent, 1, 0).unwrap();
    group.open();
    group.call(heard, 1, 0).unwrap();
    group.call(silent, 1, 0).unwrap();
    assert_eq!(group.call(SessionId(3), 1, 0), Err(Outcome::SessionExpired));
}
