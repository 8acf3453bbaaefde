//! Proofs that an upgrade took place: not by the group's word, but by the kernel's and by what the
//! new version can do.

use std::collections::BTreeSet;

use installation::{Group, LineError, process};
use wire::Version;
use wire::daemon::ReplicaRecord;
use wire::member::Binary;

use super::flight::MEMBERS;

/// A call that only this version of the ledger answers, with JSON arguments.
fn novelty(version: &Version) -> Option<(&'static str, &'static str)> {
    if *version == Version::new(2, 0, 0) {
        Some(("statement", r#"["account-000000"]"#))
    } else if *version == Version::new(3, 0, 0) {
        Some(("holders", "[1, 3]"))
    } else {
        None
    }
}

/// Before an upgrade: the group refuses what only the target can do.
pub(super) fn not_yet(group: &mut Group, target: &Version) -> Result<(), String> {
    let (method, arguments) = novelty(target).ok_or("no method of the target is known")?;
    match group.call(method, arguments) {
        Err(LineError::Refused { .. }) => Ok(()),
        Err(why) => Err(format!(
            "`{method}` was not refused before the upgrade: {why}"
        )),
        Ok(reply) => Err(format!("`{method}` answered before the upgrade: {reply}")),
    }
}

/// After an upgrade: what is proven, and what is not as it must be.
pub(super) fn upgraded(
    group: &mut Group,
    old: &[ReplicaRecord],
    now: &[ReplicaRecord],
    target: &Binary,
) -> (Vec<String>, Vec<String>) {
    let checks = [
        new_processes(old, now),
        executables(now, target),
        members(group, target),
        answers(group, &target.version),
    ];
    let mut proofs = Vec::new();
    let mut faults = Vec::new();
    for check in checks {
        match check {
            Ok(proof) => proofs.push(proof),
            Err(fault) => faults.push(format!("after the upgrade to {}: {fault}", target.version)),
        }
    }
    (proofs, faults)
}

/// The demo ends as it began: with all members.
pub(super) fn ends(group: &mut Group) -> Result<(), String> {
    let status = group.status().map_err(|why| why.to_string())?;
    let serving = status
        .members
        .iter()
        .filter(|member| member.doing == "serving")
        .count();
    if serving == MEMBERS as usize && status.members.len() == serving {
        return Ok(());
    }
    let all = status.members.len();
    Err(format!(
        "the demo ends with {all} members, {serving} of them serving"
    ))
}

fn new_processes(old: &[ReplicaRecord], now: &[ReplicaRecord]) -> Result<String, String> {
    let numbers = |replicas: &[ReplicaRecord]| -> BTreeSet<u32> {
        replicas.iter().map(|replica| replica.process).collect()
    };
    let (old, now) = (numbers(old), numbers(now));
    let stayed: Vec<&u32> = old.intersection(&now).collect();
    if now.len() == MEMBERS as usize && old.len() == MEMBERS as usize && stayed.is_empty() {
        return Ok(format!("every process is new: {old:?} before, {now:?} now"));
    }
    Err(format!("processes {old:?} before, {now:?} now"))
}

fn executables(now: &[ReplicaRecord], target: &Binary) -> Result<String, String> {
    for replica in now {
        let number = replica.process;
        let build = process::build(number)
            .map_err(|why| format!("the executable of process {number}: {why}"))?;
        if build != target.build {
            return Err(format!(
                "process {number} runs {build}, not {}",
                target.build
            ));
        }
    }
    Ok(format!(
        "every process runs the executable with SHA-256 {}",
        target.build
    ))
}

fn members(group: &mut Group, target: &Binary) -> Result<String, String> {
    let status = group.status().map_err(|why| why.to_string())?;
    let at_target = status
        .members
        .iter()
        .filter(|member| member.binary == *target)
        .count();
    let effective = &status.effective;
    if at_target == MEMBERS as usize && *effective == target.version {
        return Ok(format!(
            "{at_target} members of {effective}, and the group behaves as {effective}"
        ));
    }
    Err(format!(
        "{at_target} members of the target, and the group behaves as {effective}"
    ))
}

fn answers(group: &mut Group, version: &Version) -> Result<String, String> {
    let (method, arguments) = novelty(version).ok_or("no method of the target is known")?;
    let reply = group
        .call(method, arguments)
        .map_err(|why| format!("`{method}` does not answer: {why}"))?;
    if reply == "null" {
        return Err(format!("`{method}` answers nothing"));
    }
    Ok(format!("`{method}`, new in {version}, answers {reply}"))
}

#[cfg(test)]
mod tests {
    use wire::Build;

    use super::*;

    fn replicas(numbers: &[u32]) -> Vec<ReplicaRecord> {
        let replica = |process: &u32| ReplicaRecord {
            process: *process,
            group: "ledger".to_owned(),
            binary: Binary {
                version: Version::new(2, 0, 0),
                build: Build([2; 32]),
            },
            service: "ledger".to_owned(),
            address: None,
            member: None,
        };
        numbers.iter().map(replica).collect()
    }

    #[test]
    fn every_process_must_be_new_and_all_must_be_there() {
        let check = |old: &[u32], now: &[u32]| new_processes(&replicas(old), &replicas(now));
        assert!(check(&[1, 2, 3], &[4, 5, 6]).is_ok());
        assert!(check(&[1, 2, 3], &[3, 4, 5]).is_err());
        assert!(check(&[1, 2, 3], &[4, 5]).is_err());
        assert!(check(&[], &[]).is_err());
    }

    #[test]
    fn an_executable_is_judged_by_its_own_digest() {
        let me = replicas(&[std::process::id()]);
        let build = process::build(std::process::id()).ok();
        let target = |build| Binary {
            version: Version::new(2, 0, 0),
            build,
        };
        assert!(build.is_some_and(|build| executables(&me, &target(build)).is_ok()));
        assert!(executables(&me, &target(Build([2; 32]))).is_err());
    }
}
