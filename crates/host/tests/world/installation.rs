//! Hosts with daemons that start replicas as threads, and remember what they are told.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use host::Launch;
use wire::daemon::{Assignment, DaemonReply, DaemonRequest, Foundation, HostRecord, Role};
use wire::hello::Opener;
use wire::peer::PeerMessage;
use wire::{Build, MemberId, Version};

use super::client::dial;
use super::service::program;
use super::{GROUP, read_frame, write_frame};

/// Longer than anything takes that works.
const PATIENCE: Duration = Duration::from_secs(30);

/// Something that a daemon saw.
#[derive(Clone, Debug)]
pub enum Seen {
    /// A replica said something on the local socket.
    Told { host: usize, request: DaemonRequest },
    /// A replica's process ended.
    Ended {
        host: usize,
        version: Version,
        success: bool,
    },
}

/// All hosts.
#[derive(Clone)]
pub struct Installation {
    inner: Arc<Inner>,
}

struct Inner {
    _directory: tempfile::TempDir,
    sockets: Vec<PathBuf>,
    hosts: Vec<HostRecord>,
    seen: Mutex<Vec<Seen>>,
    news: Condvar,
    /// Hosts whose daemon only remembers what it is asked to start: the test plays the replica.
    played: Vec<usize>,
    /// Connections to the local sockets, so that a test can cut them.
    lines: Mutex<Vec<std::os::unix::net::UnixStream>>,
}

/// The build that a version's binary has here.
pub fn build(version: &Version) -> Build {
    let digit = u8::try_from(version.0.major).unwrap();
    Build([digit; 32])
}

impl Installation {
    pub fn new(hosts: usize) -> Installation {
        Installation::with_played(hosts, &[])
    }

    pub fn with_played(hosts: usize, played: &[usize]) -> Installation {
        let directory = tempfile::tempdir().unwrap();
        let local = Ipv4Addr::LOCALHOST;
        let mut sockets = Vec::new();
        let mut records = Vec::new();
        let mut ports = Vec::new();
        let mut locals = Vec::new();
        for number in 0..hosts {
            let path = directory.path().join(format!("host{number}"));
            locals.push(UnixListener::bind(&path).unwrap());
            sockets.push(path);
            let port = TcpListener::bind((local, 0)).unwrap();
            records.push(HostRecord {
                name: format!("host{number}"),
                daemon: port.local_addr().unwrap(),
            });
            ports.push(port);
        }
        let inner = Inner {
            _directory: directory,
            sockets,
            hosts: records,
            seen: Mutex::default(),
            news: Condvar::new(),
            played: played.to_vec(),
            lines: Mutex::default(),
        };
        let all = Installation {
            inner: Arc::new(inner),
        };
        for (host, listener) in locals.into_iter().enumerate() {
            let all = all.clone();
            thread::spawn(move || {
                while let Ok((line, _)) = listener.accept() {
                    let writer = line.try_clone().unwrap();
                    let kept = line.try_clone().unwrap();
                    all.inner.lines.lock().unwrap().push(kept);
                    let all = all.clone();
                    thread::spawn(move || all.serve(host, line, writer));
                }
            });
        }
        for (host, listener) in ports.into_iter().enumerate() {
            let all = all.clone();
            thread::spawn(move || {
                while let Ok((line, _)) = listener.accept() {
                    let writer = line.try_clone().unwrap();
                    let all = all.clone();
                    thread::spawn(move || all.serve(host, line, writer));
                }
            });
        }
        all
    }

    /// The first member of a group of so many, on host 0.
    pub fn found(&self, initial: u32) -> SocketAddr {
        let version = Version::new(1, 0, 0);
        let foundation = Foundation {
            stack: replica::USUAL.to_owned(),
            initial,
            minimal: u32::from(initial > 1),
            hosts: self.inner.hosts.clone().into(),
        };
        let assignment = Assignment {
            group: GROUP.to_owned(),
            service: "list".to_owned(),
            build: Some(build(&version)),
            version,
            role: Role::Found(foundation),
        };
        self.start(0, assignment, |_| {});
        self.wait(|seen| match seen {
            Seen::Told {
                host: 0,
                request: DaemonRequest::Register { address, .. },
            } => Some(*address),
            _ => None,
        })
    }

