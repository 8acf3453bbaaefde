//! One process for one state directory: a second one would take the first one's socket, records and
//! replicas.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::Path;

use rustix::fs::FlockOperation;

use crate::outcome::{Outcome, told};

/// The file that is locked. Its text says by which process; the lock itself is the system's, and ends
/// with the process however that ends.
const NAME: &str = "lock";

/// Held as long as the directory is ours. Processes that we start do not inherit it.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the directory, or says who has it. `what` is what runs in it.
    pub(crate) fn take(directory: &Path, what: &str) -> Result<Lock, Outcome> {
        let path = directory.join(NAME);
        let fault = |error: std::io::Error| {
            Outcome::Failed(format!("{}: {}", path.display(), told(&error)))
        };
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(fault)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => {
                let mut process = String::new();
                file.read_to_string(&mut process).map_err(fault)?;
                return Err(Outcome::Refused(format!(
                    "{what} runs in {} already, process {}; end that first, or name another \
                     directory with --state",
                    directory.display(),
                    process.trim_end(),
                )));
            }
            Err(error) => return Err(fault(error.into())),
        }
        file.set_len(0).map_err(fault)?;
        file.rewind().map_err(fault)?;
        writeln!(file, "{}", std::process::id()).map_err(fault)?;
        Ok(Lock { _file: file })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn a_directory_has_one_holder_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let first = Lock::take(directory.path(), "a daemon").unwrap();
        let refused = Lock::take(directory.path(), "a daemon").unwrap_err();
        assert_eq!(refused.code(), 4);
        let holder = format!("process {};", std::process::id());
        assert!(refused.to_string().contains(&holder), "{refused}");
        drop(first);
        Lock::take(directory.path(), "a daemon").unwrap();
    }
}
