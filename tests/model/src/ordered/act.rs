//! What is put into the total order, small enough to be kept by the million.

use std::fmt;

use wire::MemberId;
use wire::member::Seat;

/// A process that was started for an attempt, and what became of it: admitted or not, this names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Process {
    /// For which seat.
    pub seat: Seat,
    /// For which of its attempts; 0 for the founder's.
    pub attempt: u32,
    /// On which of the foundation's hosts.
    pub host: u32,
    /// What it runs.
    pub version: u8,
}

/// Something that waits for its place in the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Act {
    /// A proposal.
    Propose(Post),
    /// A change of membership; one at a time.
    Change(Exchange),
}

/// A proposal, as `wire::log::Proposal` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Post {
    /// The first entry of a new leader.
    Leads(MemberId),
    /// The operator's request, by its place among those of the life.
    Upgrade(u8),
    /// The leader's detector: whether this member answers.
    Stands(MemberId, bool),
    /// A state transfer to the first from the second.
    Transfer(MemberId, MemberId),
    /// A joiner follows the order.
    Ready(MemberId),
    /// A member takes the right to this attempt.
    Taken(Seat, u32, MemberId),
    /// The leader ends an attempt.
    Passed(Seat, u32),
    /// The leader saw the conditions hold.
    Activate,
}

/// A change of membership, as `wire::log::Change` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Exchange {
    /// This process becomes a joiner.
    Admit(Process),
    /// A joiner becomes a member, perhaps in another's place.
    Promote(MemberId, Option<MemberId>),
    /// The replaced member is out.
    Settle,
    /// A member or joiner is out.
    Remove(MemberId),
}

impl fmt::Display for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Process {
            seat,
            attempt,
            host,
            version,
        } = self;
        write!(f, "the v{version} of {seat}, attempt {attempt}, on h{host}")
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Act::Propose(post) => match post {
                Post::Leads(member) => write!(f, "{member} leads"),
                Post::Upgrade(_) => f.write_str("the upgrade request"),
                Post::Stands(member, true) => write!(f, "{member} serves again"),
                Post::Stands(member, false) => write!(f, "{member} is suspected"),
                Post::Transfer(joiner, donor) => write!(f, "{donor} gives its state to {joiner}"),
                Post::Ready(joiner) => write!(f, "{joiner} is ready"),
                Post::Taken(seat, attempt, by) => write!(f, "{by} takes {seat}, attempt {attempt}"),
                Post::Passed(seat, attempt) => write!(f, "{seat}, attempt {attempt} is passed"),
                Post::Activate => f.write_str("activation"),
            },
            Act::Change(change) => match change {
                Exchange::Admit(process) => write!(f, "{process} is admitted"),
                Exchange::Promote(joiner, None) => write!(f, "{joiner} is a member"),
                Exchange::Promote(joiner, Some(old)) => {
                    write!(f, "{joiner} is a member for {old}")
                }
                Exchange::Settle => f.write_str("the replaced member is out"),
                Exchange::Remove(member) => write!(f, "{member} is removed"),
            },
        }
    }
}
