//! A client that blocks.

use std::io::{BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use wire::client::{Call, CallResult, ClientReply, ClientRequest, Outcome};
use wire::frame::{self, to_bytes};
use wire::hello::{Hello, Opener, Welcome};
use wire::peer::Contact;
use wire::{MethodId, SessionId};

use super::service::{ADD, COUNT, SIGNATURE};
use super::{GROUP, read_frame, write_frame};

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Client {
    to: TcpStream,
    from: BufReader<TcpStream>,
    pub session: SessionId,
    pub number: u64,
    pub members: Vec<Contact>,
}

/// Dials and says who it is.
pub fn dial(address: SocketAddr, opener: Opener) -> (TcpStream, Option<Welcome>) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write_frame(&mut stream, &Hello::new(GROUP, opener));
    let welcome = read_frame(&mut stream);
    (stream, welcome)
}

/// A call that adds a tag, from a client that has the replies up to `acknowledged`.
pub fn add(session: SessionId, number: u64, acknowledged: u64, tag: u64) -> ClientRequest {
    let arguments = tag.to_le_bytes();
    ClientRequest::Calls {
        calls: encoded(session, number, acknowledged, ADD, &arguments),
    }
}

fn encoded(
    session: SessionId,
    number: u64,
    acknowledged: u64,
    method: MethodId,
    arguments: &[u8],
) -> bytes::Bytes {
    to_bytes(&vec![Call {
        session,
        number,
        acknowledged,
        method,
        signature: SIGNATURE,
        arguments,
    }])
    .into()
}

/// So many reads of this member's own state in one request.
pub fn stale_counts(session: SessionId, count: u64) -> ClientRequest {
    let call = |number| Call {
        session,
        number,
        acknowledged: 0,
        method: COUNT,
        signature: SIGNATURE,
        arguments: &[],
    };
    ClientRequest::Reads {
        calls: to_bytes(&(0..count).map(call).collect::<Vec<_>>()).into(),
        stale: true,
    }
}

/// The number and the mark of a reply.
pub fn said(result: &CallResult) -> (u64, u8) {
    let Outcome::Done(reply) = &result.outcome else {
        panic!("not executed: {result:?}");
    };
    (u64::from_le_bytes(reply[..8].try_into().unwrap()), reply[8])
}

impl Client {
    /// A client that is connected, without a session.
    pub fn connect(address: SocketAddr) -> Client {
        let (to, welcome) = dial(address, Opener::Client);
        assert!(
            matches!(welcome, Some(Welcome::Accepted { .. })),
            "{welcome:?}"
        );
        let from = BufReader::new(to.try_clone().unwrap());
        Client {
            to,
            from,
            session: SessionId(0),
            number: 0,
            members: Vec::new(),
        }
    }

    pub fn open(address: SocketAddr) -> Client {
        let mut client = Client::connect(address);
        client.send(&[ClientRequest::Open { token: 5 }]);
        loop {
            match client.reply() {
                Some(ClientReply::Opened { token: 5, session }) => {
                    client.session = session;
                    return client;
                }
                Some(ClientReply::Members { .. }) => {}
                other => panic!("instead of a session: {other:?}"),
            }
        }
    }

    /// Sends all in one write.
    pub fn send(&mut self, requests: &[ClientRequest]) {
        let mut bytes = Vec::new();
        for request in requests {
            frame::encode(request, &mut bytes);
        }
        self.to.write_all(&bytes).unwrap();
    }

    /// The next reply; what it says of the members is remembered.
    pub fn reply(&mut self) -> Option<ClientReply> {
        let reply = read_frame(&mut self.from)?;
        if let ClientReply::Members { members, .. } = &reply {
            self.members = members.iter().collect();
        }
        Some(reply)
    }

    /// Reads until so many results came, and returns them frame by frame.
    pub fn results(&mut self, count: usize) -> Vec<Vec<CallResult>> {
        let mut frames = Vec::new();
        let mut came = 0;
        while came < count {
            match self.reply() {
                Some(ClientReply::Results { results }) => {
                    came += results.len();
                    frames.push(results.into_iter().collect());
                }
                Some(ClientReply::Members { .. }) => {}
                other => panic!("instead of results: {other:?}"),
            }
        }
        frames
    }

    /// Adds a tag and returns its place and the mark.
    pub fn add(&mut self, tag: u64) -> (u64, u8) {
        self.number += 1;
        self.send(&[add(self.session, self.number, self.number - 1, tag)]);
        said(&self.results(1)[0][0])
    }

    /// Tries to add a tag under the session's next number; `None` if this member does not take it.
    pub fn try_add(&mut self, tag: u64) -> Option<(u64, u8)> {
        self.send(&[add(self.session, self.number + 1, self.number, tag)]);
        loop {
            match self.reply()? {
                // A request that came twice into the order is answered twice.
                ClientReply::Results { results }
                    if results.iter().next().unwrap().call.number <= self.number => {}
                ClientReply::Results { results } => {
                    self.number += 1;
                    return Some(said(&results.into_iter().next().unwrap()));
                }
                ClientReply::Declined { .. } => return None,
                _ => {}
            }
        }
    }

    /// The sending half, for another thread.
    pub fn sender(&self) -> TcpStream {
        self.to.try_clone().unwrap()
    }

    /// How many tags there are, and the mark.
    pub fn count(&mut self) -> (u64, u8) {
        let calls = encoded(self.session, 1 << 60, 0, COUNT, &[]);
        self.send(&[ClientRequest::Reads {
            calls,
            stale: false,
        }]);
        said(&self.results(1)[0][0])
    }

    /// What the member says of the group.
    pub fn status(&mut self) -> wire::status::GroupStatus {
        self.send(&[ClientRequest::Status { token: 3 }]);
        loop {
            match self.reply() {
                Some(ClientReply::Status { token: 3, document }) => {
                    return serde_json::from_str(&document).unwrap();
                }
                Some(ClientReply::Members { .. }) => {}
                other => panic!("instead of the status: {other:?}"),
            }
        }
    }
}
