//! Arrows between crates point one way, and libraries from outside stay in their rooms.

use serde_json::Value;

use crate::tree::{Tree, cargo};
use crate::verdict::Verdict;

/// Which of our packages each of our packages may depend on. Tests may know more, see [`faults`].
const ARROWS: &[(&str, &[&str])] = &[
    // Which defects a test build shows; nothing in any other.
    ("museum", &[]),
    ("wire", &[]),
    ("order", &["museum", "wire"]),
    ("group", &["museum", "wire", "order"]),
    ("replica", &["museum", "wire", "order", "group"]),
    ("manager", &["replica"]),
    ("client", &["wire"]),
    ("daemon", &["museum", "wire"]),
    (
        "host",
        &["wire", "order", "group", "replica", "client", "daemon"],
    ),
    // Sees the machines and not the host: it is another world for them.
    (
        "simulator",
        &[
            "museum", "wire", "order", "group", "replica", "client", "daemon",
        ],
    ),
    ("remex-macros", &[]),
    (
        "remex",
        &[
            "museum",
            "remex-macros",
            "wire",
            "replica",
            "client",
            "host",
        ],
    ),
    (
        "remex-cli",
        &[
            "remex", "wire", "replica", "manager", "client", "daemon", "host",
        ],
    ),
    // What authors test their services with: clients and services as they know them, in a simulated
    // world.
    ("testing", &["remex", "simulator", "wire"]),
    // Examples are written as a user would write them, from `remex` alone.
    ("kv", &["remex"]),
    ("ledger-v1", &["remex"]),
    ("ledger-v2", &["remex", "ledger-v1"]),
    ("ledger-v3", &["remex", "ledger-v2"]),
    // The demo's load is a client of the ledger.
    ("ledger-load", &["remex", "client", "ledger-v1"]),
    // Observes from outside, with frames alone.
    ("installation", &["wire"]),
    ("bench", &["remex", "wire", "client", "installation"]),
    // Real processes, from outside; the failing versions are services like any other.
    (
        "end-to-end",
        &["remex", "wire", "ledger-v1", "installation"],
    ),
    // Feeds decoders, and knows none.
    ("fuzz", &[]),
    // The ledger in the simulator: its versions as services, its clients as machines.
    (
        "campaign",
        &[
            "remex",
            "client",
            "simulator",
            "museum",
            "ledger-v1",
            "ledger-v2",
            "ledger-v3",
        ],
    ),
    // Searches all states of the upgrade algorithm: values alone, no world.
    ("model", &["wire", "group", "replica"]),
    // Real processes for minutes and hours, judged by the simulator's checkers.
    (
        "torture",
        &[
            "remex",
            "wire",
            "client",
            "simulator",
            "campaign",
            "ledger-v1",
            "installation",
        ],
    ),
    // It starts the load as a process, and needs no client itself.
    ("xtask", &["wire", "installation"]),
];

/// Libraries from outside that only some packages may know, with the reason.
const KEPT: &[(&str, &[&str], &str)] = &[
    ("raft", &["order"], ENGINE),
    ("protobuf", &["order"], ENGINE),
    (
        "slog",
        &["order"],
        "machines do not log; only the engine's constructor asks for a logger",
    ),
    ("mio", &["host"], "only the host has sockets"),
    (
        "rustix",
        &[
            "host",
            "remex",
            "remex-cli",
            "installation",
            "end-to-end",
            "campaign",
            "torture",
        ],
        "machines know no operating system",
    ),
    (
        "tokio",
        &[
            "host",
            "client",
            "remex",
            "remex-cli",
            "ledger-load",
            "bench",
            "torture",
        ],
        "an async runtime at the edges only",
    ),
];

/// What is kept from tests too: a test that knows the engine makes it a part of what it tests.
const ENGINE: &str = "only `order` knows the consensus engine";

/// Reads the packages from cargo and checks their dependencies.
pub(crate) fn check(_: &Tree) -> Verdict {
    let output = cargo(&["metadata", "--no-deps", "--format-version", "1"]).output();
    let metadata = match output {
        Ok(output) if output.status.success() => serde_json::from_slice::<Value>(&output.stdout),
        Ok(output) => {
            return Verdict::Red(vec![String::from_utf8_lossy(&output.stderr).into_owned()]);
        }
        Err(error) => return Verdict::Red(vec![format!("cargo metadata: {error}")]),
    };
    match metadata {
        Ok(metadata) => {
            let dependencies = dependencies(&metadata);
            Verdict::of(
                faults(&dependencies),
                format!("{} dependencies", dependencies.len()),
            )
        }
        Err(error) => Verdict::Red(vec![format!("cargo metadata is not as expected: {error}")]),
    }
}

