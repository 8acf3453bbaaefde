//! Placement: on which hosts a group's seats are at home, and in which order others are tried (§4:
//! "replica distribution").
//!
//! A pure function of what is wished and what is there. A group's seats are at home on the first hosts of
//! its list, one after the other; a seat whose host is lost goes to the next ones. So the order of the list
//! is the placement: hosts that the group has keep their places, the least loaded of the others follow.

use crate::specification::Specification;

/// A host that answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its name.
    pub name: String,
    /// How many replicas of other groups run there.
    pub load: usize,
    /// Whether the version that is to be started lies there.
    pub has_version: bool,
}

/// Why a group has no place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoPlace {
    /// A host that the group is pinned to does not answer.
    #[error("no daemon of {} answered: start it, or name other hosts", .0.join(", "))]
    Absent(Vec<String>),
    /// The version lies not everywhere.
    #[error(
        "the version does not lie on {}: put it into the versions directory there, or name other hosts",
        .0.join(", ")
    )]
    Without(Vec<String>),
    /// Fewer hosts than members.
    #[error(
        "{initial} members need as many hosts, and there are {hosts}: start more daemons, lower the \
         initial redundancy, or allow members to run together (placement.together)"
    )]
    TooFew {
        /// How many members.
        initial: u32,
        /// How many hosts there are.
        hosts: usize,
    },
}

/// The hosts of a group, by name, in the order in which its seats take them. `present` is the list that it
/// has, empty before it is founded.
///
/// # Errors
/// It has no place, and why.
pub fn place(
    wanted: &Specification,
    present: &[String],
    candidates: &[Candidate],
) -> Result<Vec<String>, NoPlace> {
    let pinned = &wanted.placement.hosts;
    let known = |name: &String| candidates.iter().any(|host| host.name == *name);
    let absent: Vec<String> = pinned.iter().filter(|name| !known(name)).cloned().collect();
    if !absent.is_empty() {
        return Err(NoPlace::Absent(absent));
    }
    let eligible = |host: &&Candidate| pinned.is_empty() || pinned.contains(&host.name);
    let mut hosts: Vec<&Candidate> = candidates.iter().filter(eligible).collect();
    let without = hosts.iter().filter(|host| !host.has_version);
    let without: Vec<String> = without.map(|host| host.name.clone()).collect();
    if !without.is_empty() {
        return Err(NoPlace::Without(without));
    }
    if hosts.len() < wanted.initial as usize && !wanted.placement.together {
        let (initial, hosts) = (wanted.initial, hosts.len());
        return Err(NoPlace::TooFew { initial, hosts });
    }
    hosts.sort_by_key(|host| {
        let has = present.iter().position(|name| *name == host.name);
        // Its own hosts first, as they stand.
        (has.unwrap_or(usize::MAX), host.load, host.name.clone())
    });
    Ok(hosts.into_iter().map(|host| host.name.clone()).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    /// A specification of so many members with this under `[placement]`.
    fn wanted(initial: u32, placement: &str) -> Specification {
        let text = format!(
            "[application]\nname = \"g\"\n[recovery]\nredundancy = {{ initial = {initial} }}\n\
             [placement]\n{placement}"
        );
        Specification::parse(&text).unwrap()
    }

    /// Hosts as `a:3 b:0 c!:1`: the name, how many replicas run there; `!` is without the version.
    fn hosts(text: &str) -> Vec<Candidate> {
        let host = |word: &str| {
            let (name, load) = word.split_once(':').unwrap();
            Candidate {
                name: name.trim_end_matches('!').to_owned(),
                load: load.parse().unwrap(),
                has_version: !name.ends_with('!'),
            }
        };
        text.split(' ').map(host).collect()
    }

    #[track_caller]
    fn check(wanted: &Specification, present: &str, there: &str, expected: Result<&str, &str>) {
        let present: Vec<String> = present.split_whitespace().map(str::to_owned).collect();
        let placed = place(wanted, &present, &hosts(there));
        let placed = placed.map(|hosts| hosts.join(" "));
        match expected {
            Ok(expected) => assert_eq!(placed.as_deref(), Ok(expected)),
            Err(why) => {
                let told = placed.unwrap_err().to_string();
                assert!(told.contains(why), "{told}");
            }
        }
    }

    #[test]
    fn the_least_loaded_hosts_come_first() {
        let three = wanted(3, "");
        check(&three, "", "a:3 b:0 c:1 d:0", Ok("b d c a"));
        check(&wanted(1, ""), "", "a:1 b:1", Ok("a b"));
    }

    #[test]
    fn a_group_keeps_its_hosts_where_they_are() {
        let three = wanted(3, "");
        check(&three, "c a b", "a:9 b:0 c:5 d:0", Ok("c a b d"));
        check(&three, "c x b", "b:0 c:5 d:0", Ok("c b d"));
    }

    #[test]
    fn pinned_hosts_must_answer_and_no_others_are_taken() {
        let pinned = wanted(2, "hosts = [\"a\", \"c\"]");
        check(&pinned, "", "a:3 b:0 c:1", Ok("c a"));
        check(&pinned, "", "a:3 b:0", Err("no daemon of c answered"));
    }

    #[test]
    fn members_do_not_share_a_host_unless_they_may() {
        check(
            &wanted(3, ""),
            "",
            "a:0 b:0",
            Err("3 members need as many hosts, and there are 2"),
        );
        check(&wanted(3, "together = true"), "", "a:0 b:0", Ok("a b"));
    }

    #[test]
    fn the_version_must_lie_where_members_may_run() {
        check(&wanted(1, ""), "", "a:0 b!:0", Err("does not lie on b"));
        check(&wanted(1, "hosts = [\"a\"]"), "", "a:0 b!:0", Ok("a"));
    }
}
