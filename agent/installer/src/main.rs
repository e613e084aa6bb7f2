//! PID 1 of the netboot image; called as `modprobe`, the kernel's module loader.
//!
//! Whatever happens, the server ends up restarted or powered off: an installer that hangs is a truck roll.

use std::panic::catch_unwind;
use std::process::ExitCode;
use std::time::Duration;
use std::{fs, io, thread};

use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use vitistack_installer::console::{chain, say};
use vitistack_installer::modules::{self, Loader};
use vitistack_installer::run;
use vitistack_installer_wire::Instruction;

/// For somebody to read the screen before a restart that nobody ordered.
const READ_ME: Duration = Duration::from_secs(60);

/// The kernel's filesystems: type and place.
const FILESYSTEMS: [(&str, &str); 3] = [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev")];

fn main() -> ExitCode {
    let mut arguments = std::env::args();
    if arguments
        .next()
        .is_some_and(|name| name.ends_with("modprobe"))
    {
        return if modules::modprobe(arguments).is_ok() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    if std::process::id() != 1 {
        drop(io::Write::write_all(
            &mut io::stderr(),
            b"vitistack-installer is PID 1 of the netboot image\n",
        ));
        return ExitCode::from(2);
    }
    let instruction = catch_unwind(boot).unwrap_or_else(|_| {
        say("an internal error, restarting in a minute");
        thread::sleep(READ_ME);
        Instruction::Restart
    });
    finish(instruction)
}

/// Gets the server ready and carries the plan out. An error is shown for a while, then it is the firmware's turn again.
fn boot() -> Instruction {
    let outcome = prepare().and_then(|loader| {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let outcome = runtime.block_on(run::run(loader)).map_err(io::Error::other);
        // A disk may still be written to when the agent orders a restart.
        runtime.shutdown_background();
        outcome
    });
    outcome.unwrap_or_else(|error| {
        say(format_args!("{}; restarting in a minute", chain(&error)));
        thread::sleep(READ_ME);
        Instruction::Restart
    })
}

fn prepare() -> io::Result<Loader> {
    for (kind, place) in FILESYSTEMS {
        fs::create_dir_all(place)?;
        mount(
            Some(kind),
            place,
            Some(kind),
            MsFlags::empty(),
            None::<&str>,
        )?;
    }
    std::panic::set_hook(Box::new(|info| say(info)));
    say(concat!("VitiStack ", env!("CARGO_PKG_VERSION")));
    let mut loader = Loader::open()?;
    loader.settle();
    Ok(loader)
}

fn finish(instruction: Instruction) -> ExitCode {
    nix::unistd::sync();
    let mode = match instruction {
        Instruction::PowerOff => RebootMode::RB_POWER_OFF,
        Instruction::Continue | Instruction::Restart => RebootMode::RB_AUTOBOOT,
    };
    // It returns only with an error; PID 1 that ends makes the kernel panic, and `panic=` restarts.
    match reboot(mode) {
        Ok(never) => match never {},
        Err(_) => ExitCode::FAILURE,
    }
}
