//! The executor's thread: the service runs here, beside the loop, in the order of its queue.
//!
//! The loop sends the jobs of one turn as one batch; the answers of a batch come back encoded, one
//! run of frames per connection, with one wake-up.

use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use mio::Waker;
use replica::{Answer, Execute, Program, Work};
use wire::client::{CallResult, ClientReply};
use wire::list::List;
use wire::peer::TransferHead;
use wire::{MemberId, Position, frame};

use crate::notes::note;
use crate::transfer::{self, Export, ExportError, Exported, Fetch, FetchError};

/// The exit code of a process in which a thread panicked: the usual one of a Rust program.
const PANICKED: i32 = 101;
/// Results are merged into frames of about this size: large enough to cost nothing per result,
/// small enough for any client's limit.
const RESULTS_FRAME: usize = 256 << 10;
/// Bytes of reads that may wait for the executor; above it clients are not read from: some hundred
/// milliseconds of work. Ordered requests have limits of their own, and what is ordered must be
/// taken.
const READS_QUEUED_MAX: usize = 4 << 20;

/// What the executor is asked to do, in order.
#[derive(Debug)]
pub(crate) enum Job {
    /// A joiner's: get the state.
    Fetch(Fetch),
    /// The replica's.
    Work(Work),
    /// Give the state away.
    Export(Box<Export>),
    /// The last job.
    End {
        /// Whether the new version has taken this replica's place.
        upgraded: bool,
    },
}

/// What the executor has done.
#[derive(Debug)]
pub(crate) enum Report {
    /// The state came, or did not.
    Fetched {
        /// The number of the fetch.
        number: u64,
        result: Result<Box<TransferHead>, FetchError>,
    },
    /// A batch is done.
    Applied {
        /// Up to where.
        position: Position,
        /// Encoded replies by connection.
        frames: Vec<(u64, Vec<u8>)>,
    },
    /// An export is over.
    Exported {
        joiner: MemberId,
        position: Position,
        result: Result<(), ExportError>,
    },
    /// The last job is done.
    Ended,
}

/// The loop's side.
#[derive(Debug)]
pub(crate) struct Executor {
    jobs: Sender<Vec<Job>>,
    reports: Receiver<Report>,
    /// Bytes of reads in the queue.
    queued: Arc<AtomicUsize>,
    /// What a waker says is only heard while it lives, and the thread may end before we look.
    _waker: Arc<Waker>,
}

impl Executor {
    /// Starts the thread. A founder's executor is there already, a joiner's comes with the state.
    pub(crate) fn start(
        program: Arc<Program>,
        execute: Option<Box<dyn Execute>>,
        waker: Waker,
    ) -> io::Result<Executor> {
        let (jobs, queue) = channel();
        let (sender, reports) = channel();
        let waker = Arc::new(waker);
        let queued = Arc::new(AtomicUsize::new(0));
        let thread = Thread {
            program,
            execute,
            queued: Arc::clone(&queued),
            to: Loop {
                reports: sender,
                waker: Arc::clone(&waker),
            },
        };
        thread::Builder::new()
            .name("executor".to_owned())
            .spawn(move || {
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| thread.run(&queue))) {
                    // A crash is what the group masks; going on with half a step is not.
                    let text = transfer::panic_text(panic.as_ref());
                    note(format_args!("the executor panicked: {text}"));
                    process::exit(PANICKED);
                }
            })?;
        Ok(Executor {
            jobs,
            reports,
            queued,
            _waker: waker,
        })
    }

    /// Queues the jobs of one turn.
    pub(crate) fn send(&self, jobs: Vec<Job>) {
        let reads = jobs.iter().map(reads_size).sum();
        self.queued.fetch_add(reads, Ordering::Relaxed);
        // The thread ends before us only by the job that ends it, or with the process.
        let _ended = self.jobs.send(jobs);
    }

    /// Whether more reads had better wait. A report follows when that changes.
    pub(crate) fn is_full(&self) -> bool {
        self.queued.load(Ordering::Relaxed) > READS_QUEUED_MAX
    }

    /// What was done since the last time.
    pub(crate) fn reports(&self) -> impl Iterator<Item = Report> {
        self.reports.try_iter()
    }
}

#[derive(Clone)]
struct Loop {
    reports: Sender<Report>,
    waker: Arc<Waker>,
}

impl Loop {
    fn report(&self, report: Report) {
        // A loop that is gone needs no report; one that cannot be woken looks by itself soon.
        let _gone = self.reports.send(report);
        let _late = self.waker.wake();
    }
}

struct Thread {
    program: Arc<Program>,
    execute: Option<Box<dyn Execute>>,
    queued: Arc<AtomicUsize>,
    to: Loop,
}

impl Thread {
    fn run(mut self, queue: &Receiver<Vec<Job>>) {
        let mut answers = Vec::new();
        for batch in queue {
            for job in batch {
                self.queued.fetch_sub(reads_size(&job), Ordering::Relaxed);
                match job {
                    Job::Work(work) => self.service().handle(work, &mut answers),
                    Job::Fetch(fetch) => self.fetch(&fetch),
                    Job::Export(export) => {
                        // Writing the state takes long: nobody waits for it.
                        self.applied(&mut answers);
                        self.export(*export);
                    }
                    Job::End { upgraded } => {
                        self.applied(&mut answers);
                        if upgraded {
                            self.service().upgraded();
                        }
                        return self.to.report(Report::Ended);
                    }
                }
            }
            self.applied(&mut answers);
        }
    }

    fn service(&mut self) -> &mut dyn Execute {
        let execute = self.execute.as_mut();
        &mut **execute.expect("a replica begins after its state has come")
    }

