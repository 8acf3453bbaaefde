//! PGMS: the membership service's own duties, which its leader carries out (§4.1).
//!
//! It names donors, makes ready joiners members, takes out those that belong nowhere, and ends
//! attempts that do not move. Who may come in, whose place it takes and who donates are functions
//! of the ordered state; the leader only acts on them.

use std::collections::BTreeMap;
use std::time::Duration;

use group::LOG_BYTES_MAX;
use wire::daemon::{DaemonReply, Fate};
use wire::log::{Change, Proposal};
use wire::member::Seat;
use wire::{MemberId, Time};

use crate::layer::{Effect, Event, Layer, LayerContext};
use crate::layers::attempt::Posts;
use crate::ordered::{Surplus, intruders, promotion, surplus, transfers};

/// How often running attempts are looked at while nothing else happens.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// How soon a change that may have been refused is tried again.
const CHANGE_AGAIN: Duration = Duration::from_millis(5);

/// How long a member goes without a majority before it asks the daemons, and asks again: far longer
/// than an election.
const ALONE_PATIENCE: Duration = Duration::from_secs(2);

/// How soon a member without a majority asks what became of the others, and asks again: longer than
/// the word of a death takes when nothing is lost.
const FATE_PATIENCE: Duration = Duration::from_millis(200);
/// What marks the tokens of these questions; the member's number is the rest.
const FATE: u64 = 1 << 62;

/// The membership layer.
#[derive(Debug, Default)]
pub(crate) struct Membership {
    posts: Posts,
    /// Attempts as this leader watches them: since when each has not moved.
    watched: BTreeMap<Seat, Watched>,
    look_at: Option<Time>,
    /// When a member that reaches no majority asks the daemons for others.
    alone_at: Option<Time>,
    /// When it asks what became of them.
    fate_at: Option<Time>,
}

#[derive(Debug)]
struct Watched {
    attempt: u32,
    moved: Time,
    /// Bytes received and position applied when it last moved.
    mark: (u64, u64),
}

impl Layer for Membership {
    fn name(&self) -> &'static str {
        "PGMS"
    }

    fn requires(&self) -> &'static [&'static str] {
        &[]
    }

    fn handle(&mut self, cx: &LayerContext<'_>, event: &Event<'_>, out: &mut Vec<Effect>) {
        match event {
            Event::Changed => {
                self.ask_if_alone(cx, out);
                self.ask_fates(cx, out);
            }
            Event::Daemon { token, reply } => {
                Self::hear_fate(*token, reply, out);
                return Self::meet_strangers(cx, reply, out);
            }
            Event::Happened { .. } | Event::Delivered { .. } => return,
        }
        if !cx.group.leads_of_record() {
            *self = Membership {
                alone_at: self.alone_at,
                fate_at: self.fate_at,
                ..Membership::default()
            };
            return;
        }
        self.posts.forget_old(cx.now.time);
        self.watch(cx, out);
        self.name_donors(cx, out);
        self.change(cx, out);
    }

    fn deadline(&self) -> Option<Time> {
        let posts = self.posts.deadline();
        [self.look_at, posts, self.alone_at, self.fate_at]
            .into_iter()
            .flatten()
            .min()
    }
}

impl Membership {
    /// A member that slept while all others were replaced knows nobody who is left: the daemons
    /// know who runs now, and those know of the view without it.
    fn ask_if_alone(&mut self, cx: &LayerContext<'_>, out: &mut Vec<Effect>) {
        if cx.group.available() {
            self.alone_at = None;
            return;
        }
        let now = cx.now.time;
        if now < *self.alone_at.get_or_insert(now.after(ALONE_PATIENCE)) {
            return;
        }
        self.alone_at = Some(now.after(ALONE_PATIENCE));
        let hosts = &cx.ordered.foundation().hosts;
        for (token, host) in (0..u64::MAX).rev().zip(hosts) {
            out.push(Effect::Inventory { token, host });
        }
    }

    /// Without a majority it is worth knowing whether the silent ones are certainly dead: then their
    /// survivor may go on. Their daemons tell of a death once; here they are asked.
    fn ask_fates(&mut self, cx: &LayerContext<'_>, out: &mut Vec<Effect>) {
        if cx.group.available() {
            self.fate_at = None;
            return;
        }
        let now = cx.now.time;
        if now < *self.fate_at.get_or_insert(now.after(FATE_PATIENCE)) {
            return;
        }
        self.fate_at = Some(now.after(FATE_PATIENCE));
        for member in cx.group.missing() {
            let hosts = &cx.ordered.foundation().hosts;
            if let Some(host) = hosts.iter().find(|host| host.name == member.host) {
                out.push(Effect::Fate {
                    token: FATE | member.id.number(),
                    host,
                    member: member.id,
                });
            }
        }
    }

    fn hear_fate(token: u64, reply: &DaemonReply, out: &mut Vec<Effect>) {
        if let DaemonReply::Fate {
            fate: Fate::Ended { how },
            ..
        } = reply
            && let Some(member) = MemberId::new(token & !FATE)
        {
            let how = how.clone();
            out.push(Effect::Died { member, how });
        }
    }

    fn meet_strangers(cx: &LayerContext<'_>, reply: &DaemonReply, out: &mut Vec<Effect>) {
        let DaemonReply::Inventory { replicas, .. } = reply else {
            return;
        };
        let membership = cx.group.membership();
        let strangers: Vec<_> = replicas
            .iter()
            .filter(|replica| replica.group == membership.group)
            .filter_map(|replica| Some((replica.member?, replica.address?)))
            .filter(|(id, _)| membership.everybody().all(|known| known.id != *id))
            .collect();
        if !strangers.is_empty() && !cx.group.available() {
            out.push(Effect::Meet { strangers });
        }
    }

