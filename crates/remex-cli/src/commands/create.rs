//! `remex create`: the first member is started; the group grows by itself.

use std::time::{Duration, Instant};

use manager::specification::is_name;
use replica::ordered::INITIAL_MAX;
use serde_json::json;
use wire::daemon::{Assignment, DaemonReply, DaemonRequest, Foundation, HostRecord, Role};
use wire::status::GroupStatus;

use crate::installation::{Inventory, all_answer, ask, connect_among, inventories, unexpected};
use crate::outcome::Outcome;
use crate::screen::Screen;
use crate::{At, CreateArgs};

/// How often the group is looked at while it grows.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(crate) async fn run(at: &At, args: CreateArgs, screen: &Screen) -> Result<(), Outcome> {
    let found = inventories(at).await?;
    all_answer(at, &found).await?;
    create(at, &found, args, screen).await
}

pub(crate) async fn create(
    at: &At,
    found: &[Inventory],
    args: CreateArgs,
    screen: &Screen,
) -> Result<(), Outcome> {
    replica::Stack::parse(&args.stack, Vec::new()).map_err(|e| Outcome::Usage(e.to_string()))?;
    if args.initial == 0 {
        return Err(Outcome::Usage("--initial must be at least 1".to_owned()));
    }
    if args.initial > INITIAL_MAX {
        return Err(Outcome::Usage(format!(
            "--initial must be at most {INITIAL_MAX}"
        )));
    }
    if !is_name(&args.group) {
        return Err(Outcome::Usage(format!(
            "\"{}\" is no name of a group: 1 to 64 letters, digits, dots, hyphens or underscores, the first \
             a letter or a digit",
            args.group
        )));
    }
    if args.minimal > args.initial {
        return Err(Outcome::Usage(format!(
            "--minimal {} is more than the members that the group wants (--initial {}): lower the one or \
             raise the other",
            args.minimal, args.initial
        )));
    }
    if found
        .iter()
        .flat_map(|host| &host.replicas)
        .any(|replica| replica.group == args.group)
    {
        return Err(Outcome::Refused(format!(
            "a group \"{}\" runs already; take another name, or stop it first",
            args.group
        )));
    }
    let hosts = found
        .iter()
        .map(|host| HostRecord {
            name: host.host.clone(),
            daemon: host.daemon,
        })
        .collect();
    let foundation = Foundation {
        stack: args.stack.clone(),
        initial: args.initial,
        minimal: args.minimal,
        hosts,
    };
    let request = DaemonRequest::Start {
        token: 1,
        assignment: Assignment {
            group: args.group.clone(),
            service: args.service.clone(),
            version: args.version.clone(),
            build: None,
            role: Role::Found(foundation),
        },
    };
    let Some(first) = found.first() else {
        return Err(Outcome::Unreached("no daemon answered".to_owned()));
    };
    let reply = ask(first.daemon, &request).await?;
    let DaemonReply::Started { process, .. } = reply else {
        return Err(unexpected(first.daemon, &reply));
    };
    screen.progress(&format!(
        "process {process} on {} founds {}",
        first.host, args.group
    ));
    let status = grow(at, &args.group, args.initial, args.wait, screen).await?;
    screen.document(&json!(status));
    Ok(())
}

/// Waits up to `wait` seconds until as many members serve as are wanted, and says what it waits for.
pub(crate) async fn grow(
    at: &At,
    group: &str,
    initial: u32,
    wait: u64,
    screen: &Screen,
) -> Result<GroupStatus, Outcome> {
    let end = Instant::now() + Duration::from_secs(wait);
    let mut said = String::new();
    let mut client = None;
    loop {
        let mut now = "no member answers yet".to_owned();
        if client.is_none() {
            client = connect_among(&inventories(at).await?, group).await.ok();
        }
        if let Some(client) = &client
            && let Ok(status) = client.status().await
        {
            if status.members.len() == initial as usize && status.waits.is_empty() {
                screen.line(&format!("group {} serves with {} members", group, initial));
                return Ok(status);
            }
            let waits = status.waits.first().cloned().unwrap_or_default();
            now = format!("{} of {} members; {waits}", status.members.len(), initial);
        }
        if now != said {
            screen.progress(&now);
            said = now;
        }
        if Instant::now() > end {
            return Err(Outcome::Waiting(format!(
                "not complete within {} s: {said}",
                wait
            )));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
