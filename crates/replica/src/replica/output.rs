//! What a replica tells its driver, how its life ends, and why it does not begin.

use group::SnapshotError;
use wire::daemon::{DaemonRequest, HostRecord};
use wire::peer::{PeerMessage, TransferHead};
use wire::{MemberId, Position};

use crate::executor::Work;
use crate::ordered::OrderedError;
use crate::stack::StackError;

/// What a replica wants from its driver. In one turn they come in this order of handling.
#[derive(Debug)]
pub enum Output {
    /// For a peer, if a link to it stands.
    Send {
        /// To whom.
        to: MemberId,
        /// What.
        message: PeerMessage,
    },
    /// For a joiner, on the link on which it asked.
    Answer {
        /// The driver's number of the link.
        link: u64,
        /// What.
        message: PeerMessage,
    },
    /// For a client.
    Client {
        /// The driver's number of the connection.
        connection: u64,
        /// What.
        reply: wire::client::ClientReply,
    },
    /// Whom to hold links to from now on.
    Peers(Vec<(MemberId, std::net::SocketAddr)>),
    /// The executor's next work.
    Work(Work),
    /// The executor's next work is to write the state for a joiner that dials for it.
    Export {
        /// Who.
        joiner: MemberId,
        /// The state of this position: exactly where the executor stands in its queue.
        position: Position,
        /// The state format to write.
        format: u32,
        /// The head, without the sessions, which only the executor has.
        head: TransferHead,
        /// Nobody else answers clients: they wait as long as the executor is busy with it.
        alone: bool,
    },
    /// Nobody will dial for that state any more.
    CancelExport {
        /// Who would have.
        joiner: MemberId,
    },
    /// Ask a host's daemon; the answer comes with the token.
    Daemon {
        /// Comes back with every answer.
        token: u64,
        /// Whose daemon.
        host: HostRecord,
        /// What.
        request: DaemonRequest,
    },
    /// Tell our own daemon, now and whenever it is reached again.
    Tell(DaemonRequest),
    /// A sentence for the operator's log.
    Note(String),
    /// The process ends.
    End(End),
}

/// How a replica's life ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// Another member has taken its place: `upgraded()` is called on the service.
    Replaced {
        /// The view without it.
        view: Position,
    },
    /// It was asked to leave.
    Left,
    /// It cannot go on as a correct member.
    Broken {
        /// Why.
        why: String,
    },
}

/// Why a replica does not begin.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configured stack is none.
    #[error(transparent)]
    Stack(#[from] StackError),
    /// The transferred membership.
    #[error("the transferred state cannot be used: {0}")]
    Membership(#[from] SnapshotError),
    /// The transferred seats and upgrade.
    #[error("the transferred state cannot be used: {0}")]
    Ordered(#[from] OrderedError),
    /// The log that came with the state.
    #[error("the transferred log does not end at {0}, where the state stands")]
    Log(Position),
    /// The state does not list this replica.
    #[error("the transferred state does not list {0} as a joiner")]
    NotListed(MemberId),
}
