//! One boot, from the boot file to the agent's last instruction.
//!
//! Two things run side by side: the work of the plan's mode, and `report`, which outlives it. Whatever goes wrong after
//! the plan was opened becomes a [`State::Failed`]; before that nobody would take a report, so the server restarts and
//! the firmware asks the agent again.

use std::fs;
use std::io;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::sleep;
use vitistack_fault as fault;
use vitistack_installer_wire::{
    BOOT_FILE, BootFile, Failure, Install, Instruction, Inventory, Mode, Plan, PlanError,
    SignedPlan, State, Wipe,
};

use crate::console::{chain, say};
use crate::http::Client;
use crate::inventory::{self, block};
use crate::modules::Loader;
use crate::report::Reporter;
use crate::settle::{self, Wanted};
use crate::{disk, http, install, net, root, wipe};

/// A plan holds user data, base64 of at most some hundred KiB.
const PLAN_LIMIT: usize = 16 << 20;
/// For the agent to come back before the plan is given up.
const PLAN_PATIENCE: Duration = Duration::from_secs(15 * 60);
/// Between two attempts.
const PAUSE: Duration = Duration::from_secs(2);

/// The boot ended before there was a plan to report on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The second initrd is missing.
    #[error("read /{BOOT_FILE}")]
    BootFile(#[source] io::Error),
    /// The second initrd holds something else.
    #[error("understand /{BOOT_FILE}")]
    BootFileContent(#[source] serde_json::Error),
    /// The server's address makes no sense.
    #[error("understand the agent's address")]
    Server(#[source] http::Error),
    /// No network.
    #[error("bring up the network")]
    Network(#[source] net::Error),
    /// The agent does not give the plan.
    #[error("fetch the plan")]
    Fetch(#[source] http::Error),
    /// The plan is not one.
    #[error("read the plan")]
    Plan(#[source] serde_json::Error),
    /// The plan must not be carried out.
    #[error("open the plan")]
    Open(#[source] PlanError),
}

/// Why the plan's work ended.
#[derive(Debug, thiserror::Error)]
enum Stopped {
    #[error("the plan is for {mac}, which is not a network interface of this server")]
    OtherServer { mac: String },
    #[error("choose the root disk")]
    Root(#[source] root::Error),
    #[error("{disk} holds data and the host does not allow to wipe it")]
    NotEmpty { disk: String },
    #[error("there is no disk {0:?}")]
    NoSuchDisk(String),
    #[error("open {disk}")]
    Open {
        disk: String,
        #[source]
        source: io::Error,
    },
    #[error("install on {disk}")]
    Install {
        disk: String,
        #[source]
        source: install::Error,
    },
    #[error("wipe {disk}")]
    Wipe {
        disk: String,
        #[source]
        source: io::Error,
    },
    #[error("a task ended early")]
    Task(#[source] JoinError),
}

impl Stopped {
    fn failure(&self) -> Failure {
        match self {
            Self::OtherServer { .. } => Failure::PlanRefused,
            Self::Root(error) => error.failure(),
            Self::NotEmpty { .. } => Failure::DiskNotEmpty,
            Self::NoSuchDisk(_) => Failure::RootDiskNotFound,
            Self::Install { source, .. } => source.failure(),
            Self::Open { .. } | Self::Wipe { .. } | Self::Task(_) => Failure::DiskWriteFailed,
        }
    }
}

/// Carries the boot out and returns what the agent wants to happen to the server.
///
/// # Errors
/// Nothing could be reported; restart the server.
pub async fn run(mut loader: Loader) -> Result<Instruction, Error> {
    let boot = read_boot_file()?;
    let client = Client::new(&boot.server).map_err(Error::Server)?;
    let command_line = fs::read_to_string("/proc/cmdline").unwrap_or_default();
    let first = boot_interface(&command_line);
    let lease = net::up(&mut loader, client.server(), first.as_deref()).await;
    let lease = lease.map_err(Error::Network)?;
    fault::before("installer.plan.fetch");
    let plan = fetch_plan(&client, &boot).await?;
    fault::after("installer.plan.fetch");
    say(format_args!(
        "operation {}: {}",
        plan.operation,
        name_of(&plan.mode)
    ));

    let found = spawn_blocking(|| inventory::read(block::disks()))
        .await
        .unwrap_or_default();
    let (inventory_sender, inventory) = watch::channel(found);
    let (state_sender, state) = watch::channel(State::Started);
    let reporter = Reporter {
        client: client.clone(),
        path: plan.report.clone(),
        operation: plan.operation.clone(),
        state,
        inventory,
    };
    let work = async {
        let done = carry_out(plan, client, loader, &inventory_sender, &state_sender).await;
        let last = done.unwrap_or_else(|stopped| State::Failed {
            reason: stopped.failure(),
            message: chain(&stopped),
        });
        say(describe(&last));
        state_sender.send_replace(last);
        std::future::pending().await
    };
    // Nothing is lost when one of them wins: the other two are only kept going until the reporter ends.
    tokio::select! {
        instruction = reporter.run() => Ok(instruction),
        never = work => never,
        () = lease.keep() => Ok(Instruction::Restart),
    }
}

fn read_boot_file() -> Result<BootFile, Error> {
    let bytes = fs::read(format!("/{BOOT_FILE}")).map_err(Error::BootFile)?;
    serde_json::from_slice(&bytes).map_err(Error::BootFileContent)
}

/// pxelinux's way to tell: `BOOTIF=01-aa-bb-cc-dd-ee-ff`.
fn boot_interface(command_line: &str) -> Option<String> {
    let value = command_line
        .split_whitespace()
        .find_map(|word| word.strip_prefix("BOOTIF="))?;
    let mac = value.strip_prefix("01-")?;
    Some(mac.replace('-', ":").to_lowercase())
}

async fn fetch_plan(client: &Client, boot: &BootFile) -> Result<Plan, Error> {
    let start = Instant::now();
    let bytes = loop {
        match client.get(&boot.plan, PLAN_LIMIT).await {
            Ok(bytes) => break bytes,
            Err(error) if start.elapsed() > PLAN_PATIENCE => return Err(Error::Fetch(error)),
            Err(error) => say(format_args!("no plan yet: {}", chain(&error))),
        }
        sleep(PAUSE).await;
    };
    let signed: SignedPlan = serde_json::from_slice(&bytes).map_err(Error::Plan)?;
    signed.open(&boot.public_key).map_err(Error::Open)
}

async fn carry_out(
    plan: Plan,
    client: Client,
    loader: Loader,
    inventory: &watch::Sender<Inventory>,
    state: &watch::Sender<State>,
) -> Result<State, Stopped> {
    let mac = plan.mac.to_lowercase();
    if !net::interfaces()
        .iter()
        .any(|interface| interface.mac == mac)
    {
        return Err(Stopped::OtherServer { mac });
    }
    let wanted = Wanted::of(&plan.mode);
    fault::before("installer.inventory");
    let found = spawn_blocking(move || settle::inventory(loader, &wanted))
        .await
        .map_err(Stopped::Task)?;
    fault::after("installer.inventory");
    inventory.send_replace(found.clone());
    match plan.mode {
        Mode::Inspect => Ok(State::Inspected),
        Mode::Install(install) => {
            fault::before("installer.install");
            let written = write(found, install, plan.operation, client, state).await?;
            fault::after("installer.install");
            Ok(written)
        }
        Mode::Wipe(wipe) => {
            fault::before("installer.wipe");
            let wiped = spawn_blocking(move || clean(&found, &wipe))
                .await
                .map_err(Stopped::Task)??;
            fault::after("installer.wipe");
            Ok(wiped)
        }
    }
}

async fn write(
    found: Inventory,
    install: Install,
    operation: String,
    client: Client,
    state: &watch::Sender<State>,
) -> Result<State, Stopped> {
    let root = root::select(&found.disks, &install.root).map_err(Stopped::Root)?;
    let disk = name(root);
    let failed = |source| Stopped::Install {
        disk: disk.clone(),
        source,
    };
    let order = install::Order::parse(&install, &operation).map_err(failed)?;
    let target = open(root)?;
    let left = install::look(&target, &order).map_err(|source| Stopped::Open {
        disk: disk.clone(),
        source,
    })?;
    match left {
        install::Found::Nothing if root.in_use && !install.allow_wipe => {
            return Err(Stopped::NotEmpty { disk });
        }
        install::Found::Nothing => say(format_args!("writing {disk}")),
        install::Found::Part => say(format_args!("going on with the image on {disk}")),
        install::Found::Whole => say(format_args!("checking the image that is on {disk}")),
    }
    state.send_replace(State::Writing {
        written: 0,
        total: 0,
    });
    let image = install.image;
    let begun = Instant::now();
    let written = install::run(client, image, order, target, state.clone())
        .await
        .map_err(failed)?;
    let install::Written { digest, bytes } = written;
    say(format_args!(
        "{bytes} bytes written, verified and synced in {:.2} s, {} KiB of memory at most",
        begun.elapsed().as_secs_f64(),
        peak_memory()
    ));
    Ok(State::Written {
        disk,
        digest,
        bytes,
    })
}

/// Root disk and named disks, each once. A named disk that is not there is an error: nobody may think it is clean.
fn clean(found: &Inventory, wipe: &Wipe) -> Result<State, Stopped> {
    let root = root::select(&found.disks, &wipe.root).map_err(Stopped::Root)?;
    let mut disks = vec![root];
    for named in &wipe.disks {
        let disk = found
            .disks
            .iter()
            .find(|disk| disk.is_named(named))
            .ok_or_else(|| Stopped::NoSuchDisk(named.clone()))?;
        if !disks.contains(&disk) {
            disks.push(disk);
        }
    }
    for disk in &disks {
        say(format_args!("wiping {}", name(disk)));
        wipe::wipe(&open(disk)?).map_err(|source| Stopped::Wipe {
            disk: name(disk),
            source,
        })?;
    }
    Ok(State::Wiped {
        disks: disks.into_iter().map(name).collect(),
    })
}

fn open(disk: &vitistack_installer_wire::Disk) -> Result<disk::Disk, Stopped> {
    block::open(disk).map_err(|source| Stopped::Open {
        disk: name(disk),
        source,
    })
}

/// As the disk is named in reports: `/dev` names change from boot to boot.
fn name(disk: &vitistack_installer_wire::Disk) -> String {
    let serial = &disk.serial_number;
    if serial.is_empty() {
        disk.device_name.clone()
    } else {
        serial.clone()
    }
}

/// KiB that this program held at most: for whoever wonders what a large image does to a small server.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap_or_default();
    line.trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap_or_default()
}

fn name_of(mode: &Mode) -> &'static str {
    match mode {
        Mode::Inspect => "inspect",
        Mode::Install(_) => "install",
        Mode::Wipe(_) => "wipe",
    }
}

fn describe(state: &State) -> String {
    match state {
        State::Started | State::Writing { .. } => "working".to_owned(),
        State::Inspected => "inspected".to_owned(),
        State::Written {
            disk,
            digest,
            bytes,
        } => {
            format!("written: {bytes} bytes on {disk}, {digest}")
        }
        State::Wiped { disks } => format!("wiped: {}", disks.join(", ")),
        State::Failed { reason, message } => format!("failed: {reason:?}: {message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_interface_is_read_from_the_command_line() {
        for (line, expected) in [
            (
                "console=ttyS0 BOOTIF=01-52-54-00-AB-cd-ef quiet",
                Some("52:54:00:ab:cd:ef"),
            ),
            ("BOOTIF=52:54:00:ab:cd:ef", None),
            ("quiet", None),
        ] {
            assert_eq!(boot_interface(line).as_deref(), expected, "{line}");
        }
    }
}
