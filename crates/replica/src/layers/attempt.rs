//! One attempt to fill a seat, as the member that took it carries it out.
//!
//! Recovery and upgrade differ in when a seat may be taken; what follows is the same: the daemon is
//! asked once, and if it cannot, the attempt is passed so that the next host is tried.

use std::collections::BTreeMap;
use std::time::Duration;

use wire::daemon::{Assignment, DaemonReply, Role};
use wire::log::Proposal;
use wire::member::Seat;
use wire::peer::Contact;
use wire::{OrderedTime, Time};

use crate::layer::{Effect, LayerContext};
use crate::ordered::Attempt;

/// How long a host's daemon may take to say that the process runs, or why not. It starts it at once,
/// so this is many times what an overloaded one takes; a daemon that is silent is lost or stopped.
const ANSWER_PATIENCE: Duration = Duration::from_secs(2);
/// A proposal that was not delivered this long is made again: many round trips of the order.
const REPEAT_AFTER: Duration = Duration::from_millis(200);

/// Proposals that are under way, so that each look at the state does not repeat them.
#[derive(Debug, Default)]
pub(crate) struct Posts {
    posted: Vec<(Proposal, Time)>,
}

impl Posts {
    /// Proposes, unless the same was proposed a moment ago.
    pub(crate) fn post(&mut self, now: Time, proposal: Proposal, out: &mut Vec<Effect>) {
        self.forget_old(now);
        if self.posted.iter().all(|(posted, _)| *posted != proposal) {
            self.posted.push((proposal.clone(), now));
            out.push(Effect::Post(proposal));
        }
    }

    /// What may be proposed again by now is not waited for any more.
    pub(crate) fn forget_old(&mut self, now: Time) {
        self.posted.retain(|(_, at)| now < at.after(REPEAT_AFTER));
    }

    /// When something must be looked at again.
    pub(crate) fn deadline(&self) -> Option<Time> {
        self.posted
            .iter()
            .map(|(_, at)| at.after(REPEAT_AFTER))
            .min()
    }
}

/// Attempts of this member whose daemon was asked, by the token of the request.
#[derive(Debug, Default)]
pub(crate) struct Attempts {
    asked: BTreeMap<u64, Asked>,
    posts: Posts,
    /// The attempt that waits for the end of a pause, by our own clock; 0 once it is over.
    pause: Option<(Seat, u32, Time)>,
}

/// An attempt whose daemon was asked.
#[derive(Debug)]
struct Asked {
    seat: Seat,
    attempt: u32,
    word: Word,
}

/// The daemon's word on it.
#[derive(Debug)]
enum Word {
    /// None yet; waited for until then.
    Awaited { until: Time },
    /// The process runs. What becomes of its replica the whole group sees.
    Started,
    /// The attempt has failed.
    Failed { why: String },
}

impl Attempts {
    /// Takes what the ordered state names this member for, once the pause after a failure is over.
    pub(crate) fn take(
        &mut self,
        cx: &LayerContext<'_>,
        taken: Proposal,
        not_before: OrderedTime,
        out: &mut Vec<Effect>,
    ) {
        let Proposal::Taken { seat, attempt, .. } = taken else {
            return;
        };
        let now = cx.now.time;
        let waiting = self
            .pause
            .filter(|(for_seat, number, _)| (*for_seat, *number) == (seat, attempt));
        let (_, _, until) = *self.pause.insert(waiting.unwrap_or_else(|| {
            // Ordered time stands still in an idle group: what is left of the pause runs here.
            let left = not_before.0.saturating_sub(cx.group.time().0);
            (seat, attempt, now.after(Duration::from_millis(left)))
        }));
        if now >= until {
            self.pause = Some((seat, attempt, Time(0)));
            self.posts.post(now, taken, out);
        }
    }

    /// The ordered state names this member for nothing.
    pub(crate) fn rest(&mut self) {
        self.pause = None;
    }

