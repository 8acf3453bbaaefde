//! `remex logs`: what a replica's process wrote.

use serde_json::json;
use wire::daemon::{DaemonReply, DaemonRequest};

use crate::At;
use crate::installation::{ask, inventories, unexpected};
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
        match ask(inventory.daemon, &request).await {
            Ok(DaemonReply::Output { lines, .. }) => {
                for line in &lines {
                    screen.line(&line);
                }
                screen.document(&json!({
                    "host": inventory.host,
                    "process": process,
                    "lines": lines,
                }));
                return Ok(());
            }
            Ok(other) => last = unexpected(inventory.daemon, &other),
            Err(error) => last = error,
        }
    }
    Err(last)
}
