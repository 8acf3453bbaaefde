//! What a delivered position does: first to the ordered state, then (its requests) to the service,
//! and to whoever must hear of it.

use std::sync::Arc;

use group::{Delivered, Now, Snapshot};
use museum::Defect;
use wire::daemon::DaemonRequest;
use wire::list::List;
use wire::log::Proposal;
use wire::peer::{Contact, TransferHead};
use wire::{MemberId, OrderedTime, Position};

use super::{End, Output, Replica};
use crate::executor::{Executable, Work};
use crate::layer::Event;
use crate::ordered::{Happened, answering};

/// Who takes clients' requests, as it was last told to clients and daemon.
#[derive(Debug, Default)]
pub(super) struct Contacts {
    at: Position,
    list: List<Contact>,
}

impl Contacts {
    pub(super) fn reply(&self) -> wire::client::ClientReply {
        wire::client::ClientReply::Members {
            view: self.at,
            members: self.list.clone(),
        }
    }
}

impl Replica {
    /// Applies one position: first to the ordered state, then (its requests) to the service.
    pub(super) fn deliver(&mut self, now: Now, delivered: Delivered, out: &mut Vec<Output>) {
        let Delivered {
            position,
            term,
            time,
            proposals,
            change,
            survived,
            membership,
        } = delivered;
        let mut happened = Vec::new();
        let mut requests = Vec::new();
        let mut transfers = Vec::new();
        let mut own = Vec::new();
        for proposal in proposals {
            happened.extend(self.ordered.apply(position, time, &proposal, &membership));
            match proposal {
                Proposal::Open { origin, token } => {
                    requests.push(Executable::Open { origin, token });
                }
                Proposal::Calls { origin, calls } => {
                    requests.push(Executable::Calls { origin, calls });
                }
                Proposal::Layer { layer, payload } => own.push((layer, payload)),
                Proposal::Transfer { joiner, donor } => transfers.push((joiner, donor)),
                Proposal::Leads { .. } | Proposal::Standing { .. } | Proposal::Ready { .. } => {
                    self.changed = true;
                }
                Proposal::Taken { .. }
                | Proposal::Passed { .. }
                | Proposal::Upgrade(_)
                | Proposal::Specify(_)
                | Proposal::Activate { .. } => self.changed = true,
            }
        }
        if let Some(change) = &change {
            self.changed = true;
            happened.extend(self.ordered.changed(position, time, change, &membership));
        }
        if let Some(survived) = &survived {
            self.changed = true;
            let steps = self.ordered.survived(position, time, survived, &membership);
            happened.extend(steps);
        }
        if museum::on(Defect::StateOneEarlier) {
            for (joiner, donor) in std::mem::take(&mut transfers) {
                self.transfer(joiner, donor, position, term, time, &membership, out);
            }
        }
        for what in happened
            .iter()
            .filter(|_| museum::on(Defect::ActivationOneApart))
        {
            if let Happened::Activated { version, .. } = what
                && self.binary.version == *version
            {
                let (position, version) = (Position(position.0 - 1), version.clone());
                out.push(Output::Work(Work::Activate { position, version }));
            }
        }
        out.push(Output::Work(Work::Apply {
            position,
            time,
            requests,
        }));
        for what in &happened {
            self.happen(now, position, what, out);
        }
        for (joiner, donor) in transfers {
            self.changed = true;
            self.transfer(joiner, donor, position, term, time, &membership, out);
        }
        for (layer, payload) in own {
            self.tell_layer(
                now,
                &layer,
                &Event::Delivered {
                    position,
                    payload: &payload,
                },
                out,
            );
        }
        if self.changed {
            if let Some(watch) = &mut self.watch
                && let Err(why) = watch.look(position, &self.ordered, &membership)
            {
                self.end(End::Broken { why }, out);
            }
            self.cancel_export(&membership, out);
            self.tell_contacts(position, &membership, out);
        }
        let works = self.clients.delivered(position);
        out.extend(works.into_iter().map(Output::Work));
    }

    fn happen(&mut self, now: Now, position: Position, what: &Happened, out: &mut Vec<Output>) {
        out.push(Output::Note(format!("{position} {what}")));
        if let Happened::Activated { version, .. } = what {
            out.push(Output::Work(Work::Activate {
                position,
                version: version.clone(),
            }));
        }
        let replies = self.clients.happened(what);
        out.extend(
            replies
                .into_iter()
                .map(|(connection, reply)| Output::Client { connection, reply }),
        );
        self.tell_layers(now, &Event::Happened { position, what }, out);
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "all that a state belongs to, at one place"
    )]
    fn transfer(
        &mut self,
        joiner: MemberId,
        donor: MemberId,
        position: Position,
        term: u64,
        time: OrderedTime,
        membership: &Arc<group::Membership>,
        out: &mut Vec<Output>,
    ) {
        let me = self.group.me();
        let Some(entry) = membership.joiner(joiner).filter(|_| donor == me) else {
            return;
        };
        let formats = self.program.formats();
        let Some(format) = crate::ordered::format_for(&formats, &entry.member.formats) else {
            out.push(Output::Note(format!(
                "{joiner} reads no state format that this member writes"
            )));
            return;
        };
        let head = TransferHead {
            position,
            term,
            service: membership.service.clone(),
            binary: self.binary.clone(),
            format,
            group: Snapshot::new(group::Membership::clone(membership), time)
                .with_tail(self.group.tail(position))
                .to_bytes()
                .into(),
            replica: self.ordered.to_bytes().into(),
            sessions: bytes::Bytes::new(),
        };
        self.exporting = Some((joiner, position));
        out.push(Output::Export {
            joiner,
            position,
            format,
            head,
            alone: answering(&self.ordered, membership) == [me],
        });
    }

    fn cancel_export(&mut self, membership: &group::Membership, out: &mut Vec<Output>) {
        if let Some((joiner, position)) = self.exporting {
            let wanted = membership
                .joiner(joiner)
                .and_then(|entry| entry.transfer)
                .is_some_and(|transfer| transfer.position == position);
            if !wanted {
                self.exporting = None;
                out.push(Output::CancelExport { joiner });
            }
        }
    }

    /// Clients hear at once who takes requests, the daemon whom to tell of our death.
    fn tell_contacts(
        &mut self,
        position: Position,
        membership: &group::Membership,
        out: &mut Vec<Output>,
    ) {
        let answering = crate::ordered::answering(&self.ordered, membership);
        let list: List<Contact> = membership
            .view
            .members
            .iter()
            .map(|member| Contact {
                member: member.id,
                address: member.address,
                takes_requests: answering.contains(&member.id),
            })
            .collect();
        if list == self.contacts.list {
            return;
        }
        self.contacts = Contacts { at: position, list };
        for connection in self.clients.connections() {
            out.push(Output::Client {
                connection,
                reply: self.contacts.reply(),
            });
        }
        let me = self.group.me();
        out.push(Output::Tell(DaemonRequest::Members {
            incarnation: membership.incarnation,
            member: me,
            others: membership
                .everybody()
                .filter(|member| member.id != me)
                .map(|member| Contact {
                    member: member.id,
                    address: member.address,
                    takes_requests: answering.contains(&member.id),
                })
                .collect(),
        }));
    }
}
