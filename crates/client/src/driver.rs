//! The driver: one task per client moves bytes between the machine and its sockets.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, oneshot};
use wire::client::{ClientReply, ClientRequest};
use wire::frame::{PEER_FRAME_MAX, encode, split};
use wire::hello::{Hello, Opener, Welcome};
use wire::log::UpgradeRequest;
use wire::{SessionId, Time};

use crate::error::CallError;
use crate::machine::{Answer, Machine, Output};
use crate::options::{Counters, Request};

/// Commands that are taken from the handles in one turn: one frame serves them all.
const COMMANDS_PER_TURN: usize = 4096;
/// How much is read at once.
const READ_BYTES: usize = 256 << 10;

/// What a handle asks of the driver.
#[derive(Debug)]
pub(crate) enum Command {
    Open(Option<Duration>),
    Call(SessionId, Request),
    Json(SessionId, String, String, Option<Duration>),
    Status,
    Upgrade(UpgradeRequest),
}

/// A command and where its answer goes.
pub(crate) type Asked = (Command, oneshot::Sender<Result<Answer, CallError>>);

/// What handles may look at while the driver works.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) counters: Counters,
    pub(crate) members: Vec<SocketAddr>,
    pub(crate) connected: bool,
    pub(crate) last_fault: String,
}

/// What a link's own task tells the driver.
enum News {
    Opened,
    Frames(Vec<ClientReply>),
    Closed(String),
}

pub(crate) struct Driver {
    pub(crate) machine: Machine,
    pub(crate) group: String,
    pub(crate) commands: mpsc::Receiver<Asked>,
    pub(crate) shared: Arc<Mutex<Shared>>,
    pub(crate) connected: tokio::sync::watch::Sender<bool>,
}

impl Driver {
    pub(crate) async fn run(mut self) {
        let start = Instant::now();
        let clock = || Time(u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX));
        let (news, mut heard) = mpsc::channel::<(u64, News)>(1024);
        let mut writers: BTreeMap<u64, mpsc::UnboundedSender<Vec<u8>>> = BTreeMap::new();
        let mut tickets: BTreeMap<u64, oneshot::Sender<Result<Answer, CallError>>> =
            BTreeMap::new();
        let mut next = 1_u64;
        let mut asked = Vec::new();
        let mut told = Vec::new();
        loop {
            let mut out = Vec::new();
            self.machine.turn(clock(), &mut out);
            self.carry_out(out, &mut writers, &mut tickets, &news);
            self.share();
            let sleep = self.machine.deadline().map(|at| at.since(clock()));
            tokio::select! {
                biased;
                count = heard.recv_many(&mut told, 1024) => {
                    if count == 0 {
                        return;
                    }
                    let mut out = Vec::new();
                    for (link, news) in told.drain(..) {
                        let now = clock();
                        match news {
                            News::Opened => self.machine.opened(link),
                            News::Frames(replies) => {
                                for reply in replies {
                                    self.machine.received(now, link, reply, &mut out);
                                }
                            }
                            News::Closed(why) => {
                                writers.remove(&link);
                                self.machine.closed(now, link, &why);
                            }
                        }
                    }
                    self.carry_out(out, &mut writers, &mut tickets, &news);
                }
                count = self.commands.recv_many(&mut asked, COMMANDS_PER_TURN) => {
                    if count == 0 {
                        let mut out = Vec::new();
                        self.machine.shut_down(&mut out);
                        self.carry_out(out, &mut writers, &mut tickets, &news);
                        return;
                    }
                    let now = clock();
                    for (command, answer) in asked.drain(..) {
                        let ticket = next;
                        next += 1;
                        tickets.insert(ticket, answer);
                        match command {
                            Command::Open(deadline) => self.machine.open(now, ticket, deadline),
                            Command::Call(session, request) => {
                                self.machine.call(now, ticket, session, request);
                            }
                            Command::Json(session, method, arguments, deadline) => {
                                self.machine.json(now, ticket, session, method, arguments, deadline);
                            }
                            Command::Status => self.machine.status(now, ticket),
                            Command::Upgrade(request) => self.machine.upgrade(now, ticket, request),
                        }
                    }
                }
                () = pause(sleep) => {}
            }
        }
    }

    fn carry_out(
        &mut self,
        out: Vec<Output>,
        writers: &mut BTreeMap<u64, mpsc::UnboundedSender<Vec<u8>>>,
        tickets: &mut BTreeMap<u64, oneshot::Sender<Result<Answer, CallError>>>,
        news: &mpsc::Sender<(u64, News)>,
    ) {
        for output in out {
            match output {
                Output::Dial { link, address } => {
                    let (writer, bytes) = mpsc::unbounded_channel();
                    writers.insert(link, writer);
                    let hello = Hello::new(&self.group, Opener::Client);
                    tokio::spawn(link_task(link, address, hello, bytes, news.clone()));
                }
                Output::Close { link } => {
                    writers.remove(&link);
                }
                Output::Send { link, request } => {
                    if let Some(writer) = writers.get(&link) {
                        let mut bytes = Vec::new();
                        encode::<ClientRequest>(&request, &mut bytes);
                        // A link that just broke says so by its news.
                        let _ = writer.send(bytes);
                    }
                }
                Output::Resolve { ticket, answer } => {
                    if let Some(sender) = tickets.remove(&ticket) {
                        // Whoever asked may have gone.
                        let _ = sender.send(answer);
                    }
                }
            }
        }
    }

    fn share(&mut self) {
        let connected = self.machine.is_connected();
        let mut shared = self
            .shared
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        shared.counters = self.machine.counters;
        if shared.connected != connected || !connected {
            shared.last_fault = self.machine.last_fault().to_owned();
            shared.connected = connected;
            drop(shared);
            self.connected.send_replace(connected);
            shared = self
                .shared
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        if shared.members.len() != self.machine.members().len() || !connected {
            shared.members = self.machine.members();
        }
    }
}

