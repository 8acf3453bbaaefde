//! Memory: logs, queues and sessions are bounded, whatever the group goes through.

use replica::Replica;

use super::Opinion;

/// What the log of a group under a simulation's load may hold: a transfer's pin holds it for a
/// second or two of requests.
const LOG_BYTES: u64 = 8 << 20;
/// Work that waits for a service.
const JOBS: usize = 20_000;

#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(crate) log_bytes: u64,
    pub(crate) jobs: usize,
}

impl Memory {
    pub(crate) fn looks(&mut self, replica: &Replica, jobs: usize) -> Opinion {
        let bytes = replica.log_bytes();
        self.log_bytes = self.log_bytes.max(bytes);
        self.jobs = self.jobs.max(jobs);
        if bytes > LOG_BYTES {
            return Err(format!("the log of {} holds {bytes} bytes", replica.me()));
        }
        if jobs > JOBS {
            return Err(format!("{jobs} pieces of work wait in {}", replica.me()));
        }
        Ok(())
    }

    /// When every client has its replies, no member may hold a request that waits for the order: it
    /// would hold it for ever. Where nothing is ordered, what waits is what clients gave up.
    pub(crate) fn rests(replica: &Replica) -> Opinion {
        match replica.undelivered() {
            _ if !replica.group().available() => Ok(()),
            0 => Ok(()),
            some => Err(format!(
                "{} holds {some} batches of requests that nobody waits for",
                replica.me()
            )),
        }
    }
}
