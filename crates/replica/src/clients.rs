//! Clients' requests on their way in: what is ordered, what is read, what is answered at once.
//!
//! Replies do not come through here: the executor of the member that took a request addresses them
//! to the connection. Here stands what happens before: checks, limits, the positions that
//! linearizable reads wait for, and the operators' requests whose answers are ordered.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use group::{Group, NotTaken, Now};
use museum::Defect;
use wire::client::{Call, CallId, ClientReply, ClientRequest, Decline};
use wire::frame::{decode_body, to_bytes};
use wire::list::Values;
use wire::log::Proposal;
use wire::{Position, SessionId};

use crate::executor::{Program, Work};
use crate::ordered::Happened;
use crate::replica::Output;

/// Read batches that may wait for their position; above it reads are refused as overloaded.
const READS_MAX: usize = 16_384;
/// Positions that the service may be behind before this member refuses requests: a second of the
/// highest load.
const LAG_MAX: u64 = 20_000;
/// Operators' requests that may wait for the order at once.
const WISHES_MAX: usize = 64;

/// What this member holds for its clients.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    connections: BTreeSet<u64>,
    /// Reads of this turn, for which one position will be asked.
    asked: Vec<(u64, Bytes)>,
    /// Reads whose position was asked for, by the token.
    unconfirmed: BTreeMap<u64, Vec<(u64, Bytes)>>,
    /// Reads whose position is known and not delivered here yet.
    early: BTreeMap<Position, Vec<(u64, Bytes)>>,
    waiting: usize,
    token: u64,
    /// Up to where the order is in the executor's queue. The group may have delivered further:
    /// what it delivers in one turn is queued position by position.
    queued: Position,
    /// Operators' wishes by their own mark: who asked, and under which token.
    wishes: BTreeMap<Mark, Vec<(u64, u64)>>,
}

/// An operator's wish, by the mark that he has given it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Mark {
    Upgrade(u64),
    Specify(u64),
}

impl Mark {
    fn refused(self, token: u64, why: String) -> ClientReply {
        match self {
            Mark::Upgrade(_) => ClientReply::UpgradeRefused { token, why },
            Mark::Specify(_) => ClientReply::SpecifyRefused { token, why },
        }
    }

    fn accepted(self, token: u64, position: Position) -> ClientReply {
        match self {
            Mark::Upgrade(_) => ClientReply::UpgradeAccepted {
                token,
                upgrade: position,
            },
            Mark::Specify(_) => ClientReply::Specified { token, position },
        }
    }
}

/// What became of a client's request.
#[derive(Debug)]
pub(crate) enum Taken {
    /// It is on its way into the order, or waits for a position.
    Ordered,
    /// The executor has it.
    Work(Vec<Work>),
    /// This is the answer.
    Reply(ClientReply),
}

/// What of the replica a request needs.
pub(crate) struct Intake<'a> {
    pub(crate) program: &'a Program,
    pub(crate) group: &'a mut Group,
    /// Whether the layers let requests pass.
    pub(crate) passes: Result<(), Decline>,
    /// How many positions the service is behind the order.
    pub(crate) lag: u64,
}

impl Clients {
    /// Nobody yet; the executor begins behind `position`.
    pub(crate) fn new(position: Position) -> Clients {
        Clients {
            queued: position,
            ..Clients::default()
        }
    }

    pub(crate) fn opened(&mut self, connection: u64) {
        self.connections.insert(connection);
    }

    pub(crate) fn closed(&mut self, connection: u64) {
        self.connections.remove(&connection);
    }

    pub(crate) fn connections(&self) -> impl Iterator<Item = u64> {
        self.connections.iter().copied()
    }

    /// Takes a request, all but `Status`, which needs no taking.
    pub(crate) fn take(
        &mut self,
        intake: Intake<'_>,
        connection: u64,
        request: ClientRequest,
    ) -> Taken {
        match request {
            ClientRequest::Open { token } => {
                let ids = vec![CallId {
                    session: SessionId(0),
                    number: token,
                }];
                let make = |origin| Proposal::Open { origin, token };
                match may_pass(&intake).and_then(|()| order(intake.group, connection, 64, make)) {
                    Ok(()) => Taken::Ordered,
                    Err(reason) => declined(ids, reason),
                }
            }
            ClientRequest::Calls { calls } => match ids(&calls) {
                Ok(ids) => self.calls(intake, connection, calls, ids),
                Err(why) => declined(Vec::new(), Decline::Invalid { why }),
            },
            ClientRequest::Reads { calls, stale } => match ids(&calls) {
                Ok(ids) => self.reads(intake, connection, calls, ids, stale),
                Err(why) => declined(Vec::new(), Decline::Invalid { why }),
            },
            ClientRequest::Json {
                session,
                number,
                method,
                arguments,
            } => {
                let call = CallId { session, number };
                self.json(intake, connection, call, &method, &arguments)
            }
            ClientRequest::Upgrade { token, request } => {
                let mark = Mark::Upgrade(request.token);
                self.wish(
                    intake,
                    (connection, token),
                    mark,
                    Proposal::Upgrade(request),
                )
            }
            ClientRequest::Specify { token, request } => {
                let mark = Mark::Specify(request.token);
                self.wish(
                    intake,
                    (connection, token),
                    mark,
                    Proposal::Specify(request),
                )
            }
            ClientRequest::Status { token } => {
                let document = "null".to_owned();
                Taken::Reply(ClientReply::Status { token, document })
            }
        }
    }

