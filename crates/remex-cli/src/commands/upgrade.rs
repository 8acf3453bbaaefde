//! `remex upgrade`: begins one, and says how it goes and why it waits.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use client::{Client, WishError};
use serde_json::json;
use wire::log::UpgradeRequest;
use wire::member::Binary;
use wire::status::{GroupStatus, UpgradeStatus};
use wire::{Build, Position};

use crate::installation::{Inventory, complete, connect, connect_among, inventories};
use crate::outcome::Outcome;
use crate::screen::Screen;
use crate::{At, UpgradeArgs};

/// How often a followed upgrade is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

pub(crate) async fn start(at: &At, args: UpgradeArgs, screen: &Screen) -> Result<(), Outcome> {
    let mut found = inventories(at).await?;
    let client = connect_among(&found, &args.group).await?;
    let status = look(&client).await?;
    // A host that is gone must not keep the others from being upgraded; what lies there is not known.
    for silent in complete(&mut found, &status).await {
        screen.line(&silent);
    }
    let target = target(&found, &status.service, &args)?;
    let token = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_nanos();
    let request = UpgradeRequest {
        target: target.clone(),
        parallel: args.parallel,
        attempts: args.attempts,
        patience_ms: args.patience,
        // Different for each wish of an operator; a repeated sending has the same.
        token: u64::try_from(token & u128::from(u64::MAX)).unwrap_or(0),
    };
    let upgrade = client.upgrade(request).await.map_err(|error| match error {
        WishError::Refused(why) => Outcome::Refused(why),
        WishError::Call(error) => error.into(),
    })?;
    screen.line(&format!(
        "upgrade {upgrade} of {} to {target} begins",
        args.group
    ));
    if args.watch {
        return watch(&client, Some(upgrade), screen).await;
    }
    screen.document(&json!({ "upgrade": upgrade, "to": target }));
    Ok(())
}

/// The binary that is meant: it must lie on every host, or the upgrade would stop half-way.
fn target(found: &[Inventory], service: &str, args: &UpgradeArgs) -> Result<Binary, Outcome> {
    let build = match &args.build {
        Some(text) => Some(Build::parse(text).ok_or_else(|| {
            Outcome::Usage(format!("\"{text}\" is no build: 64 hexadecimal digits are"))
        })?),
        None => None,
    };
    let builds: BTreeSet<Build> = found
        .iter()
        .flat_map(|host| &host.binaries)
        .filter(|record| record.service == service && record.binary.version == args.version)
        .map(|record| record.binary.build)
        .filter(|known| build.is_none_or(|build| build == *known))
        .collect();
    let build = match builds.iter().collect::<Vec<_>>()[..] {
        [build] => *build,
        [] => {
            return Err(Outcome::Refused(format!(
                "no host has such a build of {service} {}; `remex versions` lists what there is",
                args.version
            )));
        }
        [..] => {
            let builds: Vec<String> = builds.iter().map(Build::to_string).collect();
            return Err(Outcome::Refused(format!(
                "{service} {} has several builds; say which with --build: {}",
                args.version,
                builds.join(", ")
            )));
        }
    };
    let binary = Binary {
        version: args.version.clone(),
        build,
    };
    let without: Vec<&str> = found
        .iter()
        .filter(|host| {
            !host
                .binaries
                .iter()
                .any(|record| record.service == service && record.binary == binary)
        })
        .map(|host| host.host.as_str())
        .collect();
    if without.is_empty() {
        Ok(binary)
    } else {
        Err(Outcome::Refused(format!(
            "{service} {binary} does not lie on {}: put it into the versions directory there first",
            without.join(", ")
        )))
    }
}

pub(crate) async fn status(
    at: &At,
    group: &str,
    follow: bool,
    screen: &Screen,
) -> Result<(), Outcome> {
    let client = connect(at, group).await?;
    if follow {
        return watch(&client, None, screen).await;
    }
    let status = look(&client).await?;
    match &status.upgrade {
        Some(upgrade) => {
            screen.line(&line(upgrade, &status));
            status
                .waits
                .iter()
                .for_each(|wait| screen.line(&format!("  waits: {wait}")));
        }
        None => screen.line(&format!("{group} was never upgraded")),
    }
    screen.document(&json!({ "upgrade": status.upgrade, "waits": status.waits }));
    Ok(())
}

async fn look(client: &Client) -> Result<GroupStatus, Outcome> {
    client
        .status()
        .await
        .map_err(|error| Outcome::Unreached(error.to_string()))
}

/// Follows an upgrade to its end: the named one, or the one that runs.
async fn watch(client: &Client, named: Option<Position>, screen: &Screen) -> Result<(), Outcome> {
    let mut said = String::new();
    loop {
        let status = look(client).await?;
        let upgrade = match (seen(&status, named), &status.upgrade) {
            (Seen::This, Some(upgrade)) => upgrade,
            // Any member answers, also one that has not come so far.
            (Seen::NotYet, _) => {
                tokio::time::sleep(LOOK_EVERY).await;
                continue;
            }
            (Seen::Later, _) => {
                return Err(Outcome::Failed(
                    "another upgrade has followed already, and what came of this one is not told \
                     any more; `remex -o json status` has the history"
                        .to_owned(),
                ));
            }
            (Seen::This | Seen::None, _) => {
                return Err(Outcome::Failed("no upgrade runs".to_owned()));
            }
        };
        let mut now = line(upgrade, &status);
        if let Some(wait) = status.waits.first() {
            now += &format!("; {wait}");
        }
        if now != said {
            screen.progress(&now);
            said = now;
        }
        match upgrade.state.as_str() {
            "done" => {
                screen.line(&line(upgrade, &status));
                screen.document(&json!({ "upgrade": upgrade }));
                return Ok(());
            }
            "failed" => {
                let why = upgrade.reason.clone().unwrap_or_default();
                return Err(Outcome::Failed(format!(
                    "the upgrade failed: {why}; the group goes on and behaves as {}: mend the \
                     version and upgrade again",
                    status.effective
                )));
            }
            _ => tokio::time::sleep(LOOK_EVERY).await,
        }
    }
}

/// What a status has of the upgrade that is followed.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    This,
    /// The member that answered has not applied its request.
    NotYet,
    /// One that was requested after it.
    Later,
    /// None is named, and there was none.
    None,
}

fn seen(status: &GroupStatus, named: Option<Position>) -> Seen {
    let told = status.upgrade.as_ref().map(|upgrade| upgrade.upgrade);
    match (named, told) {
        (None, None) => Seen::None,
        (None, Some(_)) => Seen::This,
        (Some(_), None) => Seen::NotYet,
        (Some(named), Some(told)) => match told.cmp(&named) {
            Ordering::Less => Seen::NotYet,
            Ordering::Equal => Seen::This,
            Ordering::Greater => Seen::Later,
        },
    }
}

fn line(upgrade: &UpgradeStatus, status: &GroupStatus) -> String {
    let took = upgrade
        .ended
        .map(|ended| format!(" in {} ms", ended.0.saturating_sub(upgrade.started.0)))
        .unwrap_or_default();
    let reason = match (&upgrade.reason, upgrade.state.as_str()) {
        (Some(reason), "failed") => format!(": {reason}"),
        (Some(_) | None, _) => String::new(),
    };
    format!(
        "upgrade {} from {} to {}: {}{took}, {} of {} seats, the group behaves as {}{reason}",
        upgrade.upgrade,
        upgrade.from.version,
        upgrade.to.version,
        upgrade.state,
        upgrade.seats_done,
        upgrade.seats,
        status.effective,
    )
}