    /// Looks at the state begin with this: attempts that failed, or whose daemon is silent, are
    /// passed until they are over.
    pub(crate) fn look(&mut self, cx: &LayerContext<'_>, out: &mut Vec<Effect>) {
        let now = cx.now.time;
        self.posts.forget_old(now);
        self.asked.retain(|_, asked| {
            let current = cx.ordered.attempt(asked.seat);
            current.is_some_and(|current| current.number == asked.attempt)
        });
        for asked in self.asked.values_mut() {
            if let Word::Awaited { until } = asked.word
                && now >= until
            {
                let why = format!(
                    "the host's daemon did not answer within {} ms",
                    ANSWER_PATIENCE.as_millis()
                );
                asked.word = Word::Failed { why };
            }
            if let Word::Failed { why } = &asked.word {
                let passed = Proposal::Passed {
                    seat: asked.seat,
                    attempt: asked.attempt,
                    reason: why.clone(),
                };
                self.posts.post(now, passed, out);
            }
        }
    }

    /// The right to this attempt is ours: ask its host's daemon.
    pub(crate) fn start(
        &mut self,
        cx: &LayerContext<'_>,
        seat: Seat,
        attempt: &Attempt,
        out: &mut Vec<Effect>,
    ) {
        self.pause = None;
        let binary = &attempt.binary;
        let membership = cx.group.membership();
        let contacts = membership
            .view
            .members
            .iter()
            .map(|member| Contact {
                member: member.id,
                address: member.address,
                takes_requests: true,
            })
            .collect();
        let token = token(seat, attempt.number);
        let asked = Asked {
            seat,
            attempt: attempt.number,
            word: Word::Awaited {
                until: cx.now.time.after(ANSWER_PATIENCE),
            },
        };
        self.asked.insert(token, asked);
        let host = cx.ordered.host(attempt.host);
        out.push(Effect::Note(format!(
            "ask {} for {binary} in {seat}, attempt {}",
            host.name, attempt.number
        )));
        out.push(Effect::Start {
            token,
            host,
            assignment: Assignment {
                group: membership.group.clone(),
                service: membership.service.clone(),
                version: binary.version.clone(),
                build: Some(binary.build),
                role: Role::Join {
                    incarnation: membership.incarnation,
                    seat,
                    attempt: attempt.number,
                    contacts,
                },
            },
        });
    }

    /// The daemon's word on an attempt of ours; another layer's is ignored.
    pub(crate) fn answered(
        &mut self,
        cx: &LayerContext<'_>,
        token: u64,
        reply: &DaemonReply,
        out: &mut Vec<Effect>,
    ) {
        let Some(asked) = self.asked.get_mut(&token) else {
            return;
        };
        let why = match reply {
            DaemonReply::Failed { why, .. } => why.clone(),
            DaemonReply::Ended { how, .. } => format!("its process ended: {how}"),
            DaemonReply::Started { process, .. } => {
                let Asked { seat, attempt, .. } = asked;
                out.push(Effect::Note(format!(
                    "{seat}, attempt {attempt}: process {process} runs"
                )));
                asked.word = Word::Started;
                return;
            }
            DaemonReply::Registered { .. }
            | DaemonReply::Leave
            | DaemonReply::Inventory { .. }
            | DaemonReply::Output { .. }
            | DaemonReply::Stopped { .. }
            | DaemonReply::Fate { .. } => return,
        };
        asked.word = Word::Failed { why };
        self.look(cx, out);
    }

    pub(crate) fn deadline(&self) -> Option<Time> {
        let pause = self
            .pause
            .map(|(_, _, until)| until)
            .filter(|&until| until > Time(0));
        let answers = self.asked.values().filter_map(|asked| match asked.word {
            Word::Awaited { until } => Some(until),
            Word::Started | Word::Failed { .. } => None,
        });
        [self.posts.deadline(), pause]
            .into_iter()
            .flatten()
            .chain(answers)
            .min()
    }
}

/// The daemon's requests are told apart by what they are for.
fn token(seat: Seat, attempt: u32) -> u64 {
    (u64::from(seat.0) << 32) | u64::from(attempt)
}
