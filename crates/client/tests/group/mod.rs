//! A scripted group on loopback: members that execute, stay silent, decline or break off on demand.
//!
//! It keeps what a real group keeps: one order, and for each session which numbers were executed, so
//! that a test can see that nothing was executed twice.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use wire::client::{Call, CallId, CallResult, ClientReply, ClientRequest, Decline, Outcome};
use wire::frame::{CLIENT_FRAME_MAX, decode_body, encode, split};
use wire::hello::{Hello, Opener, Welcome};
use wire::peer::Contact;
use wire::{MemberId, Position, SessionId};

/// How a member treats requests.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Mode {
    /// It executes and answers.
    Serves,
    /// It reads and says nothing, and executes nothing.
    Ignores,
    /// It executes and says nothing.
    Swallows,
    /// It declines.
    Declines(Decline),
    /// It sends bytes that are no message.
    Babbles,
}

#[derive(Default)]
struct Order {
    position: u64,
    sessions: u64,
    kept: HashMap<CallId, (Position, Outcome)>,
    /// What was executed, in order.
    executed: Vec<Executed>,
    view: u64,
    members: Vec<Contact>,
    modes: BTreeMap<SocketAddr, Mode>,
    /// Frames to connected clients, by member.
    clients: Vec<(SocketAddr, mpsc::UnboundedSender<Said>)>,
}

/// One executed write.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Executed {
    pub(crate) call: CallId,
    pub(crate) by: SocketAddr,
    pub(crate) acknowledged: u64,
    pub(crate) arguments: Vec<u8>,
}

enum Said {
    Reply(ClientReply),
    Raw(Vec<u8>),
    Close,
}

#[derive(Clone)]
pub(crate) struct FakeGroup {
    order: Arc<Mutex<Order>>,
    pub(crate) addresses: Vec<SocketAddr>,
}

impl FakeGroup {
    pub(crate) async fn start(members: usize) -> FakeGroup {
        let mut listeners = Vec::new();
        for _ in 0..members {
            listeners.push(TcpListener::bind("127.0.0.1:0").await.unwrap());
        }
        let addresses: Vec<_> = listeners.iter().map(|l| l.local_addr().unwrap()).collect();
        let contact = |(at, &address): (usize, &SocketAddr)| Contact {
            member: MemberId::new(at as u64 + 1).unwrap(),
            address,
            takes_requests: true,
        };
        let order = Order {
            view: 2,
            members: addresses.iter().enumerate().map(contact).collect(),
            modes: addresses.iter().map(|&a| (a, Mode::Serves)).collect(),
            ..Order::default()
        };
        let group = FakeGroup {
            order: Arc::new(Mutex::new(order)),
            addresses,
        };
        for listener in listeners {
            tokio::spawn(group.clone().listen(listener));
        }
        group
    }

    pub(crate) fn set(&self, member: SocketAddr, mode: Mode) {
        self.order.lock().unwrap().modes.insert(member, mode);
    }

    /// Breaks all connections of this member off.
    pub(crate) fn break_off(&self, member: SocketAddr) {
        let order = self.order.lock().unwrap();
        for (_, client) in order.clients.iter().filter(|(at, _)| *at == member) {
            let _ = client.send(Said::Close);
        }
    }

    /// A new view says whether this member takes requests; every client hears it.
    pub(crate) fn takes_requests(&self, member: SocketAddr, takes: bool) {
        let mut order = self.order.lock().unwrap();
        order.view += 1;
        let contacts = &mut order.members;
        let contact = contacts.iter_mut().find(|c| c.address == member).unwrap();
        contact.takes_requests = takes;
        let members = order.members();
        order
            .clients
            .retain(|(_, client)| client.send(Said::Reply(members.clone())).is_ok());
    }

    pub(crate) fn executed(&self) -> Vec<Executed> {
        self.order.lock().unwrap().executed.clone()
    }

    /// Which members have clients connected.
    pub(crate) fn connected(&self) -> Vec<SocketAddr> {
        let order = self.order.lock().unwrap();
        let open = order
            .clients
            .iter()
            .filter(|(_, client)| !client.is_closed());
        open.map(|(member, _)| *member).collect()
    }

