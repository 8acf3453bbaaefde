//! Situations written as strings: `1v1* 2v1? 3v2 | 4v2@0+` is a view by seniority and, behind the
//! bar, the joiners.
//!
//! A member is `<id>v<version>`, in the seat of its place in the list unless `@<seat>` says another;
//! `*` leads, `?` is suspected, `-` is leaving. A joiner names its seat, with an attempt of its own;
//! `+` is ready, `<<id>` takes the state of that member. Seats have one host each: `h0`, `h1`, ...

use group::{Joiner, Membership, Transfer};
use wire::daemon::{Foundation, HostRecord};
use wire::log::UpgradeRequest;
use wire::member::{Binary, Formats, Member, Seat, Standing};
use wire::{Build, MemberId, OrderedTime, Position, Version};

use crate::ordered::Ordered;
use crate::ordered::seat::{Attempt, Purpose};
use crate::ordered::upgrade::{Upgrade, UpgradeState};

pub(super) fn id(number: u64) -> MemberId {
    MemberId::new(number).expect("members are numbered from 1")
}

pub(super) fn binary(version: u64) -> Binary {
    Binary {
        version: Version::new(version, 0, 0),
        build: Build([u8::try_from(version).expect("versions in tests are small"); 32]),
    }
}

/// Another build of the same version.
pub(super) fn hotfix(version: u64) -> Binary {
    Binary {
        build: Build([0xff; 32]),
        ..binary(version)
    }
}

/// Each version has a format of its own and reads its predecessor's; version 2 also writes 1.
pub(super) fn formats(version: u64) -> Formats {
    let own = u32::try_from(version).expect("versions in tests are small");
    Formats {
        own,
        reads: (own.saturating_sub(1).max(1)..=own).collect(),
        writes: if own == 2 { vec![1, 2] } else { vec![own] },
    }
}

pub(super) fn member(number: u64, binary: Binary, seat: u32, host: &str) -> Member {
    let formats = formats(binary.version.0.major);
    let port = 1000 + u16::try_from(number).expect("members in tests are few");
    Member {
        id: id(number),
        host: host.to_owned(),
        address: ([127, 0, 0, 1], port).into(),
        binary,
        formats,
        seat: Seat(seat),
        attempt: 0,
        standing: Standing::Serving,
    }
}

pub(super) fn foundation(initial: u32, minimal: u32) -> Foundation {
    let host = |number: u32| HostRecord {
        name: format!("h{number}"),
        daemon: ([127, 0, 0, 1], 100).into(),
    };
    Foundation {
        stack: "PGMS:EGMI:Recovery:Upgrade".to_owned(),
        initial,
        minimal,
        hosts: (0..initial).map(host).collect(),
    }
}

pub(super) fn request(target: Binary) -> UpgradeRequest {
    UpgradeRequest {
        target,
        parallel: 1,
        attempts: 2,
        patience_ms: 1_000,
        token: 7,
    }
}

/// A moment of a group's life.
pub(super) struct Situation {
    pub(super) ordered: Ordered,
    pub(super) membership: Membership,
}

/// A group as `text` says, version 1 effective, `minimal` 1, no upgrade.
pub(super) fn group(text: &str) -> Situation {
    Situation::read(text)
}

/// The same with an upgrade to version 2 running.
pub(super) fn upgrading(text: &str) -> Situation {
    let mut situation = Situation::read(text);
    situation.ordered.upgrade = Some(Upgrade {
        id: Position(9),
        request: request(binary(2)),
        from: binary(1),
        activated: None,
        proven: text
            .split('|')
            .next()
            .is_some_and(|view| view.contains("v2")),
        started: OrderedTime(0),
        ended: None,
        state: UpgradeState::Running,
    });
    situation.mark_turns();
    situation
}