    /// Ends attempts that failed, or whose replica does not appear or does not move.
    fn watch(&mut self, cx: &LayerContext<'_>, out: &mut Vec<Effect>) {
        let now = cx.now.time;
        let membership = cx.group.membership();
        let mut running = BTreeMap::new();
        for (seat, attempt) in cx.ordered.attempts() {
            let joiner = membership.joiners.iter().find(|joiner| {
                joiner.member.seat == seat && joiner.member.attempt == attempt.number
            });
            let progress = joiner.and_then(|joiner| cx.group.progress(joiner.member.id));
            let mark = progress.map_or((0, 0), |progress| (progress.received, progress.applied.0));
            let mut watched = self
                .watched
                .remove(&seat)
                .filter(|watched| watched.attempt == attempt.number)
                .unwrap_or(Watched {
                    attempt: attempt.number,
                    moved: now,
                    mark,
                });
            // Who is ready waits for others, not they for it.
            if watched.mark != mark || joiner.is_some_and(|joiner| joiner.ready) {
                watched = Watched {
                    attempt: attempt.number,
                    moved: now,
                    mark,
                };
            }
            let patience = Duration::from_millis(cx.ordered.patience_ms(attempt));
            let reason = if let Some(why) = progress.and_then(|progress| progress.failed.clone()) {
                Some(why)
            } else if joiner
                .is_some_and(|joiner| cx.group.lagging().any(|id| id == joiner.member.id))
            {
                Some("the log has moved past what it has".to_owned())
            } else if joiner.is_some_and(|joiner| !joiner.ready)
                && cx.group.log_bytes() > LOG_BYTES_MAX
            {
                Some("the log's budget is used up while it catches up".to_owned())
            } else if now >= watched.moved.after(patience) {
                let what = if joiner.is_some() {
                    "made no progress"
                } else {
                    "did not appear"
                };
                Some(format!(
                    "the new replica {what} for {} ms",
                    patience.as_millis()
                ))
            } else {
                None
            };
            if let Some(reason) = reason {
                let passed = Proposal::Passed {
                    seat,
                    attempt: attempt.number,
                    reason,
                };
                self.posts.post(now, passed, out);
            }
            running.insert(seat, watched);
        }
        self.look_at = (!running.is_empty()).then(|| now.after(LOOK_EVERY));
        self.watched = running;
    }

    fn name_donors(&mut self, cx: &LayerContext<'_>, out: &mut Vec<Effect>) {
        for due in transfers(cx.ordered, cx.group.membership())
            .into_iter()
            .flatten()
        {
            // Who has the state already needs no donor any more.
            let begun = cx
                .group
                .progress(due.joiner())
                .is_some_and(|progress| progress.applied.0 > 0);
            if !begun {
                self.posts.post(cx.now.time, due.proposal(), out);
            }
        }
    }

    /// One change at a time: out with those that belong nowhere, in with those that are ready.
    fn change(&mut self, cx: &LayerContext<'_>, out: &mut Vec<Effect>) {
        if cx.group.changing() {
            return;
        }
        let before = out.len();
        self.wanted_change(cx, out);
        if out.len() > before {
            // A refused change is wanted again soon; one that is under way tells by its end.
            self.look_at = Some(cx.now.time.after(CHANGE_AGAIN));
        }
    }

    fn wanted_change(&self, cx: &LayerContext<'_>, out: &mut Vec<Effect>) {
        let membership = cx.group.membership();
        if let Some((member, reason)) = intruders(cx.ordered, membership).into_iter().next() {
            out.push(Effect::Change(Change::Remove { member, reason }));
        } else if let Ok(promotion) = promotion(cx.ordered, membership) {
            out.push(Effect::Change(promotion.change()));
        } else if let Some((member, reason)) = Self::laggard(cx) {
            out.push(Effect::Change(Change::Remove { member, reason }));
        } else if let Ok(surplus) = surplus(cx.ordered, membership) {
            out.push(match surplus {
                Surplus::Goes { member, reason } => {
                    Effect::Change(Change::Remove { member, reason })
                }
                Surplus::HandsOver { to, .. } => Effect::HandOver { to },
            });
        }
    }

    /// A voter that can never catch up, if a majority remains without it: a voter gets no state, it
    /// is replaced. It needs what the leader does not have, or it is silent and the log's budget is
    /// used up.
    fn laggard(cx: &LayerContext<'_>) -> Option<(MemberId, String)> {
        let view = &cx.group.membership().view;
        let full = cx.group.log_bytes() > LOG_BYTES_MAX;
        let behind = |id: MemberId| cx.group.lagging().any(|lagging| lagging == id);
        let laggard = view.members.iter().find_map(|member| {
            if behind(member.id) {
                let reason = "it needs positions that left the leader's log";
                Some((member.id, reason.to_owned()))
            } else if full && !view.serves(member.id) {
                let reason = "it is silent and the log's budget is used up";
                Some((member.id, reason.to_owned()))
            } else {
                None
            }
        });
        let (laggard, reason) = laggard?;
        let others = view.serving().filter(|member| member.id != laggard).count();
        (others > view.members.len() / 2).then_some((laggard, reason))
    }
}
