//! State transfer: what a member's service holds is what the group's history makes of it, whatever
//! version and format it holds it in.

use std::collections::BTreeMap;
use std::hash::{Hash, Hasher};

use replica::Execute;
use wire::peer::TransferHead;
use wire::{MemberId, Position};

use super::Opinion;
use crate::edition::Reference;
use crate::trace::Digest;
use crate::world::Installation;

/// A state that somebody held.
#[derive(Debug)]
struct Seen {
    member: MemberId,
    edition: usize,
    /// In each format that the edition writes.
    digests: BTreeMap<u32, u64>,
}

/// A state that a joiner could not take.
#[derive(Debug)]
struct Refused {
    edition: usize,
    format: u32,
    why: String,
}

#[derive(Debug, Default)]
pub(crate) struct Transfers {
    seen: BTreeMap<Position, Vec<Seen>>,
    refused: BTreeMap<Position, Vec<Refused>>,
}

impl Transfers {
    pub(crate) fn sees(
        &mut self,
        member: MemberId,
        edition: usize,
        executor: &dyn Execute,
        installation: &Installation,
    ) -> Opinion {
        let formats = installation.editions[edition].program.formats().writes;
        let mut digests = BTreeMap::new();
        for format in formats {
            let mut bytes = Vec::new();
            // The state of an old version stands still at an activation: it is nobody's any more.
            if executor.export(format, &mut bytes).is_err() {
                return Ok(());
            }
            digests.insert(format, digest(&unchunked(&bytes)));
        }
        self.seen
            .entry(executor.position())
            .or_default()
            .push(Seen {
                member,
                edition,
                digests,
            });
        Ok(())
    }

    /// A joiner says that it cannot take the state that came with this head.
    pub(crate) fn refused(&mut self, head: &TransferHead, edition: usize, why: &str) {
        let refused = Refused {
            edition,
            format: head.format,
            why: why.to_owned(),
        };
        self.refused.entry(head.position).or_default().push(refused);
    }

    /// Whether the states that were seen at this position are the reference's, which runs the
    /// effective edition. What a version keeps for itself while an older one is effective again
    /// is compared in the older one's format.
    pub(crate) fn judge(
        &self,
        position: Position,
        effective: usize,
        went_back: bool,
        reference: &dyn Reference,
        installation: &Installation,
    ) -> Opinion {
        let current = &installation.editions[effective];
        for refused in self.refused.get(&position).into_iter().flatten() {
            let edition = &installation.editions[refused.edition];
            let older = edition.binary.version < current.binary.version;
            // What the reference takes a joiner must take too, if it came in the same format.
            if !older
                && refused.format == current.format()
                && std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                    edition.takes(current, reference).is_ok()
                }))
                .unwrap_or(false)
            {
                return Err(format!(
                    "{} can take the state of {position}, and a joiner refused it: {}",
                    edition.binary.version, refused.why
                ));
            }
        }
        for seen in self.seen.get(&position).into_iter().flatten() {
            let edition = &installation.editions[seen.edition];
            for (&format, digested) in &seen.digests {
                let wanted = if format == current.format() {
                    reference.state(format)
                } else if format == edition.format() && !went_back {
                    edition
                        .takes(current, reference)
                        .and_then(|mapped| mapped.state(format))
                } else {
                    continue;
                };
                let wanted =
                    wanted.map_err(|error| format!("the reference does not map: {error}"))?;
                if digest(&wanted) != *digested {
                    return Err(format!(
                        "the state of {} ({}) at {position} is not the group's, in format {format}",
                        seen.member, edition.binary.version
                    ));
                }
            }
        }
        Ok(())
    }
}

fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = Digest::default();
    bytes.hash(&mut hasher);
    hasher.finish()
}

/// The service's own bytes without the transfer's chunks.
pub(crate) fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
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