    async fn listen(self, listener: TcpListener) {
        let address = listener.local_addr().unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            tokio::spawn(self.clone().serve(address, stream));
        }
    }

    async fn serve(self, address: SocketAddr, mut stream: TcpStream) {
        let (tx, mut said) = mpsc::unbounded_channel();
        let mut buffer = Vec::new();
        let mut bytes = vec![0; 1 << 16];
        let mut greeted = false;
        loop {
            tokio::select! {
                read = stream.read(&mut bytes) => {
                    let Ok(read @ 1..) = read else { return };
                    buffer.extend_from_slice(&bytes[..read]);
                    let mut out = Vec::new();
                    let mut start = 0;
                    while let Some(frame) = split(&buffer[start..], CLIENT_FRAME_MAX).unwrap() {
                        if greeted {
                            let request = frame.decode::<ClientRequest>().unwrap();
                            self.answer(address, request, &mut out);
                        } else {
                            let hello = frame.decode::<Hello>().unwrap();
                            assert_eq!(hello.opener, Opener::Client);
                            greeted = true;
                            if !self.welcome(address, &hello, &tx, &mut out) {
                                stream.write_all(&out).await.unwrap();
                                return;
                            }
                        }
                        start += frame.length;
                    }
                    buffer.drain(..start);
                    if stream.write_all(&out).await.is_err() {
                        return;
                    }
                }
                Some(said) = said.recv() => {
                    let mut out = Vec::new();
                    match said {
                        Said::Reply(reply) => encode(&reply, &mut out),
                        Said::Raw(raw) => out = raw,
                        Said::Close => return,
                    }
                    if stream.write_all(&out).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn welcome(
        &self,
        address: SocketAddr,
        hello: &Hello,
        client: &mpsc::UnboundedSender<Said>,
        out: &mut Vec<u8>,
    ) -> bool {
        if hello.group != "ledger" {
            let why = format!("this is a member of `ledger`, not of `{}`", hello.group);
            encode(&Welcome::Refused { why }, out);
            return false;
        }
        let mut order = self.order.lock().unwrap();
        let accepted = Welcome::Accepted {
            protocol: 1,
            member: MemberId::new(1),
            view: Position(order.view),
        };
        encode(&accepted, out);
        encode(&order.members(), out);
        order.clients.push((address, client.clone()));
        true
    }

    fn answer(&self, address: SocketAddr, request: ClientRequest, out: &mut Vec<u8>) {
        let mut order = self.order.lock().unwrap();
        let mode = order.modes[&address].clone();
        let reply = match (&mode, request) {
            (Mode::Ignores, _) => return,
            (Mode::Babbles, _) => {
                let clients = order.clients.iter().filter(|(at, _)| *at == address);
                for (_, client) in clients {
                    let _ = client.send(Said::Raw(vec![7; 64]));
                }
                return;
            }
            (Mode::Declines(reason), request) => ClientReply::Declined {
                calls: ids(&request).into(),
                reason: reason.clone(),
            },
            (Mode::Serves | Mode::Swallows, ClientRequest::Open { token }) => {
                order.sessions += 1;
                let session = SessionId(order.sessions);
                ClientReply::Opened { token, session }
            }
            (Mode::Serves | Mode::Swallows, ClientRequest::Calls { calls }) => {
                let calls: Vec<Call<'_>> = decode_body(&calls).unwrap();
                order.position += 1;
                let results = calls.iter().map(|call| order.execute(address, call));
                let results = results.collect();
                ClientReply::Results { results }
            }
            (Mode::Serves | Mode::Swallows, ClientRequest::Reads { calls, .. }) => {
                let calls: Vec<Call<'_>> = decode_body(&calls).unwrap();
                let results = calls.iter().map(|call| CallResult {
                    call: CallId {
                        session: call.session,
                        number: call.number,
                    },
                    position: Position(order.position),
                    outcome: Outcome::Done(Bytes::copy_from_slice(call.arguments)),
                });
                let results = results.collect();
                ClientReply::Results { results }
            }
            (
                Mode::Serves | Mode::Swallows,
                ClientRequest::Json {
                    session,
                    number,
                    method,
                    arguments,
                },
            ) => {
                order.position += 1;
                ClientReply::Json {
                    call: CallId { session, number },
                    position: Position(order.position),
                    reply: format!("{{\"{method}\":{arguments}}}"),
                }
            }
            (Mode::Serves | Mode::Swallows, ClientRequest::Status { token }) => {
                let document = "{\"schema\":1}".to_owned();
                ClientReply::Status { token, document }
            }
            (Mode::Serves | Mode::Swallows, ClientRequest::Specify { token, .. }) => {
                let why = "it grows by itself".to_owned();
                ClientReply::SpecifyRefused { token, why }
            }
            (Mode::Serves | Mode::Swallows, ClientRequest::Upgrade { token, .. }) => {
                let why = "another upgrade runs".to_owned();
                ClientReply::UpgradeRefused { token, why }
            }
        };
        if mode != Mode::Swallows {
            encode(&reply, out);
        }
    }
}

impl Order {
    fn members(&self) -> ClientReply {
        ClientReply::Members {
            view: Position(self.view),
            members: self.members.clone().into(),
        }
    }

    fn execute(&mut self, by: SocketAddr, call: &Call<'_>) -> CallResult {
        let id = CallId {
            session: call.session,
            number: call.number,
        };
        let (position, outcome) = self.kept.get(&id).cloned().unwrap_or_else(|| {
            self.executed.push(Executed {
                call: id,
                by,
                acknowledged: call.acknowledged,
                arguments: call.arguments.to_vec(),
            });
            let reply = Bytes::copy_from_slice(call.arguments);
            (Position(self.position), Outcome::Done(reply))
        });
        self.kept.insert(id, (position, outcome.clone()));
        CallResult {
            call: id,
            position,
            outcome,
        }
    }
}

fn ids(request: &ClientRequest) -> Vec<CallId> {
    match request {
        ClientRequest::Open { token } => vec![CallId {
            session: SessionId(0),
            number: *token,
        }],
        ClientRequest::Calls { calls } | ClientRequest::Reads { calls, .. } => {
            let calls: Vec<Call<'_>> = decode_body(calls).unwrap();
            let id = |call: &Call<'_>| CallId {
                session: call.session,
                number: call.number,
            };
            calls.iter().map(id).collect()
        }
        ClientRequest::Json {
            session, number, ..
        } => vec![CallId {
            session: *session,
            number: *number,
        }],
        ClientRequest::Status { .. }
        | ClientRequest::Upgrade { .. }
        | ClientRequest::Specify { .. } => Vec::new(),
    }
}
