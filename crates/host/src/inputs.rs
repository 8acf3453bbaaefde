//! What comes over connections, brought to the machines; and what becomes of connections.

use std::time::Duration;

use group::Now;
use wire::MemberId;
use wire::daemon::DaemonReply;
use wire::hello::{Hello, Opener, Welcome};
use wire::peer::PeerMessage;

use crate::connection::{Incoming, Purpose, Stream};
use crate::daemons::Daemon;
use crate::driver::Driver;
use crate::life::Life;
use crate::notes::note;
use crate::transfer::Bulk;

/// How long whoever dials us may take to say who it is, and a peer that we dial to answer.
const HELLO_PATIENCE: Duration = Duration::from_secs(2);
/// How long a refusal may take to go out before the connection is closed anyway.
const REFUSAL_PATIENCE: Duration = Duration::from_secs(1);

impl Driver {
    pub(crate) fn hear(&mut self, now: Now) {
        if self.ending.is_some() {
            return;
        }
        let until = now.time.after(HELLO_PATIENCE);
        if let Some(why) = self.connections.accept(now.time, until) {
            note(why);
        }
        self.connections.let_clients_wait(self.executor.is_full());
        for number in self.connections.take_ready() {
            let read = self.connections.read(number);
            loop {
                match self.connections.next(number) {
                    Ok(None) => break,
                    Ok(Some(message)) => self.dispatch(now, number, message),
                    Err(error) => {
                        note(format_args!("connection {number} ends: {error}"));
                        self.closed(now, number, &error.to_string());
                    }
                }
            }
            if let Err(error) = read {
                self.closed(now, number, &error.to_string());
            }
        }
    }

    fn dispatch(&mut self, now: Now, number: u64, message: Incoming) {
        let Some(purpose) = self.connections.purpose(number) else {
            return;
        };
        match message {
            Incoming::Hello(hello) => self.hello(now, number, &hello),
            Incoming::Welcome(welcome) => self.welcome(now, number, purpose, welcome),
            Incoming::Client(request) => {
                if let Life::Member(member) = &mut self.life {
                    let out = &mut self.out;
                    member.replica.client_heard(now, number, request, out);
                }
            }
            Incoming::Peer(message) => self.peer_message(now, number, purpose, message),
            Incoming::Daemon(reply) => {
                if let Purpose::Daemon(daemon) = purpose {
                    self.daemon_reply(now, daemon, &reply);
                }
            }
        }
    }

    /// Somebody who dialled us says who it is.
    fn hello(&mut self, now: Now, number: u64, hello: &Hello) {
        let welcome = self.life.greet(hello);
        self.connections.push(number, &welcome);
        let (Welcome::Accepted { .. }, Life::Member(member)) = (&welcome, &mut self.life) else {
            let until = now.time.after(REFUSAL_PATIENCE);
            return self.connections.close_after_flush(number, until);
        };
        match hello.opener {
            Opener::Client => {
                self.connections.set_purpose(number, Purpose::Client);
                member.replica.client_opened(number, &mut self.out);
            }
            Opener::Peer { member: peer, .. } => {
                self.connections.set_purpose(number, Purpose::Peer(peer));
                self.linked(now, peer, number);
            }
            Opener::Joiner => self.connections.set_purpose(number, Purpose::Joiner),
            Opener::Daemon { .. } => self.connections.set_purpose(number, Purpose::News),
            Opener::Bulk {
                joiner, position, ..
            } => {
                let Some((Stream::Tcp(stream), unsent)) = self.connections.take(number) else {
                    return;
                };
                match Bulk::new(stream.into(), unsent) {
                    Ok(bulk) => member.donations.arrived(now.time, joiner, position, bulk),
                    Err(error) => note(format_args!("the connection of {joiner}: {error}")),
                }
            }
        }
    }