    /// A wish of an operator's, who asked on this connection under this token.
    fn wish(
        &mut self,
        intake: Intake<'_>,
        (connection, token): (u64, u64),
        mark: Mark,
        proposal: Proposal,
    ) -> Taken {
        if !intake.group.available() {
            let asked = CallId {
                session: SessionId(0),
                number: token,
            };
            return declined(vec![asked], Decline::Unavailable);
        }
        if self.wishes.len() >= WISHES_MAX {
            let why = "too many wishes of operators wait at this member; ask again".to_owned();
            return Taken::Reply(mark.refused(token, why));
        }
        let waiting = self.wishes.entry(mark).or_default();
        waiting.push((connection, token));
        intake.group.post(proposal);
        Taken::Ordered
    }

    fn calls(&self, intake: Intake<'_>, connection: u64, calls: Bytes, ids: Vec<CallId>) -> Taken {
        let bytes = calls.len();
        let make = |origin| Proposal::Calls { origin, calls };
        match may_pass(&intake).and_then(|()| order(intake.group, connection, bytes, make)) {
            Ok(()) => Taken::Ordered,
            Err(reason) => declined(ids, reason),
        }
    }

    fn reads(
        &mut self,
        intake: Intake<'_>,
        connection: u64,
        calls: Bytes,
        ids: Vec<CallId>,
        stale: bool,
    ) -> Taken {
        if stale {
            return Taken::Work(vec![Work::Reads { connection, calls }]);
        }
        let available = || match intake.group.available() {
            true => Ok(()),
            false => Err(Decline::Unavailable),
        };
        if let Err(reason) = may_pass(&intake).and_then(|()| available()) {
            return declined(ids, reason);
        }
        if self.waiting >= READS_MAX {
            let limit = "reads that wait for a position at this member".to_owned();
            return declined(ids, Decline::Overloaded { limit });
        }
        self.waiting += 1;
        self.asked.push((connection, calls));
        Taken::Ordered
    }

    fn json(
        &mut self,
        intake: Intake<'_>,
        connection: u64,
        call: CallId,
        method: &str,
        arguments: &str,
    ) -> Taken {
        let invalid = |why| declined(vec![call], Decline::Invalid { why });
        let arguments = match serde_json::from_str(arguments) {
            Ok(arguments) => arguments,
            Err(error) => return invalid(format!("the arguments are no JSON: {error}")),
        };
        let owned = match (intake.program.call_from_json)(method, &arguments) {
            Ok(owned) => owned,
            Err(error) => return invalid(error.to_string()),
        };
        let calls = Bytes::from(to_bytes(&vec![Call {
            session: call.session,
            number: call.number,
            acknowledged: call.number.saturating_sub(1),
            method: owned.method,
            signature: owned.signature,
            arguments: &owned.arguments,
        }]));
        let expect = Work::ExpectJson {
            connection,
            call,
            method: owned.method,
        };
        let taken = if owned.read {
            self.reads(intake, connection, calls, vec![call], false)
        } else {
            self.calls(intake, connection, calls, vec![call])
        };
        match taken {
            Taken::Ordered => Taken::Work(vec![expect]),
            other @ (Taken::Work(_) | Taken::Reply(_)) => other,
        }
    }

    /// Asks for one position for all reads that came since the last turn.
    pub(crate) fn start_reads(&mut self, now: Now, group: &mut Group, out: &mut Vec<Output>) {
        if self.asked.is_empty() {
            return;
        }
        let reads = std::mem::take(&mut self.asked);
        self.token += 1;
        if group.read(now, self.token).is_ok() {
            self.unconfirmed.insert(self.token, reads);
            return;
        }
        self.waiting -= reads.len();
        for (connection, calls) in reads {
            let calls = ids(&calls).unwrap_or_default().into();
            let reply = ClientReply::Declined {
                calls,
                reason: Decline::Unavailable,
            };
            out.push(Output::Client { connection, reply });
        }
    }

    /// The position for these reads is known.
    pub(crate) fn readable(&mut self, token: u64, position: Position) -> Vec<Work> {
        let Some(reads) = self.unconfirmed.remove(&token) else {
            return Vec::new();
        };
        if position <= self.queued || museum::on(Defect::ReadBeforeItsPosition) {
            return self.read(reads);
        }
        self.early.entry(position).or_default().extend(reads);
        Vec::new()
    }

