//! Looks at a server from outside: libvirt's word, QEMU's block statistics, the bytes of its disk, its BMC, its serial
//! port. Nothing here asks a program of ours.

use std::fs::File;
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use serde_json::Value;
use vitistack_tests::peer;
use vitistack_tests::process::run;
use vitistack_tests::site::{BMC_PASSWORD, Site};

/// Between two looks at the counters. From the last byte that an installer writes to its power off the agent needs a
/// second and more, so none is missed.
const LOOK: Duration = Duration::from_millis(150);
/// Where the first partition of an image begins, and what the installer holds back.
const MIB: u64 = 1 << 20;

/// Bytes written to the first disk, one number for each time that the server was switched on.
pub(crate) struct Meter {
    starts: Arc<Mutex<Vec<u64>>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    virsh: Child,
}

impl Meter {
    /// Begins to look at server `index` of `site`.
    pub(crate) fn start(site: &Site, index: usize) -> Self {
        let mut virsh = Command::new("virsh")
            .args(["-q", "-c", &site.facts.libvirt_uri])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("virsh starts");
        let mut input = virsh.stdin.take().expect("stdin is piped");
        let output = virsh.stdout.take().expect("stdout is piped");
        let starts = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let question = format!("domstats --state --block {}\n", site.server(index).name);
        let asked = Arc::clone(&stop);
        let asking = std::thread::spawn(move || {
            while !asked.load(Ordering::SeqCst) && input.write_all(question.as_bytes()).is_ok() {
                std::thread::sleep(LOOK);
            }
        });
        let told = Arc::clone(&starts);
        let reading = std::thread::spawn(move || {
            let mut last = None;
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                count(&line, &mut last, &told);
            }
        });
        Self {
            starts,
            stop,
            threads: vec![asking, reading],
            virsh,
        }
    }

    /// Forgets what was seen.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    /// Bytes written since [`Meter::clear`], one number a start.
    pub(crate) fn starts(&self) -> Vec<u64> {
        self.lock().clone()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<u64>> {
        self.starts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        self.virsh.kill().ok();
        self.virsh.wait().ok();
        for thread in self.threads.drain(..) {
            thread.join().ok();
        }
    }
}

/// One line of `domstats`. A counter that went back is another QEMU, and so is one after an "off".
fn count(line: &str, last: &mut Option<u64>, starts: &Mutex<Vec<u64>>) {
    let mut starts = starts.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(state) = line.trim().strip_prefix("state.state=") {
        if state == "5" {
            *last = None;
        }
        return;
    }
    let Some(bytes) = line
        .trim()
        .strip_prefix("block.0.wr.bytes=")
        .and_then(|bytes| bytes.parse::<u64>().ok())
    else {
        return;
    };
    let goes_on = last.is_some_and(|before| bytes >= before);
    match starts.last_mut() {
        Some(newest) if goes_on => *newest = bytes,
        Some(_) | None => starts.push(bytes),
    }
    *last = Some(bytes);
}

/// An empty disk of the size that it has.
pub(crate) fn empty_disk(disk: &Path) {
    let file = File::options()
        .write(true)
        .open(disk)
        .expect("the disk's file is there");
    let size = file.metadata().expect("the disk's file is there").len();
    file.set_len(0)
        .and_then(|()| file.set_len(size))
        .expect("the disk's file can be emptied");
}

/// Whether the disk carries `image`: boot code and everything from the first MiB to the image's last, which holds the
/// backup of the partition table; and a seed with the user data byte for byte.
pub(crate) fn carries(
    disk: &Path,
    image: &Path,
    uid: &str,
    user_data: &[u8],
) -> Result<(), String> {
    let size = std::fs::metadata(image)
        .map_err(|error| error.to_string())?
        .len();
    for (from, to) in [(0, 440), (MIB, size - MIB)] {
        let length = usize::try_from(to - from).map_err(|error| error.to_string())?;
        if read(disk, from, length)? != read(image, from, length)? {
            return Err(format!(
                "bytes {from} to {to} of the disk are not the image's"
            ));
        }
    }
    let table = run(Command::new("sfdisk").arg("-J").arg(disk))?;
    let table: Value = serde_json::from_str(&table).map_err(|error| error.to_string())?;
    let seed = table
        .pointer("/partitiontable/partitions/1/start")
        .and_then(Value::as_u64)
        .ok_or("the disk has no second partition for the seed")?;
    let at = format!("{}@@{}", disk.display(), seed * 512);
    let file = |name: &str| {
        Command::new("mtype")
            .env("MTOOLS_SKIP_CHECK", "1")
            .args(["-i", &at, name])
            .output()
            .map(|output| output.stdout)
            .map_err(|error| error.to_string())
    };
    if file("::user-data")? != user_data {
        return Err("the seed's user data is not the Machine's".to_owned());
    }
    let meta = file("::meta-data")?;
    if String::from_utf8_lossy(&meta).contains(uid) {
        Ok(())
    } else {
        Err("the seed is not the Machine's".to_owned())
    }
}

/// Whether the first MiB is empty: nothing boots from it.
pub(crate) fn is_wiped(disk: &Path) -> bool {
    is_empty(disk, 1 << 20)
}

/// Whether the disk begins with `length` zeros.
pub(crate) fn is_empty(disk: &Path, length: usize) -> bool {
    read(disk, 0, length).is_ok_and(|bytes| bytes.iter().all(|byte| *byte == 0))
}

fn read(path: &Path, from: u64, length: usize) -> Result<Vec<u8>, String> {
    let mut bytes = vec![0; length];
    File::open(path)
        .and_then(|file| file.read_exact_at(&mut bytes, from))
        .map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(bytes)
}

/// Power and boot target as sushy-tools says them.
pub(crate) fn bmc(site: &Site, index: usize) -> Result<(String, String), String> {
    let uuid = &site.server(index).uuid;
    let text = run(site
        .inside(Path::new("curl"))
        .args(["-sfk", "-u", &format!("admin:{BMC_PASSWORD}")])
        .arg(format!("https://127.0.0.1:8443/redfish/v1/Systems/{uuid}")))?;
    let system: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let word = |pointer: &str| {
        system
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or("?")
            .to_owned()
    };
    Ok((word("/PowerState"), word("/Boot/BootSourceOverrideTarget")))
}

/// Size of the tiny image on a disk.
pub(crate) fn image_bytes() -> u64 {
    std::fs::metadata(peer::image("os/tiny.raw")).map_or(0, |image| image.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_start_of_a_server_has_a_counter_of_its_own() {
        let starts = Mutex::new(Vec::new());
        let mut last = None;
        for line in [
            "  state.state=1",
            "  block.0.wr.bytes=0",
            "  block.0.wr.bytes=700",
            "  state.state=5",
            "  state.state=1",
            "  block.0.wr.bytes=800",
            "  block.0.wr.bytes=20",
            "  block.1.wr.bytes=9",
        ] {
            count(line, &mut last, &starts);
        }
        assert_eq!(*starts.lock().unwrap(), [700, 800, 20]);
    }
}