async fn pause(for_how_long: Option<Duration>) {
    match for_how_long {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

/// One link's life: dial, greet, then bytes both ways until either side ends.
async fn link_task(
    link: u64,
    address: SocketAddr,
    hello: Hello,
    bytes: mpsc::UnboundedReceiver<Vec<u8>>,
    news: mpsc::Sender<(u64, News)>,
) {
    let why = match carry(link, address, hello, bytes, &news).await {
        Ok(()) => "closed".to_owned(),
        Err(why) => format!("{address}: {why}"),
    };
    // The driver may be gone.
    let _ = news.send((link, News::Closed(why))).await;
}

async fn carry(
    link: u64,
    address: SocketAddr,
    hello: Hello,
    mut bytes: mpsc::UnboundedReceiver<Vec<u8>>,
    news: &mpsc::Sender<(u64, News)>,
) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    let mut stream = TcpStream::connect(address).await.map_err(text)?;
    stream.set_nodelay(true).map_err(text)?;
    let mut greeting = Vec::new();
    encode(&hello, &mut greeting);
    stream.write_all(&greeting).await.map_err(text)?;
    let (mut reader, mut writer) = stream.into_split();
    let mut buffer: Vec<u8> = Vec::with_capacity(READ_BYTES);
    let mut welcomed = false;
    loop {
        tokio::select! {
            biased;
            read = reader.read_buf(&mut buffer) => {
                if read.map_err(text)? == 0 {
                    return Err("the member closed the connection".to_owned());
                }
                let mut at = 0;
                let mut replies = Vec::new();
                while let Some(frame) =
                    split(&buffer[at..], PEER_FRAME_MAX).map_err(|error| error.to_string())?
                {
                    at += frame.length;
                    if welcomed {
                        replies.push(frame.decode().map_err(|error| error.to_string())?);
                    } else {
                        welcome(frame.decode().map_err(|error| error.to_string())?)?;
                        welcomed = true;
                        if news.send((link, News::Opened)).await.is_err() {
                            return Ok(());
                        }
                    }
                }
                buffer.drain(..at);
                if !replies.is_empty() && news.send((link, News::Frames(replies))).await.is_err() {
                    return Ok(());
                }
            }
            first = bytes.recv() => {
                let Some(mut all) = first else { return Ok(()) };
                while let Ok(more) = bytes.try_recv() {
                    all.extend_from_slice(&more);
                }
                writer.write_all(&Bytes::from(all)).await.map_err(text)?;
            }
        }
    }
}

fn welcome(welcome: Welcome) -> Result<(), String> {
    match welcome {
        Welcome::Accepted { .. } => Ok(()),
        Welcome::Refused { why } => Err(why),
        Welcome::Removed { .. } => Err("the member has left the group".to_owned()),
    }
}
