//! Requests evolve: which callers a group takes, by the version that it was founded with.
//!
//! Everything passes through the executor, which refuses shapes of arguments that nobody told it of.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod counter;

use remex::{MethodId, OrderedTime, OwnedCall, Position, Service};
use replica::{Executable, Execute, Founding, Program, Work};
use serde::Serialize;
use serde_json::{Value, json};
use wire::client::{Call, ClientReply, Outcome};
use wire::frame::to_bytes;
use wire::log::Origin;
use wire::{MemberId, SessionId};

/// A depot in two versions: an argument's type has a field more in the second, and an argument is
/// of another type.
mod depot {
    #![allow(
        unreachable_pub,
        reason = "a service's methods are `pub`, wherever it lies"
    )]

    pub mod v1 {
        //! The first version.

        use serde::{Deserialize, Serialize};

        #[derive(Serialize, Deserialize)]
        pub struct Parcel {
            pub weight: u32,
        }

        #[derive(Default, Serialize, Deserialize)]
        pub struct Depot {
            pub weight: u32,
        }

        #[remex::service(name = "depot", state_format = 1, version = "1.0.0")]
        impl Depot {
            pub fn take(&mut self, parcel: Parcel) -> u32 {
                self.weight += parcel.weight;
                self.weight
            }

            pub fn label(&mut self, text: u32) -> u32 {
                text
            }
        }
    }

    pub mod v2 {
        //! The second.

        use remex::{Successor, Unmappable};
        use serde::{Deserialize, Serialize};

        use super::v1;

        #[derive(Serialize, Deserialize)]
        pub struct Parcel {
            pub weight: u32,
            #[serde(default)]
            pub fragile: bool,
        }

        #[derive(Default, Serialize, Deserialize)]
        pub struct Depot {
            pub weight: u32,
            pub fragile: u32,
        }

        #[remex::service(name = "depot", state_format = 2, version = "2.0.0")]
        impl Depot {
            pub fn take(&mut self, parcel: Parcel) -> u32 {
                self.weight += parcel.weight;
                self.fragile += u32::from(parcel.fragile);
                self.weight
            }

            pub fn label(&mut self, text: String) -> String {
                text
            }
        }

        impl Successor for Depot {
            type Predecessor = v1::Depot;

            fn map(old: v1::Depot) -> Result<Self, Unmappable> {
                Ok(Depot {
                    weight: old.weight,
                    fragile: 0,
                })
            }
        }
    }
}

/// A group of one.
struct Group {
    execute: Box<dyn Execute>,
    session: SessionId,
    position: u64,
}

impl Group {
    fn founded<S: Service>() -> Group {
        let me = MemberId::new(1).unwrap();
        let execute = Program::of::<S>().found(Founding { me, seed: 1 });
        let mut group = Group {
            execute,
            session: SessionId(0),
            position: 1,
        };
        let origin = group.origin();
        let reply = group.apply(Executable::Open { origin, token: 1 });
        let ClientReply::Opened { session, .. } = reply else {
            panic!("a session opens, not {reply:?}");
        };
        group.session = session;
        group
    }

    fn origin(&self) -> Origin {
        Origin {
            member: MemberId::new(1).unwrap(),
            connection: 1,
            number: self.position,
        }
    }

    fn apply(&mut self, request: Executable) -> ClientReply {
        self.position += 1;
        let work = Work::Apply {
            position: Position(self.position),
            time: OrderedTime(1),
            requests: vec![request],
        };
        let mut out = Vec::new();
        self.execute.handle(work, &mut out);
        out.pop().unwrap().reply
    }

    /// What comes of a call that was made by whatever version.
    fn call(&mut self, call: &OwnedCall) -> Outcome {
        let calls = to_bytes(&vec![Call {
            session: self.session,
            number: self.position,
            acknowledged: 0,
            method: call.method,
            signature: call.signature,
            arguments: &call.arguments,
        }]);
        let origin = self.origin();
        let calls = calls.into();
        let reply = self.apply(Executable::Calls { origin, calls });
        let ClientReply::Results { results } = reply else {
            panic!("results, not {reply:?}");
        };
        results.into_iter().last().unwrap().outcome
    }
}

/// The call as a client of `S` makes it.
fn made<S: Service>(method: &str, arguments: &Value) -> OwnedCall {
    S::call_from_json(method, arguments).unwrap()
}

fn done(reply: &impl Serialize) -> Outcome {
    Outcome::Done(rmp_serde::to_vec_named(reply).unwrap().into())
}

