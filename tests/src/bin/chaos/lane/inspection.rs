//! A free server is booted to be looked into, with programs that die on the way: one operation, one start, an inventory,
//! and not a byte on its disk.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

use serde_json::Value;
use vitistack_protocol::ids::{OperationId, Uid};
use vitistack_tests::world::SOON;

use super::{BOUND, Kill, Lane, Mark, Outcome};
use crate::point::Phase;
use crate::witness;

/// What stands on the disk before, so that a byte that was written shows.
static PATTERN: [u8; 1 << 20] = [0x5a; 1 << 20];

impl Lane {
    /// Asks for an inspection and waits until the host is free, looked into and off.
    pub(super) fn look_into(&self, kills: &[Kill], outcome: &mut Outcome) -> Result<(), String> {
        let disk = &self.world.site.server(0).disk;
        witness::empty_disk(disk);
        File::options()
            .write(true)
            .open(disk)
            .and_then(|file| file.write_all_at(&PATTERN, 0))
            .map_err(|error| format!("{}: {error}", disk.display()))?;
        self.meter.clear();
        let mark = self.mark();
        let token = format!("look-{}", self.number);
        let host = self.retry(|| self.world.hub.object("vbmh", "default", "host-0"))?;
        let uid: Uid = host["metadata"]["uid"]
            .as_str()
            .and_then(|uid| uid.parse().ok())
            .ok_or("the host has no UID")?;
        let wanted = OperationId::derive(uid, "inspect", &token).to_string();
        let before = operation(&host);
        self.arm(kills);
        let patch = format!(
            "{{\"metadata\": {{\"annotations\": {{\"vitistack.io/inspect\": {token:?}}}}}, \
             \"spec\": {{\"inspect\": \"WhenOff\"}}}}"
        );
        self.wait("an inspection is asked for", SOON, || {
            let args = ["patch", "vbmh", "host-0", "--type=merge", "-p", &patch];
            self.world.hub.try_kubectl(&args)
        })?;
        let mut seen = BTreeSet::new();
        self.wait("the server is looked into", BOUND, || {
            let host = self.world.hub.object("vbmh", "default", "host-0")?;
            seen.extend(operation(&host));
            let is_over = operation(&host).as_ref() == Some(&wanted)
                && host["status"]["phase"] == "Available"
                && host["status"]["powerState"] == "Off"
                && !self.world.site.powered(0);
            is_over
                .then_some(())
                .ok_or_else(|| host["status"].to_string())
        })?;
        self.wait("every point is reached", SOON, || self.unarmed())
            .ok();
        seen.remove(&wanted);
        if let Some(before) = before {
            seen.remove(&before);
        }
        if !seen.is_empty() {
            outcome
                .wrong
                .push(format!("operation ids {seen:?} of nobody's inspection"));
        }
        self.check_looked_into(&wanted, &mark, outcome)?;
        self.close(mark, Phase::Inspect, kills, outcome);
        Ok(())
    }

    fn check_looked_into(
        &self,
        operation: &str,
        mark: &Mark,
        outcome: &mut Outcome,
    ) -> Result<(), String> {
        let mut wrong = Vec::new();
        let host = self.retry(|| self.world.hub.object("vbmh", "default", "host-0"))?;
        let disks = host.pointer("/status/hardware/storage");
        if disks.and_then(Value::as_array).map(Vec::len) != Some(1) {
            wrong.push(format!("the inventory names the disks {disks:?}"));
        }
        let serial = self.serial(mark);
        let said = serial.lines().filter_map(|line| {
            let (_, rest) = line.split_once("installer: operation ")?;
            Some(rest.trim())
        });
        let of_others: Vec<&str> = said
            .filter(|said| *said != format!("{operation}: inspect"))
            .collect();
        if !of_others.is_empty() {
            wrong.push(format!(
                "the installer was given operation ids {of_others:?}"
            ));
        }
        let starts = self.meter.starts();
        outcome.written = starts.iter().sum();
        if outcome.written != 0 {
            wrong.push(format!(
                "{} bytes written, none are allowed",
                outcome.written
            ));
        }
        if starts.len() != 1 {
            wrong.push(format!("the server was started {} times", starts.len()));
        }
        let mut held = vec![0; PATTERN.len()];
        let disk = File::open(&self.world.site.server(0).disk);
        let read = disk.and_then(|file| file.read_exact_at(&mut held, 0));
        if read.is_err() || held != PATTERN {
            wrong.push("the disk is not as it was".to_owned());
        }
        match witness::bmc(&self.world.site, 0) {
            Ok((power, target)) if power == "Off" && target != "Pxe" => {}
            other => wrong.push(format!("the BMC says {other:?} of a free server")),
        }
        outcome.wrong.extend(wrong);
        Ok(())
    }
}

/// The inspection that the host tells of.
fn operation(host: &Value) -> Option<String> {
    let operation = host.pointer("/status/inspection/operationID")?;
    operation.as_str().map(str::to_owned)
}
