//! Where the time of an installation went. Pure: stamps in, parts out.

use serde_json::Value;

#[cfg(test)]
mod tests;

/// Whose time a part is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Whose {
    /// Hub, agent or installer.
    Ours,
    /// The BMC's answers.
    Bmc,
    /// BIOS or UEFI, the network ROM, iPXE and what it downloads.
    Firmware,
    /// Linux, of the installer and of the guest, and the guest's own start.
    Kernels,
}

/// A part of the way.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Part {
    pub(crate) name: &'static str,
    pub(crate) whose: Whose,
    pub(crate) seconds: f64,
}

/// One request to a BMC.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    pub(crate) begun: f64,
    pub(crate) answered: f64,
    pub(crate) is_reset: bool,
}

/// When things happened, in seconds since the epoch.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Stamps {
    pub(crate) applied: f64,
    pub(crate) stored: f64,
    pub(crate) ready: f64,
    pub(crate) script: f64,
    pub(crate) installer: f64,
    pub(crate) network: f64,
    pub(crate) disk: f64,
    pub(crate) written: f64,
    pub(crate) phoned: f64,
    pub(crate) running: f64,
    pub(crate) requests: Vec<Request>,
}

impl Stamps {
    /// Fills in what the agent's log (JSON lines) says of the time since `applied`.
    pub(crate) fn read_agent(&mut self, log: &str) {
        let lines = log
            .lines()
            .filter_map(|line| serde_json::from_str::<Value>(line).ok());
        for line in lines {
            let time = line["timestamp"]
                .as_str()
                .and_then(|text| text.parse::<jiff::Timestamp>().ok());
            let Some(at) = time.map(|time| time.as_duration().as_secs_f64()) else {
                continue;
            };
            if at < self.applied {
                continue;
            }
            match line["message"].as_str().unwrap_or_default() {
                "intent stored" => first(&mut self.stored, at),
                "acting" if line["step"] == "open-installer-slot" => first(&mut self.ready, at),
                "boot script fetched" => first(&mut self.script, at),
                "guest phones home" => first(&mut self.phoned, at),
                "the BMC answered" => self.requests.push(Request {
                    begun: at - line["seconds"].as_f64().unwrap_or_default(),
                    answered: at,
                    is_reset: line["method"] == "POST"
                        && line["path"]
                            .as_str()
                            .is_some_and(|path| path.ends_with("ComputerSystem.Reset")),
                }),
                _ => {}
            }
        }
    }

    /// Fills in what the serial port said, and when.
    pub(crate) fn read_serial(&mut self, lines: &[(f64, String)]) {
        for (at, line) in lines.iter().filter(|(at, _)| *at >= self.applied) {
            if line.contains("installer: VitiStack") {
                first(&mut self.installer, *at);
            } else if line.contains("installer: address") {
                first(&mut self.network, *at);
            } else if line.contains("installer: writing") {
                first(&mut self.disk, *at);
            } else if line.contains("written, verified and synced") {
                first(&mut self.written, *at);
            }
        }
    }

    /// The way from apply to Running, in order.
    ///
    /// # Errors
    /// What did not happen.
    pub(crate) fn parts(&self) -> Result<Vec<Part>, String> {
        let Self {
            applied,
            stored,
            ready,
            script,
            installer,
            network,
            disk,
            written,
            phoned,
            running,
            requests,
        } = self;
        let resets = |from: f64, until: f64| {
            requests
                .iter()
                .filter(move |one| one.is_reset && one.begun >= from && one.answered <= until)
        };
        let power_on = resets(*stored, *script)
            .next_back()
            .ok_or("the server was never powered on")?
            .answered;
        let restart = resets(*written, *phoned)
            .next_back()
            .ok_or("the server was never restarted")?
            .answered;
        let times = [
            ("applied", *applied),
            ("intent stored", *stored),
            ("image in the cache", *ready),
            ("powered on", power_on),
            ("boot script fetched", *script),
            ("installer up", *installer),
            ("installer has an address", *network),
            ("installer has its disk", *disk),
            ("image written", *written),
            ("restarted", restart),
            ("guest phoned home", *phoned),
            ("Running", *running),
        ];
        for pair in times.windows(2) {
            if let [(before, earlier), (name, later)] = pair
                && later < earlier
            {
                return Err(format!("{name} is not seen after {before}"));
            }
        }
        let bmc = |from: f64, until: f64| -> f64 {
            requests
                .iter()
                .map(|one| (one.answered.min(until) - one.begun.max(from)).max(0.0))
                .sum()
        };
        let (look, before) = (bmc(*stored, *ready), bmc(*ready, power_on));
        let after = bmc(*written, restart);
        let part = |name, whose, seconds| Part {
            name,
            whose,
            seconds,
        };
        Ok(vec![
            part("hub: apply to stored intent", Whose::Ours, stored - applied),
            part("agent: image", Whose::Ours, ready - stored - look),
            part(
                "agent: boot slot, override, power",
                Whose::Ours,
                power_on - ready - before,
            ),
            part("BMC: override and power on", Whose::Bmc, look + before),
            part(
                "firmware to boot script",
                Whose::Firmware,
                script - power_on,
            ),
            part(
                "iPXE loads kernel, kernel boots",
                Whose::Kernels,
                installer - script,
            ),
            part(
                "installer: drivers and network",
                Whose::Ours,
                network - installer,
            ),
            part("installer: plan and disks", Whose::Ours, disk - network),
            part("installer: image", Whose::Ours, written - disk),
            part(
                "agent: report to restart",
                Whose::Ours,
                restart - written - after,
            ),
            part("BMC: override and restart", Whose::Bmc, after),
            part(
                "firmware and guest to phone-home",
                Whose::Kernels,
                phoned - restart,
            ),
            part(
                "agent and hub: phone-home to Running",
                Whose::Ours,
                running - phoned,
            ),
        ])
    }
}

fn first(stamp: &mut f64, at: f64) {
    if *stamp == 0.0 {
        *stamp = at;
    }
}

/// Seconds of the parts that are `whose`.
pub(crate) fn sum(parts: &[Part], whose: Whose) -> f64 {
    parts
        .iter()
        .filter(|part| part.whose == whose)
        .map(|part| part.seconds)
        .sum()
}
