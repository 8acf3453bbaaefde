//! `remex stop`: replicas are asked to leave, and killed if they do not.

use serde_json::json;
use wire::daemon::{DaemonReply, DaemonRequest};

use crate::At;
use crate::installation::{Inventory, ask, inventories, unexpected};
use crate::outcome::Outcome;
use crate::screen::Screen;

pub(crate) async fn run(
    at: &At,
    group: &str,
    process: Option<u32>,
    screen: &Screen,
) -> Result<(), Outcome> {
    let found = inventories(at).await?;
    let mut stopped = stop(&found, |named, number| {
        named == group && process.is_none_or(|process| process == number)
    })
    .await?;
    if stopped.is_empty() {
        return Err(Outcome::Failed(format!(
            "no such replica of \"{group}\" runs; `remex status` lists what does"
        )));
    }
    // Who recovers starts replacements while the others are being stopped.
    if process.is_none() {
        for _ in 0..20 {
            let more = stop(&inventories(at).await?, |named, _| named == group).await?;
            if more.is_empty() {
                break;
            }
            stopped.extend(more);
        }
    }
    screen.line(&format!("stopped {} replicas of {group}", stopped.len()));
    screen.document(&json!({ "stopped": stopped }));
    Ok(())
}

/// Stops all replicas that `wanted` names by group and process.
pub(crate) async fn stop(
    inventories: &[Inventory],
    wanted: impl Fn(&str, u32) -> bool,
) -> Result<Vec<u32>, Outcome> {
    let mut stopped = Vec::new();
    for inventory in inventories {
        for replica in inventory
            .replicas
            .iter()
            .filter(|r| wanted(&r.group, r.process))
        {
            let request = DaemonRequest::Stop {
                token: 1,
                process: replica.process,
            };
            match ask(inventory.daemon, &request).await {
                Ok(DaemonReply::Stopped { .. }) => stopped.push(replica.process),
                Ok(other) => return Err(unexpected(inventory.daemon, &other)),
                // It ended before it was asked.
                Err(Outcome::Failed(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(stopped)
}
