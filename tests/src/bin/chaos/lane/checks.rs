//! What must be true of the server when a Machine runs, and when its host is free again, by outside eyes.

use std::collections::BTreeSet;

use serde_json::Value;
use vitistack_tests::peer;

use super::{Lane, Mark, Orders, Outcome, user_data};
use crate::witness;

/// Written by an installation beside the image: both ends emptied, the seed, the tables.
const BESIDE: u64 = (7 << 20) + (256 << 10);
/// What a kill may cost: one piece of the installer's.
const PIECE: u64 = 1 << 20;

impl Lane {
    /// What is seen of a Machine that runs.
    pub(super) fn check_installed(
        &self,
        name: &str,
        operations: &BTreeSet<String>,
        mark: &Mark,
        outcome: &mut Outcome,
    ) -> Result<(), String> {
        let serial = self.serial(mark);
        let machine = self.retry(|| self.world.hub.object("machine", "default", name))?;
        let uid = machine["metadata"]["uid"].as_str().unwrap_or("?");
        let mut wrong = Vec::new();
        let kills = deaths_so_far(&serial, outcome, self, mark);
        if operations.len() != 1 {
            wrong.push(format!("operation ids {operations:?}, one was to be seen"));
        }
        let proof = self.retry(|| self.world.hub.object("vbmh", "default", "host-0"))?;
        let proven = proof.pointer("/status/provisioned/operationID");
        if proven.and_then(Value::as_str).map(str::to_owned) != operations.first().cloned() {
            wrong.push(format!("the host's proof names operation {proven:?}"));
        }
        let begun = begun(&serial);
        if begun != 1 {
            wrong.push(format!("{begun} installations were begun"));
        }
        if serial.contains("installer: wiping") {
            wrong.push("a disk was wiped during an installation".to_owned());
        }
        if !serial.contains(&format!("tiny-os up uid={uid}")) {
            wrong.push("the guest that came up is not this Machine".to_owned());
        }
        let starts = self.meter.starts();
        match starts.split_last() {
            Some((guest, installers)) => {
                outcome.written = installers.iter().sum();
                let limit = witness::image_bytes() + BESIDE + PIECE * kills;
                if outcome.written > limit {
                    wrong.push(format!(
                        "{} bytes written, {limit} are allowed after {kills} kills",
                        outcome.written
                    ));
                }
                if *guest != 0 {
                    wrong.push(format!("{guest} bytes written once the guest was started"));
                }
                if installers.len() != 1 {
                    wrong.push(format!("the server was started {} times", starts.len()));
                }
            }
            None => wrong.push("QEMU's counters were not seen".to_owned()),
        }
        let disk = &self.world.site.server(0).disk;
        let image = peer::image("os/tiny.raw");
        if let Err(error) = witness::carries(disk, &image, uid, user_data(name).as_bytes()) {
            wrong.push(error);
        }
        match witness::bmc(&self.world.site, 0) {
            Ok((power, target)) if power == "On" && target == "Hdd" => {}
            other => wrong.push(format!("the BMC says {other:?}")),
        }
        if !self.world.site.powered(0) {
            wrong.push("libvirt says that the server is off".to_owned());
        }
        outcome.wrong.extend(wrong);
        Ok(())
    }

    /// What is seen of a host that is free again.
    pub(super) fn check_free(&self, orders: &Orders, mark: &Mark, outcome: &mut Outcome) {
        let serial = self.serial(mark);
        let resets = serial.matches("fault: killed ").count();
        let mut wrong = Vec::new();
        let wipes = serial.matches("installer: wiping").count();
        let disk = &self.world.site.server(0).disk;
        if orders.wipe {
            if wipes == 0 || wipes > 1 + resets {
                wrong.push(format!("{wipes} wipes were begun after {resets} resets"));
            }
            if !witness::is_wiped(disk) {
                wrong.push("the disk was not cleaned".to_owned());
            }
        } else if wipes > 0 || witness::is_wiped(disk) {
            wrong.push("a disk was wiped that was to be left alone".to_owned());
        }
        if serial.contains("installer: writing") {
            wrong.push("an installation was begun after the delete".to_owned());
        }
        if self.world.site.powered(0) {
            wrong.push("libvirt says that the free server is on".to_owned());
        }
        match witness::bmc(&self.world.site, 0) {
            Ok((power, _)) if power == "Off" => {}
            other => wrong.push(format!("the BMC says {other:?} of a free server")),
        }
        outcome.wrong.extend(wrong);
    }
}

/// Deaths since `mark`, of all three.
fn deaths_so_far(serial: &str, outcome: &Outcome, lane: &Lane, mark: &Mark) -> u64 {
    let programs =
        lane.agent.killed().len() - mark.agent_killed + lane.hub.killed().len() - mark.hub_killed;
    let resets = serial.matches("fault: killed ").count();
    (programs + resets + outcome.killed.len()) as u64
}

/// How often the serial line says that an installation was begun: behind the mark on the disk, before the first byte of
/// the image. What is killed before the mark has done nothing that would have to be gone on with, and empties the ends
/// again; what is killed between the mark and the word of it is gone on with.
fn begun(serial: &str) -> usize {
    let (before, after) = ("installer.ends.empty.before", "installer.ends.empty.after");
    let unsaid = serial
        .rsplit_once(before)
        .is_some_and(|(_, rest)| !rest.contains(after));
    serial.matches(after).count() + usize::from(unsaid)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installation_counts_once_its_mark_is_down_whether_that_was_said_or_not() {
        let (hit, killed) = (
            |point: &str| format!("fault: hit {point}\r\n"),
            |point: &str| format!("fault: killed {point}\r\n"),
        );
        let (before, after) = ("installer.ends.empty.before", "installer.ends.empty.after");
        let (sync, piece) = ("installer.disk.fsync.after", "installer.piece.write.before");
        for (what, lines, count) in [
            ("nothing", vec![], 0),
            ("no death", vec![hit(before), hit(after), hit(piece)], 1),
            (
                "before all",
                vec![killed(before), hit(before), hit(after)],
                1,
            ),
            (
                "before the mark",
                vec![hit(before), killed(sync), hit(before), hit(after)],
                1,
            ),
            (
                "behind the mark",
                vec![hit(before), hit(sync), killed(sync), hit(piece)],
                1,
            ),
            (
                "once it was said",
                vec![hit(before), killed(after), hit(piece)],
                1,
            ),
            (
                "twice",
                vec![
                    hit(before),
                    hit(after),
                    killed(piece),
                    hit(before),
                    hit(after),
                ],
                2,
            ),
            (
                "twice, unsaid",
                vec![hit(before), hit(after), killed(piece), hit(before)],
                2,
            ),
        ] {
            assert_eq!(begun(&lines.concat()), count, "{what}");
        }
    }
}
