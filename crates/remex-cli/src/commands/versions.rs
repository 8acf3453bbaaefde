//! `remex versions`: what can be started, and where.

use std::collections::BTreeMap;

use serde_json::json;
use wire::daemon::BinaryRecord;

use crate::At;
use crate::installation::inventories;
use crate::outcome::Outcome;
use crate::screen::Screen;

pub(crate) async fn run(at: &At, screen: &Screen) -> Result<(), Outcome> {
    let inventories = inventories(at).await?;
    let mut found: BTreeMap<(String, wire::member::Binary), Vec<String>> = BTreeMap::new();
    for inventory in &inventories {
        for BinaryRecord { service, binary } in &inventory.binaries {
            let hosts = found.entry((service.clone(), binary.clone())).or_default();
            hosts.push(inventory.host.clone());
        }
    }
    let rows: Vec<Vec<String>> = found
        .iter()
        .map(|((service, binary), hosts)| {
            vec![
                service.clone(),
                binary.version.to_string(),
                binary.build.short(),
                format!(
                    "{} of {}: {}",
                    hosts.len(),
                    inventories.len(),
                    hosts.join(" ")
                ),
            ]
        })
        .collect();
    screen.table(&["service", "version", "build", "hosts"], &rows);
    let documents: Vec<serde_json::Value> = found
        .iter()
        .map(|((service, binary), hosts)| {
            json!({
                "service": service,
                "version": binary.version,
                "build": binary.build,
                "hosts": hosts,
            })
        })
        .collect();
    screen.document(&json!(documents));
    Ok(())
}