    /// Everything up to `position` is in the executor's queue: reads that waited for it follow.
    pub(crate) fn delivered(&mut self, position: Position) -> Vec<Work> {
        self.queued = position;
        let mut works = Vec::new();
        while let Some(entry) = self.early.first_entry()
            && *entry.key() <= position
        {
            let reads = entry.remove();
            works.extend(self.read(reads));
        }
        works
    }

    fn read(&mut self, reads: Vec<(u64, Bytes)>) -> Vec<Work> {
        self.waiting -= reads.len();
        reads
            .into_iter()
            .map(|(connection, calls)| Work::Reads { connection, calls })
            .collect()
    }

    /// The order refused these requests of our clients: a limit is reached.
    pub(crate) fn refused(&self, proposals: &[Proposal]) -> Vec<(u64, ClientReply)> {
        let limit = "bytes that wait for the order";
        proposals
            .iter()
            .filter_map(|proposal| {
                let (connection, calls) = own(proposal)?;
                let reason = Decline::Overloaded {
                    limit: limit.to_owned(),
                };
                let calls = calls.into();
                Some((connection, ClientReply::Declined { calls, reason }))
            })
            .collect()
    }

    /// The ordered state took a step that an operator may wait for.
    pub(crate) fn happened(&mut self, happened: &Happened) -> Vec<(u64, ClientReply)> {
        let answer = match happened {
            Happened::UpgradeAccepted { token, upgrade, .. } => {
                Some((Mark::Upgrade(*token), Ok(*upgrade)))
            }
            Happened::UpgradeRefused { token, why } => {
                Some((Mark::Upgrade(*token), Err(why.to_string())))
            }
            Happened::Specified { token, position } => Some((Mark::Specify(*token), Ok(*position))),
            Happened::SpecifyRefused { token, why } => {
                Some((Mark::Specify(*token), Err(why.to_string())))
            }
            Happened::View { .. }
            | Happened::Taken { .. }
            | Happened::Ended { .. }
            | Happened::Activated { .. }
            | Happened::UpgradeDone { .. }
            | Happened::UpgradeFailed { .. }
            | Happened::Void { .. } => None,
        };
        let Some((mark, answer)) = answer else {
            return Vec::new();
        };
        let waiting = self.wishes.remove(&mark).unwrap_or_default();
        waiting
            .into_iter()
            .map(|(connection, token)| {
                let reply = match answer.clone() {
                    Ok(position) => mark.accepted(token, position),
                    Err(why) => mark.refused(token, why),
                };
                (connection, reply)
            })
            .collect()
    }
}

fn may_pass(intake: &Intake<'_>) -> Result<(), Decline> {
    intake.passes.clone()?;
    if intake.lag > LAG_MAX {
        let limit = format!(
            "the service is {} requests behind at this member",
            intake.lag
        );
        return Err(Decline::Overloaded { limit });
    }
    Ok(())
}

fn order(
    group: &mut Group,
    connection: u64,
    bytes: usize,
    make: impl FnOnce(wire::log::Origin) -> Proposal,
) -> Result<(), Decline> {
    group
        .submit(connection, bytes, make)
        .map_err(|not_taken| match not_taken {
            NotTaken::Overloaded => Decline::Overloaded {
                limit: not_taken.to_string(),
            },
            NotTaken::Unavailable => Decline::Unavailable,
        })
}

fn declined(calls: Vec<CallId>, reason: Decline) -> Taken {
    Taken::Reply(ClientReply::Declined {
        calls: calls.into(),
        reason,
    })
}

/// The ids of encoded calls; reading them all is the check that they decode.
fn ids(calls: &[u8]) -> Result<Vec<CallId>, String> {
    let calls: Values<'_, Call<'_>> =
        decode_body(calls).map_err(|error| format!("the calls do not decode: {error}"))?;
    Ok(calls
        .map(|call| CallId {
            session: call.session,
            number: call.number,
        })
        .collect())
}

fn own(proposal: &Proposal) -> Option<(u64, Vec<CallId>)> {
    match proposal {
        Proposal::Open { origin, token } => Some((
            origin.connection,
            vec![CallId {
                session: SessionId(0),
                number: *token,
            }],
        )),
        Proposal::Calls { origin, calls } => {
            Some((origin.connection, ids(calls).unwrap_or_default()))
        }
        Proposal::Leads { .. }
        | Proposal::Standing { .. }
        | Proposal::Transfer { .. }
        | Proposal::Ready { .. }
        | Proposal::Taken { .. }
        | Proposal::Passed { .. }
        | Proposal::Upgrade(_)
        | Proposal::Specify(_)
        | Proposal::Activate { .. }
        | Proposal::Layer { .. } => None,
    }
}