#[test]
fn a_group_founded_later_takes_clients_of_the_versions_before() {
    use depot::{v1, v2};
    let mut group = Group::founded::<v2::Depot>();
    let old = made::<v1::Depot>("take", &json!([{"weight": 4}]));
    let new = made::<v2::Depot>("take", &json!([{"weight": 4, "fragile": true}]));
    assert_ne!(old.signature, new.signature);
    assert_eq!(group.call(&old), done(&4));
    assert_eq!(group.call(&new), done(&8));

    let mut group = Group::founded::<counter::v2::Counter>();
    let old = made::<counter::v1::Counter>("add", &json!([4]));
    assert_eq!(group.call(&old), done(&Ok::<u32, u32>(4)));
}

#[test]
fn what_the_later_version_cannot_decode_it_refuses() {
    use depot::{v1, v2};
    let mut group = Group::founded::<v2::Depot>();
    let old = made::<v1::Depot>("label", &json!([4]));
    assert_eq!(group.call(&old), Outcome::Malformed);
    let new = made::<v2::Depot>("label", &json!(["four"]));
    assert_eq!(group.call(&new), done(&"four"));
}

/// Clients are deployed before servers, too: who asks for nothing new is understood.
#[test]
fn a_new_client_that_asks_for_nothing_new_is_taken_by_an_older_version() {
    use counter::{v1, v2};
    let mut group = Group::founded::<v1::Counter>();
    let plain = made::<v2::Counter>("add", &json!({"by": 4}));
    assert_eq!(group.call(&plain), done(&Ok::<u32, u32>(4)));
    let twice = made::<v2::Counter>("add", &json!({"by": 4, "times": 2}));
    assert_eq!(group.call(&twice), Outcome::Malformed);
    // A shape that only the next version knows is not guessed at.
    let mut group = Group::founded::<depot::v1::Depot>();
    let new = made::<depot::v2::Depot>("take", &json!([{"weight": 4, "fragile": false}]));
    assert_eq!(group.call(&new), Outcome::Malformed);
}

/// A service may add arguments in several versions; each made another form of them.
mod kiosk {
    #![allow(
        unreachable_pub,
        reason = "a service's methods are `pub`, wherever it lies"
    )]

    use serde::{Deserialize, Serialize};

    #[derive(Default, Serialize, Deserialize)]
    pub struct Kiosk;

    #[remex::service(name = "kiosk", state_format = 1, version = "10.0.0")]
    impl Kiosk {
        #[since("1.5.0")]
        pub fn sell(
            &mut self,
            #[since("10.0.0")] third: u32,
            first: u32,
            #[since("9.0.0")] second: u32,
            #[since("9.0.0")] beside: u32,
        ) -> u32 {
            first + second + beside + third
        }
    }
}

#[test]
fn a_call_has_the_first_form_that_has_all_that_is_given() {
    let description = kiosk::Kiosk::describe();
    let sell = &description.methods[0];
    let forms = [
        "{first: u32}",
        "{first: u32, second?: u32, beside?: u32}",
        "{third?: u32, first: u32, second?: u32, beside?: u32}",
    ]
    .map(wire::fingerprint);
    assert_eq!(sell.older_signatures, forms[..2]);
    assert_eq!(sell.signature, forms[2]);
    for (given, form) in [
        (json!({"first": 1}), 0),
        (json!({"first": 1, "second": 2}), 1),
        (json!({"first": 1, "beside": 2}), 1),
        (json!({"first": 1, "third": 2}), 2),
        (json!({"first": 1, "second": 0, "third": 2}), 2),
    ] {
        let call = made::<kiosk::Kiosk>("sell", &given);
        assert_eq!(call.signature, forms[form], "{given}");
    }
}

#[test]
fn a_description_lists_the_older_signatures_once() {
    let older = |description: remex::Description, name: &str| {
        let id = MethodId::of(name);
        let methods = description.methods.into_iter();
        let mut found = methods.filter(|method| method.id == id);
        found.next().unwrap().older_signatures
    };
    let none: [u32; 0] = [];
    let first = wire::fingerprint("{by: u32}");
    assert_eq!(older(counter::v1::Counter::describe(), "add"), none);
    assert_eq!(older(counter::v2::Counter::describe(), "add"), [first]);
    assert_eq!(older(counter::v2::Counter::describe(), "count"), none);
    let first = wire::fingerprint("{parcel: {weight: u32}}");
    assert_eq!(older(depot::v2::Depot::describe(), "take"), [first]);
}
