//! `remex logs`: what a replica's process wrote.

use serde_json::json;
use wire::daemon::{DaemonReply, DaemonRequest};

use crate::At;
use crate::installation::{ask, inventories};
use crate::outcome::Outcome;
use crate::screen::Screen;

pub(crate) async fn run(at: &At, process: u32, lines: u32, screen: &Screen) -> Result<(), Outcome> {
    let mut last = Outcome::Failed(format!("no daemon knows a process {process}"));
    for inventory in inventories(at).await? {
        let request = DaemonRequest::Output {
            token: 1,
            process,
            lines,
        };
        match ask(inventory.daemon, &request).await? {
            DaemonReply::Output { lines, .. } => {
                lines.iter().for_each(|line| screen.line(line));
                screen.document(&json!({
                    "host": inventory.host,
                    "process": process,
                    "lines": lines,
                }));
                return Ok(());
            }
            DaemonReply::Failed { why, .. } => last = Outcome::Failed(why),
            other => last = Outcome::Failed(format!("a daemon answered {other:?}")),
        }
    }
    Err(last)
}
