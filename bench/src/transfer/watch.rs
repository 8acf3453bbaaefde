//! Watches a change from outside: who joins and becomes a member when, and how much memory each
//! process takes at most.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use client::Client;
use installation::process::{self, Memory, Processors};
use installation::{Daemon, LineError};
use wire::MemberId;
use wire::daemon::HostRecord;
use wire::status::{GroupStatus, MemberStatus};

use super::{TransferError, now_us};

/// Between two looks: rare enough not to be felt by those who are measured.
const LOOK: Duration = Duration::from_millis(10);
/// How long a change may take: each of an upgrade's three transfers takes seconds.
const PATIENCE: Duration = Duration::from_secs(180);

/// A replica, as it was seen.
#[derive(Clone, Debug)]
pub(super) struct Replica {
    pub(super) host: String,
    pub(super) process: u32,
    /// When it was first seen as a member, in microseconds since 1970; those of the beginning were
    /// members before.
    pub(super) member_us: Option<u64>,
    /// Its memory when the watch began.
    pub(super) before: Memory,
    /// Its memory when it was last seen.
    pub(super) last: Memory,
    /// What it had taken of the processors when it was first seen as a member.
    pub(super) taken: Processors,
}

/// The replicas of one group, by id.
#[derive(Debug)]
pub(super) struct Watch {
    hosts: Vec<HostRecord>,
    pub(super) replicas: BTreeMap<MemberId, Replica>,
}

impl Watch {
    /// Begins with these members; the peaks of their memory begin anew.
    pub(super) async fn begin(
        hosts: &[HostRecord],
        status: &GroupStatus,
    ) -> Result<Watch, TransferError> {
        let mut watch = Watch {
            hosts: hosts.to_vec(),
            replicas: BTreeMap::new(),
        };
        watch.meet(&status.members).await?;
        for replica in watch.replicas.values_mut() {
            let about = |why| TransferError::Process(replica.process, why);
            process::forget_peak(replica.process).map_err(about)?;
            replica.before = process::memory(replica.process).map_err(about)?;
        }
        Ok(watch)
    }

    /// Looks until the group is as wanted; what it is then.
    pub(super) async fn until(
        &mut self,
        client: &Client,
        what: &str,
        wanted: impl Fn(&GroupStatus) -> bool,
    ) -> Result<GroupStatus, TransferError> {
        let until = Instant::now() + PATIENCE;
        loop {
            // While a member dies or leaves, an answer may fail to come; the next look tells.
            if let Ok(status) = client.status().await {
                self.meet(&status.members).await?;
                self.meet(&status.joiners).await?;
                self.see(&status);
                if wanted(&status) {
                    return Ok(status);
                }
                if Instant::now() >= until {
                    let waits = status.waits.join("; ");
                    return Err(TransferError::Late(what.to_owned(), waits));
                }
            } else if Instant::now() >= until {
                let waits = "no member answers".to_owned();
                return Err(TransferError::Late(what.to_owned(), waits));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn see(&mut self, status: &GroupStatus) {
        let now = now_us();
        for (id, replica) in &mut self.replicas {
            let member = status.members.iter().any(|member| member.member == *id);
            if member && replica.member_us.is_none() {
                replica.member_us = Some(now);
                replica.taken = process::processors(replica.process).unwrap_or_default();
            }
            // One that has ended keeps what was seen last.
            if let Ok(memory) = process::memory(replica.process) {
                replica.last = memory;
            }
        }
    }

    /// Finds the processes of those that are new.
    async fn meet(&mut self, members: &[MemberStatus]) -> Result<(), TransferError> {
        let new = |member: &&MemberStatus| !self.replicas.contains_key(&member.member);
        let new: Vec<MemberStatus> = members.iter().filter(new).cloned().collect();
        if new.is_empty() {
            return Ok(());
        }
        let hosts = self.hosts.clone();
        // Daemons are asked by blocking calls: not on the thread that measures latency.
        let asked = tokio::task::spawn_blocking(move || processes(&hosts)).await;
        let processes = asked.unwrap_or_else(|why| std::panic::resume_unwind(why.into_panic()))?;
        for member in new {
            let found = processes
                .iter()
                .find(|(address, _)| *address == member.address);
            // A daemon hears of an address a moment after the group does: the next look finds it.
            if let Some((_, process)) = found {
                let replica = Replica {
                    host: member.host,
                    process: *process,
                    member_us: None,
                    before: Memory::default(),
                    last: Memory::default(),
                    taken: Processors::default(),
                };
                self.replicas.insert(member.member, replica);
            }
        }
        Ok(())
    }
}

/// The processes of all replicas, by the address at which they listen.
fn processes(hosts: &[HostRecord]) -> Result<Vec<(std::net::SocketAddr, u32)>, LineError> {
    let mut found = Vec::new();
    for host in hosts {
        let replicas = Daemon::at(host.daemon).inventory()?.replicas.into_iter();
        found.extend(replicas.filter_map(|replica| Some((replica.address?, replica.process))));
    }
    Ok(found)
}
