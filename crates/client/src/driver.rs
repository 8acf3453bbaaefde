//! The driver: one task per client that gives the machine its sockets, its clock and its timer.
//!
//! A turn takes in everything that users asked and members said since the last one, ticks the
//! machine once, and writes once per connection. Users' tasks never touch a socket: they leave
//! their request in the inbox and wait for their own slot.

#![allow(
    clippy::disallowed_methods,
    reason = "the client's world: its clock, its sockets and its timer are here, the machine has none"
)]

pub(crate) mod inbox;
mod socket;

use std::future::Future;
use std::hash::{BuildHasher, Hasher};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Instant;

use tokio::time::Sleep;
use wire::Time;
use wire::hello::{Hello, Opener};

use crate::machine::{Answer, Input, LinkId, Machine, Output};
use crate::options::Options;
use inbox::{Command, Inbox, Slot};
use socket::{Heard, Socket};

/// Turns in a row before other tasks of the same thread have their turn.
const TURNS_MAX: usize = 16;
/// Bytes read at once from one connection.
const READ_BYTES: usize = 64 << 10;

/// Drives one client's machine until its last handle is gone.
pub(crate) struct Driver {
    machine: Machine,
    inbox: Arc<Inbox>,
    /// The greeting, encoded.
    hello: Vec<u8>,
    sockets: Vec<(LinkId, Socket)>,
    slots: Slots,
    start: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    /// When the timer rings; it is only set anew if it would ring too late.
    rings: Option<Time>,
    /// What the turn works with, kept for its memory.
    commands: Vec<Command>,
    out: Vec<Output>,
    bytes: Box<[u8]>,
}

impl Driver {
    pub(crate) fn new(
        group: &str,
        contacts: Vec<SocketAddr>,
        options: Options,
        inbox: Arc<Inbox>,
    ) -> Driver {
        let mut hello = Vec::new();
        wire::frame::encode(&Hello::new(group, Opener::Client), &mut hello);
        Driver {
            machine: Machine::new(contacts, nonce(), options),
            inbox,
            hello,
            sockets: Vec::new(),
            slots: Slots::default(),
            start: Instant::now(),
            timer: None,
            rings: None,
            commands: Vec::new(),
            out: Vec::new(),
            bytes: vec![0; READ_BYTES].into_boxed_slice(),
        }
    }

