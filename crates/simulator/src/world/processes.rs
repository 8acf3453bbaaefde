//! Replicas' loops: what arrives is brought to the machines, what they want is carried out.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use group::{Admitted, JoiningOutput, Links, Now};
use replica::{End, Output, Replica};
use wire::MemberId;
use wire::daemon::{DaemonReply, DaemonRequest, HostRecord};
use wire::hello::{Hello, Opener, Welcome};
use wire::peer::{PeerMessage, TransferHead};

use super::{Event, GROUP, World, daemon_address, pid, place_of_daemon, place_of_host};
use crate::network::{Brought, ConnectionId, Parcel, Party};
use crate::process::{Job, Life, Member, Purpose, Report};

/// How long whoever is dialled may take to answer.
const HELLO_PATIENCE: u64 = 2_000_000;
/// The pause before the local daemon is tried again.
const REDIAL_DAEMON: u64 = 100_000;
/// What one turn of the loop takes.
const TURN: u64 = 8;
/// How much longer everything takes in a slow process.
const SLOWNESS: u64 = 200;

impl World<'_> {
    /// The process takes a turn then, or earlier.
    pub(crate) fn wake(&mut self, process: usize, at: u64) {
        let known = &mut self.processes[process];
        let at = at.max(known.paused_until).max(known.busy_until);
        if known.turn_at.is_none_or(|turn| at < turn) {
            known.turn_at = Some(at);
            self.queue.push(at, Event::Turn(process));
        }
    }

    pub(super) fn brought(
        &mut self,
        process: usize,
        connection: ConnectionId,
        side: usize,
        what: Brought,
    ) {
        if self.processes[process].is_dead() {
            return self.close_from(Party::Process(process), connection);
        }
        self.processes[process].inbox.push((connection, side, what));
        self.wake(process, self.now + 2);
    }

    pub(super) fn turn_due(&mut self, process: usize) {
        let known = &mut self.processes[process];
        if known.turn_at != Some(self.now) {
            return;
        }
        known.turn_at = None;
        if known.paused_until > self.now || known.busy_until > self.now {
            return self.wake(process, self.now);
        }
        let slow = if known.slow_until > self.now {
            SLOWNESS
        } else {
            1
        };
        known.busy_until = self.now + TURN * slow;
        if known.is_dead() {
            return;
        }
        self.trace.event(self.now, 4, process as u64);
        self.turn(process);
    }

    fn turn(&mut self, process: usize) {
        let now = self.moment(self.processes[process].host);
        let mut out = Vec::new();
        for report in std::mem::take(&mut self.processes[process].reports) {
            self.report(process, report, &mut out);
        }
        for (connection, side, what) in std::mem::take(&mut self.processes[process].inbox) {
            match what {
                Brought::Parcel(parcel) => {
                    self.heard(process, now, connection, side, parcel, &mut out);
                }
                Brought::End(why) => self.closed(process, now, connection, why, &mut out),
            }
        }
        self.reach_daemon(process);
        self.tend_links(process, now);
        match &mut self.processes[process].life {
            Life::Member(member) => member.replica.turn(now, &mut out),
            Life::Joining(asking) => {
                let mut wanted = Vec::new();
                asking.joining.turn(now.time, &mut wanted);
                self.carry_out_joining(process, now, wanted);
            }
            Life::Idle | Life::Ended => return,
        }
        let mut again = false;
        while !out.is_empty() {
            for output in std::mem::take(&mut out) {
                again |= self.carry_out(process, now, output, &mut out);
            }
        }
        if self.processes[process].is_dead() {
            return;
        }
        self.look_at(process);
        let (deadline, dials) = match &self.processes[process].life {
            Life::Member(member) => (
                [member.replica.deadline(), member.links.deadline()]
                    .into_iter()
                    .flatten()
                    .min(),
                !member.links.due(now.time).is_empty(),
            ),
            Life::Joining(asking) => (asking.joining.deadline(), false),
            Life::Idle | Life::Ended => (None, false),
        };
        if again || dials {
            self.wake(process, self.now + 1);
        }
        if let Some(deadline) = deadline {
            let host = self.processes[process].host;
            let at = self.clock(host).when(deadline).max(self.now + 1);
            self.wake(process, at);
        }
        if let Err(at) = self.processes[process].local {
            self.wake(process, at.max(self.now + 1));
        }
    }

    fn report(&mut self, process: usize, report: Report, out: &mut Vec<Output>) {
        match report {
            Report::Applied { position, answers } => {
                for answer in answers {
                    let parcel = Parcel::Reply(answer.reply);
                    self.send_from(Party::Process(process), answer.connection, parcel);
                }
                if let Some(member) = self.processes[process].member_mut() {
                    member.replica.applied(position);
                }
            }
            Report::Exported { joiner, result } => {
                if let Some(member) = self.processes[process].member_mut() {
                    member.replica.exported(joiner, result, out);
                }
            }
        }
    }

    fn tend_links(&mut self, process: usize, now: Now) {
        let Some(member) = self.processes[process].member_mut() else {
            return;
        };
        let expired = member.links.expired(now.time);
        let mut out = Vec::new();
        for connection in expired {
            self.close_from(Party::Process(process), connection);
            self.closed(process, now, connection, "it has left the view", &mut out);
        }
        let Some(member) = self.processes[process].member_mut() else {
            return;
        };
        for (peer, address) in member.links.due(now.time) {
            let hello = match self.processes[process].replica() {
                Some(replica) => replica.hello(),
                None => return,
            };
            let connection = self.dial_for(process, address, Purpose::Dialled(peer), hello);
            if let Some(member) = self.processes[process].member_mut() {
                member.links.dialling(peer, connection);
            }
        }
    }

    fn dial_for(
        &mut self,
        process: usize,
        address: SocketAddr,
        purpose: Purpose,
        hello: Hello,
    ) -> ConnectionId {
        let party = Party::Process(process);
        let place = place_of_host(self.processes[process].host);
        let connection = self.dial(party, place, address);
        self.processes[process].purposes.insert(connection, purpose);
        self.send(connection, 0, Parcel::Hello(hello));
        self.after(HELLO_PATIENCE, Event::Patience(process, connection));
        connection
    }

    pub(super) fn patience(&mut self, process: usize, connection: ConnectionId) {
        let waits = match self.processes[process].purposes.get(&connection) {
            Some(Purpose::Dialled(_) | Purpose::Asking(_) | Purpose::Unknown) => true,
            // A joiner that nobody has announced is not waited for.
            Some(Purpose::Give) => self.processes[process]
                .member()
                .is_some_and(|member| member.donations.values().any(|given| *given == connection)),
            Some(
                Purpose::Client
                | Purpose::RemoteDaemon(_)
                | Purpose::Peer(_)
                | Purpose::Joiner
                | Purpose::News
                | Purpose::Asked(_)
                | Purpose::Fetch
                | Purpose::LocalDaemon,
            )
            | None => false,
        };
        if waits {
            self.close_from(Party::Process(process), connection);
            self.brought(process, connection, 0, Brought::End("no answer in time"));
        }
    }

    // What arrives.

    fn heard(
        &mut self,
        process: usize,
        now: Now,
        connection: ConnectionId,
        side: usize,
        parcel: Parcel,
        out: &mut Vec<Output>,
    ) {
        let purpose = self.processes[process]
            .purposes
            .get(&connection)
            .copied()
            .unwrap_or(Purpose::Unknown);
        match parcel {
            Parcel::Hello(hello) => self.hello(process, now, connection, side, &hello, out),
            Parcel::Welcome(welcome) => {
                self.welcome(process, now, connection, purpose, welcome, out);
            }
            Parcel::Request(request) => {
                if let (Purpose::Client, Some(member)) =
                    (purpose, self.processes[process].member_mut())
                {
                    member.replica.client_heard(now, connection, request, out);
                }
            }
            Parcel::Peer(message) => self.peer(process, now, connection, purpose, message, out),
            Parcel::FromDaemon(reply) => self.daemon_said(process, now, purpose, &reply, out),
            Parcel::Piece(received) => {
                if let Life::Joining(asking) = &mut self.processes[process].life
                    && asking
                        .fetching
                        .is_some_and(|(fetch, _)| fetch == connection)
                {
                    asking.joining.received(received);
                }
            }
            Parcel::State(head, bytes) => {
                self.state_came(process, now, connection, &head, &bytes);
            }
            Parcel::Reply(_) | Parcel::ToDaemon(_) => {}
        }
    }

    fn hello(
        &mut self,
        process: usize,
        now: Now,
        connection: ConnectionId,
        side: usize,
        hello: &Hello,
        out: &mut Vec<Output>,
    ) {
        let party = Party::Process(process);
        let welcome = match &self.processes[process].life {
            Life::Member(member) => member.replica.greet(hello),
            Life::Joining(_) => Welcome::Refused {
                why: "this replica is still joining its group: try another".to_owned(),
            },
            Life::Idle | Life::Ended => return,
        };
        let accepted = matches!(welcome, Welcome::Accepted { .. });
        self.send(connection, side, Parcel::Welcome(welcome));
        let known = &mut self.processes[process];
        let Life::Member(member) = &mut known.life else {
            return;
        };
        if !accepted {
            return self.close_from(party, connection);
        }
        let purpose = match &hello.opener {
            Opener::Client => {
                member.replica.client_opened(connection, out);
                Purpose::Client
            }
            Opener::Peer { member: peer, .. } => Purpose::Peer(*peer),
            Opener::Joiner => Purpose::Joiner,
            Opener::Daemon { .. } => Purpose::News,
            Opener::Bulk {
                joiner, position, ..
            } => {
                member.donations.insert((*joiner, *position), connection);
                Purpose::Give
            }
        };
        known.purposes.insert(connection, purpose);
        if purpose == Purpose::Give {
            self.execute_at(process, self.now + 1);
            self.after(HELLO_PATIENCE, Event::Patience(process, connection));
        }
        if let Purpose::Peer(peer) = purpose {
            self.linked(process, now, peer, connection);
        }
    }

    fn welcome(
        &mut self,
        process: usize,
        now: Now,
        connection: ConnectionId,
        purpose: Purpose,
        welcome: Welcome,
        out: &mut Vec<Output>,
    ) {
        match (purpose, welcome) {
            (Purpose::Asking(link), Welcome::Accepted { .. }) => {
                self.processes[process]
                    .purposes
                    .insert(connection, Purpose::Asked(link));
                if let Life::Joining(asking) = &mut self.processes[process].life {
                    let mut wanted = Vec::new();
                    asking.joining.opened(now.time, link, &mut wanted);
                    self.carry_out_joining(process, now, wanted);
                }
            }
            (Purpose::Dialled(peer), Welcome::Accepted { member, .. }) if member == Some(peer) => {
                self.processes[process]
                    .purposes
                    .insert(connection, Purpose::Peer(peer));
                self.linked(process, now, peer, connection);
            }
            (Purpose::Fetch, Welcome::Accepted { .. }) => {}
            (purpose, welcome) => {
                if let (Purpose::Dialled(peer), Welcome::Removed { view }) = (purpose, &welcome) {
                    self.note(
                        process,
                        format!("{peer} says that {view} stands without it"),
                    );
                    if let Some(member) = self.processes[process].member_mut() {
                        member.replica.removed(*view);
                    }
                }
                self.close_from(Party::Process(process), connection);
                self.closed(process, now, connection, "not welcome there", out);
            }
        }
    }

    fn peer(
        &mut self,
        process: usize,
        now: Now,
        connection: ConnectionId,
        purpose: Purpose,
        message: PeerMessage,
        out: &mut Vec<Output>,
    ) {
        if let Purpose::Asked(link) = purpose {
            if let Life::Joining(asking) = &mut self.processes[process].life {
                let mut wanted = Vec::new();
                asking.joining.heard(now.time, link, message, &mut wanted);
                self.carry_out_joining(process, now, wanted);
            }
            return;
        }
        let Some(member) = self.processes[process].member_mut() else {
            return;
        };
        if let (Purpose::Peer(peer), PeerMessage::Survives { stands_back, .. }) =
            (purpose, &message)
            && *stands_back
        {
            let me = member.replica.me();
            self.checkers.incarnations.stands_back(me, peer);
        }
        match (purpose, message) {
            (Purpose::Peer(peer), message) => member.replica.heard(now, peer, message, out),
            (Purpose::Joiner, message) => {
                member.replica.joiner_heard(now, connection, message, out);
            }
            (
                Purpose::News,
                PeerMessage::Died {
                    incarnation,
                    member: dead,
                    how,
                },
            ) => member.replica.died(incarnation, dead, how),
            (_, _) => {}
        }
    }

    fn linked(&mut self, process: usize, now: Now, peer: MemberId, connection: ConnectionId) {
        let party = Party::Process(process);
        let known = &mut self.processes[process];
        let Life::Member(member) = &mut known.life else {
            return;
        };
        let replaced = member.links.up(now.time, peer, connection);
        if let Some((_, true)) = replaced {
            member.replica.unlinked(now, peer);
        }
        member.replica.linked(now, peer);
        if let Some((old, _)) = replaced {
            known.purposes.remove(&old);
            self.close_from(party, old);
        }
    }

    fn closed(
        &mut self,
        process: usize,
        now: Now,
        connection: ConnectionId,
        why: &str,
        out: &mut Vec<Output>,
    ) {
        let Some(purpose) = self.processes[process].purposes.remove(&connection) else {
            return;
        };
        match purpose {
            Purpose::Asking(link) | Purpose::Asked(link) => {
                if let Life::Joining(asking) = &mut self.processes[process].life {
                    asking.links.remove(&link);
                    asking.joining.closed(now.time, link, why);
                }
            }
            Purpose::Fetch => {
                if let Life::Joining(asking) = &mut self.processes[process].life
                    && asking
                        .fetching
                        .take_if(|(fetch, _)| *fetch == connection)
                        .is_some()
                {
                    asking.joining.broke(now.time, why.to_owned());
                    self.note(process, format!("the state did not come: {why}"));
                }
            }
            Purpose::Give => {
                if let Some(member) = self.processes[process].member_mut() {
                    member.donations.retain(|_, given| *given != connection);
                }
            }
            Purpose::LocalDaemon | Purpose::RemoteDaemon(_) => {
                self.daemon_lost(process, now, purpose, connection, why, out);
            }
            Purpose::Client => {
                if let Some(member) = self.processes[process].member_mut() {
                    member.replica.client_closed(connection, out);
                }
            }
            Purpose::Peer(peer) => {
                if let Some(member) = self.processes[process].member_mut()
                    && member.links.down(now.time, peer, Some(connection))
                {
                    member.replica.unlinked(now, peer);
                    self.note(process, format!("the link to {peer} ends: {why}"));
                }
            }
            Purpose::Dialled(peer) => {
                if let Some(member) = self.processes[process].member_mut() {
                    member.links.down(now.time, peer, Some(connection));
                }
            }
            Purpose::Unknown | Purpose::Joiner | Purpose::News => {}
        }
    }

    // What a member wants.

    /// True if the machine was told something after its turn.
    fn carry_out(
        &mut self,
        process: usize,
        now: Now,
        output: Output,
        out: &mut Vec<Output>,
    ) -> bool {
        let party = Party::Process(process);
        let Some(member) = self.processes[process].member_mut() else {
            return false;
        };
        match output {
            Output::Send { to, message } => {
                if let Some(connection) = member.links.link(to) {
                    self.send_from(party, connection, Parcel::Peer(message));
                }
            }
            Output::Answer { link, message } => {
                self.send_from(party, link, Parcel::Peer(message));
            }
            Output::Client { connection, reply } => {
                self.send_from(party, connection, Parcel::Reply(reply));
            }
            Output::Peers(peers) => {
                let known = member.links.want(now.time, &peers);
                for peer in &known {
                    member.replica.linked(now, *peer);
                }
                return !known.is_empty();
            }
            Output::Work(work) => {
                let me = member.replica.me();
                self.checkers.delivered(me, &work);
                self.queue_job(process, Job::Work(work));
            }
            Output::Export {
                joiner,
                position,
                format,
                head,
                alone: _,
            } => self.queue_job(
                process,
                Job::Export(Box::new(crate::process::Export {
                    joiner,
                    position,
                    format,
                    head,
                })),
            ),
            Output::CancelExport { joiner } => {
                member.jobs.retain(|job| match job {
                    Job::Export(export) => export.joiner != joiner,
                    Job::Work(_) => true,
                });
                member.images.retain(|(to, _), _| *to != joiner);
                let given: Vec<ConnectionId> = member
                    .donations
                    .extract_if(.., |(to, _), _| *to == joiner)
                    .map(|(_, connection)| connection)
                    .collect();
                for connection in given {
                    self.close_from(party, connection);
                }
                self.execute_at(process, self.now + 1);
            }
            Output::Daemon {
                token,
                host,
                request,
            } => return self.ask_daemon(process, now, token, &host, request, out),
            Output::Tell(request) => self.tell_daemon(process, request),
            Output::Note(note) => self.note(process, note),
            Output::End(end) => self.member_ends(process, end),
        }
        false
    }

    fn member_ends(&mut self, process: usize, end: End) {
        let how = match end {
            End::Replaced { view } => {
                self.note(process, format!("ends: {view} stands without it"));
                "exit status: 0"
            }
            End::Left => {
                self.note(process, "ends: it was asked to".to_owned());
                "exit status: 0"
            }
            End::Broken { why } => {
                let broken = Err(format!("p{} is broken: {why}", pid(process)));
                self.checkers.says("invariants", broken);
                "exit status: 1"
            }
        };
        self.ends(process, how);
    }

    /// The process is gone. Its daemon learns of it.
    pub(crate) fn dies(&mut self, process: usize, how: &str) {
        if !self.processes[process].is_dead() {
            self.note(process, format!("dies ({how})"));
            self.ends(process, how);
        }
    }

    fn ends(&mut self, process: usize, how: &str) {
        let host = self.processes[process].host;
        let who = self.processes[process]
            .replica()
            .map(|replica| (replica.me(), replica.membership().incarnation));
        if let Some((member, incarnation)) = who
            && !self.written_down(process, member, incarnation)
        {
            // No daemon will ever know whose exit that was.
            self.lost.insert(member);
        }
        self.processes[process].life = Life::Ended;
        self.processes[process].inbox.clear();
        self.processes[process].purposes.clear();
        self.close_all(Party::Process(process));
        let life = self.hosts[host].life;
        let delay = self.random.range(100, 2_000);
        let how = how.to_owned();
        self.after(
            delay,
            Event::Exited {
                host,
                life,
                process,
                how,
            },
        );
        self.news = true;
    }

    // What a joiner wants.

    pub(super) fn carry_out_joining(
        &mut self,
        process: usize,
        now: Now,
        wanted: Vec<JoiningOutput>,
    ) {
        let party = Party::Process(process);
        for output in wanted {
            let Life::Joining(asking) = &mut self.processes[process].life else {
                return;
            };
            match output {
                JoiningOutput::Dial { link, address } => {
                    let hello = Hello::new(GROUP, Opener::Joiner);
                    let connection = self.dial_for(process, address, Purpose::Asking(link), hello);
                    if let Life::Joining(asking) = &mut self.processes[process].life {
                        asking.links.insert(link, connection);
                    }
                }
                JoiningOutput::Send { link, message } => {
                    if let Some(&connection) = asking.links.get(&link) {
                        self.send_from(party, connection, Parcel::Peer(message));
                    }
                }
                JoiningOutput::Close { link } => {
                    if let Some(connection) = asking.links.remove(&link) {
                        self.processes[process].purposes.remove(&connection);
                        self.close_from(party, connection);
                    }
                }
                JoiningOutput::Fetch(admitted) => self.fetch(process, admitted),
                JoiningOutput::Failed { why } => {
                    self.note(process, format!("gives up: {why}"));
                    return self.ends(process, &format!("exit status: 1; {why}"));
                }
            }
            let _ = now;
        }
    }

    fn tell_daemon(&mut self, process: usize, request: DaemonRequest) {
        if let Ok((connection, _)) = &self.processes[process].local {
            let (party, connection) = (Party::Process(process), *connection);
            self.send_from(party, connection, Parcel::ToDaemon(request.clone()));
        }
        self.processes[process].told = Some(request);
    }

    fn fetch(&mut self, process: usize, admitted: Admitted) {
        self.tell_daemon(process, admitted.announcement());
        let party = Party::Process(process);
        if let Life::Joining(asking) = &mut self.processes[process].life
            && let Some((old, _)) = asking.fetching.take()
        {
            self.processes[process].purposes.remove(&old);
            self.close_from(party, old);
        }
        let hello = Hello::new(
            GROUP,
            Opener::Bulk {
                incarnation: admitted.incarnation,
                joiner: admitted.member,
                position: admitted.position,
            },
        );
        let connection = self.dial_for(process, admitted.donor_address, Purpose::Fetch, hello);
        if let Life::Joining(asking) = &mut self.processes[process].life {
            asking.fetching = Some((connection, admitted));
        }
        self.note(
            process,
            format!(
                "admitted as {}, fetches the state of {} from {}",
                admitted.member, admitted.position, admitted.donor
            ),
        );
        self.news = true;
    }

    fn state_came(
        &mut self,
        process: usize,
        now: Now,
        connection: ConnectionId,
        head: &TransferHead,
        bytes: &[u8],
    ) {
        let edition = self.processes[process].edition;
        let Life::Joining(asking) = &mut self.processes[process].life else {
            return;
        };
        let Some((_, admitted)) = asking.fetching.take_if(|(fetch, _)| *fetch == connection) else {
            return;
        };
        let Some(setup) = asking.setup.take() else {
            return;
        };
        let imported = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            setup.program.import(admitted.member, head, &mut &bytes[..])
        }));
        let started = match imported {
            Ok(Ok(executor)) => match Replica::start(now, setup, &admitted, head) {
                Ok(replica) => Ok((executor, replica)),
                Err(error) => Err(error.to_string()),
            },
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the service panicked while it mapped the state".to_owned()),
        };
        match started {
            Ok((executor, replica)) => {
                let links: Vec<ConnectionId> = asking.links.values().copied().collect();
                for link in links {
                    self.processes[process].purposes.remove(&link);
                    self.close_from(Party::Process(process), link);
                }
                self.checkers.begins(
                    admitted.member,
                    head.position,
                    edition,
                    executor.as_ref(),
                    &self.installation,
                );
                let links = Links::new(replica.me());
                self.processes[process].life = Life::Member(Box::new(Member {
                    replica,
                    links,
                    executor,
                    jobs: VecDeque::new(),
                    images: BTreeMap::new(),
                    donations: BTreeMap::new(),
                    fingerprint: 0,
                }));
                self.note(process, format!("has the state of {}", head.position));
                self.news = true;
                self.wake(process, self.now + 1);
            }
            Err(why) => {
                self.checkers.transfer.refused(head, edition, &why);
                let mut wanted = Vec::new();
                asking.joining.unusable(why, &mut wanted);
                self.carry_out_joining(process, now, wanted);
            }
        }
    }

    // Daemons, as a replica reaches them.

    fn reach_daemon(&mut self, process: usize) {
        let known = &self.processes[process];
        let Err(at) = known.local else {
            return;
        };
        if at > self.now {
            return;
        }
        let (host, address, told) = (known.host, known.address, known.told.clone());
        let party = Party::Process(process);
        // The local socket is no link of the network.
        let daemon = Party::Daemon(host, self.hosts[host].life);
        if self.hosts[host].daemon.is_none() {
            self.processes[process].local = Err(self.now + REDIAL_DAEMON);
            return;
        }
        let place = place_of_daemon(host);
        let connection = self.network.connect([party, daemon], [place, place]);
        let known = &mut self.processes[process];
        known.local = Ok((connection, crate::process::Line::default()));
        known.purposes.insert(connection, Purpose::LocalDaemon);
        let register = DaemonRequest::Register {
            process: pid(process),
            group: GROUP.to_owned(),
            address,
        };
        self.send(connection, 0, Parcel::ToDaemon(register));
        if let Some(told) = told {
            self.send(connection, 0, Parcel::ToDaemon(told));
        }
    }

    fn ask_daemon(
        &mut self,
        process: usize,
        now: Now,
        token: u64,
        host: &HostRecord,
        request: DaemonRequest,
        out: &mut Vec<Output>,
    ) -> bool {
        let own = super::host_name(self.processes[process].host) == host.name;
        let connection = if own {
            match &mut self.processes[process].local {
                Ok((connection, line)) => {
                    line.open.insert(token);
                    *connection
                }
                Err(_) => {
                    let reply = failed(token, "nobody serves the local socket");
                    if let Some(member) = self.processes[process].member_mut() {
                        member.replica.daemon_heard(now, token, &reply, out);
                    }
                    return true;
                }
            }
        } else {
            self.remote_daemon(process, host.daemon, token)
        };
        self.send_from(
            Party::Process(process),
            connection,
            Parcel::ToDaemon(request),
        );
        false
    }

    fn remote_daemon(&mut self, process: usize, address: SocketAddr, token: u64) -> ConnectionId {
        if let Some((connection, line)) = self.processes[process].remote.get_mut(&address) {
            line.open.insert(token);
            return *connection;
        }
        let place = place_of_host(self.processes[process].host);
        let connection = self.dial(Party::Process(process), place, address);
        let known = &mut self.processes[process];
        let mut line = crate::process::Line::default();
        line.open.insert(token);
        known.remote.insert(address, (connection, line));
        known
            .purposes
            .insert(connection, Purpose::RemoteDaemon(address));
        // A host that cannot be reached does not take the connection in time.
        let there = (0..self.hosts.len()).find(|&host| daemon_address(host) == address);
        let gone = there.is_none_or(|host| {
            let far = self
                .network
                .blocked_until(self.now, place, place_of_daemon(host));
            self.hosts[host].off || far.is_some_and(|until| until > self.now + HELLO_PATIENCE)
        });
        if gone {
            let arrival = crate::network::Arrival {
                at: self.now + HELLO_PATIENCE,
                connection,
                side: 0,
                what: Brought::End("no answer in time"),
            };
            self.queue.push(arrival.at, Event::Arrival(arrival));
        }
        connection
    }

    fn daemon_said(
        &mut self,
        process: usize,
        now: Now,
        purpose: Purpose,
        reply: &DaemonReply,
        out: &mut Vec<Output>,
    ) {
        let known = &mut self.processes[process];
        let token = match reply {
            DaemonReply::Started { token, .. }
            | DaemonReply::Failed { token, .. }
            | DaemonReply::Ended { token, .. }
            | DaemonReply::Inventory { token, .. }
            | DaemonReply::Output { token, .. }
            | DaemonReply::Stopped { token }
            | DaemonReply::Fate { token, .. } => *token,
            DaemonReply::Registered { .. } => return,
            DaemonReply::Leave => {
                if let Some(member) = known.member_mut() {
                    member.replica.leave(out);
                }
                return;
            }
        };
        match purpose {
            Purpose::LocalDaemon => {
                if let Ok((_, line)) = &mut known.local {
                    line.open.remove(&token);
                }
            }
            Purpose::RemoteDaemon(address) => {
                if let Some((_, line)) = known.remote.get_mut(&address) {
                    line.open.remove(&token);
                }
            }
            Purpose::Unknown
            | Purpose::Client
            | Purpose::Peer(_)
            | Purpose::Dialled(_)
            | Purpose::Joiner
            | Purpose::News
            | Purpose::Asking(_)
            | Purpose::Asked(_)
            | Purpose::Fetch
            | Purpose::Give => return,
        }
        if let Some(member) = known.member_mut() {
            member.replica.daemon_heard(now, token, reply, out);
        }
    }

    fn daemon_lost(
        &mut self,
        process: usize,
        now: Now,
        purpose: Purpose,
        connection: ConnectionId,
        why: &str,
        out: &mut Vec<Output>,
    ) {
        let again = self.now + REDIAL_DAEMON;
        let known = &mut self.processes[process];
        let line = if let Purpose::RemoteDaemon(address) = purpose {
            known.remote.remove(&address).map(|(_, line)| line)
        } else {
            let reached = known.local.as_ref().is_ok_and(|(of, _)| *of == connection);
            if reached {
                std::mem::replace(&mut known.local, Err(again))
                    .ok()
                    .map(|(_, line)| line)
            } else {
                None
            }
        };
        let Some(member) = known.member_mut() else {
            return;
        };
        for token in line.map(|line| line.open).unwrap_or_default() {
            let reply = failed(token, why);
            member.replica.daemon_heard(now, token, &reply, out);
        }
    }
}

fn failed(token: u64, why: &str) -> DaemonReply {
    DaemonReply::Failed {
        token,
        why: format!("the host's daemon cannot be reached: {why}"),
    }
}
