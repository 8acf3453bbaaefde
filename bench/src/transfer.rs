//! `cargo run --release -p bench -- transfer`: a large state passes to joiners while clients write.
//!
//! First a replica is killed, so that recovery gives the whole state to its replacement; then the
//! group is upgraded, so that it is given, and mapped, three times. Each time a steady load runs
//! from some seconds before until all is over. In the end each member is read on its own, and all
//! must hold the same.

mod figures;
mod joiner;
mod load;
mod report;
mod state;
mod watch;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use client::{CallError, Client, ConnectError};
use installation::{Daemon, Group, Installation, LineError, StartError, process};
use wire::log::UpgradeRequest;
use wire::status::GroupStatus;
use wire::{MemberId, Version};

use crate::SERVICE;
use figures::{Window, figures};
use load::Load;
use report::{Joined, Report, Run};
use watch::Watch;

/// The group's name.
const GROUP: &str = "large";
const MEMBERS: u32 = 3;
/// Before the steady state counts: connections and allocators settle.
const WARM: Duration = Duration::from_secs(1);
/// How long the steady state is measured.
const STEADY: Duration = Duration::from_secs(5);
/// How long the load goes on when all is over.
const AFTER: Duration = Duration::from_secs(1);
/// An upgrade's attempts and patience, far above what a transfer takes.
const ATTEMPTS: u32 = 3;
const PATIENCE_MS: u64 = 30_000;

