//! Admission: whether a new replica may join (§2.1, §3.3).

use group::Membership;
use wire::MemberId;
use wire::member::{Binary, Seat};
use wire::peer::Join;

use super::Ordered;

/// A new replica may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It was admitted before and asks again.
    Known(MemberId),
    /// It is to be admitted now, under the next id.
    New,
}

/// Why a new replica is not admitted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// Another service.
    #[error("the group serves \"{serves}\", the replica \"{brings}\"")]
    Service {
        /// The group's.
        serves: String,
        /// The replica's.
        brings: String,
    },
    /// No such seat.
    #[error("the group has no {seat}")]
    NoSeat {
        /// Which.
        seat: Seat,
    },
    /// Its attempt is over.
    #[error("attempt {attempt} for {seat} is over")]
    Fenced {
        /// The seat.
        seat: Seat,
        /// The attempt.
        attempt: u32,
    },
    /// Its attempt has not begun here.
    #[error("attempt {attempt} for {seat} has not begun at this member; ask again")]
    NotBegun {
        /// The seat.
        seat: Seat,
        /// The attempt.
        attempt: u32,
    },
    /// Another process came for the same attempt.
    #[error("attempt {attempt} for {seat} has brought {member} already, from another process")]
    Taken {
        /// The seat.
        seat: Seat,
        /// The attempt.
        attempt: u32,
        /// Who was first.
        member: MemberId,
    },
    /// It runs something else than was asked for.
    #[error("{seat} is to run {wanted}, the replica runs {brings}")]
    Binary {
        /// The seat.
        seat: Seat,
        /// What was asked for.
        wanted: Box<Binary>,
        /// What came.
        brings: Box<Binary>,
    },
    /// Nobody could give it its state.
    #[error("the replica reads state formats {reads:?}, the serving members write {writes:?}")]
    Formats {
        /// What the replica reads.
        reads: Vec<u32>,
        /// What the members write.
        writes: Vec<u32>,
    },
    /// Nobody serves.
    #[error("no member serves that could give the replica its state; ask again")]
    NobodyServes,
}

impl NotAdmitted {
    /// Whether asking again later may help.
    pub fn may_change(&self) -> bool {
        match self {
            NotAdmitted::NotBegun { .. } | NotAdmitted::NobodyServes => true,
            NotAdmitted::Service { .. }
            | NotAdmitted::NoSeat { .. }
            | NotAdmitted::Fenced { .. }
            | NotAdmitted::Taken { .. }
            | NotAdmitted::Binary { .. }
            | NotAdmitted::Formats { .. } => false,
        }
    }
}

/// Whether this replica may join: exactly the one that the seat's current attempt has started.
///
/// # Errors
/// It may not, and why.
pub fn admission(
    ordered: &Ordered,
    membership: &Membership,
    join: &Join,
) -> Result<Admission, NotAdmitted> {
    if join.service != membership.service {
        return Err(NotAdmitted::Service {
            serves: membership.service.clone(),
            brings: join.service.clone(),
        });
    }
    let (seat, attempt) = (join.seat, join.attempt);
    let state = ordered.seat(seat).ok_or(NotAdmitted::NoSeat { seat })?;
    let first = membership
        .everybody()
        .find(|member| member.seat == seat && member.attempt == attempt);
    if let Some(first) = first {
        if first.address == join.address && first.binary == join.binary {
            return Ok(Admission::Known(first.id));
        }
        let member = first.id;
        return Err(NotAdmitted::Taken {
            seat,
            attempt,
            member,
        });
    }
    if attempt > state.attempts() {
        return Err(NotAdmitted::NotBegun { seat, attempt });
    }
    let current = state
        .current()
        .filter(|current| current.number == attempt && current.joiner.is_none())
        .ok_or(NotAdmitted::Fenced { seat, attempt })?;
    if join.binary != current.binary {
        return Err(NotAdmitted::Binary {
            seat,
            wanted: Box::new(current.binary.clone()),
            brings: Box::new(join.binary.clone()),
        });
    }
    if ordered.somebody_gives(membership, &join.formats) {
        return Ok(Admission::New);
    }
    let mut writes: Vec<u32> = ordered
        .givers(membership)
        .flat_map(|member| member.formats.writes.iter().copied())
        .collect();
    if writes.is_empty() {
        return Err(NotAdmitted::NobodyServes);
    }
    writes.sort_unstable();
    writes.dedup();
    Err(NotAdmitted::Formats {
        reads: join.formats.reads.clone(),
        writes,
    })
}
