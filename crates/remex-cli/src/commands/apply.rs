//! `remex apply`: a group shall be as its specification says; it is created, or changed as it runs.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use client::{Client, WishError};
use manager::placement::{self, Candidate};
use manager::specification::Specification;
use serde_json::json;
use wire::Version;
use wire::daemon::HostRecord;
use wire::log::SpecifyRequest;
use wire::status::GroupStatus;

use super::create;
use crate::installation::{Inventory, all_answer, complete, connect_among, inventories};
use crate::outcome::{Outcome, told};
use crate::screen::Screen;
use crate::{ApplyArgs, At, CreateArgs};

/// The largest specification, in bytes: many times what anybody writes.
const FILE_MAX: u64 = 64 << 10;

pub(crate) async fn run(at: &At, args: ApplyArgs, screen: &Screen) -> Result<(), Outcome> {
    let wanted = read(&args.file)?;
    let mut found = inventories(at).await?;
    let runs = |host: &Inventory| host.replicas.iter().any(|r| r.group == wanted.name);
    if !found.iter().any(runs) {
        all_answer(at, &found).await?;
        return create(at, &found, &wanted, &args, screen).await;
    }
    let client = connect_among(&found, &wanted.name).await?;
    let status = client.status().await?;
    for silent in complete(&mut found, &status).await {
        screen.line(&silent);
    }
    change(at, (&client, &status), &found, &wanted, &args, screen).await
}

fn read(file: &Path) -> Result<Specification, Outcome> {
    let name = file.display();
    let failed = |error: std::io::Error| Outcome::Usage(format!("{name}: {}", told(&error)));
    let known = std::fs::metadata(file).map_err(failed)?;
    if !known.is_file() || known.len() > FILE_MAX {
        return Err(Outcome::Usage(format!(
            "{name} is no specification: one is a file of at most {} KiB",
            FILE_MAX >> 10
        )));
    }
    let text = std::fs::read_to_string(file).map_err(failed)?;
    let faults = match Specification::parse(&text) {
        Ok(specification) => return offered(specification),
        Err(faults) => faults,
    };
    let lines: Vec<String> = faults
        .0
        .iter()
        .map(|fault| format!("{name}:{fault}"))
        .collect();
    Err(Outcome::Usage(lines.join("\n")))
}

/// What can be wished for and is not there yet is refused aloud.
fn offered(wanted: Specification) -> Result<Specification, Outcome> {
    let missing = if !wanted.arguments.is_empty() {
        "arguments of the program are not passed to replicas yet; leave args out"
    } else if wanted.placement.spread.is_some() {
        "hosts have no labels yet to spread over; leave spread out"
    } else {
        return Ok(wanted);
    };
    Err(Outcome::Refused(missing.to_owned()))
}

/// The hosts that may run members of this version, in the order of their seats.
fn hosts(
    found: &[Inventory],
    wanted: &Specification,
    version: &Version,
    present: &[String],
) -> Result<Vec<HostRecord>, Outcome> {
    let candidate = |host: &Inventory| Candidate {
        name: host.host.clone(),
        load: host
            .replicas
            .iter()
            .filter(|r| r.group != wanted.name)
            .count(),
        has_version: has(host, &wanted.service, version),
    };
    let candidates: Vec<Candidate> = found.iter().map(candidate).collect();
    let placed = placement::place(wanted, present, &candidates);
    let placed =
        placed.map_err(|why| Outcome::Refused(format!("{} {version}: {why}", wanted.service)))?;
    let record = |name: &String| {
        let host = found.iter().find(|host| host.host == *name)?;
        Some(HostRecord {
            name: host.host.clone(),
            daemon: host.daemon,
        })
    };
    Ok(placed.iter().filter_map(record).collect())
}

fn has(host: &Inventory, service: &str, version: &Version) -> bool {
    let mut binaries = host.binaries.iter();
    binaries.any(|known| known.service == service && known.binary.version == *version)
}

async fn create(
    at: &At,
    found: &[Inventory],
    wanted: &Specification,
    args: &ApplyArgs,
    screen: &Screen,
) -> Result<(), Outcome> {
    let version = match &wanted.version {
        Some(version) => Version(version.clone()),
        None => highest(found, wanted)?,
    };
    let hosts = hosts(found, wanted, &version, &[])?;
    screen.line(&format!(
        "+ group {}: {} {version}, {} members of which {} must serve, on {}",
        wanted.name,
        wanted.service,
        wanted.initial,
        wanted.minimal,
        names(&hosts)
    ));
    if args.dry_run {
        screen.document(&json!({ "group": wanted.name, "creates": true, "changes": [] }));
        return Ok(());
    }
    let chosen: Vec<Inventory> = hosts
        .iter()
        .filter_map(|host| found.iter().find(|known| known.host == host.name).cloned())
        .collect();
    let args = CreateArgs {
        group: wanted.name.clone(),
        service: wanted.service.clone(),
        version,
        initial: wanted.initial,
        minimal: wanted.minimal,
        stack: wanted.stack.clone(),
        wait: args.wait,
    };
    create::create(at, &chosen, args, screen).await
}