    /// The answer to our own hello.
    fn welcome(&mut self, now: Now, number: u64, purpose: Purpose, welcome: Welcome) {
        match (purpose, welcome) {
            (Purpose::Asking(link), Welcome::Accepted { .. }) => {
                self.connections.set_purpose(number, Purpose::Asked(link));
                self.joining_opened(now, link);
            }
            (Purpose::Dialled(peer), Welcome::Accepted { member, .. }) if member == Some(peer) => {
                self.connections.set_purpose(number, Purpose::Peer(peer));
                self.linked(now, peer, number);
            }
            (Purpose::Dialled(peer), welcome) => {
                if let (Life::Member(member), Welcome::Removed { view }) = (&mut self.life, welcome)
                {
                    note(format_args!("{peer} says that {view} stands without us"));
                    member.replica.removed(view);
                }
                self.closed(now, number, "not welcome there");
            }
            (_, Welcome::Refused { why }) => self.closed(now, number, &why),
            (_, Welcome::Removed { view }) => {
                self.closed(now, number, &format!("{view} stands without this replica"));
            }
            (_, Welcome::Accepted { .. }) => self.closed(now, number, "an unexpected welcome"),
        }
    }

    fn peer_message(&mut self, now: Now, number: u64, purpose: Purpose, message: PeerMessage) {
        if let Purpose::Asked(link) = purpose {
            return self.joining_heard(now, link, message);
        }
        let Life::Member(member) = &mut self.life else {
            return;
        };
        match (purpose, message) {
            (Purpose::Peer(peer), message) => {
                // A connection that a newer one has replaced is closed and says nothing more.
                member.replica.heard(now, peer, message, &mut self.out);
            }
            (Purpose::Joiner, message) => {
                let out = &mut self.out;
                member.replica.joiner_heard(now, number, message, out);
            }
            (
                Purpose::News,
                PeerMessage::Died {
                    incarnation,
                    member: dead,
                    how,
                },
            ) => {
                note(format_args!("a daemon reports the end of {dead}: {how}"));
                member.replica.died(incarnation, dead, how);
            }
            (_, _) => self.closed(now, number, "a message that does not belong here"),
        }
    }

    fn linked(&mut self, now: Now, peer: MemberId, number: u64) {
        let Life::Member(member) = &mut self.life else {
            return;
        };
        if let Some((old, was_link)) = member.links.up(now.time, peer, number) {
            self.connections.close(old);
            if was_link {
                member.replica.unlinked(now, peer);
            }
        }
        member.replica.linked(now, peer);
    }

    pub(crate) fn dial_peers(&mut self, now: Now) {
        let Life::Member(member) = &mut self.life else {
            return;
        };
        for (peer, address) in member.links.due(now.time) {
            let until = now.time.after(HELLO_PATIENCE);
            match self
                .connections
                .dial(address, Purpose::Dialled(peer), until)
            {
                Ok(number) => {
                    member.links.dialling(peer, number);
                    self.connections.push(number, &member.replica.hello());
                }
                Err(_) => {
                    member.links.down(now.time, peer, None);
                }
            }
        }
    }

    fn daemon_reply(&mut self, now: Now, daemon: Daemon, reply: &DaemonReply) {
        if let Some(token) = self.daemons.heard(daemon, reply) {
            if let Life::Member(member) = &mut self.life {
                let out = &mut self.out;
                member.replica.daemon_heard(now, token, reply, out);
            }
        } else if daemon == Daemon::Local && *reply == DaemonReply::Leave {
            self.asked_to_leave("its daemon");
        }
    }

    /// A connection is gone, or is closed for a reason: whoever cares is told.
    pub(crate) fn closed(&mut self, now: Now, number: u64, why: &str) {
        let Some(purpose) = self.connections.close(number) else {
            return;
        };
        self.again = true;
        if let Purpose::Asking(link) | Purpose::Asked(link) = purpose {
            return self.joining_closed(now, link, why);
        }
        if let Purpose::Daemon(daemon) = purpose {
            let failures = self.daemons.closed(now.time, daemon, number, why);
            if let Life::Member(member) = &mut self.life {
                for (token, reply) in failures {
                    let out = &mut self.out;
                    member.replica.daemon_heard(now, token, &reply, out);
                }
            }
            return;
        }
        let Life::Member(member) = &mut self.life else {
            return;
        };
        match purpose {
            Purpose::Client => member.replica.client_closed(number, &mut self.out),
            Purpose::Peer(peer) => {
                if member.links.down(now.time, peer, Some(number)) {
                    note(format_args!("the link to {peer} ends: {why}"));
                    member.replica.unlinked(now, peer);
                }
            }
            Purpose::Dialled(peer) => {
                member.links.down(now.time, peer, Some(number));
            }
            Purpose::Unknown
            | Purpose::Joiner
            | Purpose::News
            | Purpose::Asking(_)
            | Purpose::Asked(_)
            | Purpose::Daemon(_) => {}
        }
    }
}
