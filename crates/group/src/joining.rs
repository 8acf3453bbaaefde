//! A replica's life before it is a member: it asks, is admitted, fetches the state.
//!
//! Any member may be asked; whoever does not lead names the leader. Asking again is harmless: the
//! leader knows the seat and the attempt. So an admitted joiner asks now and then whether it still
//! is: a leader whose host lost its power says nothing of its own. Paper: §3.3 (the new replica joins and receives state).

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Duration;

use wire::daemon::DaemonRequest;
use wire::list::List;
use wire::peer::{Contact, Join, PeerMessage};
use wire::{MemberId, Position, Time};

/// How long one member may take to answer before another is asked.
const ANSWER_PATIENCE: Duration = Duration::from_millis(500);
/// How long an answer holds: after that the question is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(500);
/// The pause before the contacts are asked again: the group may be electing a leader.
const PAUSE: Duration = Duration::from_millis(20);
/// How often the leader hears how much of the state has come.
const PROGRESS_EVERY: Duration = Duration::from_millis(50);
/// How long a joiner whose transfer broke waits for another donor: the leader must notice the
/// donor's death first.
const DONOR_PATIENCE: Duration = Duration::from_secs(2);
/// How long a replica that nobody admits tries before it gives up. Whoever started it waits less, and starts another.
const PATIENCE: Duration = Duration::from_secs(20);

/// A replica that wants to become a member.
#[derive(Debug)]
pub struct Joining {
    join: Join,
    contacts: Vec<SocketAddr>,
    /// Whom to ask next, before the contacts.
    next: VecDeque<SocketAddr>,
    link: Option<Link>,
    links: u64,
    pause_until: Time,
    admitted: Option<Admitted>,
    received: u64,
    progress_at: Time,
    broke: Option<(Time, String)>,
    gives_up_at: Time,
    why: String,
    ended: bool,
}

#[derive(Debug)]
struct Link {
    number: u64,
    open: bool,
    /// When the question was asked, or the link dialled for it.
    asked: Time,
    /// Whether it was answered.
    answered: bool,
}

impl Link {
    /// When something must be done about it: no answer in time, or an old one.
    fn due(&self) -> Time {
        let patience = if self.answered {
            ASK_AGAIN
        } else {
            ANSWER_PATIENCE
        };
        self.asked.after(patience)
    }
}

/// What the leader told this joiner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admitted {
    /// Its id.
    pub member: MemberId,
    /// The group's incarnation.
    pub incarnation: u64,
    /// Who has the state.
    pub donor: MemberId,
    /// Where the donor listens.
    pub donor_address: SocketAddr,
    /// The state of this position.
    pub position: Position,
}

impl Admitted {
    /// What the joiner's own daemon is told: who it is by now, and whom to tell if it dies.
    pub fn announcement(&self) -> DaemonRequest {
        DaemonRequest::Members {
            incarnation: self.incarnation,
            member: self.member,
            others: List::from(vec![Contact {
                member: self.donor,
                address: self.donor_address,
                takes_requests: false,
            }]),
        }
    }
}

/// What a joining replica wants from its driver.
#[derive(Debug, PartialEq)]
pub enum JoiningOutput {
    /// Dial this member as a joiner; the link has this number.
    Dial {
        /// The link's number.
        link: u64,
        /// Where.
        address: SocketAddr,
    },
    /// Send on a link that stands.
    Send {
        /// The link's number.
        link: u64,
        /// What.
        message: PeerMessage,
    },
    /// The link is not used any more.
    Close {
        /// The link's number.
        link: u64,
    },
    /// Fetch the state; whatever is being fetched is out of date.
    Fetch(Admitted),
    /// The replica ends: it was not admitted or could not get the state.
    Failed {
        /// Why.
        why: String,
    },
}

impl Joining {
    /// A replica that will ask `contacts`.
    pub fn new(now: Time, join: Join, contacts: Vec<SocketAddr>) -> Joining {
        Joining {
            join,
            contacts,
            next: VecDeque::new(),
            link: None,
            links: 0,
            pause_until: Time(0),
            admitted: None,
            received: 0,
            progress_at: Time(0),
            broke: None,
            gives_up_at: now.after(PATIENCE),
            why: "no member answered".to_owned(),
            ended: false,
        }
    }

