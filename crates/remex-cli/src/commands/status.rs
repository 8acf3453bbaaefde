//! `remex status`: what groups do, and why anything waits.

use serde_json::json;
use wire::MemberId;
use wire::status::{GroupStatus, MemberStatus, TransferStatus};

use crate::At;
use crate::installation::{Inventory, complete, connect_among, inventories};
use crate::outcome::Outcome;
use crate::screen::Screen;

pub(crate) async fn run(at: &At, group: Option<&str>, screen: &Screen) -> Result<(), Outcome> {
    let mut inventories = inventories(at).await?;
    let mut groups: Vec<String> = match group {
        Some(group) => vec![group.to_owned()],
        None => inventories
            .iter()
            .flat_map(|inventory| &inventory.replicas)
            .map(|replica| replica.group.clone())
            .collect(),
    };
    groups.sort();
    groups.dedup();
    if groups.is_empty() {
        screen.line("no group runs here");
    }
    let mut documents = Vec::new();
    for group in groups {
        let client = connect_among(&inventories, &group).await?;
        let status = client
            .status()
            .await
            .map_err(|e| Outcome::Unreached(e.to_string()))?;
        for silent in complete(&mut inventories, &status).await {
            screen.line(&silent);
        }
        show(&status, &inventories, screen);
        documents.push(document(&status, &inventories));
    }
    match (group, documents.pop()) {
        (Some(_), Some(document)) => screen.document(&document),
        (_, last) => {
            documents.extend(last);
            screen.document(&json!(documents));
        }
    }
    Ok(())
}

/// The status document, with the process numbers that only daemons know.
fn document(status: &GroupStatus, inventories: &[Inventory]) -> serde_json::Value {
    let mut document = json!(status);
    for list in ["members", "joiners"] {
        let members = document.get_mut(list).and_then(|list| list.as_array_mut());
        for member in members.into_iter().flatten() {
            let address = member["address"].as_str().unwrap_or_default().to_owned();
            member["process"] = json!(process(&address, inventories));
        }
    }
    document
}

fn process(address: &str, inventories: &[Inventory]) -> Option<u32> {
    inventories
        .iter()
        .flat_map(|inventory| &inventory.replicas)
        .find(|replica| {
            replica
                .address
                .is_some_and(|known| known.to_string() == address)
        })
        .map(|replica| replica.process)
}

fn show(status: &GroupStatus, inventories: &[Inventory], screen: &Screen) {
    let GroupStatus {
        group,
        service,
        effective,
        position,
        view,
        available,
        ..
    } = status;
    let available = if *available {
        ""
    } else {
        ", no majority reached"
    };
    screen.line(&format!(
        "group {group}: {service} {effective}, {} of {} members, at {position}, view {view}{available}",
        status.members.len(),
        status.initial,
    ));
    let row = |member: &MemberStatus| {
        let leads = if status.leader == Some(member.member) {
            "leads"
        } else {
            ""
        };
        let takes = if member.takes_requests { "answers" } else { "" };
        let process = process(&member.address.to_string(), inventories);
        vec![
            format!("  {}", member.member),
            member.seat.0.to_string(),
            member.host.clone(),
            member.binary.version.to_string(),
            member.binary.build.short(),
            process.map_or_else(|| "?".to_owned(), |process| process.to_string()),
            member.doing.clone(),
            takes.to_owned(),
            leads.to_owned(),
        ]
    };
    let rows: Vec<Vec<String>> = status
        .members
        .iter()
        .chain(&status.joiners)
        .map(row)
        .collect();
    let head = [
        "  member", "seat", "host", "version", "build", "process", "doing", "clients", "",
    ];
    screen.table(&head, &rows);
    if let Some(upgrade) = &status.upgrade {
        screen.line(&format!(
            "  upgrade {} from {} to {}: {}, {} of {} seats{}",
            upgrade.upgrade,
            upgrade.from.version,
            upgrade.to.version,
            upgrade.state,
            upgrade.seats_done,
            upgrade.seats,
            upgrade
                .reason
                .as_ref()
                .map(|why| format!(": {why}"))
                .unwrap_or_default(),
        ));
    }
    for joiner in &status.joiners {
        if let Some(transfer) = &joiner.transfer {
            screen.line(&format!("  {}", on_its_way(joiner.member, transfer)));
        }
    }
    for wait in &status.waits {
        screen.line(&format!("  waits: {wait}"));
    }
}

fn on_its_way(joiner: MemberId, transfer: &TransferStatus) -> String {
    let TransferStatus {
        donor, position, ..
    } = transfer;
    let received = transfer.received.map_or_else(String::new, |bytes| {
        format!(", {} MiB have come", bytes >> 20)
    });
    format!("{joiner} gets the state of {position} from {donor}{received}")
}
