//! The load: a process of its own, started, heard and stopped from here.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;

use serde::Deserialize;

use super::report::Audit;

/// What the load says, in the order in which it comes.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Event {
    /// The first request starts at this moment.
    Began {
        /// Microseconds since 1970.
        began_us: u64,
    },
    /// Five times a second.
    Progress(Progress),
    /// The last one.
    Audited(Audit),
}

/// How the load goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
pub(crate) struct Progress {
    /// Microseconds since the load began.
    pub(crate) at_us: u64,
    /// Requests that were to start by now.
    pub(crate) requests: u64,
    /// Answered within their time.
    pub(crate) answered: u64,
    /// Not answered within their time.
    pub(crate) failed: u64,
    /// Sent once more, or again.
    pub(crate) retried: u64,
    /// Of the last requests: half took at most this, in microseconds.
    pub(crate) p50_us: u64,
    /// Of the last requests: the slowest took this.
    pub(crate) max_us: u64,
}

/// The running load.
#[derive(Debug)]
pub(crate) struct Load {
    process: Child,
    /// While it is open the load goes on: it ends with this process, however that ends.
    input: Option<ChildStdin>,
    events: Receiver<String>,
    log: PathBuf,
}

/// What was heard of the load since it was last asked.
#[derive(Debug)]
pub(crate) enum Heard {
    /// It said something.
    Event(Event),
    /// It says nothing at the moment.
    Silence,
    /// It is gone; its last words.
    Gone(String),
}

impl Load {
    /// Starts it against these members. Its words go to `log`, its record to `record`.
    pub(crate) fn start(
        binary: &Path,
        arguments: &[(&str, String)],
        log: &Path,
    ) -> io::Result<Load> {
        let mut command = Command::new(binary);
        for (name, value) in arguments {
            command.arg(name).arg(value);
        }
        let mut process = command
            // Ctrl-C is ours to answer: the load still has to be heard then.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(log)?)
            .spawn()?;
        let input = process.stdin.take();
        let output = process.stdout.take();
        let (sender, events) = channel();
        thread::spawn(move || {
            let lines = output
                .into_iter()
                .flat_map(|out| BufReader::new(out).lines());
            for line in lines.map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Load {
            process,
            input,
            events,
            log: log.to_owned(),
        })
    }

    /// What it said next, without waiting.
    pub(crate) fn hear(&mut self) -> Heard {
        match self.events.try_recv() {
            Ok(line) => match serde_json::from_str(&line) {
                Ok(event) => Heard::Event(event),
                Err(why) => Heard::Gone(format!("it said {line:?}, which is not known: {why}")),
            },
            Err(TryRecvError::Empty) => Heard::Silence,
            Err(TryRecvError::Disconnected) => {
                let words = std::fs::read_to_string(&self.log).unwrap_or_default();
                Heard::Gone(words.trim().to_owned())
            }
        }
    }

    /// Asks it to stop; its audit follows.
    pub(crate) fn stop(&mut self) {
        if let Some(mut input) = self.input.take() {
            // The end of its input says the same as the line.
            let _ = writeln!(input, "stop");
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        // It may have ended by itself; in any case it is gone and reaped afterwards.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    /// The lines that `ledger-load` has in its own test of the writer.
    #[test]
    fn events_of_the_load_are_read() {
        let read = |text: &str| serde_json::from_str::<Event>(text).unwrap();
        assert_eq!(
            read(r#"{"began":{"began_us":7}}"#),
            Event::Began { began_us: 7 }
        );
        let progress = read(concat!(
            r#"{"progress":{"at_us":200000,"requests":400,"answered":398,"failed":1,"#,
            r#""retried":2,"p50_us":310,"max_us":900}}"#
        ));
        assert!(matches!(progress, Event::Progress(told) if told.answered == 398));
        let audited = read(concat!(
            r#"{"audited":{"acknowledged":0,"lost":0,"duplicated":0,"phantom":0,"#,
            r#""unresolved_present":0,"accounts_wrong":0,"sum_expected":0,"sum_found":0}}"#
        ));
        assert!(matches!(audited, Event::Audited(_)));
    }

    /// A process that behaves as the load does: speaks, waits for its stop, speaks again.
    #[test]
    fn a_load_is_heard_and_stopped() {
        let log = std::env::temp_dir().join(format!("load-{}.log", std::process::id()));
        let script = r#"echo '{"began":{"began_us":7}}'; read line; test "$line" = stop || exit 3
            echo '{"progress":{"at_us":1,"requests":2,"answered":2,"failed":0,"retried":0,"p50_us":1,"max_us":2}}'
            echo gone >&2"#;
        let arguments = [("-c", script.to_owned())];
        let mut load = Load::start(Path::new("sh"), &arguments, &log).unwrap();
        let hear = |load: &mut Load| {
            loop {
                match load.hear() {
                    Heard::Silence => thread::yield_now(),
                    heard @ (Heard::Event(_) | Heard::Gone(_)) => return heard,
                }
            }
        };
        let first = hear(&mut load);
        assert!(matches!(first, Heard::Event(Event::Began { began_us: 7 })));
        load.stop();
        assert!(matches!(
            hear(&mut load),
            Heard::Event(Event::Progress(Progress { requests: 2, .. }))
        ));
        assert!(matches!(hear(&mut load), Heard::Gone(words) if words == "gone"));
        drop(load);
        std::fs::remove_file(log).unwrap();
    }
}