    /// The link stands.
    pub fn opened(&mut self, now: Time, link: u64, out: &mut Vec<JoiningOutput>) {
        if let Some(mine) = self.mine(link) {
            mine.open = true;
            mine.asked = now;
            let message = PeerMessage::Join(self.join.clone());
            out.push(JoiningOutput::Send { link, message });
        }
    }

    /// The link could not be made, was refused, or broke.
    pub fn closed(&mut self, now: Time, link: u64, why: &str) {
        if self.mine(link).is_some() {
            self.link = None;
            self.why = why.to_owned();
            self.pause_until = now.after(PAUSE);
        }
    }

    /// A message on the link.
    pub fn heard(
        &mut self,
        now: Time,
        link: u64,
        message: PeerMessage,
        out: &mut Vec<JoiningOutput>,
    ) {
        let Some(mine) = self.mine(link) else {
            return;
        };
        match message {
            PeerMessage::NotAdmitted { leader, why, retry } => {
                self.link = None;
                out.push(JoiningOutput::Close { link });
                if !retry {
                    return self.fail(format!("the group does not admit this replica: {why}"), out);
                }
                self.why = why;
                match leader {
                    Some(leader) => self.next.push_front(leader),
                    None => self.pause_until = now.after(PAUSE),
                }
            }
            PeerMessage::Admitted {
                member,
                incarnation,
                donor,
                donor_address,
                position,
            } => {
                mine.answered = true;
                self.gives_up_at = now.after(PATIENCE);
                let admitted = Admitted {
                    member,
                    incarnation,
                    donor,
                    donor_address,
                    position,
                };
                if self.admitted.replace(admitted) != Some(admitted) {
                    self.received = 0;
                    self.broke = None;
                    out.push(JoiningOutput::Fetch(admitted));
                }
            }
            // Nothing else is said to a joiner; an unexpected word does no harm.
            PeerMessage::Join(_)
            | PeerMessage::Progress { .. }
            | PeerMessage::Engine(_)
            | PeerMessage::Forward { .. }
            | PeerMessage::Overloaded { .. }
            | PeerMessage::Probe { .. }
            | PeerMessage::Alive { .. }
            | PeerMessage::Reach { .. }
            | PeerMessage::Died { .. }
            | PeerMessage::Left { .. }
            | PeerMessage::Survives { .. } => {}
        }
    }

    /// So many bytes of the state have come.
    pub fn received(&mut self, bytes: u64) {
        self.received = bytes;
    }

    /// The stream from the donor broke: another donor may be named.
    pub fn broke(&mut self, now: Time, why: String) {
        self.broke = Some((now.after(DONOR_PATIENCE), why));
    }

    /// The state came and cannot be used: this attempt is over.
    pub fn unusable(&mut self, why: String, out: &mut Vec<JoiningOutput>) {
        self.fail(why, out);
    }

    /// Early or repeated turns do nothing.
    pub fn turn(&mut self, now: Time, out: &mut Vec<JoiningOutput>) {
        if self.ended {
            return;
        }
        if now >= self.gives_up_at {
            let what = match self.admitted {
                None => "not admitted in time",
                Some(_) => "nobody knows of its admission any more",
            };
            return self.fail(format!("{what}: {}", self.why), out);
        }
        if let Some((until, why)) = &self.broke
            && now >= *until
        {
            let why = format!("the state did not come: {why}");
            return self.fail(why, out);
        }
        if let Some(link) = &mut self.link
            && now >= link.due()
        {
            let number = link.number;
            if std::mem::take(&mut link.answered) {
                link.asked = now;
                let message = PeerMessage::Join(self.join.clone());
                out.push(JoiningOutput::Send {
                    link: number,
                    message,
                });
            } else {
                out.push(JoiningOutput::Close { link: number });
                self.link = None;
                "a member did not answer".clone_into(&mut self.why);
            }
        }
        if self.link.is_none() && now >= self.pause_until {
            self.dial(now, out);
        }
        if let Some(link) = &self.link
            && link.open
            && self.admitted.is_some()
            && now >= self.progress_at.after(PROGRESS_EVERY)
        {
            self.progress_at = now;
            let message = self.progress(None);
            out.push(JoiningOutput::Send {
                link: link.number,
                message,
            });
        }
    }

