//! Donors: who gives its state to a joiner, in which format (design 4.6, 4.9).
//!
//! A member donates what the joiner can read: its own format, or one that it declared to write. It
//! exports to one joiner at a time.

use group::Membership;
use wire::MemberId;
use wire::log::Proposal;
use wire::member::{Formats, Member};

use super::Ordered;
use super::answering::answering;

/// The state format in which `donor` writes for `joiner`: the donor's own if the joiner reads it,
/// else the highest that both know.
pub fn format_for(donor: &Formats, joiner: &Formats) -> Option<u32> {
    if donor.writes.contains(&donor.own) && joiner.reads.contains(&donor.own) {
        return Some(donor.own);
    }
    donor
        .writes
        .iter()
        .copied()
        .filter(|format| joiner.reads.contains(format))
        .max()
}

/// Why nobody gives its state to a joiner now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoDonor {
    /// Nobody serves.
    #[error("no member serves that could give {joiner} the state")]
    NobodyServes {
        /// Who waits.
        joiner: MemberId,
    },
    /// No format fits.
    #[error("{joiner} reads state formats {reads:?}, the serving members write {writes:?}")]
    Formats {
        /// Who waits.
        joiner: MemberId,
        /// What it reads.
        reads: Vec<u32>,
        /// What the members write.
        writes: Vec<u32>,
    },
    /// All that could are exporting to others.
    #[error("{joiner} waits for the state: {donor} gives it to another joiner first")]
    Busy {
        /// Who waits.
        joiner: MemberId,
        /// The best donor.
        donor: MemberId,
    },
}

/// Who gives its state to this joiner. Of those whose formats fit: first one whose own format it
/// reads, then one that answers no clients, then not the leader of record, then on its host, then
/// the youngest.
///
/// # Errors
/// Nobody can now.
pub fn donor(
    ordered: &Ordered,
    membership: &Membership,
    joiner: &Member,
) -> Result<MemberId, NoDonor> {
    let answers = answering(ordered, membership);
    let mut fitting: Vec<&Member> = ordered
        .givers(membership)
        .filter(|member| format_for(&member.formats, &joiner.formats).is_some())
        .collect();
    fitting.sort_by_key(|member| {
        let format = format_for(&member.formats, &joiner.formats);
        (
            format != Some(member.formats.own),
            answers.contains(&member.id),
            membership.leader == Some(member.id),
            member.host != joiner.host,
            std::cmp::Reverse(member.id),
        )
    });
    let best = *fitting
        .first()
        .ok_or_else(|| nobody(ordered, membership, joiner))?;
    fitting
        .into_iter()
        .find(|member| !ordered.exports(membership, member.id, Some(joiner.id)))
        .map(|member| member.id)
        .ok_or(NoDonor::Busy {
            joiner: joiner.id,
            donor: best.id,
        })
}

fn nobody(ordered: &Ordered, membership: &Membership, wanting: &Member) -> NoDonor {
    let mut writes: Vec<u32> = ordered
        .givers(membership)
        .flat_map(|member| member.formats.writes.iter().copied())
        .collect();
    writes.sort_unstable();
    writes.dedup();
    let joiner = wanting.id;
    if writes.is_empty() {
        return NoDonor::NobodyServes { joiner };
    }
    NoDonor::Formats {
        joiner,
        reads: wanting.formats.reads.clone(),
        writes,
    }
}

/// Proof that this transfer should begin. Only [`transfers`] makes one.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TransferDue {
    joiner: MemberId,
    donor: MemberId,
}

impl TransferDue {
    /// Who receives.
    pub fn joiner(&self) -> MemberId {
        self.joiner
    }

    /// Who exports.
    pub fn donor(&self) -> MemberId {
        self.donor
    }

    /// What the leader proposes.
    pub fn proposal(&self) -> Proposal {
        Proposal::Transfer {
            joiner: self.joiner,
            donor: self.donor,
        }
    }
}

/// What the leader has to start: for each joiner of a current attempt that has no transfer, or one
/// whose donor cannot go on with it, a donor or why there is none.
pub fn transfers(ordered: &Ordered, membership: &Membership) -> Vec<Result<TransferDue, NoDonor>> {
    let goes_on = |donor: MemberId| ordered.givers(membership).any(|member| member.id == donor);
    membership
        .joiners
        .iter()
        .filter(|joiner| !joiner.ready && ordered.is_current(&joiner.member))
        .filter(|joiner| {
            !joiner
                .transfer
                .is_some_and(|transfer| goes_on(transfer.donor))
        })
        .map(|joiner| {
            let donor = donor(ordered, membership, &joiner.member)?;
            let joiner = joiner.member.id;
            Ok(TransferDue { joiner, donor })
        })
        .collect()
}

impl Ordered {
    /// Whether a member's state is being exported to a joiner other than `except`.
    pub fn exports(
        &self,
        membership: &Membership,
        member: MemberId,
        except: Option<MemberId>,
    ) -> bool {
        membership.joiners.iter().any(|joiner| {
            !joiner.ready
                && Some(joiner.member.id) != except
                && joiner
                    .transfer
                    .is_some_and(|transfer| transfer.donor == member)
        })
    }
}
