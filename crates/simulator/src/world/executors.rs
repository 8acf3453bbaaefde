//! Executors: the service's own thread in each process, and the states that it gives away.

use replica::Answer;
use wire::{MemberId, Position};

use super::{Event, World};
use crate::checkers::order::stopped_says;
use crate::network::{Parcel, Party};
use crate::process::{Export, Image, Job, Report};

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
        if let Some(export) = export {
            self.write_state(process, *export);
        }
        self.give_states(process);
    }

    /// The executor stands at the export's position and writes its state into memory.
    fn write_state(&mut self, process: usize, export: Export) {
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
        let key = (export.joiner, export.position);
        let until = self.now + MEETING_PATIENCE;
        match written {
            Ok(()) => {
                let image = Image { head, bytes, until };
                if let Some(member) = self.processes[process].member_mut() {
                    member.images.insert(key, image);
                }
            }
            Err(error) => {
                if let Some(connection) = member.donations.remove(&key) {
                    self.close_from(Party::Process(process), connection);
                }
                self.exported(process, export.joiner, Err(error.to_string()), 1);
            }
        }
        // What was behind it in the queue.
        self.execute_at(process, self.now + 1);
    }

    /// States whose joiners are there are sent; those that nobody comes for are given up.
    fn give_states(&mut self, process: usize) {
        let slow = self.processes[process].slow_until > self.now;
        let Some(member) = self.processes[process].member_mut() else {
            return;
        };
        let keys: Vec<(MemberId, Position)> = member.images.keys().copied().collect();
        for key in keys {
            let Some(member) = self.processes[process].member_mut() else {
                return;
            };
            let joiner = key.0;
            if let Some(connection) = member.donations.remove(&key) {
                if let Some(image) = member.images.remove(&key) {
                    let takes = self.random.range(300, 20_000) * if slow { 20 } else { 1 };
                    self.send_state(process, image, connection, takes);
                    self.exported(process, joiner, Ok(()), takes);
                }
            } else if member.images[&key].until <= self.now {
                member.images.remove(&key);
                let why = "it did not dial for it".to_owned();
                self.exported(process, joiner, Err(why), 1);
            }
        }
        let member = self.processes[process].member();
        let next = member.and_then(|member| member.images.values().map(|image| image.until).min());
        if let Some(next) = next {
            self.execute_at(process, next);
        }
    }

    fn send_state(&mut self, process: usize, image: Image, connection: u64, takes: u64) {
        let side = self.network.side(connection, Party::Process(process));
        let size = image.bytes.len() as u64;
        for piece in 1..PIECES {
            let part = Parcel::Piece(size * piece / PIECES);
            self.after(takes * piece / PIECES, Event::Send(connection, side, part));
        }
        let state = Parcel::State(Box::new(image.head), image.bytes);
        self.after(takes, Event::Send(connection, side, state));
    }

    fn exported(
        &mut self,
        process: usize,
        joiner: MemberId,
        result: Result<(), String>,
        takes: u64,
    ) {
        self.after(takes, Event::Exported(process, joiner, result));
    }

    pub(super) fn export_ends(
        &mut self,
        process: usize,
        joiner: MemberId,
        result: Result<(), String>,
    ) {
        let known = &mut self.processes[process];
        known.reports.push(Report::Exported { joiner, result });
        self.wake(process, self.now + 1);
    }
}