impl Situation {
    fn read(text: &str) -> Situation {
        let (view, joiners) = text.split_once('|').unwrap_or((text, ""));
        let view: Vec<Token> = view
            .split_whitespace()
            .enumerate()
            .map(Token::read)
            .collect();
        let joiners = joiners.split_whitespace().enumerate().map(Token::read);
        let joiners: Vec<Token> = joiners.collect();
        let seats = view
            .iter()
            .chain(&joiners)
            .map(|token| token.seat + 1)
            .max()
            .unwrap_or(1);
        let (first, rest) = view.split_first().expect("a view has a member");
        let mut membership =
            Membership::found("group".to_owned(), "service".to_owned(), 1, first.member(0));
        membership
            .view
            .members
            .extend(rest.iter().map(|token| token.member(0)));
        let all: Vec<&Token> = view.iter().collect();
        membership.leader = all
            .iter()
            .find(|token| token.has('*'))
            .map(|token| id(token.id));
        membership.view.leaving = all
            .iter()
            .find(|token| token.has('-'))
            .map(|token| id(token.id));
        let mut ordered =
            Ordered::found(foundation(seats, 1), binary(1), &membership, OrderedTime(0));
        for token in &joiners {
            let member = token.member(1);
            let seat = ordered
                .seat_mut(member.seat)
                .expect("a joiner names a seat");
            seat.attempts = 1;
            seat.current = Some(Attempt {
                number: 1,
                by: first.member(0).id,
                host: token.seat,
                binary: member.binary.clone(),
                purpose: Purpose::Recovery,
                since: OrderedTime(0),
                joiner: Some(member.id),
            });
            ordered.learn(&member);
            let transfer = token.donor().map(|donor| Transfer {
                position: Position(5),
                donor: id(donor),
            });
            membership.joiners.push(Joiner {
                ready: token.has('+'),
                transfer,
                member,
            });
        }
        let ids = membership.everybody().map(|member| member.id.number());
        membership.next_member = ids.max().unwrap_or(0) + 1;
        Situation {
            ordered,
            membership,
        }
    }

    /// Joiners for seats whose occupants serve are there because of a turn.
    fn mark_turns(&mut self) {
        for joiner in &self.membership.joiners {
            let seat = joiner.member.seat;
            let by = self
                .ordered
                .able(&self.membership)
                .find(|member| member.seat == seat)
                .map(|member| member.id);
            let state = self.ordered.seat_mut(seat).expect("a joiner names a seat");
            if let (Some(by), Some(attempt)) = (by, &mut state.current) {
                attempt.by = by;
                attempt.purpose = Purpose::Upgrade;
            }
        }
    }

    pub(super) fn with_foundation(mut self, minimal: u32) -> Situation {
        self.ordered.foundation.minimal = minimal;
        self
    }

    pub(super) fn with_parallel(mut self, parallel: u32) -> Situation {
        let upgrade = self.ordered.upgrade.as_mut().expect("an upgrade runs");
        upgrade.request.parallel = parallel;
        self
    }

    /// The running upgrade was activated.
    pub(super) fn activated(mut self) -> Situation {
        let upgrade = self.ordered.upgrade.as_mut().expect("an upgrade runs");
        upgrade.activated = Some(Position(20));
        self.ordered.effective = upgrade.request.target.clone();
        self
    }
}

struct Token {
    id: u64,
    version: u64,
    seat: u32,
    marks: String,
}

impl Token {
    fn read((place, text): (usize, &str)) -> Token {
        let (id, rest) = text.split_once('v').expect("<id>v<version>");
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (version, rest) = rest.split_at(digits);
        let (seat, marks) = match rest.strip_prefix('@') {
            Some(rest) => rest.split_at(1),
            None => ("", rest),
        };
        let place = u32::try_from(place).expect("views in tests are short");
        Token {
            id: id.parse().expect("an id"),
            version: version.parse().expect("a version"),
            seat: seat.parse().unwrap_or(place),
            marks: marks.to_owned(),
        }
    }

    fn has(&self, mark: char) -> bool {
        self.marks.contains(mark)
    }

    fn donor(&self) -> Option<u64> {
        let (_, donor) = self.marks.split_once('<')?;
        donor.parse().ok()
    }

    fn member(&self, attempt: u32) -> Member {
        let host = format!("h{}", self.seat);
        Member {
            attempt,
            standing: if self.has('?') {
                Standing::Suspected
            } else {
                Standing::Serving
            },
            ..member(self.id, binary(self.version), self.seat, &host)
        }
    }
}