    fn now(&self) -> Time {
        let micros = self.start.elapsed().as_micros();
        Time(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// One turn. Whether anything happened, and how many users were answered.
    fn turn(&mut self, cx: &mut Context<'_>) -> (bool, usize) {
        let now = self.now();
        let mut busy = self.take_commands(now);
        busy |= self.poll_timer(cx);
        busy |= self.read(cx, now);
        self.machine.handle(now, Input::Tick, &mut self.out);
        let (acted, answered) = self.perform(now);
        busy |= acted;
        busy |= self.write(cx, now);
        (busy, answered)
    }

    fn take_commands(&mut self, now: Time) -> bool {
        self.inbox.take(&mut self.commands);
        let busy = !self.commands.is_empty();
        for command in self.commands.drain(..) {
            let input = match command {
                Command::Ask(asked, slot) => Input::Ask {
                    ticket: self.slots.keep(slot),
                    asked,
                },
                Command::Forget(session) => Input::Forget { session },
            };
            self.machine.handle(now, input, &mut self.out);
        }
        busy
    }

    /// Takes in what members said.
    fn read(&mut self, cx: &mut Context<'_>, now: Time) -> bool {
        let mut busy = false;
        let (machine, out) = (&mut self.machine, &mut self.out);
        let (bytes, hello) = (&mut self.bytes, &self.hello);
        self.sockets.retain_mut(|(link, socket)| {
            let link = *link;
            let heard = |heard| {
                let input = match heard {
                    Heard::Welcome(welcome) => Input::Welcomed { link, welcome },
                    Heard::Reply(reply) => Input::Received { link, reply },
                };
                machine.handle(now, input, out);
            };
            match socket.read(cx, hello, bytes, heard) {
                Ok(read) => {
                    busy |= read;
                    true
                }
                Err(error) => {
                    busy = true;
                    let why = error.to_string();
                    machine.handle(now, Input::Closed { link, why }, out);
                    false
                }
            }
        });
        busy
    }

    /// Does what the machine wants. Whether that needs another turn, and how many were answered.
    fn perform(&mut self, now: Time) -> (bool, usize) {
        let mut busy = false;
        let mut answered = 0;
        let mut outputs = std::mem::take(&mut self.out);
        for output in outputs.drain(..) {
            match output {
                Output::Dial { link, address } => {
                    busy = true;
                    self.sockets.push((link, Socket::dial(address)));
                }
                Output::Close { link } => self.sockets.retain(|(other, _)| *other != link),
                Output::Send { link, request } => {
                    let found = self.sockets.iter_mut().find(|(other, _)| *other == link);
                    if let Some((_, socket)) = found {
                        socket.push(&request);
                    }
                }
                Output::Resolve { ticket, answer } => {
                    answered += 1;
                    let slot = self.slots.take(ticket);
                    if let Err(Ok(Answer::Opened(_, session))) = slot.send(answer) {
                        // Whoever asked for it does not wait any more.
                        let input = Input::Forget { session };
                        self.machine.handle(now, input, &mut self.out);
                    }
                }
            }
        }
        // What forgetting put there is nothing; the memory is kept.
        if self.out.is_empty() {
            self.out = outputs;
        }
        (busy, answered)
    }

    fn write(&mut self, cx: &mut Context<'_>, now: Time) -> bool {
        let mut busy = false;
        let (machine, out) = (&mut self.machine, &mut self.out);
        self.sockets.retain_mut(|(link, socket)| {
            let Err(error) = socket.write(cx) else {
                return true;
            };
            busy = true;
            let (link, why) = (*link, error.to_string());
            machine.handle(now, Input::Closed { link, why }, out);
            false
        });
        busy
    }

    fn publish(&self) {
        let machine = &self.machine;
        self.inbox.publish(machine.counters(), machine.members());
    }

    /// Whether the timer rang.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> bool {
        if self.rings.is_none() {
            return false;
        }
        let rang = self
            .timer
            .as_mut()
            .is_some_and(|timer| timer.as_mut().poll(cx).is_ready());
        if rang {
            self.rings = None;
        }
        rang
    }

    /// Sets the timer to the machine's deadline, unless it rings before that anyway.
    fn set_timer(&mut self, cx: &mut Context<'_>) {
        let Some(deadline) = self.machine.deadline() else {
            return;
        };
        if self.rings.is_some_and(|rings| rings <= deadline) {
            return;
        }
        let at = self.start + std::time::Duration::from_micros(deadline.0);
        match &mut self.timer {
            Some(timer) => timer.as_mut().reset(at.into()),
            None => self.timer = Some(Box::pin(tokio::time::sleep_until(at.into()))),
        }
        self.rings = Some(deadline);
        if self.poll_timer(cx) {
            cx.waker().wake_by_ref();
        }
    }
}

impl Future for Driver {
    type Output = ();

    fn poll(mut self: Pin<&mut Driver>, cx: &mut Context<'_>) -> Poll<()> {
        let driver = &mut *self;
        let mut answered = 0;
        for _ in 0..TURNS_MAX {
            let (busy, more) = driver.turn(cx);
            answered += more;
            if busy {
                continue;
            }
            driver.set_timer(cx);
            driver.publish();
            // Those who were just answered may ask again at once: they run before this task does,
            // so that their requests leave in one frame.
            if answered > 1 {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            return match driver.inbox.sleep(cx.waker()) {
                inbox::Sleep::Asleep => Poll::Pending,
                inbox::Sleep::Awake => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                inbox::Sleep::Closed => Poll::Ready(()),
            };
        }
        driver.publish();
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.inbox.end();
    }
}

/// Who waits, by ticket.
#[derive(Default)]
struct Slots {
    slots: Vec<Option<Slot>>,
    free: Vec<usize>,
}

impl Slots {
    fn keep(&mut self, slot: Slot) -> u64 {
        let at = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[at] = Some(slot);
        at as u64
    }

    fn take(&mut self, ticket: u64) -> Slot {
        let at = usize::try_from(ticket).expect("tickets are places of a vector");
        let slot = self.slots[at].take();
        self.free.push(at);
        slot.expect("the machine resolves each ticket once")
    }
}

/// Clients of one process take the members in turn, clients of different processes begin anywhere.
fn nonce() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    static BASE: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    let base = BASE.get_or_init(|| {
        let random = std::collections::hash_map::RandomState::new();
        random.build_hasher().finish() >> 1
    });
    base + NEXT.fetch_add(1, Ordering::Relaxed)
}