    /// Runs a replica on a thread; says when it has ended.
    pub fn start(
        &self,
        host: usize,
        assignment: Assignment,
        ended: impl FnOnce(bool) + Send + 'static,
    ) {
        let all = self.clone();
        let launch = Launch {
            daemon: Some(self.inner.sockets[host].clone()),
            host: self.inner.hosts[host].name.clone(),
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            layers: Vec::new(),
            assignment,
        };
        thread::spawn(move || {
            let version = launch.assignment.version.clone();
            let code = host::run(program(&launch.assignment), launch);
            let success = code == ExitCode::SUCCESS;
            ended(success);
            all.saw(Seen::Ended {
                host,
                version,
                success,
            });
        });
    }

    fn serve(&self, host: usize, mut from: impl Read, to: impl Write + Send + 'static) {
        let to = Arc::new(Mutex::new(to));
        let say = {
            let to = Arc::clone(&to);
            move |reply: &DaemonReply| write_frame(&mut *to.lock().unwrap(), reply)
        };
        let mut last = None;
        while let Some(request) = read_frame::<DaemonRequest>(&mut from) {
            if let DaemonRequest::Start { token, assignment } = &request {
                let (token, build) = (*token, assignment.build.unwrap());
                say(&DaemonReply::Started {
                    token,
                    process: 1,
                    build,
                });
                let say = say.clone();
                if !self.inner.played.contains(&host) {
                    self.start(host, assignment.clone(), move |success| {
                        let how = format!("ended, success: {success}");
                        say(&DaemonReply::Ended { token, how });
                    });
                }
            } else if let DaemonRequest::Register { .. } = &request {
                let host = self.inner.hosts[host].name.clone();
                say(&DaemonReply::Registered { host });
            } else if let DaemonRequest::Members { .. } = &request {
                last = Some(request.clone());
            }
            self.saw(Seen::Told { host, request });
        }
        if let Some(request) = last {
            tell_of_death(&request);
        }
    }

    fn saw(&self, seen: Seen) {
        self.inner.seen.lock().unwrap().push(seen);
        self.inner.news.notify_all();
    }

    /// Waits until one of all things seen is what is looked for.
    pub fn wait<T>(&self, mut look: impl FnMut(&Seen) -> Option<T>) -> T {
        self.wait_for(|seen| seen.iter().find_map(&mut look))
    }

    /// Waits until all things seen are what is looked for.
    pub fn wait_for<T>(&self, mut look: impl FnMut(&[Seen]) -> Option<T>) -> T {
        let until = Instant::now() + PATIENCE;
        let mut seen = self.inner.seen.lock().unwrap();
        loop {
            if let Some(found) = look(&seen) {
                return found;
            }
            let left = until.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain; seen: {seen:#?}");
            seen = self.inner.news.wait_timeout(seen, left).unwrap().0;
        }
    }

    /// How many things were seen so far.
    pub fn count(&self) -> usize {
        self.inner.seen.lock().unwrap().len()
    }

    /// Cuts all connections to local sockets.
    pub fn cut_lines(&self) {
        for line in self.inner.lines.lock().unwrap().drain(..) {
            // A replica that has ended has closed it already.
            let _closed = line.shutdown(std::net::Shutdown::Both);
        }
    }

    /// Says something on all local sockets.
    pub fn say_to_all(&self, reply: &DaemonReply) {
        for line in self.inner.lines.lock().unwrap().iter_mut() {
            write_frame(line, reply);
        }
    }

    /// The members that replicas have last spoken of, by id.
    pub fn members(seen: &[Seen]) -> Vec<MemberId> {
        let last = seen.iter().rev().find_map(|seen| match seen {
            Seen::Told {
                request: DaemonRequest::Members { member, others, .. },
                ..
            } => Some((member, others)),
            _ => None,
        });
        let mut members = Vec::new();
        if let Some((member, others)) = last {
            members.push(*member);
            members.extend(others.iter().map(|contact| contact.member));
        }
        members.sort();
        members
    }
}

/// What a daemon does when a process is gone.
fn tell_of_death(members: &DaemonRequest) {
    let DaemonRequest::Members {
        incarnation,
        member,
        others,
    } = members
    else {
        return;
    };
    for contact in others {
        let died = PeerMessage::Died {
            incarnation: *incarnation,
            member: *member,
            how: "its connection closed".to_owned(),
        };
        let host = "a host".to_owned();
        if std::net::TcpStream::connect(contact.address).is_ok() {
            let (mut stream, _) = dial(contact.address, Opener::Daemon { host });
            write_frame(&mut stream, &died);
        }
    }
}
