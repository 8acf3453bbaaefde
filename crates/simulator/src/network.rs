//! The network: connections between processes, daemons and clients, and what befalls them.
//!
//! A connection keeps the order of what is sent on it and loses nothing unless it breaks, as TCP
//! does: where a direction is blocked, what was sent comes late, after the block. What real links do
//! on top (a newer connection overtaking an older one, a message sent again after a break) follows
//! from that; repeated and overtaken messages between engines come from the weather, because the
//! order promises to bear them.

use std::collections::BTreeMap;

use wire::client::{ClientReply, ClientRequest};
use wire::daemon::{DaemonReply, DaemonRequest};
use wire::hello::{Hello, Welcome};
use wire::peer::{PeerMessage, TransferHead};

use crate::random::Random;

/// A connection's number; never used again.
pub(crate) type ConnectionId = u64;

/// A place in the network: what is cut off together.
pub(crate) type Place = usize;

/// Who is at an end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Party {
    /// A replica's process, by number.
    Process(usize),
    /// A host's daemon, and which of its lives.
    Daemon(usize, u32),
    /// A client.
    Client(usize),
    /// An address where nobody listens.
    Nobody,
}

/// What travels.
#[derive(Clone, Debug)]
pub(crate) enum Parcel {
    Hello(Hello),
    Welcome(Welcome),
    Peer(PeerMessage),
    Request(ClientRequest),
    Reply(ClientReply),
    ToDaemon(DaemonRequest),
    FromDaemon(DaemonReply),
    /// A piece of a state on its way.
    Piece(u64),
    /// The last piece, with all of it.
    State(Box<TransferHead>, Vec<u8>),
}

/// What a connection brings to one of its sides.
#[allow(
    clippy::large_enum_variant,
    reason = "nearly all are parcels: a box would cost an allocation each"
)]
#[derive(Debug)]
pub(crate) enum Brought {
    Parcel(Parcel),
    /// The other side has closed it, or it broke.
    End(&'static str),
}

#[derive(Debug)]
struct Connection {
    ends: [Party; 2],
    places: [Place; 2],
    /// Whether each side still has it open.
    open: [bool; 2],
    /// The last arrival at each side: what is sent keeps its order.
    last: [u64; 2],
    /// Broken: what is under way never arrives.
    broken: bool,
}

/// What the network does to messages while it lasts, in chances per thousand messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Weather {
    /// A message takes 1 to 20 ms.
    pub(crate) late: u64,
    /// The connection breaks, with all that is under way on it.
    pub(crate) lost: u64,
    /// An engine's message comes twice.
    pub(crate) doubled: u64,
    /// An engine's message is overtaken by the next ones.
    pub(crate) overtaken: u64,
    /// Until when, in virtual microseconds.
    pub(crate) until: u64,
}

/// When what was brought to whom.
#[derive(Debug)]
pub(crate) struct Arrival {
    pub(crate) at: u64,
    pub(crate) connection: ConnectionId,
    pub(crate) side: usize,
    pub(crate) what: Brought,
}

#[derive(Debug)]
pub(crate) struct Network {
    connections: Vec<Connection>,
    /// Directions that carry nothing until then.
    blocked: BTreeMap<(Place, Place), u64>,
    /// Of links that touch this place.
    weather: BTreeMap<Place, Weather>,
}

impl Network {
    pub(crate) fn new() -> Network {
        Network {
            connections: Vec::new(),
            blocked: BTreeMap::new(),
            weather: BTreeMap::new(),
        }
    }

    /// A new connection; side 0 has dialled.
    pub(crate) fn connect(&mut self, ends: [Party; 2], places: [Place; 2]) -> ConnectionId {
        self.connections.push(Connection {
            ends,
            places,
            open: [true; 2],
            last: [0; 2],
            broken: false,
        });
        self.connections.len() as u64 - 1
    }

    fn get(&self, connection: ConnectionId) -> Option<&Connection> {
        self.connections.get(usize::try_from(connection).ok()?)
    }

    fn get_mut(&mut self, connection: ConnectionId) -> Option<&mut Connection> {
        self.connections.get_mut(usize::try_from(connection).ok()?)
    }

    /// Who is at this side.
    pub(crate) fn party(&self, connection: ConnectionId, side: usize) -> Party {
        self.get(connection)
            .map_or(Party::Nobody, |known| known.ends[side])
    }

    /// The side of a party.
    pub(crate) fn side(&self, connection: ConnectionId, party: Party) -> usize {
        usize::from(self.party(connection, 0) != party)
    }

    /// Sends from `side` to the other one.
    pub(crate) fn send(
        &mut self,
        now: u64,
        random: &mut Random,
        connection: ConnectionId,
        side: usize,
        parcel: Parcel,
        out: &mut Vec<Arrival>,
    ) {
        let to = 1 - side;
        let Some(known) = self.get(connection) else {
            return;
        };
        if known.broken || !known.open[side] {
            return;
        }
        let places = known.places;
        let mut delay = random.range(30, 200);
        let mut double = false;
        let mut overtaken = false;
        if let Some(weather) = self.weather_at(now, places) {
            if random.chance(weather.late) {
                delay = random.range(1_000, 20_000);
            }
            if random.chance(weather.lost) {
                return self.break_off(now, random, connection, out);
            }
            if matches!(parcel, Parcel::Peer(PeerMessage::Engine(_))) {
                double = random.chance(weather.doubled);
                overtaken = random.chance(weather.overtaken);
            }
        }
        let Some(known) = self.get_mut(connection) else {
            return;
        };
        let at = if overtaken {
            now + delay + 1_000
        } else {
            known.last[to] = known.last[to].max(now + delay);
            known.last[to]
        };
        if double {
            out.push(Arrival {
                at: at + delay,
                connection,
                side: to,
                what: Brought::Parcel(parcel.clone()),
            });
        }
        out.push(Arrival {
            at,
            connection,
            side: to,
            what: Brought::Parcel(parcel),
        });
    }

