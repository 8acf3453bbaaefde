//! A layer of a user's own: named in the stack, it sees events, speaks in the total order and
//! holds requests back.

use std::sync::{Arc, Mutex};

use bytes::Bytes;
use group::Now;
use replica::{
    Effect, Event, Layer, LayerContext, Output, Program, Replica, Setup, StackError, StartError,
};
use wire::client::{ClientReply, ClientRequest, Decline};
use wire::daemon::{Foundation, HostRecord};
use wire::member::Binary;
use wire::{Build, OrderedTime, Time, Version};

use crate::nothing::First;

/// Says once that it is here, remembers what it heard, and lets no client in until then.
#[derive(Debug, Default)]
struct Roll {
    said: bool,
    heard: Arc<Mutex<Vec<Bytes>>>,
}

impl Layer for Roll {
    fn name(&self) -> &'static str {
        "Roll"
    }

    fn requires(&self) -> &'static [&'static str] {
        &["PGMS", "EGMI"]
    }

    fn handle(&mut self, cx: &LayerContext<'_>, event: &Event<'_>, out: &mut Vec<Effect>) {
        match event {
            Event::Changed if !self.said && cx.group.leads_of_record() => {
                self.said = true;
                let payload = Bytes::from(format!("{} is here", cx.me()));
                out.push(Effect::Multicast { payload });
            }
            Event::Delivered { payload, .. } => self.heard.lock().unwrap().push((*payload).clone()),
            Event::Changed | Event::Happened { .. } | Event::Daemon { .. } => {}
        }
    }

    fn passes(&self, _: &LayerContext<'_>) -> Result<(), Decline> {
        if self.heard.lock().unwrap().is_empty() {
            let limit = "the roll was not called yet".to_owned();
            return Err(Decline::Overloaded { limit });
        }
        Ok(())
    }
}

fn now(ms: u64) -> Now {
    Now {
        time: Time(ms * 1000),
        wall: OrderedTime(1_000_000 + ms),
    }
}

fn found(stack: &str, roll: Roll) -> Result<Replica, StartError> {
    let address = "127.0.0.1:1".parse().unwrap();
    let setup = Setup {
        program: Arc::new(Program::of::<First>()),
        host: "alpha".to_owned(),
        address,
        process: 1,
        binary: Binary {
            version: Version::new(1, 0, 0),
            build: Build([0; 32]),
        },
        layers: vec![Box::new(roll)],
        watched: true,
    };
    let foundation = Foundation {
        stack: stack.to_owned(),
        initial: 1,
        minimal: 0,
        hosts: vec![HostRecord {
            name: "alpha".to_owned(),
            daemon: address,
        }]
        .into(),
    };
    Replica::found(now(0), setup, "group", foundation, 1, 1).map(|(replica, _)| replica)
}

/// §4.1: layers are configured by name; ours stands among the built-in ones.
#[test]
fn a_users_layer_speaks_in_the_total_order_and_holds_requests_back() {
    let heard = Arc::new(Mutex::new(Vec::new()));
    let roll = Roll {
        said: false,
        heard: Arc::clone(&heard),
    };
    let mut replica = found("PGMS:EGMI:Roll:Recovery:Upgrade", roll).unwrap();
    let mut out = Vec::new();
    replica.client_opened(7, &mut out);
    replica.client_heard(now(0), 7, ClientRequest::Open { token: 1 }, &mut out);
    let declined = out.iter().any(|output| {
        matches!(
            output,
            Output::Client {
                reply: ClientReply::Declined { .. },
                ..
            }
        )
    });
    assert!(declined, "its word is not delivered yet");
    for ms in 1..5 {
        replica.turn(now(ms), &mut out);
    }
    assert_eq!(*heard.lock().unwrap(), [Bytes::from_static(b"m1 is here")]);
    out.clear();
    replica.client_heard(now(6), 7, ClientRequest::Open { token: 2 }, &mut out);
    assert!(out.is_empty(), "requests pass now: {out:?}");
}

#[test]
fn a_users_layer_is_checked_like_any_other() {
    let refused = found("PGMS:Roll:EGMI", Roll::default()).unwrap_err();
    assert!(
        matches!(refused, StartError::Stack(StackError::Requires { .. })),
        "{refused}"
    );
    let unknown = found("PGMS:EGMI:Rolls", Roll::default()).unwrap_err();
    assert!(unknown.to_string().contains("Roll"), "{unknown}");
}