/// Measures transfers of a large state.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How large the state is.
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..))]
    mib: u64,
    /// Write the results to this file, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Why there are no results, or none to be content with.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TransferError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error("the group did not answer: {0}")]
    Call(#[from] CallError),
    #[error(transparent)]
    Line(#[from] LineError),
    #[error("the load's clock does not start: {0}")]
    Ticker(std::io::Error),
    #[error("process {0}: {1}")]
    Process(u32, std::io::Error),
    #[error("{0} did not happen in time: {1}")]
    Late(String, String),
    #[error("a reply that is no JSON of the store's: {0}")]
    Reply(serde_json::Error),
    #[error("{0} did not say when it had the state: see its output in the state directory")]
    Silent(MemberId),
    #[error("no binary of {SERVICE} {0} lies on the first host")]
    NoBinary(Version),
    #[error("the upgrade failed: {0}")]
    Upgrade(String),
    #[error("{path}: {why}")]
    Write { path: PathBuf, why: std::io::Error },
    #[error("{0} writes failed")]
    Failed(usize),
    #[error("the members do not hold the same: {0}")]
    Differ(String),
}

/// What makes the state pass.
#[derive(Clone, Copy, Debug)]
enum Change {
    /// A follower is killed, and replaced.
    Kill,
    /// All members are replaced by the next version.
    Upgrade,
}

/// Measures, prints, and judges.
pub(crate) async fn run(
    installation: &mut Installation,
    arguments: &Arguments,
) -> Result<(), TransferError> {
    let mut group = installation.found(GROUP, SERVICE, &Version::new(1, 0, 0), MEMBERS)?;
    println!("filling the group with {} MiB", arguments.mib);
    state::fill(&group, GROUP, arguments.mib).await?;
    let mut report = Report::new(arguments.mib, load::RATE);
    println!("{}", report.head());
    for change in [Change::Kill, Change::Upgrade] {
        let run = measure(installation, &mut group, change).await?;
        println!("{}", run.table());
        report.runs.push(run);
    }
    let status = group.status()?;
    report.held = state::held(GROUP, &status.members)?;
    println!("{}", report.verdict());
    if let Some(path) = &arguments.json {
        fs::write(path, report.json()).map_err(|why| TransferError::Write {
            path: path.clone(),
            why,
        })?;
    }
    report.judge(arguments.mib)
}

/// One change under load.
async fn measure(
    installation: &Installation,
    group: &mut Group,
    change: Change,
) -> Result<Run, TransferError> {
    let client = Client::connect(GROUP, group.contacts()).await?;
    let load = Load::start(GROUP, group.contacts()).await?;
    tokio::time::sleep(WARM).await;
    let steady_us = now_us();
    tokio::time::sleep(STEADY).await;
    let status = client.status().await?;
    let mut watch = Watch::begin(installation.hosts(), &status).await?;
    let from_us = now_us();
    let what = begin(change, installation, group, &status, &watch)?;
    let ended = watch
        .until(&client, &what, |now| over(change, &status, now))
        .await?;
    let to_us = now_us();
    tokio::time::sleep(AFTER).await;
    let writes = load.stop().await;
    // Whoever was replaced is no contact any more.
    let contacts = ended.members.iter().map(|member| member.address);
    *group = Group::at(GROUP, contacts.collect());
    if let (Change::Upgrade, Some(upgrade)) = (change, &ended.upgrade)
        && upgrade.state != "done"
    {
        let reason = upgrade.reason.clone().unwrap_or_default();
        return Err(TransferError::Upgrade(reason));
    }
    let joined = joined(installation, &status, &watch)?;
    let window = |from_us, to_us| Window { from_us, to_us };
    let transfers: Vec<Window> = joined
        .iter()
        .map(|joined| window(joined.admitted_us, joined.member_us))
        .collect();
    Ok(Run {
        what,
        steady: figures(&writes, &[window(steady_us, from_us)]),
        during: figures(&writes, &[window(from_us, to_us)]),
        transfers: figures(&writes, &transfers),
        all: figures(&writes, &[window(0, u64::MAX)]),
        joined,
    })
}

/// Makes the state pass; what was done.
fn begin(
    change: Change,
    installation: &Installation,
    group: &mut Group,
    status: &GroupStatus,
    watch: &Watch,
) -> Result<String, TransferError> {
    match change {
        Change::Kill => {
            let youngest = status.members.iter().rev();
            let mut followers = youngest.filter(|member| Some(member.member) != status.leader);
            let victim = followers.next().map(|member| member.member);
            let Some((id, replica)) = victim.and_then(|id| watch.replicas.get_key_value(&id))
            else {
                return Err(TransferError::Late("a follower".to_owned(), String::new()));
            };
            process::kill(replica.process)
                .map_err(|why| TransferError::Process(replica.process, why))?;
            Ok(format!("{id} killed"))
        }
        Change::Upgrade => {
            let version = Version::new(2, 0, 0);
            let inventory = Daemon::at(installation.hosts()[0].daemon).inventory()?;
            let mut binaries = inventory.binaries.into_iter();
            let found = binaries.find(|record| record.binary.version == version);
            let Some(found) = found else {
                return Err(TransferError::NoBinary(version));
            };
            let what = format!("upgrade to {version}");
            group.upgrade(&UpgradeRequest {
                target: found.binary,
                parallel: 1,
                attempts: ATTEMPTS,
                patience_ms: PATIENCE_MS,
                token: 1,
            })?;
            Ok(what)
        }
    }
}

/// Whether it is over: the group is whole again, of new members.
fn over(change: Change, before: &GroupStatus, now: &GroupStatus) -> bool {
    let was = |id: MemberId| before.members.iter().any(|member| member.member == id);
    let serving = now
        .members
        .iter()
        .filter(|member| member.doing == "serving");
    let whole = now.joiners.is_empty()
        && now.members.len() == MEMBERS as usize
        && serving.count() == now.members.len();
    let old = now
        .members
        .iter()
        .filter(|member| was(member.member))
        .count();
    match change {
        Change::Kill => whole && old + 1 == now.members.len(),
        Change::Upgrade => {
            let upgrade = now.upgrade.as_ref();
            let state = upgrade.map(|upgrade| upgrade.state.as_str());
            state == Some("failed") || (whole && old == 0 && state == Some("done"))
        }
    }
}

/// The joiners that became members, as they tell of it, and what it took.
fn joined(
    installation: &Installation,
    before: &GroupStatus,
    watch: &Watch,
) -> Result<Vec<Joined>, TransferError> {
    let was = |id: &MemberId| before.members.iter().any(|member| member.member == *id);
    let mut all = Vec::new();
    for (id, replica) in &watch.replicas {
        let Some(member_us) = replica.member_us.filter(|_| !was(id)) else {
            continue;
        };
        let lines = installation.printed(&replica.host, replica.process);
        let told = joiner::told(&lines).ok_or(TransferError::Silent(*id))?;
        let donor = watch.replicas.get(&told.donor);
        all.push(Joined::new(*id, replica, &told, donor, member_us));
    }
    Ok(all)
}

/// Microseconds since 1970.
fn now_us() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_micros()).unwrap_or(u64::MAX)
}
