//! Tests of the catalogue: whatever lies in the versions directory, services are found.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::os::unix::fs::symlink;

use replica::Description;
use rustix::fs::{CWD, Mode};
use wire::Version;
use wire::daemon::Role;

use super::*;

/// How long files may take here: the good one answers at once, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(3);

/// A versions directory, and what the daemon makes of it.
struct Versions {
    directory: tempfile::TempDir,
    catalogue: Arc<Mutex<Catalogue>>,
    runtime: tokio::runtime::Runtime,
}

impl Versions {
    fn new() -> Versions {
        let directory = tempfile::tempdir().unwrap();
        let versions = directory.path().join("versions");
        fs::create_dir(&versions).unwrap();
        let mut catalogue = Catalogue::new(versions, directory.path().join("state"));
        catalogue.patience = PATIENCE;
        Versions {
            directory,
            catalogue: Arc::new(Mutex::new(catalogue)),
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join("versions").join(name)
    }

    fn script(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A file that describes itself as this version of a service.
    fn service(&self, name: &str, version: &str) {
        let description = Description {
            service: "shelf".to_owned(),
            version: Version::parse(version).unwrap(),
            state_format: 1,
            reads_formats: vec![1],
            writes_formats: vec![1],
            state_shape: "unit".to_owned(),
            methods: Vec::new(),
        };
        let text = serde_json::to_string(&description).unwrap();
        self.script(name, &format!("#!/bin/sh\necho '{text}'\n"));
    }

    fn rubbish(&self) {
        self.script("hangs", "#!/bin/sh\nexec sleep 1000\n");
        self.script("hangs-too", "#!/bin/sh\nexec sleep 1001\n");
        self.script("endless", "#!/bin/sh\nexec yes\n");
        self.script("reads", "#!/bin/sh\nexec cat\n");
        self.script("fails", "#!/bin/sh\nexit 3\n");
        self.script("empty", "");
        self.script("bytes", "\u{1}\u{2}\u{3}");
        fs::write(self.path("plain"), "no executable").unwrap();
        symlink(self.path("nowhere"), self.path("dangling")).unwrap();
        symlink(self.path("."), self.path("circle")).unwrap();
        rustix::fs::mkfifoat(CWD, self.path("pipe"), Mode::from_raw_mode(0o755)).unwrap();
    }

    fn look(&self) -> Vec<String> {
        let records = self
            .runtime
            .block_on(Catalogue::look(Arc::clone(&self.catalogue)));
        let named = records
            .iter()
            .map(|record| format!("{} {}", record.service, record.binary.version));
        named.collect()
    }

    /// Why this version cannot be started.
    fn missing(&self, version: &str) -> String {
        let assignment = Assignment {
            group: "shelf".to_owned(),
            service: "shelf".to_owned(),
            version: Version::parse(version).unwrap(),
            build: None,
            role: Role::Found(wire::daemon::Foundation {
                stack: String::new(),
                initial: 1,
                minimal: 0,
                hosts: Vec::new().into(),
            }),
        };
        let found = Catalogue::find(Arc::clone(&self.catalogue), &assignment);
        self.runtime.block_on(found).unwrap_err()
    }
}

#[test]
fn a_service_is_found_among_whatever_else_lies_there() {
    let versions = Versions::new();
    versions.rubbish();
    versions.service("good", "1.0.0");
    let before = Instant::now();
    assert_eq!(versions.look(), ["shelf 1.0.0"]);
    assert!(
        before.elapsed() < PATIENCE * 2,
        "files that hang are waited for one after the other"
    );
    let before = Instant::now();
    assert_eq!(versions.look(), ["shelf 1.0.0"]);
    assert!(before.elapsed() < PATIENCE, "what hangs is asked again");
}

#[test]
fn who_misses_a_version_hears_what_lies_there_instead() {
    let versions = Versions::new();
    versions.service("good", "1.0.0");
    versions.script("fails", "#!/bin/sh\nexit 3\n");
    versions.script("endless", "#!/bin/sh\nexec yes\n");
    fs::write(versions.path("plain"), "#!/bin/sh\n").unwrap();
    let why = versions.missing("2.0.0");
    for part in [
        "shelf 2.0.0 does not lie below",
        "there are: shelf 1.0.0 (",
        "fails: --describe ends with exit status: 3",
        "endless: --describe prints more than",
        "plain: it is not executable; chmod +x makes it so",
    ] {
        assert!(why.contains(part), "{why}");
    }
    for number in 0..100 {
        versions.script(&format!("fails-{number}"), "#!/bin/sh\nexit 3\n");
    }
    let why = versions.missing("2.0.0");
    assert!(why.contains("and 95 other files"), "{why}");
}

#[test]
fn a_file_that_is_replaced_is_another_one() {
    let versions = Versions::new();
    versions.service("file", "1.0.0");
    assert_eq!(versions.look(), ["shelf 1.0.0"]);
    versions.service("file", "1.0.1");
    assert_eq!(versions.look(), ["shelf 1.0.1"]);
    fs::remove_file(versions.path("file")).unwrap();
    assert!(versions.look().is_empty());
}

#[test]
fn a_file_that_becomes_executable_is_found() {
    let versions = Versions::new();
    versions.service("file", "1.0.0");
    let path = versions.path("file");
    let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    assert!(versions.look().is_empty());
    let why = versions.missing("1.0.0");
    assert!(why.contains("file: it is not executable"), "{why}");
    mode(0o755);
    assert_eq!(versions.look(), ["shelf 1.0.0"]);
}

#[test]
fn a_description_is_one_or_is_refused_whatever_is_printed() {
    let method = replica::Method {
        name: "put".to_owned(),
        id: wire::MethodId::of("put"),
        read: false,
        since: Some(Version::new(1, 1, 0)),
        arguments: vec!["where".to_owned()],
        arguments_shape: "{where: u8}".to_owned(),
        signature: 7,
        older_signatures: vec![6],
        reply_shape: "unit".to_owned(),
    };
    let description = Description {
        service: "shelf".to_owned(),
        version: Version::new(1, 2, 0),
        state_format: 2,
        reads_formats: vec![1, 2],
        writes_formats: vec![2],
        state_shape: "unit".to_owned(),
        methods: vec![method],
    };
    let valid = [
        serde_json::to_vec(&description).unwrap(),
        serde_json::to_vec_pretty(&description).unwrap(),
    ];
    fuzz::Decoder::of("description", valid).survives(|bytes| understood(bytes).is_ok());
}
