//! The installation: which daemons there are, and what they say.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use client::{Client, Options};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use wire::daemon::{BinaryRecord, DaemonReply, DaemonRequest, ReplicaRecord};
use wire::frame::{PEER_FRAME_MAX, encode, split};
use wire::status::{GroupStatus, HostStatus};

use crate::At;
use crate::outcome::{Outcome, told};

/// How long a daemon may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The file in which a development installation says where it is.
pub(crate) const DEV_FILE: &str = "dev.json";
/// The directory in which it is looked for.
const DEV_DIRECTORY: &str = ".remex";

/// What stands in [`DEV_FILE`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DevFile {
    /// 1.
    pub(crate) schema: u32,
    /// The process of `remex dev`.
    pub(crate) process: u32,
    /// The daemons.
    pub(crate) hosts: Vec<DevHost>,
}

/// One daemon of a development installation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct DevHost {
    /// The host's name.
    pub(crate) name: String,
    /// The daemon's port.
    pub(crate) daemon: SocketAddr,
    /// The daemon's process.
    pub(crate) process: u32,
}

/// What one daemon says.
#[derive(Clone, Debug)]
pub(crate) struct Inventory {
    pub(crate) host: String,
    pub(crate) daemon: SocketAddr,
    pub(crate) replicas: Vec<ReplicaRecord>,
    pub(crate) binaries: Vec<BinaryRecord>,
}

/// The daemons that the operator means. A name that nobody knows is as good as a daemon that does not
/// answer: the others may.
async fn daemons(at: &At) -> Result<Vec<Result<SocketAddr, Outcome>>, Outcome> {
    if !at.at.is_empty() {
        let mut found = Vec::new();
        for place in &at.at {
            found.push(place.address().await);
        }
        return Ok(found);
    }
    let here = std::env::current_dir().map_err(|error| Outcome::Failed(error.to_string()))?;
    let found = here
        .ancestors()
        .map(|dir| dir.join(DEV_DIRECTORY).join(DEV_FILE))
        .find(|f| f.exists());
    let Some(file) = found else {
        return Err(Outcome::Usage(format!(
            "which installation? Give --at HOST:PORT of a daemon, or set REMEX_AT, or work below a \
             directory with {DEV_DIRECTORY}/{DEV_FILE} (as `remex dev` writes it)"
        )));
    };
    Ok(read_dev_file(&file)?
        .hosts
        .into_iter()
        .map(|host| Ok(host.daemon))
        .collect())
}

/// Reads a [`DevFile`].
pub(crate) fn read_dev_file(file: &Path) -> Result<DevFile, Outcome> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| Outcome::Failed(format!("{}: {error}", file.display())))?;
    serde_json::from_str(&text).map_err(|error| {
        Outcome::Failed(format!(
            "{} is no dev file: {error}; `remex dev` writes it anew",
            file.display()
        ))
    })
}

/// Writes a file so that a reader sees all of it or nothing.
pub(crate) fn write_whole(file: &Path, text: &str) -> Result<(), Outcome> {
    let fault =
        |error: std::io::Error| Outcome::Failed(format!("{}: {}", file.display(), told(&error)));
    let beside: PathBuf = file.with_extension("new");
    std::fs::write(&beside, text).map_err(fault)?;
    std::fs::rename(&beside, file).map_err(fault)
}

/// Asks a daemon one thing; that it could not do it is an error.
pub(crate) async fn ask(
    daemon: SocketAddr,
    request: &DaemonRequest,
) -> Result<DaemonReply, Outcome> {
    let asked = tokio::time::timeout(PATIENCE, exchange(daemon, request)).await;
    match asked {
        Ok(Ok(DaemonReply::Failed { why, .. })) => Err(Outcome::Failed(why)),
        Ok(reply) => reply,
        Err(_) => Err(Outcome::Unreached(format!(
            "the daemon at {daemon} did not answer within {} s",
            PATIENCE.as_secs()
        ))),
    }
}

async fn exchange(daemon: SocketAddr, request: &DaemonRequest) -> Result<DaemonReply, Outcome> {
    let fault = |error: std::io::Error| {
        Outcome::Unreached(format!("the daemon at {daemon} cannot be reached: {error}"))
    };
    let mut stream = TcpStream::connect(daemon).await.map_err(fault)?;
    let mut bytes = Vec::new();
    encode(request, &mut bytes);
    stream.write_all(&bytes).await.map_err(fault)?;
    let mut buffer = Vec::new();
    loop {
        let malformed = |error| Outcome::Failed(format!("the daemon at {daemon} sent {error}"));
        if let Some(frame) = split(&buffer, PEER_FRAME_MAX).map_err(malformed)? {
            return frame.decode().map_err(malformed);
        }
        if stream.read_buf(&mut buffer).await.map_err(fault)? == 0 {
            return Err(Outcome::Unreached(format!(
                "the daemon at {daemon} closed the connection"
            )));
        }
    }
}

/// A daemon's answer of another kind than was asked for.
pub(crate) fn unexpected(daemon: SocketAddr, reply: &DaemonReply) -> Outcome {
    Outcome::Failed(format!("the daemon at {daemon} answered {reply:?}"))
}

