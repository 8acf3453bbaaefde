//! What the layer above the order owes the group, as the real one does: whoever leads ends a swap, takes
//! out the dead, and gives the joiner a state and a vote.

use order::{Configuration, Content, Refusal, Step};
use wire::{MemberId, Position, Time};

use super::{Joiner, Stage};
use crate::world::{Node, id};

impl Stage {
    /// What whoever leads owes the group: the end of a swap, the removal of the dead, a state and a
    /// vote for the joiner.
    pub(super) fn owe(&mut self, leader: MemberId) {
        let now = Time(self.world.now);
        self.give_state(leader);
        if let Some(hasty) = self.hasty
            && leader != id(1)
        {
            self.hasty = None;
            let _ = self.change(leader.number(), hasty, b"hasty");
        }
        let ready = self.ready(leader);
        let order = self.world.order(leader.number());
        if order.change_pending() || order.hands_over() {
            return;
        }
        let configuration = order.configuration().clone();
        let dead = self.dead.iter().find(|dead| configuration.contains(**dead));
        let step = if configuration.joint() {
            Step::Settle
        } else if let Some(dead) = dead {
            Step::Remove(*dead)
        } else if let Some(ready) = ready {
            Step::Promote(ready)
        } else {
            return;
        };
        let mut done = order.change(step, b"owed".to_vec());
        if done == Err(Refusal::RemovesLeader) {
            let mut heirs = configuration.voters.iter();
            let heir = heirs.find(|heir| order.hand_over(now, **heir).is_ok());
            done = heir.map(|_| ()).ok_or(Refusal::CannotLead);
        }
        self.acted |= done.is_ok();
    }

    fn give_state(&mut self, leader: MemberId) {
        let Some(Joiner {
            member,
            forgets,
            ref mut began,
        }) = self.joiner
        else {
            return;
        };
        let node = self.world.nodes.get_mut(&leader).unwrap();
        let asked = node.needs_state.iter().position(|asked| *asked == member);
        let again = asked.map(|asked| node.needs_state.remove(asked)).is_some();
        let knows = node.order.configuration().learners.contains(&member);
        let gone = *began && !self.world.nodes.contains_key(&member);
        if !knows || gone || (*began && !again) {
            return;
        }
        *began = true;
        let start = self.world.start_of(leader.number());
        if forgets {
            let order = self.world.order(leader.number());
            let voters = order.configuration().voters.clone();
            let matched = voters.iter().filter_map(|voter| order.matched(*voter));
            let floor = matched.min().unwrap_or(Position(0)).min(start.position);
            order.compact(floor);
        }
        self.begin(member, &start);
    }

    /// The joiner, if it has all that its leader has.
    fn ready(&self, leader: MemberId) -> Option<MemberId> {
        let joiner = self.joiner.as_ref().filter(|joiner| joiner.began)?.member;
        let order = &self.world.nodes[&leader].order;
        let learns = order.configuration().learners.contains(&joiner);
        let follows = order.matched(joiner) == Some(order.last());
        (learns && follows && order.committed() == order.last()).then_some(joiner)
    }

    /// The last configuration that anybody delivered, and where.
    fn configured(&self) -> Option<(Position, &Configuration)> {
        let mut history = self.history.iter().rev();
        history.find_map(|(at, delivery)| {
            let Content::Change { configuration, .. } = &delivery.content else {
                return None;
            };
            Some((*at, configuration))
        })
    }

    /// Who is out runs on until all who are in know it, and then ends.
    pub(super) fn end_the_removed(&mut self) {
        let Some((at, configuration)) = self.configured() else {
            return;
        };
        let nodes = self.world.nodes.iter();
        let (within, without): (Vec<_>, Vec<_>) =
            nodes.partition(|(id, _)| configuration.contains(**id));
        let knows = |(_, node): &(&MemberId, &Node)| {
            node.delivered
                .last()
                .is_some_and(|last| last.position >= at)
        };
        if within.iter().all(knows) {
            let without: Vec<MemberId> = without.into_iter().map(|(id, _)| *id).collect();
            for out in without {
                self.lose(out, true);
            }
        }
    }
}
