//! What is remembered of a group that is looked at again and again: how its seats were filled anew,
//! and its history, of which it keeps only the last part itself.

use std::collections::BTreeMap;

use wire::member::Seat;
use wire::status::{GroupStatus, MemberStatus};
use wire::{MemberId, Position};

use super::report::{Replacement, View};

/// Everything that was seen so far. Moments are microseconds since 1970: the group is looked at
/// before the load begins.
#[derive(Debug, Default)]
pub(crate) struct Watch {
    /// Up to where the member that answered last had delivered the order.
    position: Position,
    /// When that was.
    looked_us: u64,
    seats: BTreeMap<Seat, SeatSeen>,
    replacements: Vec<Replacement>,
    /// By position and place in the history of that position.
    views: BTreeMap<(u64, usize), Seen>,
}

/// What was seen of one seat.
#[derive(Debug, Default)]
struct SeatSeen {
    occupant: Option<(MemberId, String)>,
    /// Since when its occupant is being replaced, or missing.
    disturbed_us: Option<u64>,
}

/// A record of the group's history.
#[derive(Debug)]
struct Seen {
    at_us: u64,
    what: String,
}

impl Watch {
    /// Takes in what the group says at this moment; returns what is new in its history.
    pub(crate) fn look(&mut self, at_us: u64, status: &GroupStatus) -> Vec<String> {
        // Another member may answer than before, and lag behind it.
        if status.position < self.position {
            return Vec::new();
        }
        self.position = status.position;
        let last_us = std::mem::replace(&mut self.looked_us, at_us);
        for seat in 0..status.initial {
            self.seat(at_us, Seat(seat), status);
        }
        let mut news = Vec::new();
        let mut place = (0, 0);
        for record in &status.history {
            let position = record.position.0;
            place = (position, if position == place.0 { place.1 + 1 } else { 0 });
            self.views.entry(place).or_insert_with(|| {
                let members = record.members.join(" ");
                let what = format!("{} [{members}]", record.what);
                news.push(what.clone());
                // The group's own time, as far as it agrees with ours: it was not there when we
                // last looked, and it is now.
                let at_us = (record.time.0 * 1000).clamp(last_us, at_us);
                Seen { at_us, what }
            });
        }
        news
    }

    /// The replacements that ended since they were last taken, with times since the load began.
    pub(crate) fn take_replacements(&mut self, began_us: u64) -> Vec<Replacement> {
        let mut taken = std::mem::take(&mut self.replacements);
        for replacement in &mut taken {
            replacement.began_us = replacement.began_us.saturating_sub(began_us);
            replacement.ended_us = replacement.ended_us.saturating_sub(began_us);
        }
        taken
    }

    /// The history, with times since the load began.
    pub(crate) fn views(&self, began_us: u64) -> Vec<View> {
        let view = |seen: &Seen| View {
            at_us: seen.at_us.cast_signed() - began_us.cast_signed(),
            what: seen.what.clone(),
        };
        self.views.values().map(view).collect()
    }

    fn seat(&mut self, at_us: u64, seat: Seat, status: &GroupStatus) {
        let seen = self.seats.entry(seat).or_default();
        let here = || status.members.iter().filter(|member| member.seat == seat);
        let newest = here().max_by_key(|member| member.member);
        let joins = status.joiners.iter().any(|joiner| joiner.seat == seat);
        let settled = |member: &&MemberStatus| member.doing == "serving";
        let (Some(occupant), 1, false) = (newest.filter(settled), here().count(), joins) else {
            seen.disturbed_us.get_or_insert(at_us);
            return;
        };
        let began_us = seen.disturbed_us.take().unwrap_or(at_us);
        let now = (occupant.member, occupant.binary.version.to_string());
        if let Some((before, version)) = &seen.occupant
            && *before != now.0
        {
            self.replacements.push(Replacement {
                seat: seat.0,
                what: format!("{} ({}) for {before} ({version})", now.0, now.1),
                began_us,
                ended_us: at_us,
            });
        }
        seen.occupant = Some(now);
    }
}