    /// When [`Joining::turn`] wants to be called at the latest.
    pub fn deadline(&self) -> Option<Time> {
        if self.ended {
            return None;
        }
        let broke = self.broke.as_ref().map(|(until, _)| *until);
        let next = match &self.link {
            None => self.pause_until,
            Some(link) if link.open && self.admitted.is_some() => {
                link.due().min(self.progress_at.after(PROGRESS_EVERY))
            }
            Some(link) => link.due(),
        };
        [broke, Some(next), Some(self.gives_up_at)]
            .into_iter()
            .flatten()
            .min()
    }

    fn mine(&mut self, link: u64) -> Option<&mut Link> {
        self.link.as_mut().filter(|mine| mine.number == link)
    }

    fn dial(&mut self, now: Time, out: &mut Vec<JoiningOutput>) {
        if self.next.is_empty() {
            self.next.extend(&self.contacts);
        }
        let Some(address) = self.next.pop_front() else {
            return self.fail("the assignment names no member to ask".to_owned(), out);
        };
        self.links += 1;
        self.link = Some(Link {
            number: self.links,
            open: false,
            asked: now,
            answered: false,
        });
        out.push(JoiningOutput::Dial {
            link: self.links,
            address,
        });
    }

    fn progress(&self, failed: Option<String>) -> PeerMessage {
        PeerMessage::Progress {
            received: self.received,
            applied: Position(0),
            failed,
        }
    }

