//! Both forms, and everything that can be wrong with them.

use proptest::prelude::any;

use super::*;

/// Figure 3, letter by letter.
const FIGURE_3: &str = r#"<Application name="UpgradableServer" group="103">
  <Class name="test.upgrade.UpgradableServer" args=""/>
  <LayerStack order="PGMS:EGMI:Recovery:Upgrade"/>
  <RecoveryStrategy name="KeepMinimalInPartition">
    <Redundancy initial="3" minimal="1"/>
  </RecoveryStrategy>
</Application>
"#;

const TOML: &str = r#"
[application]
name = "UpgradableServer"
group = 103
service = "test.upgrade.UpgradableServer"
args = []
stack = "PGMS:EGMI:Recovery:Upgrade"
durability = "memory"

[recovery]
strategy = "KeepMinimalInPartition"
redundancy = { initial = 3, minimal = 1 }
"#;

/// What is wrong with a text, one fault a line.
fn faults(text: &str) -> String {
    Specification::parse(text).unwrap_err().to_string()
}

#[track_caller]
fn check(text: &str, expected: &[&str]) {
    assert_eq!(faults(text).lines().collect::<Vec<_>>(), expected);
}

/// §4.1: "The configuration of the layer stack can be expressed in XML, as shown in Figure 3".
#[test]
fn the_specification_of_figure_3_is_read() {
    let expected = Specification {
        name: "UpgradableServer".to_owned(),
        alias: Some(103),
        service: "test.upgrade.UpgradableServer".to_owned(),
        version: None,
        arguments: Vec::new(),
        stack: "PGMS:EGMI:Recovery:Upgrade".to_owned(),
        strategy: Strategy::KeepMinimalInPartition,
        initial: 3,
        minimal: 1,
        placement: Placement::default(),
    };
    assert_eq!(Specification::parse(FIGURE_3), Ok(expected));
}

#[test]
fn both_forms_mean_the_same() {
    assert_eq!(Specification::parse(TOML), Specification::parse(FIGURE_3));
    let xml = r#"<?xml version="1.0"?>
        <Application name="ledger" durability="memory">
          <Class name="books" version="1.2.0" args="--fast  --port 7"/>
          <RecoveryStrategy name="KeepInitial"><Redundancy initial="5" minimal="0"/></RecoveryStrategy>
          <Placement hosts="a b" spread="zone" together="true"/>
        </Application>"#;
    let toml = r#"
        [application]
        name = "ledger"
        service = "books"
        version = "1.2.0"
        args = ["--fast", "--port", "7"]
        [recovery]
        strategy = "KeepInitial"
        redundancy.initial = 5
        redundancy.minimal = 0
        [placement]
        hosts = ["a", "b"]
        spread = "zone"
        together = true
        "#;
    let read = Specification::parse(xml);
    assert_eq!(read, Specification::parse(toml));
    assert_eq!(read.unwrap().strategy, Strategy::KeepInitial);
}

#[test]
fn little_is_enough() {
    let least = "application.name = \"kv\"\nrecovery.redundancy.initial = 1";
    let read = Specification::parse(least).unwrap();
    assert_eq!((read.service.as_str(), read.minimal), ("kv", 1));
    assert_eq!(read.stack, replica::USUAL);
}

#[test]
fn all_faults_of_a_file_are_told_at_once() {
    check(
        "[application]\nname = 7\ngroup = 0\nversion = \"one\"\nstack = \"EGMI\"\ncolour = \"red\"\n\
         durability = \"disk\"\nargs = [\"a\", 1]\n\n[recovery]\nstrategy = \"Hope\"\n\
         redundancy = { initial = 2, minimal = 3, most = 9 }\n",
        &[
            "2:8: application.name must be a text, this is the number 7",
            "3:9: application.group must lie between 1 and 4294967295, this is 0",
            "4:11: application.version \"one\" is no version: unexpected character 'o' while parsing major \
             version number; a version looks like 1.2.0",
            "5:9: layer EGMI needs PGMS before it in \"EGMI\"; the usual stack is \
             PGMS:EGMI:Recovery:Upgrade",
            "6:1: there is no application.colour in a specification; there are application.name, \
             application.group, application.durability, application.service, application.version, \
             application.args, application.stack",
            "7:14: there is no durability \"disk\"; there is \"memory\"",
            "8:14: application.args must be a list of texts, this is the number 1",
            "11:12: there is no strategy \"Hope\"; there are KeepMinimalInPartition, KeepInitial",
            "12:39: the minimal redundancy 3 is more than the initial 2: lower the one or raise the other",
            "12:42: there is no recovery.redundancy.most in a specification; there are \
             recovery.redundancy.initial, recovery.redundancy.minimal",
        ],
    );
}

