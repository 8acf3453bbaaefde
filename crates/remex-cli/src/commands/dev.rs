//! `remex dev`: a whole installation on this machine, until it is interrupted.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::commands::{create, stop};
use crate::daemon::DaemonFile;
use crate::installation::{DEV_FILE, DevFile, DevHost, inventories, write_whole};
use crate::lock::Lock;
use crate::outcome::{Outcome, told};
use crate::place::Place;
use crate::screen::Screen;
use crate::{At, CreateArgs, DevArgs};

/// How long a daemon may take to say where it listens.
const DAEMON_PATIENCE: Duration = Duration::from_secs(5);

pub(crate) async fn run(args: DevArgs, screen: &Screen) -> Result<(), Outcome> {
    if args.hosts == 0 {
        return Err(Outcome::Usage("--hosts must be at least 1".to_owned()));
    }
    std::fs::create_dir_all(&args.state)
        .map_err(|error| Outcome::Failed(format!("{}: {}", args.state.display(), told(&error))))?;
    // Two installations in one directory would take each other's replicas for their own.
    let _lock = Lock::take(&args.state, "an installation")?;
    let fault = |error: std::io::Error| Outcome::Failed(format!("signals: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(fault)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(fault)?;
    let mut daemons = Vec::new();
    let result = tokio::select! {
        result = installation(&args, &mut daemons, screen) => result,
        _ = interrupt.recv() => Ok(()),
        _ = terminate.recv() => Ok(()),
    };
    let at = At {
        at: daemons
            .iter()
            .map(|(_, host): &(Child, DevHost)| Place::Address(host.daemon))
            .collect(),
    };
    tear_down(&at, daemons, &args.state, screen).await;
    result
}

async fn installation(
    args: &DevArgs,
    daemons: &mut Vec<(Child, DevHost)>,
    screen: &Screen,
) -> Result<(), Outcome> {
    for number in 1..=args.hosts {
        let (child, host) = daemon(args, &format!("host{number}")).await?;
        screen.progress(&format!("{} listens at {}", host.name, host.daemon));
        daemons.push((child, host));
    }
    let file = DevFile {
        schema: 1,
        process: std::process::id(),
        hosts: daemons.iter().map(|(_, host)| host.clone()).collect(),
    };
    let text = serde_json::to_string_pretty(&file).map_err(|e| Outcome::Failed(e.to_string()))?;
    write_whole(&args.state.join(DEV_FILE), &text)?;
    if let (Some(group), Some(service), Some(version)) =
        (&args.group, &args.service, &args.service_version)
    {
        let at = At {
            at: file
                .hosts
                .iter()
                .map(|host| Place::Address(host.daemon))
                .collect(),
        };
        let found = inventories(&at).await?;
        let wanted = CreateArgs {
            group: group.clone(),
            service: service.clone(),
            version: version.clone(),
            initial: args.initial,
            minimal: args.minimal,
            stack: replica::USUAL.to_owned(),
            wait: 30,
        };
        create::create(&at, &found, wanted, screen).await?;
    }
    let state = args.state.join(DEV_FILE);
    screen.progress(&format!(
        "the installation runs ({}); Ctrl-C ends it",
        state.display()
    ));
    std::future::pending().await
}

async fn daemon(args: &DevArgs, name: &str) -> Result<(Child, DevHost), Outcome> {
    let fault =
        |error: std::io::Error| Outcome::Failed(format!("no daemon for {name}: {}", told(&error)));
    let state = args.state.join(name);
    std::fs::create_dir_all(&state).map_err(fault)?;
    let said: PathBuf = state.join(DaemonFile::NAME);
    // What an earlier daemon said is not this one's word.
    let _ = std::fs::remove_file(&said);
    let output = std::fs::File::create(state.join("daemon.log")).map_err(fault)?;
    let mut child = Command::new(std::env::current_exe().map_err(fault)?)
        .args(["daemon", "--port", "0", "--host", name])
        .args(["--ip", &IpAddr::V4(Ipv4Addr::LOCALHOST).to_string()])
        .arg("--versions")
        .arg(&args.versions)
        .arg("--state")
        .arg(&state)
        .stdin(Stdio::null())
        .stdout(output.try_clone().map_err(fault)?)
        .stderr(output)
        .kill_on_drop(true)
        // Ctrl-C is for us: the daemons are needed to stop the replicas.
        .process_group(0)
        .spawn()
        .map_err(fault)?;
    let listening = async {
        loop {
            if let Ok(text) = std::fs::read_to_string(&said)
                && let Ok(file) = serde_json::from_str::<DaemonFile>(&text)
            {
                return Ok(file);
            }
            if let Some(status) = child.try_wait().map_err(fault)? {
                let text = std::fs::read_to_string(state.join("daemon.log")).unwrap_or_default();
                return Err(Outcome::Failed(format!(
                    "the daemon of {name} ended, {status}: {text}"
                )));
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    match tokio::time::timeout(DAEMON_PATIENCE, listening).await {
        Ok(file) => {
            let DaemonFile {
                daemon, process, ..
            } = file?;
            Ok((
                child,
                DevHost {
                    name: name.to_owned(),
                    daemon,
                    process,
                },
            ))
        }
        Err(_) => Err(Outcome::Failed(format!(
            "the daemon of {name} does not say where it listens"
        ))),
    }
}

async fn tear_down(at: &At, daemons: Vec<(Child, DevHost)>, state: &Path, screen: &Screen) {
    screen.progress("stopping the installation");
    // Who recovers starts replacements until its own turn has come.
    for _ in 0..10 {
        let Ok(found) = inventories(at).await else {
            break;
        };
        match stop::stop(&found, |_, _| true).await {
            Ok(stopped) if !stopped.is_empty() => {}
            Ok(_) | Err(_) => break,
        }
    }
    for (mut child, _) in daemons {
        let _ = child.kill().await;
    }
    let _ = std::fs::remove_file(state.join(DEV_FILE));
}