/// The highest version that lies wherever members may run.
fn highest(found: &[Inventory], wanted: &Specification) -> Result<Version, Outcome> {
    let (service, pinned) = (&wanted.service, &wanted.placement.hosts);
    let may_run = |host: &&Inventory| pinned.is_empty() || pinned.contains(&host.host);
    let hosts = || found.iter().filter(may_run);
    let all = hosts().flat_map(|host| &host.binaries);
    all.map(|known| &known.binary.version)
        .filter(|version| hosts().all(|host| has(host, service, version)))
        .max()
        .cloned()
        .ok_or_else(|| {
            Outcome::Refused(format!(
                "no version of {service} lies on every host; `remex versions` lists what there is"
            ))
        })
}

async fn change(
    at: &At,
    (client, status): (&Client, &GroupStatus),
    found: &[Inventory],
    wanted: &Specification,
    args: &ApplyArgs,
    screen: &Screen,
) -> Result<(), Outcome> {
    fixed("service", &status.service, &wanted.service)?;
    fixed("stack", &status.stack, &wanted.stack)?;
    if let Some(version) = &wanted.version
        && *version != status.effective.0
    {
        screen.line(&format!(
            "  the group behaves as {}; `remex upgrade start {} {version}` changes that",
            status.effective, wanted.name
        ));
    }
    let before: Vec<String> = status.hosts.iter().map(|host| host.host.clone()).collect();
    let mut hosts = hosts(found, wanted, &status.effective, &before)?;
    if wanted.placement.hosts.is_empty() {
        // Nobody has said that a host that does not answer now is to go.
        let silent = status.hosts.iter();
        let silent = silent.filter(|known| hosts.iter().all(|host| host.name != known.host));
        let silent: Vec<HostRecord> = silent
            .map(|known| HostRecord {
                name: known.host.clone(),
                daemon: known.daemon,
            })
            .collect();
        hosts.extend(silent);
    }
    let changes: Vec<String> = [
        difference("initial", &status.initial, &wanted.initial),
        difference("minimal", &status.minimal, &wanted.minimal),
        difference("hosts", &before.join(", "), &names(&hosts)),
    ]
    .into_iter()
    .flatten()
    .collect();
    if changes.is_empty() {
        screen.line(&format!("group {} is as it should be", wanted.name));
    }
    for change in &changes {
        screen.line(&format!("~ {change}"));
    }
    let document = json!({ "group": wanted.name, "creates": false, "changes": changes });
    if changes.is_empty() || args.dry_run {
        screen.document(&document);
        return Ok(());
    }
    let token = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let request = SpecifyRequest {
        generation: status.generation + 1,
        initial: wanted.initial,
        minimal: wanted.minimal,
        hosts: hosts.into(),
        // Different for each wish of an operator; a repeated sending has the same.
        token: u64::try_from(token.as_nanos() & u128::from(u64::MAX)).unwrap_or(0),
    };
    client.specify(request).await.map_err(|error| match error {
        WishError::Refused(why) => Outcome::Refused(why),
        WishError::Call(error) => error.into(),
    })?;
    create::grow(at, &wanted.name, wanted.initial, args.wait, screen).await?;
    screen.document(&document);
    Ok(())
}

fn names(hosts: &[HostRecord]) -> String {
    let names: Vec<&str> = hosts.iter().map(|host| host.name.as_str()).collect();
    names.join(", ")
}

/// What a group keeps from its foundation on.
fn fixed(what: &str, is: &str, wanted: &str) -> Result<(), Outcome> {
    if is == wanted {
        return Ok(());
    }
    Err(Outcome::Refused(format!(
        "the group was founded with the {what} {is} and keeps it, the specification says {wanted}: \
         create another group, or correct the specification"
    )))
}

fn difference<T: PartialEq + std::fmt::Display>(what: &str, is: &T, wanted: &T) -> Option<String> {
    (is != wanted).then(|| format!("{what}: {is} -> {wanted}"))
}
