//! The state: filling the group with it, and holding its members' states against each other.

use std::thread;
use std::time::{Duration, Instant};

use client::Client;
use installation::Group;
use serde::Serialize;
use sha2::{Digest, Sha256};
use store::{Page, StoreClient};
use tokio::task::JoinSet;
use wire::status::MemberStatus;

use super::TransferError;

/// Bytes of a value.
const VALUE_BYTES: usize = 1 << 20;
/// Values under way at a time: few, so that they do not use up the log's budget.
const FILLS: usize = 4;
/// How long a value may take: the machine may be busy.
const FILL_PATIENCE: Duration = Duration::from_secs(20);
/// How long a member may decline to be read before it counts as unable.
const READ_PATIENCE: Duration = Duration::from_secs(10);

/// Fills the group with so many values of 1 MiB; no two are alike.
pub(super) async fn fill(group: &Group, name: &str, mib: u64) -> Result<(), TransferError> {
    let client = Client::connect(name, group.contacts()).await?;
    let session = StoreClient::new(client.session().await?).with_deadline(FILL_PATIENCE);
    let mut fills = JoinSet::new();
    for number in 0..mib {
        if fills.len() >= FILLS {
            filled(fills.join_next().await)?;
        }
        let session = session.clone();
        let key = format!("large-{number:010}");
        fills.spawn(async move { session.put(key, value(number)).await });
    }
    while !fills.is_empty() {
        filled(fills.join_next().await)?;
    }
    Ok(())
}

type Filled = Option<Result<Result<(), client::CallError>, tokio::task::JoinError>>;

fn filled(joined: Filled) -> Result<(), TransferError> {
    match joined {
        None | Some(Ok(Ok(()))) => Ok(()),
        Some(Ok(Err(why))) => Err(TransferError::Call(why)),
        Some(Err(panicked)) => std::panic::resume_unwind(panicked.into_panic()),
    }
}

/// Letters without a pattern.
fn value(number: u64) -> String {
    let mut value = String::with_capacity(VALUE_BYTES);
    let mut word = number + 1;
    while value.len() < VALUE_BYTES {
        word = word
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let letters = word.to_be_bytes().map(|byte| char::from(b'a' + byte % 26));
        value.extend(&letters[..4]);
    }
    value
}

/// What one member holds. The names are those of the JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Held {
    /// SHA-256 of all keys and values, in hexadecimal digits.
    pub(super) digest: String,
    /// How many entries there are.
    pub(super) entries: u64,
    /// How many writes it has counted.
    pub(super) writes: u64,
}

/// What each of these members holds, each read from itself.
pub(super) fn held(name: &str, members: &[MemberStatus]) -> Result<Vec<Held>, TransferError> {
    let one = |member: &MemberStatus| {
        let mut asked = Group::at(name, vec![member.address]);
        read(&mut asked)
    };
    members.iter().map(one).collect()
}

fn read(asked: &mut Group) -> Result<Held, TransferError> {
    let mut digest = Sha256::new();
    let mut entries = 0;
    let mut after = None;
    loop {
        let arguments = serde_json::json!([after]).to_string();
        let page: Page = ask(asked, "digest", &arguments)?;
        digest.update(&page.digest);
        entries += page.entries;
        if page.last.is_none() {
            break;
        }
        after = page.last;
    }
    let digits = digest.finalize();
    Ok(Held {
        digest: digits.iter().map(|byte| format!("{byte:02x}")).collect(),
        entries,
        writes: ask(asked, "writes", "[]")?,
    })
}

/// Asks one member; it may decline for a moment.
fn ask<T: serde::de::DeserializeOwned>(
    asked: &mut Group,
    method: &str,
    arguments: &str,
) -> Result<T, TransferError> {
    let until = Instant::now() + READ_PATIENCE;
    loop {
        match asked.call(method, arguments) {
            Ok(reply) => return serde_json::from_str(&reply).map_err(TransferError::Reply),
            Err(why) if Instant::now() >= until => return Err(TransferError::Line(why)),
            Err(_) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_of_their_size_and_no_two_are_alike() {
        let values = [value(0), value(1), value(2)];
        assert!(values.iter().all(|value| value.len() == VALUE_BYTES));
        assert!(values[0] != values[1] && values[1] != values[2]);
    }
}