#[cfg(test)]
mod tests {
    use wire::OrderedTime;
    use wire::status::HistoryRecord;

    use super::super::strike::tests::status;
    use super::*;

    /// The replacements in a group that is seen like this, once a millisecond.
    fn replaced(seen: &[&str]) -> Vec<(u32, String, u64, u64)> {
        let mut watch = Watch::default();
        for (at_ms, text) in (0..).zip(seen) {
            watch.look(at_ms * 1000, &status(text));
        }
        let tuple = |r: Replacement| (r.seat, r.what, r.began_us / 1000, r.ended_us / 1000);
        watch.take_replacements(0).into_iter().map(tuple).collect()
    }

    #[test]
    fn a_replacement_lasts_from_the_turn_until_the_old_one_is_out() {
        let seen = [
            "1v1 2v1 3v1",
            "1v1upgrading 2v1 3v1",
            "1v1upgrading 2v1 3v1 | 4v2joining@0",
            "1v1leaving 2v1 3v1 4v2@0",
            "2v1@1 3v1@2 4v2@0",
            "2v1@1 3v1@2 4v2@0",
        ];
        let what = "m4 (2.0.0) for m1 (1.0.0)".to_owned();
        assert_eq!(replaced(&seen), [(0, what, 1, 4)]);
    }

    #[test]
    fn a_member_that_died_is_replaced_from_its_absence_on() {
        let seen = [
            "1v1 2v1 3v1",
            "1v1 2v1",
            "1v1 2v1 | 4v1joining@2",
            "1v1 2v1 4v1@2",
        ];
        let what = "m4 (1.0.0) for m3 (1.0.0)".to_owned();
        assert_eq!(replaced(&seen), [(2, what, 1, 3)]);
    }

    #[test]
    fn a_turn_that_failed_and_passed_replaces_nobody() {
        let seen = ["1v1 2v1 3v1", "1v1upgrading 2v1 3v1", "1v1 2v1 3v1"];
        assert_eq!(replaced(&seen), []);
    }

    #[test]
    fn a_member_that_lags_behind_tells_nothing_new() {
        let mut watch = Watch::default();
        watch.look(0, &status("2v1@1 3v1@2 4v2@0"));
        let mut old = status("1v1 2v1 3v1");
        old.position = Position(8);
        watch.look(1, &old);
        assert_eq!(watch.take_replacements(0), []);
    }

    #[test]
    fn the_history_is_kept_although_the_group_forgets_it() {
        let record = |position, time, what: &str| HistoryRecord {
            position: Position(position),
            time: OrderedTime(time),
            what: what.to_owned(),
            members: vec!["1v1.0.0".to_owned()],
        };
        let mut watch = Watch::default();
        let mut group = status("1v1 2v1 3v1");
        group.history = vec![record(2, 10, "founded"), record(2, 10, "joined")];
        assert_eq!(watch.look(11_500, &group).len(), 2);
        group.history = vec![record(2, 10, "founded"), record(2, 10, "joined")];
        group.history.push(record(5, 12, "died"));
        assert_eq!(watch.look(12_500, &group), ["died [1v1.0.0]"]);
        // A group whose time lags: what is new cannot have been there at the last look.
        group.history = vec![record(7, 12, "gone")];
        assert_eq!(watch.look(14_000, &group), ["gone [1v1.0.0]"]);
        let views = watch.views(11_000);
        let told: Vec<(i64, &str)> = views.iter().map(|v| (v.at_us, v.what.as_str())).collect();
        assert_eq!(
            told,
            [
                (-1000, "founded [1v1.0.0]"),
                (-1000, "joined [1v1.0.0]"),
                (1000, "died [1v1.0.0]"),
                (1500, "gone [1v1.0.0]"),
            ]
        );
    }
}
