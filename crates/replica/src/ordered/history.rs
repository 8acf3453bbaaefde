//! History: the last views and what made them, for people.

use std::collections::VecDeque;

use group::View;
use minicbor::{Decode, Encode};
use wire::status::HistoryRecord;
use wire::{OrderedTime, Position};

/// How many records are kept: an upgrade of a group of seven with some trouble fits.
const RECORDS_MAX: usize = 64;

/// A bounded list of what happened, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub(super) struct History(#[n(0)] VecDeque<Record>);

#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
struct Record {
    #[n(0)]
    position: Position,
    #[n(1)]
    time: OrderedTime,
    #[n(2)]
    what: String,
    #[cbor(n(3), with = "wire::list::exact")]
    members: Vec<String>,
}

impl History {
    pub(super) fn add(
        &mut self,
        position: Position,
        time: OrderedTime,
        what: String,
        members: Vec<String>,
    ) {
        if self.0.len() == RECORDS_MAX {
            self.0.pop_front();
        }
        self.0.push_back(Record {
            position,
            time,
            what,
            members,
        });
    }

    pub(super) fn records(&self) -> impl Iterator<Item = HistoryRecord> {
        self.0.iter().map(|record| HistoryRecord {
            position: record.position,
            time: record.time,
            what: record.what.clone(),
            members: record.members.clone(),
        })
    }
}

/// The members as people read them: `1v1.0.0 2v1.0.0`, by seniority.
pub(super) fn members(view: &View) -> Vec<String> {
    view.members
        .iter()
        .map(|member| format!("{}v{}", member.id.number(), member.binary.version))
        .collect()
}