    fn fail(&mut self, why: String, out: &mut Vec<JoiningOutput>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        if let Some(link) = &self.link
            && link.open
        {
            let message = self.progress(Some(why.clone()));
            out.push(JoiningOutput::Send {
                link: link.number,
                message,
            });
        }
        out.push(JoiningOutput::Failed { why });
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use wire::member::{Binary, Formats, Seat};
    use wire::{Build, Version};

    use super::*;

    const MS: u64 = 1_000;

    fn address(port: u16) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], port))
    }

    fn joining(contacts: &[u16]) -> Joining {
        let join = Join {
            host: "alpha".to_owned(),
            address: address(9),
            binary: Binary {
                version: Version::new(1, 0, 0),
                build: Build([0; 32]),
            },
            service: "service".to_owned(),
            formats: Formats::default(),
            seat: Seat(1),
            attempt: 1,
            process: 1,
        };
        Joining::new(
            Time(0),
            join,
            contacts.iter().map(|&port| address(port)).collect(),
        )
    }

    fn turn(joining: &mut Joining, ms: u64) -> Vec<JoiningOutput> {
        let mut out = Vec::new();
        joining.turn(Time(ms * MS), &mut out);
        out
    }

    fn hear(joining: &mut Joining, link: u64, message: PeerMessage) -> Vec<JoiningOutput> {
        let mut out = Vec::new();
        joining.heard(Time(MS), link, message, &mut out);
        out
    }

    fn admitted(position: u64) -> PeerMessage {
        PeerMessage::Admitted {
            member: MemberId::new(4).unwrap(),
            incarnation: 1,
            donor: MemberId::new(2).unwrap(),
            donor_address: address(2),
            position: Position(position),
        }
    }

    #[test]
    fn it_follows_the_word_to_the_leader() {
        let mut joining = joining(&[1, 2]);
        assert_eq!(
            turn(&mut joining, 0),
            [JoiningOutput::Dial {
                link: 1,
                address: address(1)
            }]
        );
        joining.opened(Time(0), 1, &mut Vec::new());
        let redirect = PeerMessage::NotAdmitted {
            leader: Some(address(3)),
            why: "not the leader".to_owned(),
            retry: true,
        };
        assert_eq!(
            hear(&mut joining, 1, redirect),
            [JoiningOutput::Close { link: 1 }]
        );
        assert_eq!(
            turn(&mut joining, 1),
            [JoiningOutput::Dial {
                link: 2,
                address: address(3)
            }]
        );
    }

    #[test]
    fn a_silent_member_is_left_for_the_next() {
        let mut joining = joining(&[1, 2]);
        turn(&mut joining, 0);
        joining.opened(Time(0), 1, &mut Vec::new());
        assert_eq!(turn(&mut joining, 499), []);
        assert_eq!(
            turn(&mut joining, 500),
            [
                JoiningOutput::Close { link: 1 },
                JoiningOutput::Dial {
                    link: 2,
                    address: address(2)
                }
            ]
        );
    }

    #[test]
    fn an_admitted_joiner_asks_again_and_leaves_a_leader_that_fell_silent() {
        let mut joining = joining(&[1, 2]);
        turn(&mut joining, 0);
        joining.opened(Time(0), 1, &mut Vec::new());
        hear(&mut joining, 1, admitted(10));
        let asks = |out: &[JoiningOutput]| {
            out.iter().any(|output| {
                matches!(
                    output,
                    JoiningOutput::Send {
                        message: PeerMessage::Join(_),
                        ..
                    }
                )
            })
        };
        let leaves = |out: &[JoiningOutput]| out.contains(&JoiningOutput::Close { link: 1 });
        assert!(!asks(&turn(&mut joining, 499)));
        assert!(asks(&turn(&mut joining, 500)));
        hear(&mut joining, 1, admitted(10));
        assert!(asks(&turn(&mut joining, 1_000)));
        assert!(!leaves(&turn(&mut joining, 1_499)));
        assert!(leaves(&turn(&mut joining, 1_500)));
    }

    #[test]
    fn a_joiner_whose_admission_nobody_confirms_gives_up() {
        let mut joining = joining(&[1]);
        turn(&mut joining, 0);
        joining.opened(Time(0), 1, &mut Vec::new());
        hear(&mut joining, 1, admitted(10));
        let ends = |out: Vec<JoiningOutput>| {
            out.iter()
                .any(|output| matches!(output, JoiningOutput::Failed { .. }))
        };
        assert!(!ends(turn(&mut joining, 20_000)));
        assert!(ends(turn(&mut joining, 20_001)));
    }

    #[test]
    fn the_same_admission_again_changes_nothing_and_another_donor_starts_again() {
        let mut joining = joining(&[1]);
        turn(&mut joining, 0);
        joining.opened(Time(0), 1, &mut Vec::new());
        let fetches = |out: Vec<JoiningOutput>| {
            out.iter()
                .filter(|output| matches!(output, JoiningOutput::Fetch(_)))
                .count()
        };
        assert_eq!(fetches(hear(&mut joining, 1, admitted(10))), 1);
        assert_eq!(fetches(hear(&mut joining, 1, admitted(10))), 0);
        assert_eq!(fetches(hear(&mut joining, 1, admitted(20))), 1);
    }

    #[test]
    fn a_broken_transfer_waits_for_another_donor_and_then_says_why_it_fails() {
        let mut joining = joining(&[1]);
        turn(&mut joining, 0);
        joining.opened(Time(0), 1, &mut Vec::new());
        hear(&mut joining, 1, admitted(10));
        joining.broke(Time(10 * MS), "connection reset".to_owned());
        let failed = |out: &[JoiningOutput]| {
            out.iter()
                .any(|output| matches!(output, JoiningOutput::Failed { .. }))
        };
        assert!(!failed(&turn(&mut joining, 2_009)));
        assert!(failed(&turn(&mut joining, 2_010)));
        assert_eq!(joining.deadline(), None);
    }

    #[test]
    fn a_final_refusal_ends_it() {
        let mut joining = joining(&[1]);
        turn(&mut joining, 0);
        joining.opened(Time(0), 1, &mut Vec::new());
        let refused = PeerMessage::NotAdmitted {
            leader: None,
            why: "another attempt is current".to_owned(),
            retry: false,
        };
        let out = hear(&mut joining, 1, refused);
        assert!(
            matches!(out.last(), Some(JoiningOutput::Failed { why }) if why.contains("attempt"))
        );
    }
}
