//! Executors: the service's own thread in each process, and the states that it gives away.

use replica::Answer;

use super::{Event, World};
use crate::checkers::order::stopped_says;
use crate::network::{Parcel, Party};
use crate::process::{Job, Report};

/// How long an announced state waits for its joiner.
const MEETING_PATIENCE: u64 = 2_000_000;
/// Pieces in which a state travels.
const PIECES: u64 = 4;
/// How much longer everything takes in a slow process.
const SLOWNESS: u64 = 200;

impl World<'_> {
    pub(super) fn queue_job(&mut self, process: usize, job: Job) {
        let delay = self.random.range(3, 40);
        if let Some(member) = self.processes[process].member_mut() {
            member.jobs.push_back(job);
        }
        self.execute_at(process, self.now + delay);
    }

    /// The executor looks at its queue then, or earlier.
    pub(super) fn execute_at(&mut self, process: usize, at: u64) {
        let known = &mut self.processes[process];
        let at = at.max(known.paused_until).max(known.executor_busy_until);
        if known.execute_at.is_none_or(|next| at < next) {
            known.execute_at = Some(at);
            self.queue.push(at, Event::Execute(process));
        }
    }

    pub(super) fn execute_due(&mut self, process: usize) {
        let known = &mut self.processes[process];
        if known.execute_at != Some(self.now) {
            return;
        }
        known.execute_at = None;
        if known.paused_until > self.now || known.executor_busy_until > self.now {
            return self.execute_at(process, self.now);
        }
        self.trace.event(self.now, 5, process as u64);
        self.execute(process);
    }

    fn execute(&mut self, process: usize) {
        let slow = self.processes[process].slow_until > self.now;
        let own = &self.installation.editions[self.processes[process].edition]
            .binary
            .version;
        let Some(member) = self.processes[process].member_mut() else {
            return;
        };
        let mut answers: Vec<Answer> = Vec::new();
        let mut done = 0;
        let export = loop {
            match member.jobs.pop_front() {
                Some(Job::Work(work)) => {
                    done += 1;
                    let at = member.executor.position();
                    if !self.checkers.order.has_stopped(at, own) {
                        member.executor.handle(work, &mut answers);
                        continue;
                    }
                    let mut said = Vec::new();
                    member.executor.handle(work, &mut said);
                    let opinion = stopped_says(own, &said);
                    self.checkers.says("replies", opinion);
                    answers.append(&mut said);
                }
                Some(Job::Export(export)) => break Some(export),
                None => break None,
            }
        };
        let notes = member.executor.notes();
        if done > 0 {
            let position = member.executor.position();
            let took = done * if slow { 5 * SLOWNESS } else { 5 };
            let known = &mut self.processes[process];
            known.executor_busy_until = self.now + took;
            known.reports.push(Report::Applied { position, answers });
            self.wake(process, self.now + took);
        }
        for note in notes {
            self.panicked = Some(note.clone());
            self.note(process, note);
        }
        if let Some(mut export) = export {
            let until = *export.until.get_or_insert(self.now + MEETING_PATIENCE);
            let key = (export.joiner, export.position);
            let Some(member) = self.processes[process].member_mut() else {
                return;
            };
            if let Some(connection) = member.donations.remove(&key) {
                self.give(process, *export, connection);
            } else if self.now >= until {
                let joiner = export.joiner;
                let result = Err("it did not dial for it".to_owned());
                let known = &mut self.processes[process];
                known.reports.push(Report::Exported { joiner, result });
                self.wake(process, self.now + 1);
                self.execute_at(process, self.now + 1);
            } else {
                member.jobs.push_front(Job::Export(export));
                self.execute_at(process, until);
            }
        }
    }

    /// The executor stands at the export's position and writes its state.
    fn give(&mut self, process: usize, export: crate::process::Export, connection: u64) {
        let slow = self.processes[process].slow_until > self.now;
        let Some(member) = self.processes[process].member_mut() else {
            return;
        };
        let mut bytes = Vec::new();
        let mut head = export.head;
        head.sessions = member.executor.sessions();
        let at = member.executor.position();
        let written = member.executor.export(export.format, &mut bytes);
        if at != export.position {
            let wanted = export.position;
            let mistaken = format!("the state of {at} was given as that of {wanted}");
            self.checkers.says("transfer", Err(mistaken));
        }
        let takes = self.random.range(300, 20_000) * if slow { 20 } else { 1 };
        let side = self.network.side(connection, Party::Process(process));
        let result = match written {
            Ok(()) => {
                let size = bytes.len() as u64;
                for piece in 1..PIECES {
                    let part = Parcel::Piece(size * piece / PIECES);
                    self.after(takes * piece / PIECES, Event::Send(connection, side, part));
                }
                let state = Parcel::State(Box::new(head), bytes);
                self.after(takes, Event::Send(connection, side, state));
                Ok(())
            }
            Err(error) => {
                self.close_from(Party::Process(process), connection);
                Err(error.to_string())
            }
        };
        let joiner = export.joiner;
        let known = &mut self.processes[process];
        known.executor_busy_until = self.now + takes;
        known.reports.push(Report::Exported { joiner, result });
        let until = self.now + takes;
        self.wake(process, until);
        self.execute_at(process, until);
    }
}