#[test]
fn faults_of_xml_are_told_as_they_are_written_there() {
    check(
        "<Application group=\"many\" colour=\"red\">\n  <Class name=\"-x\"/>\n  <Klass/>\n  stray\n  \
         <LayerStack order=\"PGMS:EGMI\"/>\n  <LayerStack order=\"PGMS\"/>\n</Application>",
        &[
            "1:1: name of <Application> is missing, for instance name=\"ledger\"",
            "1:1: initial of <Redundancy> is missing, for instance initial=\"3\"",
            "1:14: group of <Application> must be a whole number, this is the text \"many\"",
            "1:27: there is no attribute colour of <Application> in a specification; there are name, group, \
             durability",
            "2:10: name of <Class> \"-x\" is no name: 1 to 64 letters, digits, dots, hyphens or underscores, \
             the first a letter or a digit",
            "3:3: there is no element <Klass> in <Application> in a specification; there are <Class>, \
             <LayerStack>, <RecoveryStrategy>, <Placement>",
            "3:11: text in <Application> means nothing; values are attributes",
            "5:15: the strategy KeepMinimalInPartition needs the layer Recovery in the stack \"PGMS:EGMI\"; \
             the usual one is PGMS:EGMI:Recovery:Upgrade",
            "6:3: <LayerStack> is given twice; leave one out",
        ],
    );
}

#[test]
fn a_broken_text_says_where_it_breaks() {
    let toml = faults("[application]\nname = \"x\nname = 3\n[recovery\n");
    assert!(toml.starts_with("2:"), "{toml}");
    assert!(toml.lines().count() > 1, "all that is broken: {toml}");
    let xml = faults("<Application name=\"x\">\n  <Class name=\"y\">\n</Application>");
    assert!(xml.starts_with("3:1: this is no XML"), "{xml}");
    assert!(faults("<Server/>").contains("<Application>"));
    assert!(faults("").contains("application.name is missing"));
}

/// A document type could define entities that grow without end; none is taken.
#[test]
fn entities_do_not_explode() {
    let bomb = "<!DOCTYPE a [<!ENTITY a \"aaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;\">]>\n<Application \
                name=\"&b;\"/>";
    let told = faults(bomb);
    assert!(
        told.contains("1:1") && told.contains("this is no XML"),
        "{told}"
    );
}

#[test]
fn members_are_not_pinned_to_too_few_hosts() {
    let pinned = |rest: &str| {
        let text = format!("{TOML}\n[placement]\nhosts = [\"a\", \"b\"]\n{rest}");
        Specification::parse(&text)
    };
    let told = pinned("").unwrap_err().to_string();
    assert!(
        told.starts_with("15:9: 3 members cannot run on 2 hosts"),
        "{told}"
    );
    assert!(pinned("together = true").is_ok());
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..proptest::prelude::ProptestConfig::default()
    })]

    /// Damaged files are read or refused, with places inside them.
    #[test]
    fn any_text_is_a_specification_or_is_refused(
        xml in any::<bool>(),
        at in any::<proptest::sample::Index>(),
        cut in 0..20_usize,
        put in any::<String>(),
    ) {
        let text = if xml { FIGURE_3 } else { TOML };
        let at = at.index(text.len());
        let end = (at + cut).min(text.len());
        let damaged = format!("{}{put}{}", &text[..at], &text[end..]);
        if let Err(Faults(faults)) = Specification::parse(&damaged) {
            let lines = u32::try_from(damaged.split('\n').count()).unwrap();
            assert!(!faults.is_empty());
            assert!(faults.iter().all(|fault| (1..=lines).contains(&fault.place.line)));
        }
    }
}
