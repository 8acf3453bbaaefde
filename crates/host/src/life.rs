//! The two parts of a replica's life: it asks to join, then it is a member.

use std::collections::BTreeMap;
use std::sync::Arc;

use group::{Admitted, Joining, Links};
use replica::{Replica, Setup};
use wire::hello::{Hello, Opener, Welcome};

use crate::donations::Donations;
use crate::transfer::Ticket;

/// What the process is now.
#[derive(Debug)]
pub(crate) enum Life {
    /// It has no state yet.
    Joining(Box<Asking>),
    /// It has a state and follows the order.
    Member(Box<Member>),
}

/// A joining replica and what drives it.
#[derive(Debug)]
pub(crate) struct Asking {
    pub(crate) joining: Joining,
    /// Until it begins.
    pub(crate) setup: Option<Setup>,
    /// The joining's links by its own numbers.
    pub(crate) links: BTreeMap<u64, u64>,
    pub(crate) fetching: Option<Fetching>,
    /// How many fetches were begun.
    pub(crate) fetches: u64,
}

/// The state that is being fetched.
#[derive(Debug)]
pub(crate) struct Fetching {
    pub(crate) number: u64,
    pub(crate) admitted: Admitted,
    pub(crate) ticket: Arc<Ticket>,
}

/// A member and what drives it.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) replica: Replica,
    pub(crate) links: Links,
    pub(crate) donations: Donations,
}

impl Life {
    /// The answer to whoever dials.
    pub(crate) fn greet(&self, hello: &Hello) -> Welcome {
        match self {
            Life::Member(member) => member.greet(hello),
            Life::Joining(_) => Welcome::Refused {
                why: "this replica is still joining its group: try another".to_owned(),
            },
        }
    }
}

impl Asking {
    pub(crate) fn new(joining: Joining, setup: Setup) -> Asking {
        Asking {
            joining,
            setup: Some(setup),
            links: BTreeMap::new(),
            fetching: None,
            fetches: 0,
        }
    }

    /// Whatever is fetched is out of date.
    pub(crate) fn cancel_fetch(&mut self) {
        if let Some(fetching) = self.fetching.take() {
            fetching.ticket.cancel();
        }
    }
}

impl Member {
    pub(crate) fn new(replica: Replica) -> Member {
        let links = Links::new(replica.me());
        Member {
            replica,
            links,
            donations: Donations::default(),
        }
    }

    fn greet(&self, hello: &Hello) -> Welcome {
        if let Opener::Peer { member, .. } = hello.opener
            && member == self.replica.me()
        {
            let why = format!("this is {member} itself");
            return Welcome::Refused { why };
        }
        self.replica.greet(hello)
    }
}
