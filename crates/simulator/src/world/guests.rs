//! Guests: clients through which somebody outside of the simulation asks, and what else is done from
//! there instead of by a plan.

use client::machine::{Answer, Asked, Input, SessionKey};
use client::{CallError, Options};
use wire::MemberId;

use super::look::Target;
use super::{World, pid, place_of_daemon, place_of_host};
use crate::client::{Rhythm, Ticket};
use crate::edition::Edition;
use crate::plan::{Fault, Role, Strike, Upgrade, When};
use crate::process::Process;

/// Why a fault is not for this member now. Nothing has happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unbearable {
    /// No living process is this member.
    #[error("{0} is no member that lives")]
    Unknown(MemberId),
    /// Nothing could replace what is lost.
    #[error(
        "without {0} no majority of the group remains, or no host for its replacement: the group \
         would be lost"
    )]
    Fatal(MemberId),
}

impl World<'_> {
    /// One more client, which stands in the network where the operator stands.
    pub(crate) fn add_guest(&mut self) -> usize {
        let client = self.add_customer_with(Rhythm::Guest, 0, Options::default());
        let (operator, place) = (self.client_place(0), self.client_place(client));
        self.network.block_alike(operator, place);
        client
    }

    /// Asks through a guest; the answer comes under the ticket.
    pub(crate) fn guest_asks(&mut self, client: usize, asked: Asked) -> u64 {
        let entry = match &asked {
            Asked::Call { session, request } => {
                let known = &self.customers[client].opened;
                let known = known.iter().find(|(key, _)| key == session);
                known
                    .map(|(_, id)| *id)
                    .map(|id| self.checkers.asked(self.now, id, request))
            }
            Asked::Ready { .. }
            | Asked::Open
            | Asked::Json { .. }
            | Asked::Status
            | Asked::Upgrade(_)
            | Asked::Specify(_) => None,
        };
        let customer = &mut self.customers[client];
        let ticket = customer.next_ticket;
        customer.next_ticket += 1;
        customer.tickets.insert(ticket, Ticket::Guest(entry));
        self.client_hears(client, Input::Ask { ticket, asked });
        // What is resolved by the asking alone was never sent.
        let answered = !self.customers[client].tickets.contains_key(&ticket);
        if let Some(entry) = entry.filter(|_| answered) {
            self.checkers.replies.withdrawn(entry);
        }
        self.client_wakes(client, self.now);
        ticket
    }

    /// A guest's session has no users any more.
    pub(crate) fn guest_forgets(&mut self, client: usize, session: SessionKey) {
        self.client_hears(client, Input::Forget { session });
    }

    pub(super) fn guest_answered(
        &mut self,
        client: usize,
        ticket: u64,
        entry: Option<usize>,
        answer: Result<Answer, CallError>,
    ) {
        match (&answer, entry) {
            (Ok(Answer::Opened(id, key)), _) => {
                let opened = &mut self.customers[client].opened;
                // The machine gives the keys of forgotten sessions again.
                opened.retain(|(known, _)| known != key);
                opened.push((*key, *id));
            }
            (Ok(Answer::Reply(reply)), Some(entry)) => {
                self.checkers.answered(self.now, entry, reply);
            }
            (Err(CallError::Panicked), Some(_)) => {
                let what = self.panicked.take();
                let what = what.unwrap_or_else(|| "the service panicked".to_owned());
                self.checkers.says("service", Err(what));
            }
            (Err(error), Some(entry)) => self.checkers.replies.resolved(entry, error),
            (
                Ok(
                    Answer::Ready
                    | Answer::Reply(_)
                    | Answer::Json(_)
                    | Answer::Status(_)
                    | Answer::Accepted(_)
                    | Answer::Refused(_),
                )
                | Err(_),
                _,
            ) => {}
        }
        self.customers[client].answers.push((ticket, answer));
    }

    /// A fault hits a member.
    pub(crate) fn strike_member(
        &mut self,
        member: MemberId,
        fault: Fault,
    ) -> Result<(), Unbearable> {
        let process = self.process_of_member(member);
        let process = process.ok_or(Unbearable::Unknown(member))?;
        let target = Target::Process(process);
        let strike = Strike {
            when: When::At(0),
            role: Role::Member,
            fault,
        };
        if !self.bearable(strike, target) {
            return Err(Unbearable::Fatal(member));
        }
        let phase = self.phase();
        self.hit(strike, target, phase);
        Ok(())
    }

    /// The hosts of these members are cut off from all others, and from all clients.
    pub(crate) fn separate(&mut self, members: &[MemberId], until: u64) -> Result<(), Unbearable> {
        let mut places = Vec::new();
        let mut names = Vec::new();
        for &member in members {
            let process = self.process_of_member(member);
            let process = process.ok_or(Unbearable::Unknown(member))?;
            let host = self.processes[process].host;
            places.extend([place_of_host(host), place_of_daemon(host)]);
            names.push(format!("{member} (p{})", pid(process)));
        }
        for other in (0..self.places()).filter(|other| !places.contains(other)) {
            for &place in &places {
                self.network.block(other, place, until);
                self.network.block(place, other, until);
            }
        }
        let ms = (until - self.now) / 1000;
        let what = format!("cuts off {} for {ms} ms", names.join(" "));
        self.note_of("", "fault", what);
        self.trouble_until = self.trouble_until.max(until);
        self.stir();
        Ok(())
    }

    /// The operator asks for one more upgrade: its number.
    pub(crate) fn upgrade_to(&mut self, edition: Edition) -> usize {
        let number = self.plan.upgrades.len();
        let upgrade = Upgrade::to(edition.binary.version.clone(), 0);
        self.checkers.upgrade.planned(upgrade.clone());
        self.plan.to_mut().upgrades.push(upgrade);
        let known = &self.installation.editions;
        if !known.iter().any(|known| known.binary == edition.binary) {
            self.installation.to_mut().editions.push(edition);
        }
        self.ask_upgrade(number);
        number
    }

    /// The furthest state that anybody holds and can write in this format.
    pub(crate) fn furthest_state(&self, format: u32) -> Option<Vec<u8>> {
        let writes = |process: &&Process| {
            let edition = &self.installation.editions[process.edition];
            edition.program.formats().writes.contains(&format)
        };
        let mut members: Vec<_> = self
            .processes
            .iter()
            .filter(writes)
            .filter_map(Process::member)
            .collect();
        members.sort_by_key(|member| std::cmp::Reverse(member.executor.position()));
        members.iter().find_map(|member| {
            let mut bytes = Vec::new();
            member.executor.export(format, &mut bytes).ok()?;
            Some(crate::checkers::transfer::unchunked(&bytes))
        })
    }
}