/// One package of ours depends on another package.
#[derive(Debug)]
struct Dependency {
    from: String,
    to: String,
    /// Whether `to` lies in this checkout too.
    ours: bool,
    /// Whether only tests, examples and benchmarks of `from` know it.
    tests_only: bool,
}

fn dependencies(metadata: &Value) -> Vec<Dependency> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut found = Vec::new();
    for package in list(&metadata["packages"]) {
        for dependency in list(&package["dependencies"]) {
            found.push(Dependency {
                from: text(&package["name"]),
                to: text(&dependency["name"]),
                ours: dependency["path"].is_string(),
                tests_only: dependency["kind"] == "dev",
            });
        }
    }
    found
}

/// Dependencies of tests may point anywhere between our packages, because nothing is built on a
/// test; a library that is kept in its room is kept from tests too only if it is the engine.
fn faults(dependencies: &[Dependency]) -> Vec<String> {
    dependencies.iter().filter_map(fault).collect()
}

fn fault(dependency: &Dependency) -> Option<String> {
    let Dependency {
        from,
        to,
        ours,
        tests_only,
    } = dependency;
    if *ours {
        return match ARROWS.iter().find(|(name, _)| name == from) {
            _ if *tests_only => None,
            Some((_, allowed)) if allowed.contains(&to.as_str()) => None,
            Some((_, [])) => Some(format!(
                "{from} depends on {to}; it may depend on none of ours"
            )),
            Some((_, allowed)) => {
                let allowed = allowed.join(", ");
                Some(format!(
                    "{from} depends on {to}; of ours it may depend on {allowed}"
                ))
            }
            None => Some(format!(
                "{from} is a new package: give it a row in ARROWS, {}",
                file!()
            )),
        };
    }
    let (_, rooms, why) = KEPT.iter().find(|(name, _, _)| name == to)?;
    let excused = *tests_only && *why != ENGINE;
    (!excused && !rooms.contains(&from.as_str()))
        .then(|| format!("{from} depends on {to}, but {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Dependencies written as `from -> to` between ours, `from => to` to the outside, and with
    /// `(tests)` behind.
    fn check_all(text: &str) -> Vec<String> {
        let parse = |line: &str| {
            let tests_only = line.ends_with("(tests)");
            let line = line.trim_end_matches("(tests)");
            let ours = line.contains("->");
            let (from, to) = line
                .split_once(if ours { "->" } else { "=>" })
                .expect("a dependency has an arrow");
            let (from, to) = (from.trim().to_owned(), to.trim().to_owned());
            Dependency {
                from,
                to,
                ours,
                tests_only,
            }
        };
        faults(&text.lines().map(parse).collect::<Vec<_>>())
    }

    #[test]
    fn the_arrows_of_the_design_are_green() {
        let none: [String; 0] = [];
        assert_eq!(
            check_all("order -> wire\nreplica -> group\nledger-v2 -> ledger-v1"),
            none
        );
        assert_eq!(
            check_all("order => raft\norder => protobuf\nhost => mio\nwire => bytes"),
            none
        );
    }

    #[test]
    fn an_arrow_that_points_back_is_red() {
        assert_eq!(
            check_all("wire -> order\ngroup -> replica"),
            [
                "wire depends on order; it may depend on none of ours",
                "group depends on replica; of ours it may depend on museum, wire, order",
            ]
        );
        assert_eq!(check_all("simulator -> host").len(), 1);
        assert_eq!(check_all("simulator -> ledger-v1").len(), 1);
        assert_eq!(check_all("ledger-v3 -> ledger-v1").len(), 1);
    }

    #[test]
    fn tests_may_know_more_but_never_the_engine() {
        assert!(check_all("simulator -> ledger-v1 (tests)\nclient => tokio (tests)").is_empty());
        assert_eq!(
            check_all("group => raft (tests)"),
            ["group depends on raft, but only `order` knows the consensus engine"]
        );
    }

    #[test]
    fn a_machine_that_knows_the_world_is_red() {
        assert_eq!(
            check_all("replica => tokio\ngroup => mio\ndaemon => rustix").len(),
            3
        );
    }

    #[test]
    fn a_package_without_a_row_is_red() {
        assert_eq!(check_all("newcomer -> wire").len(), 1);
    }

    #[test]
    fn cargo_is_read_as_it_speaks() {
        let metadata = serde_json::json!({"packages": [{"name": "wire", "dependencies": [
            {"name": "order", "path": "/x/order", "kind": null},
            {"name": "raft", "path": null, "kind": "dev"},
        ]}]});
        assert_eq!(faults(&dependencies(&metadata)).len(), 2);
    }
}
