//! `serve`: the whole `main` of a service's binary.

use std::io::{self, Write as _};
use std::marker::PhantomData;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use replica::{Layer, Program, Service};
use wire::daemon::Assignment;

/// The exit code of a wrong command line, as in other tools.
const USAGE: u8 = 2;

/// What a service's binary is asked to do.
#[derive(Debug, PartialEq)]
enum Command {
    /// Print what the binary is, as JSON.
    Describe,
    /// Print name and version.
    Version,
    /// Print how it is called.
    Help,
    /// Be a replica. Daemons ask for it.
    Run(Box<Launch>),
}

/// What a daemon tells a replica that it starts.
#[derive(Debug, PartialEq)]
struct Launch {
    /// What to do in which group.
    assignment: Assignment,
    /// The daemon's local socket.
    daemon: PathBuf,
    /// The host's name.
    host: String,
    /// The address to listen on.
    ip: IpAddr,
}

/// Why a command line is not understood.
#[derive(Debug, PartialEq, thiserror::Error)]
enum UsageError {
    #[error("nothing to do: a replica is started by its daemon (`remex dev`, `remex daemon`)")]
    Nothing,
    #[error("unknown argument `{0}`")]
    Unknown(String),
    #[error("`{0}` needs a value")]
    NoValue(&'static str),
    #[error("`{0}` is given twice")]
    Twice(&'static str),
    #[error("a replica needs `{0}` too; daemons give it")]
    Missing(&'static str),
    #[error("`{option}` is not understood: {why}")]
    Value { option: &'static str, why: String },
}

/// Serves `S`: the whole `main` of a service's binary.
///
/// ```text
/// fn main() -> ExitCode {
///     remex::serve::<Ledger>()
/// }
/// ```
///
/// Daemons start the binary as a replica. People may ask it for `--describe`, `--version` and
/// `--help`. It is short for [`Server::new`] and [`Server::serve`].
pub fn serve<S: Service>() -> ExitCode {
    Server::<S>::new().serve()
}

/// A service's binary with layers of its own, which the group's stack may name.
///
/// ```text
/// fn main() -> ExitCode {
///     remex::Server::<Ledger>::new().layer(Box::new(Audit::default())).serve()
/// }
/// ```
#[derive(Debug)]
pub struct Server<S> {
    layers: Vec<Box<dyn Layer>>,
    service: PhantomData<fn() -> S>,
}

impl<S: Service> Default for Server<S> {
    fn default() -> Server<S> {
        Server::new()
    }
}

impl<S: Service> Server<S> {
    /// A server with the built-in layers.
    pub fn new() -> Server<S> {
        Server {
            layers: Vec::new(),
            service: PhantomData,
        }
    }

    /// Offers a layer; it is used where the group's stack names it.
    #[must_use]
    pub fn layer(mut self, layer: Box<dyn Layer>) -> Server<S> {
        self.layers.push(layer);
        self
    }

    /// Does what the command line says.
    pub fn serve(self) -> ExitCode {
        let arguments = std::env::args_os().skip(1);
        let arguments = arguments.map(|argument| argument.to_string_lossy().into_owned());
        match parse(arguments) {
            Ok(Command::Describe) => describe::<S>(),
            Ok(Command::Version) => print(&format!("{} {}\n", S::NAME, S::VERSION)),
            Ok(Command::Help) => print(&help::<S>()),
            Ok(Command::Run(launch)) => self.run(*launch),
            Err(error) => complain(&format!("{}: {error}\n\n{}", S::NAME, help::<S>())),
        }
    }

    /// Runs the replica until it leaves its group.
    fn run(self, launch: Launch) -> ExitCode {
        let launch = host::Launch {
            assignment: launch.assignment,
            daemon: Some(launch.daemon),
            host: launch.host,
            ip: launch.ip,
            layers: self.layers,
        };
        host::run(Program::of::<S>(), launch)
    }
}

fn describe<S: Service>() -> ExitCode {
    match serde_json::to_string_pretty(&S::describe()) {
        Ok(text) => print(&format!("{text}\n")),
        Err(why) => complain(&format!(
            "{}: the description has no JSON: {why}\n",
            S::NAME
        )),
    }
}

fn help<S: Service>() -> String {
    format!(
        "{name} {version}, a replicated service\n\n\
         Usage:\n  \
         --describe  what this binary is: methods, shapes, state formats (JSON)\n  \
         --version   name and version\n  \
         --help      this text\n\n\
         As a replica, started by a daemon:\n  \
         --assignment JSON --daemon SOCKET --host NAME --ip ADDRESS\n",
        name = S::NAME,
        version = S::VERSION,
    )
}

fn parse(arguments: impl Iterator<Item = String>) -> Result<Command, UsageError> {
    let mut arguments = arguments;
    let mut assignment = Given::new("--assignment");
    let mut daemon = Given::new("--daemon");
    let mut host = Given::new("--host");
    let mut ip = Given::new("--ip");
    let mut any = false;
    while let Some(argument) = arguments.next() {
        any = true;
        match argument.as_str() {
            "--describe" => return Ok(Command::Describe),
            "--version" | "-V" => return Ok(Command::Version),
            "--help" | "-h" => return Ok(Command::Help),
            "--assignment" => assignment.take(arguments.next())?,
            "--daemon" => daemon.take(arguments.next())?,
            "--host" => host.take(arguments.next())?,
            "--ip" => ip.take(arguments.next())?,
            _ => return Err(UsageError::Unknown(argument)),
        }
    }
    if !any {
        return Err(UsageError::Nothing);
    }
    Ok(Command::Run(Box::new(Launch {
        assignment: assignment.read(|text| serde_json::from_str(text))?,
        daemon: PathBuf::from(daemon.text()?),
        host: host.text()?,
        ip: ip.read(str::parse)?,
    })))
}

/// One option of the command line and what was given for it.
struct Given {
    name: &'static str,
    value: Option<String>,
}

impl Given {
    fn new(name: &'static str) -> Given {
        Given { name, value: None }
    }

    fn take(&mut self, value: Option<String>) -> Result<(), UsageError> {
        let value = value.ok_or(UsageError::NoValue(self.name))?;
        match self.value.replace(value) {
            None => Ok(()),
            Some(_) => Err(UsageError::Twice(self.name)),
        }
    }

    fn text(self) -> Result<String, UsageError> {
        self.value.ok_or(UsageError::Missing(self.name))
    }

    fn read<T, E: ToString>(self, parse: impl Fn(&str) -> Result<T, E>) -> Result<T, UsageError> {
        let option = self.name;
        parse(&self.text()?).map_err(|why| UsageError::Value {
            option,
            why: why.to_string(),
        })
    }
}

/// A reader that went away (`| head`) is no failure of ours.
fn print(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) if why.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn complain(text: &str) -> ExitCode {
    // Nobody can be told that standard error is closed.
    let _closed = io::stderr().write_all(text.as_bytes());
    ExitCode::from(USAGE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASSIGNMENT: &str = r#"{"group":"g","service":"s","version":"1.0.0","build":null,
        "role":{"Join":{"incarnation":1,"seat":0,"attempt":1,"contacts":[]}}}"#;

    fn check(arguments: &[&str]) -> Result<Command, String> {
        let arguments = arguments.iter().map(|&argument| argument.to_owned());
        parse(arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn people_ask_what_a_binary_is() {
        assert_eq!(check(&["--describe"]), Ok(Command::Describe));
        assert_eq!(check(&["--version"]), Ok(Command::Version));
        assert_eq!(check(&["-h"]), Ok(Command::Help));
    }

    #[test]
    fn a_daemon_launches_a_replica() {
        let arguments = ["--assignment", ASSIGNMENT, "--daemon", "/d", "--host", "h1"];
        let launched = check(&[&arguments[..], &["--ip", "127.0.0.2"]].concat());
        let Ok(Command::Run(launch)) = launched else {
            panic!("{launched:?}");
        };
        assert_eq!(launch.assignment.group, "g");
        assert_eq!(
            (launch.host.as_str(), launch.ip.to_string()),
            ("h1", "127.0.0.2".to_owned())
        );
        assert_eq!(launch.daemon, PathBuf::from("/d"));
    }

    #[test]
    fn a_wrong_command_line_says_what_is_wrong() {
        for (arguments, why) in [
            (&[][..], "nothing to do"),
            (&["--descrive"], "unknown argument `--descrive`"),
            (&["--host"], "`--host` needs a value"),
            (&["--host", "a", "--host", "b"], "`--host` is given twice"),
            (&["--host", "a"], "a replica needs `--assignment` too"),
            (
                &["--assignment", "{"],
                "`--assignment` is not understood: EOF",
            ),
        ] {
            let error = check(arguments).err().unwrap_or_default();
            assert!(error.contains(why), "{arguments:?}: {error}");
        }
    }
}
