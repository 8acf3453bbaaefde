//! What comes on links: greetings, peers' messages, and joiners that ask to be admitted.

use std::sync::Arc;

use group::{Greeting, Now};
use wire::MemberId;
use wire::hello::{Hello, Opener, PROTOCOL, Welcome};
use wire::member::{Member, Standing};
use wire::peer::{Join, PeerMessage};

use super::{Output, Replica};

impl Replica {
    /// The answer to whoever opens a connection.
    pub fn greet(&self, hello: &Hello) -> Welcome {
        let membership = self.group.membership();
        let refused = |why: String| Welcome::Refused { why };
        let Some(protocol) = PROTOCOL.shared(hello.protocols) else {
            return refused(format!(
                "this member speaks protocols {} to {}, you {} to {}: use neighbouring releases",
                PROTOCOL.lowest, PROTOCOL.highest, hello.protocols.lowest, hello.protocols.highest
            ));
        };
        if hello.group != membership.group {
            return refused(format!(
                "this is a member of group \"{}\", not of \"{}\"",
                membership.group, hello.group
            ));
        }
        let greeting = match &hello.opener {
            Opener::Peer {
                incarnation,
                member,
                ..
            } => self.group.greet(*incarnation, *member),
            Opener::Bulk {
                incarnation,
                joiner,
                ..
            } => self.group.greet(*incarnation, *joiner),
            Opener::Client | Opener::Joiner | Opener::Daemon { .. } => Greeting::Welcome,
        };
        match greeting {
            Greeting::Welcome => Welcome::Accepted {
                protocol,
                member: Some(self.group.me()),
                view: membership.view.position,
            },
            Greeting::OtherIncarnation => refused(format!(
                "the group \"{}\" lives in incarnation {} by now",
                membership.group, membership.incarnation
            )),
            Greeting::Removed { view } => Welcome::Removed { view },
        }
    }

    /// Our own opening of a link to a peer.
    pub fn hello(&self) -> Hello {
        let membership = self.group.membership();
        Hello::new(
            &membership.group,
            Opener::Peer {
                incarnation: membership.incarnation,
                member: self.group.me(),
                view: membership.view.position,
            },
        )
    }

    /// A link to a peer stands.
    pub fn linked(&mut self, now: Now, peer: MemberId) {
        self.group.linked(now, peer);
        self.changed = true;
    }

    /// The link to a peer broke.
    pub fn unlinked(&mut self, now: Now, peer: MemberId) {
        self.group.unlinked(now, peer);
        self.changed = true;
    }

    /// A message from a linked peer. What it causes comes with the next turn, but for answers to
    /// probes.
    pub fn heard(&mut self, now: Now, peer: MemberId, message: PeerMessage, out: &mut Vec<Output>) {
        self.changed |= matches!(message, PeerMessage::Progress { .. });
        let mut group_out = Vec::new();
        self.group.heard(now, peer, message, &mut group_out);
        for output in group_out {
            self.take_from_group(now, output, out);
        }
    }

    /// A message from a joiner that is no peer yet.
    pub fn joiner_heard(
        &mut self,
        now: Now,
        link: u64,
        message: PeerMessage,
        out: &mut Vec<Output>,
    ) {
        self.changed = true;
        match message {
            PeerMessage::Join(join) => self.join(now, link, &join, out),
            progress @ PeerMessage::Progress { .. } => self.group.joiner_heard(now, link, progress),
            // Nothing else belongs on a joiner's link.
            PeerMessage::NotAdmitted { .. }
            | PeerMessage::Admitted { .. }
            | PeerMessage::Engine(_)
            | PeerMessage::Forward { .. }
            | PeerMessage::Overloaded { .. }
            | PeerMessage::Probe { .. }
            | PeerMessage::Alive { .. }
            | PeerMessage::Reach { .. }
            | PeerMessage::Died { .. }
            | PeerMessage::Left { .. }
            | PeerMessage::Survives { .. } => {}
        }
    }

    fn join(&mut self, now: Now, link: u64, join: &Join, out: &mut Vec<Output>) {
        let refuse = |leader, why: String, retry| Output::Answer {
            link,
            message: PeerMessage::NotAdmitted { leader, why, retry },
        };
        if !self.group.leads_of_record() {
            let leader = self.group.leader_address();
            out.push(refuse(
                leader,
                "this member does not lead the group".to_owned(),
                true,
            ));
            return;
        }
        let membership = Arc::clone(self.group.membership());
        match crate::ordered::admission(&self.ordered, &membership, join) {
            Ok(crate::ordered::Admission::Known(member)) => self.group.attach(link, member),
            Ok(crate::ordered::Admission::New) => {
                let id = MemberId::new(membership.next_member).expect("ids begin at one");
                let member = Member {
                    id,
                    host: join.host.clone(),
                    address: join.address,
                    binary: join.binary.clone(),
                    formats: join.formats.clone(),
                    seat: join.seat,
                    attempt: join.attempt,
                    standing: Standing::Serving,
                };
                match self.group.change(now, wire::log::Change::Admit(member)) {
                    Ok(()) => {
                        self.group.attach(link, id);
                        out.push(Output::Note(format!(
                            "admit {} on {} for {} as {id}, process {}",
                            join.binary, join.host, join.seat, join.process
                        )));
                    }
                    Err(refusal) => out.push(refuse(None, refusal.to_string(), true)),
                }
            }
            Err(why) => {
                let retry = why.may_change();
                out.push(refuse(None, why.to_string(), retry));
            }
        }
    }
}