    fn weather_at(&self, now: u64, places: [Place; 2]) -> Option<Weather> {
        if self.weather.is_empty() || places[0] == places[1] {
            return None;
        }
        let of = |place| {
            self.weather
                .get(&place)
                .filter(|weather| weather.until > now)
        };
        of(places[0]).or_else(|| of(places[1])).copied()
    }

    /// What is to be done with an arrival: nothing if the connection is broken or closed there,
    /// later if the direction is blocked. Otherwise it arrives.
    pub(crate) fn arrives(&mut self, now: u64, random: &mut Random, arrival: Arrival) -> Outcome {
        let Arrival {
            connection,
            side,
            what,
            ..
        } = arrival;
        let Some(known) = self.get(connection) else {
            return Outcome::Nothing;
        };
        if !known.open[side] || (known.broken && matches!(what, Brought::Parcel(_))) {
            return Outcome::Nothing;
        }
        let (from, to) = (known.places[1 - side], known.places[side]);
        if let Some(until) = self.blocked_until(now, from, to) {
            let again = until + random.range(1_000, 200_000);
            let known = &mut self.connections[usize::try_from(connection).unwrap_or(0)];
            let at = if known.last[side] > until {
                known.last[side]
            } else {
                again
            };
            known.last[side] = at;
            return Outcome::Later(Arrival {
                at,
                connection,
                side,
                what,
            });
        }
        if matches!(what, Brought::End(_)) {
            self.connections[usize::try_from(connection).unwrap_or(0)].open[side] = false;
        }
        Outcome::Arrives(connection, side, what)
    }

    /// This side closes the connection; the other one hears of it.
    pub(crate) fn close(
        &mut self,
        now: u64,
        random: &mut Random,
        connection: ConnectionId,
        side: usize,
        out: &mut Vec<Arrival>,
    ) {
        let delay = random.range(30, 200);
        let Some(known) = self.get_mut(connection) else {
            return;
        };
        if !std::mem::replace(&mut known.open[side], false) || known.broken {
            return;
        }
        let to = 1 - side;
        known.last[to] = known.last[to].max(now + delay);
        out.push(Arrival {
            at: known.last[to],
            connection,
            side: to,
            what: Brought::End("closed by the other side"),
        });
    }

    /// What is under way is lost, and both sides learn of it.
    pub(crate) fn break_off(
        &mut self,
        now: u64,
        random: &mut Random,
        connection: ConnectionId,
        out: &mut Vec<Arrival>,
    ) {
        let delays = [random.range(20, 20_000), random.range(20, 20_000)];
        let Some(known) = self.get_mut(connection) else {
            return;
        };
        if std::mem::replace(&mut known.broken, true) {
            return;
        }
        for (side, delay) in delays.into_iter().enumerate() {
            out.push(Arrival {
                at: now + delay,
                connection,
                side,
                what: Brought::End("the connection broke"),
            });
        }
    }

    /// The machine of this party has lost its power: nobody hears anything of it any more.
    pub(crate) fn silence(&mut self, party: Party) {
        for known in &mut self.connections {
            for side in 0..2 {
                if known.ends[side] == party {
                    known.open[side] = false;
                    known.broken = true;
                }
            }
        }
    }

    /// The party's process is gone: its sockets are closed by the system.
    pub(crate) fn close_all(
        &mut self,
        now: u64,
        random: &mut Random,
        party: Party,
        out: &mut Vec<Arrival>,
    ) {
        for connection in self.open_of(party) {
            let side = self.side(connection, party);
            self.close(now, random, connection, side, out);
        }
    }

    /// The connections that this party has open.
    pub(crate) fn open_of(&self, party: Party) -> Vec<ConnectionId> {
        (0..)
            .zip(&self.connections)
            .filter(|(_, known)| {
                (0..2).any(|side| known.ends[side] == party && known.open[side] && !known.broken)
            })
            .map(|(number, _)| number)
            .collect()
    }

    /// Nothing passes from one place to another until then.
    pub(crate) fn block(&mut self, from: Place, to: Place, until: u64) {
        let known = self.blocked.entry((from, to)).or_default();
        *known = (*known).max(until);
    }

    /// What is blocked at `like` is blocked at `place` too.
    pub(crate) fn block_alike(&mut self, like: Place, place: Place) {
        let same = |other| if other == like { place } else { other };
        let alike: Vec<_> = self
            .blocked
            .iter()
            .filter(|((from, to), _)| *from == like || *to == like)
            .map(|(&(from, to), &until)| ((same(from), same(to)), until))
            .collect();
        self.blocked.extend(alike);
    }

    /// Until when nothing passes.
    pub(crate) fn blocked_until(&self, now: u64, from: Place, to: Place) -> Option<u64> {
        if self.blocked.is_empty() {
            return None;
        }
        self.blocked
            .get(&(from, to))
            .copied()
            .filter(|until| *until > now)
    }

    /// What links that touch this place suffer.
    pub(crate) fn set_weather(&mut self, place: Place, weather: Weather) {
        self.weather.insert(place, weather);
    }
}

/// See [`Network::arrives`].
#[derive(Debug)]
pub(crate) enum Outcome {
    Nothing,
    Later(Arrival),
    Arrives(ConnectionId, usize, Brought),
}
