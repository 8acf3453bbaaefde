//! State transfer: what a member's service holds is what the group's history makes of it, whatever
//! version and format it holds it in.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

use replica::Execute;
use wire::{MemberId, Position};

use super::Opinion;
use crate::edition::Reference;
use crate::world::Installation;

/// A state that somebody held.
#[derive(Debug)]
struct Seen {
    member: MemberId,
    edition: usize,
    digest: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Transfers {
    seen: BTreeMap<Position, Vec<Seen>>,
}

impl Transfers {
    pub(crate) fn sees(
        &mut self,
        member: MemberId,
        edition: usize,
        executor: &dyn Execute,
        installation: &Installation,
    ) -> Opinion {
        let program = &installation.editions[edition].program;
        let mut bytes = Vec::new();
        // The state of an old version stands still at an activation: it is nobody's any more.
        if executor
            .export(program.description.state_format, &mut bytes)
            .is_err()
        {
            return Ok(());
        }
        let digest = digest(&unchunked(&bytes));
        self.seen
            .entry(executor.position())
            .or_default()
            .push(Seen {
                member,
                edition,
                digest,
            });
        Ok(())
    }

    /// Whether the states that were seen at this position are the reference's.
    pub(crate) fn judge(
        &self,
        position: Position,
        effective: usize,
        reference: &dyn Reference,
        installation: &Installation,
    ) -> Opinion {
        for seen in self.seen.get(&position).into_iter().flatten() {
            let edition = &installation.editions[seen.edition];
            let current = &installation.editions[effective];
            let wanted = if seen.edition == effective {
                reference.state(edition.format())
            } else {
                edition
                    .takes(current, reference)
                    .and_then(|mapped| mapped.state(edition.format()))
            };
            let wanted = wanted.map_err(|error| format!("the reference does not map: {error}"))?;
            if digest(&wanted) != seen.digest {
                return Err(format!(
                    "the state of {} ({}) at {position} is not the group's",
                    seen.member, edition.binary.version
                ));
            }
        }
        Ok(())
    }
}

fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// The service's own bytes without the transfer's chunks.
fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
        let length = u32::from_le_bytes(*length) as usize;
        if length == 0 || length > rest.len() {
            break;
        }
        plain.extend_from_slice(&rest[..length]);
        bytes = &rest[length..];
    }
    plain
}