/// What a daemon has.
pub(crate) async fn inventory(daemon: SocketAddr) -> Result<Inventory, Outcome> {
    let reply = ask(daemon, &DaemonRequest::Inventory { token: 1 }).await?;
    let DaemonReply::Inventory {
        host,
        replicas,
        binaries,
        ..
    } = reply
    else {
        return Err(unexpected(daemon, &reply));
    };
    Ok(Inventory {
        host,
        daemon,
        replicas: replicas.into_iter().collect(),
        binaries: binaries.into_iter().collect(),
    })
}

/// What all daemons have that answer; an error only if none does.
pub(crate) async fn inventories(at: &At) -> Result<Vec<Inventory>, Outcome> {
    let mut found = Vec::new();
    let mut last = None;
    for daemon in daemons(at).await? {
        let inventory = match daemon {
            Ok(daemon) => inventory(daemon).await,
            Err(error) => Err(error),
        };
        match inventory {
            Ok(inventory) => found.push(inventory),
            Err(error) => last = Some(error),
        }
    }
    match last {
        Some(error) if found.is_empty() => Err(error),
        Some(_) | None => Ok(found),
    }
}

/// Whether all daemons that the operator means are among those that answered: what runs with the others
/// is not known, and a group must not be founded twice.
pub(crate) async fn all_answer(at: &At, found: &[Inventory]) -> Result<(), Outcome> {
    let mut silent = Vec::new();
    for daemon in daemons(at).await? {
        match daemon {
            Ok(address) if found.iter().any(|host| host.daemon == address) => {}
            Ok(address) => silent.push(address.to_string()),
            Err(why) => silent.push(why.to_string()),
        }
    }
    if silent.is_empty() {
        return Ok(());
    }
    Err(Outcome::Refused(format!(
        "no answer from {}: a group of this name may run there; start the daemon again, or name the \
         others alone with --at",
        silent.join(", ")
    )))
}

/// Asks also the daemons of the group's hosts that the operator did not name; why those that do not
/// answer do not.
pub(crate) async fn complete(found: &mut Vec<Inventory>, status: &GroupStatus) -> Vec<String> {
    let mut silent = Vec::new();
    for HostStatus { host, daemon } in &status.hosts {
        if found.iter().any(|known| known.host == *host) {
            continue;
        }
        match inventory(*daemon).await {
            Ok(inventory) => found.push(inventory),
            Err(why) => silent.push(format!("{host} does not say what it has: {why}")),
        }
    }
    silent
}

/// A client of a group of this installation.
pub(crate) async fn connect(at: &At, group: &str) -> Result<Client, Outcome> {
    let inventories = inventories(at).await?;
    connect_among(&inventories, group).await
}

/// A client of a group whose replicas are among these.
pub(crate) async fn connect_among(
    inventories: &[Inventory],
    group: &str,
) -> Result<Client, Outcome> {
    let replicas = inventories.iter().flat_map(|inventory| &inventory.replicas);
    let contacts: Vec<SocketAddr> = replicas
        .clone()
        .filter(|replica| replica.group == group && replica.member.is_some())
        .filter_map(|replica| replica.address)
        .collect();
    if contacts.is_empty() && replicas.clone().any(|replica| replica.group == group) {
        return Err(Outcome::Unreached(format!(
            "no replica of the group \"{group}\" is a member yet; `remex logs PROCESS` tells what \
             they do"
        )));
    }
    if contacts.is_empty() {
        let mut groups: Vec<&str> = replicas.map(|replica| replica.group.as_str()).collect();
        groups.sort_unstable();
        groups.dedup();
        return Err(Outcome::Unreached(format!(
            "no replica of a group \"{group}\" runs here; there are: {}",
            if groups.is_empty() {
                "none".to_owned()
            } else {
                groups.join(", ")
            }
        )));
    }
    let options = Options {
        connect_within: Duration::from_secs(5),
        ..Options::default()
    };
    Client::connect_with(group, &contacts, options)
        .await
        .map_err(|error| Outcome::Unreached(error.to_string()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use fuzz::Decoder;

    use super::*;
    use crate::daemon::DaemonFile;
    use crate::place::Place;

    #[test]
    fn files_and_places_survive_whatever_stands_in_them() {
        let host = DevHost {
            name: "host1".to_owned(),
            daemon: "127.0.0.1:7400".parse().unwrap(),
            process: 7,
        };
        let dev = DevFile {
            schema: 1,
            process: 9,
            hosts: vec![host.clone(), host],
        };
        Decoder::of("dev file", [serde_json::to_vec(&dev).unwrap()])
            .survives(|bytes| serde_json::from_slice::<DevFile>(bytes).is_ok());
        let daemon = DaemonFile {
            schema: 1,
            host: "host1".to_owned(),
            daemon: "127.0.0.1:7400".parse().unwrap(),
            process: 9,
        };
        Decoder::of("daemon file", [serde_json::to_vec(&daemon).unwrap()])
            .survives(|bytes| serde_json::from_slice::<DaemonFile>(bytes).is_ok());
        let places = ["127.0.0.1:7400", "[::1]:7400", "host1:7400"];
        Decoder::of("place", places.map(|place| place.as_bytes().to_vec())).survives(|bytes| {
            std::str::from_utf8(bytes).is_ok_and(|text| text.parse::<Place>().is_ok())
        });
    }

    #[test]
    fn a_dev_file_that_is_none_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(DEV_FILE);
        std::fs::write(&file, "{").unwrap();
        let why = read_dev_file(&file).unwrap_err().to_string();
        let named = format!("{} is no dev file: EOF", file.display());
        assert!(why.starts_with(&named), "{why}");
        assert!(why.contains("remex dev"), "{why}");
    }
}
