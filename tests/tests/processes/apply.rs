//! `remex apply`: groups as their specifications say, created and changed while clients ask.

use std::fs;
use std::path::PathBuf;

use crate::common::World;
use crate::operator::{fails, remex, succeeds};

/// A specification of the ledger's group, in a file of the installation.
fn specification(world: &World, initial: u32, minimal: u32) -> String {
    let text = format!(
        "[application]\nname = \"ledger\"\n\n[recovery]\nstrategy = \"KeepMinimalInPartition\"\nredundancy \
         = {{ initial = {initial}, minimal = {minimal} }}\n\n[placement]\ntogether = true\n"
    );
    file(world, "ledger.toml", &text)
}

fn file(world: &World, name: &str, text: &str) -> String {
    let path: PathBuf = world.installation.directory().join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// What `remex apply` prints.
fn apply(world: &World, arguments: &[&str]) -> String {
    let output = remex(world, &[&["apply"], arguments].concat());
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {told}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn a_group_grows_and_shrinks_by_its_specification_and_no_request_fails() {
    let mut world = World::loaded(&["ledger-v1"], 3);
    world.until("all members serve", |status| status.members.len() == 3);
    let five = specification(&world, 5, 2);
    let told = apply(&world, &[&five]);
    assert!(
        told.contains("~ initial: 3 -> 5\n~ minimal: 1 -> 2\n"),
        "{told}"
    );
    let status = world.status();
    assert_eq!(
        (status.members.len(), status.minimal),
        (5, 2),
        "{status:#?}"
    );
    assert_eq!(status.generation, 1);
    assert!(apply(&world, &[&five]).contains("is as it should be"));

    let two = specification(&world, 2, 1);
    assert!(apply(&world, &[&two, "--dry-run"]).contains("~ initial: 5 -> 2"));
    assert_eq!(world.status().members.len(), 5, "only said");
    apply(&world, &[&two]);
    world.until("two members are left", |status| status.members.len() == 2);

    let three = specification(&world, 3, 1);
    let document = succeeds(&world, &["apply", &three]);
    let changes = document["changes"].as_array().unwrap();
    assert_eq!(changes, &["initial: 2 -> 3"]);
    world.judge();
}

/// §4.1, Figure 3: the figure's form, with a service that lies on the hosts.
#[test]
fn a_group_is_created_as_figure_3_says() {
    let mut world = World::of("ledger", &["ledger-v1"]);
    let figure = r#"<Application name="UpgradableServer" group="103">
  <Class name="ledger" args=""/>
  <LayerStack order="PGMS:EGMI:Recovery:Upgrade"/>
  <RecoveryStrategy name="KeepMinimalInPartition">
    <Redundancy initial="3" minimal="1"/>
  </RecoveryStrategy>
</Application>
"#;
    let figure = file(&world, "figure-3.xml", figure);
    let told = apply(&world, &[&figure]);
    assert!(
        told.contains("group UpgradableServer serves with 3 members"),
        "{told}"
    );
    world.group = installation::Group::at("UpgradableServer", Vec::new());
    let status = world.status();
    assert_eq!(status.service, "ledger");
    assert_eq!(status.members.len(), 3);
}

#[test]
fn what_a_specification_cannot_have_is_told_with_its_place() {
    let world = World::of("ledger", &["ledger-v1"]);
    let wrong = file(
        &world,
        "wrong.toml",
        "[application]\nname = 7\ncolour = \"red\"\n[recovery]\nredundancy = { initial = 1, minimal = 2 }\n",
    );
    let arguments = ["apply", wrong.as_str()];
    fails(
        &world,
        &arguments,
        2,
        "wrong.toml:2:8: application.name must be a text",
    );
    fails(
        &world,
        &arguments,
        2,
        "wrong.toml:3:1: there is no application.colour",
    );
    fails(
        &world,
        &arguments,
        2,
        "wrong.toml:5:39: the minimal redundancy 2 is more",
    );
    fails(
        &world,
        &["apply", "/nowhere.toml"],
        2,
        "/nowhere.toml: No such file",
    );
    fails(
        &world,
        &["apply", "/dev/zero"],
        2,
        "/dev/zero is no specification",
    );
    let of = |name: &str, rest: &str| {
        let text = format!("[application]\nname = \"{name}\"\n{rest}");
        file(&world, "of.toml", &text)
    };
    let usual = "[recovery]\nredundancy = { initial = 3 }\n";
    for (name, rest, why) in [
        (
            "new",
            format!("service = \"nothing\"\n{usual}"),
            "no version of nothing lies on every host",
        ),
        (
            "new",
            format!("service = \"ledger\"\n{}", usual.replace('3', "4")),
            "4 members need as many hosts, and there are 3",
        ),
        (
            "new",
            format!("args = [\"x\"]\n{usual}"),
            "arguments of the program are not passed",
        ),
        (
            "ledger",
            format!("stack = \"PGMS:EGMI:Recovery\"\n{usual}"),
            "founded with the stack",
        ),
        (
            "ledger",
            format!("service = \"books\"\n{usual}"),
            "founded with the service ledger",
        ),
        (
            "ledger",
            "[recovery]\nredundancy = { initial = 1 }\n[placement]\nhosts = [\"host9\"]\n"
                .to_owned(),
            "no daemon of host9 answered",
        ),
    ] {
        let file = of(name, &rest);
        fails(&world, &["apply", &file], 4, why);
    }
    // A group of this name may run where nobody answers.
    let hosts = format!("127.0.0.1:1,{}", world.installation.hosts()[0].daemon);
    let file = of(
        "new",
        &format!("service = \"ledger\"\n{}", usual.replace('3', "1")),
    );
    fails(
        &world,
        &["--at", &hosts, "apply", &file],
        4,
        "no answer from 127.0.0.1:1",
    );
    fails(
        &world,
        &["apply", &file, "--wait", "18446744073709551615"],
        2,
        "86400",
    );
}
