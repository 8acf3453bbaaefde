//! What the layers hear, and what is done with what they want.

use group::{Group, Now};
use wire::daemon::DaemonRequest;
use wire::log::Proposal;

use super::{Output, Replica};
use crate::layer::{Effect, Event, LayerContext};
use crate::ordered::Ordered;

impl Replica {
    /// Gives an event to all layers and does what they want. Says whether they wanted anything of
    /// the group.
    pub(super) fn tell_layers(
        &mut self,
        now: Now,
        event: &Event<'_>,
        out: &mut Vec<Output>,
    ) -> bool {
        self.tell(now, None, event, out)
    }

    pub(super) fn tell_layer(
        &mut self,
        now: Now,
        name: &str,
        event: &Event<'_>,
        out: &mut Vec<Output>,
    ) {
        self.tell(now, Some(name), event, out);
    }

    fn tell(
        &mut self,
        now: Now,
        only: Option<&str>,
        event: &Event<'_>,
        out: &mut Vec<Output>,
    ) -> bool {
        let mut wants = Vec::new();
        let cx = context(now, &self.group, &self.ordered, &self.host);
        for layer in self.stack.layers_mut() {
            if only.is_none_or(|name| name == layer.name()) {
                let mut effects = Vec::new();
                layer.handle(&cx, event, &mut effects);
                wants.extend(effects.into_iter().map(|effect| (layer.name(), effect)));
            }
        }
        let mut moved = false;
        for (layer, effect) in wants {
            moved |= self.effect(now, layer, effect, out);
        }
        moved
    }

    fn effect(
        &mut self,
        now: Now,
        layer: &'static str,
        effect: Effect,
        out: &mut Vec<Output>,
    ) -> bool {
        match effect {
            Effect::Post(proposal) => self.group.post(proposal),
            // A refused change or hand-over is wanted again by the next look at the state.
            Effect::Change(change) => return self.group.change(now, change).is_ok(),
            Effect::HandOver { to } => return self.group.hand_over(now, to).is_ok(),
            Effect::Start {
                token,
                host,
                assignment,
            } => {
                let request = DaemonRequest::Start { token, assignment };
                out.push(Output::Daemon {
                    token,
                    host,
                    request,
                });
                return false;
            }
            Effect::Inventory { token, host } => {
                let request = DaemonRequest::Inventory { token };
                out.push(Output::Daemon {
                    token,
                    host,
                    request,
                });
                return false;
            }
            Effect::Fate {
                token,
                host,
                member,
            } => {
                let membership = self.group.membership();
                let request = DaemonRequest::Fate {
                    token,
                    group: membership.group.clone(),
                    incarnation: membership.incarnation,
                    member,
                };
                out.push(Output::Daemon {
                    token,
                    host,
                    request,
                });
                return false;
            }
            Effect::Died { member, how } => {
                let incarnation = self.group.membership().incarnation;
                self.group.died(incarnation, member, how);
            }
            Effect::Meet { strangers } => {
                let mut peers = self.group.peers();
                peers.extend(strangers);
                out.push(Output::Peers(peers));
                return false;
            }
            Effect::Multicast { payload } => {
                self.group.post(Proposal::Layer {
                    layer: layer.to_owned(),
                    payload,
                });
            }
            Effect::Note(note) => {
                out.push(Output::Note(note));
                return false;
            }
        }
        true
    }
}

pub(super) fn context<'a>(
    now: Now,
    group: &'a Group,
    ordered: &'a Ordered,
    host: &'a str,
) -> LayerContext<'a> {
    LayerContext {
        now,
        group,
        ordered,
        host,
    }
}