    fn applied(&mut self, answers: &mut Vec<Answer>) {
        if let Some(execute) = &mut self.execute {
            for text in execute.notes() {
                note(text);
            }
            let position = execute.position();
            let frames = merge(std::mem::take(answers));
            self.to.report(Report::Applied { position, frames });
        }
    }

    fn fetch(&mut self, fetch: &Fetch) {
        let result = match transfer::fetch(&self.program, fetch) {
            Ok((execute, head)) => {
                self.execute = Some(execute);
                Ok(Box::new(head))
            }
            Err(error) => Err(error),
        };
        self.to.report(Report::Fetched {
            number: fetch.number,
            result,
        });
    }

    fn export(&mut self, export: Export) {
        let (joiner, position) = (export.joiner, export.position);
        let exported = move |result| Report::Exported {
            joiner,
            position,
            result,
        };
        match transfer::export(self.service(), export) {
            Ok(Exported::All) => self.to.report(exported(Ok(()))),
            Ok(Exported::Image(image)) => {
                let to = self.to.clone();
                let sends = thread::Builder::new().name("donor".to_owned());
                let spawned = sends.spawn(move || to.report(exported(image.send())));
                if let Err(error) = spawned {
                    self.to.report(exported(Err(error.into())));
                }
            }
            Err(error) => self.to.report(exported(Err(error))),
        }
    }
}

fn reads_size(job: &Job) -> usize {
    if let Job::Work(Work::Reads { calls, .. }) = job {
        calls.len()
    } else {
        0
    }
}

/// One run of frames per connection; results that follow each other share frames.
fn merge(answers: Vec<Answer>) -> Vec<(u64, Vec<u8>)> {
    let mut runs: BTreeMap<u64, Run> = BTreeMap::new();
    for Answer { connection, reply } in answers {
        runs.entry(connection).or_default().add(reply);
    }
    runs.into_iter()
        .map(|(connection, run)| (connection, run.finish()))
        .collect()
}

#[derive(Default)]
struct Run {
    frames: Vec<u8>,
    results: List<CallResult>,
}

impl Run {
    fn add(&mut self, reply: ClientReply) {
        if let ClientReply::Results { results } = reply {
            if self.results.written() + results.written() <= RESULTS_FRAME {
                self.results.append(&results);
                return;
            }
            for result in results {
                self.results.push(&result);
                if self.results.written() >= RESULTS_FRAME {
                    self.cut();
                }
            }
        } else {
            self.cut();
            frame::encode(&reply, &mut self.frames);
        }
    }

    fn cut(&mut self) {
        let results = std::mem::take(&mut self.results);
        if !results.is_empty() {
            frame::encode(&ClientReply::Results { results }, &mut self.frames);
        }
    }

    fn finish(mut self) -> Vec<u8> {
        self.cut();
        self.frames
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use wire::SessionId;
    use wire::client::{CallId, Outcome};
    use wire::frame::CLIENT_FRAME_MAX;

    use super::*;

    fn results(numbers: &[u64], size: usize) -> ClientReply {
        let result = |&number: &u64| CallResult {
            call: CallId {
                session: SessionId(1),
                number,
            },
            position: Position(1),
            outcome: Outcome::Done(vec![0; size].into()),
        };
        ClientReply::Results {
            results: numbers.iter().map(result).collect(),
        }
    }

    /// What a connection's frames say: `results 1 2` or `opened`.
    fn said(mut frames: &[u8]) -> Vec<String> {
        let mut said = Vec::new();
        while let Some(frame) = frame::split(frames, CLIENT_FRAME_MAX).unwrap() {
            let reply: ClientReply = frame.decode().unwrap();
            said.push(if let ClientReply::Results { results } = reply {
                let numbers = results.iter().map(|result| result.call.number.to_string());
                numbers.fold("results".to_owned(), |all, number| all + " " + &number)
            } else {
                assert!(matches!(reply, ClientReply::Opened { .. }));
                "opened".to_owned()
            });
            frames = &frames[frame.length..];
        }
        assert!(frames.is_empty());
        said
    }

    fn merged(answers: &[(u64, ClientReply)]) -> Vec<(u64, Vec<String>)> {
        let answers = answers.iter().cloned();
        let answers = answers.map(|(connection, reply)| Answer { connection, reply });
        let merged = merge(answers.collect()).into_iter();
        merged
            .map(|(connection, frames)| (connection, said(&frames)))
            .collect()
    }

    #[test]
    fn results_of_one_connection_share_a_frame() {
        let answers = [
            (7, results(&[1], 8)),
            (8, results(&[5], 8)),
            (7, results(&[2, 3], 8)),
        ];
        let expected = [
            (7, vec!["results 1 2 3".to_owned()]),
            (8, vec!["results 5".to_owned()]),
        ];
        assert_eq!(merged(&answers), expected);
    }

    #[test]
    fn other_replies_keep_their_place_among_them() {
        let opened = ClientReply::Opened {
            token: 1,
            session: SessionId(2),
        };
        let answers = [(7, results(&[1], 8)), (7, opened), (7, results(&[2], 8))];
        let expected = ["results 1", "opened", "results 2"].map(str::to_owned);
        assert_eq!(merged(&answers), [(7, expected.to_vec())]);
    }

    #[test]
    fn large_results_do_not_share() {
        let answers = [(7, results(&[1], RESULTS_FRAME)), (7, results(&[2], 8))];
        let expected = ["results 1", "results 2"].map(str::to_owned);
        assert_eq!(merged(&answers), [(7, expected.to_vec())]);
    }
}
