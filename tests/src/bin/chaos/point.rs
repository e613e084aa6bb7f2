//! Points by name: which program, what kind of thing is done there, in which phase of a Machine's life it was hit. Pure.

use std::collections::BTreeMap;

/// Who dies at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Program {
    Agent,
    Hub,
    Installer,
}

/// What is done at a point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Journal,
    Store,
    Fsync,
    Bmc,
    Wire,
    Api,
    Installer,
}

/// A stretch of the life of a Machine, or of a server without one. Points are killed in the first phase with work of a
/// Machine that hits them, and in each inspection that does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// The programs start.
    Start,
    /// From `kubectl apply` to Running.
    Install,
    /// From `kubectl delete` to a free host, with cleaning.
    Wipe,
    /// The same without cleaning.
    Release,
    /// A free server is looked into, and no Machine is there.
    Inspect,
    /// An agent that has lost its identity joins.
    Join,
}

pub(crate) const PHASES: [Phase; 6] = [
    Phase::Start,
    Phase::Install,
    Phase::Wipe,
    Phase::Release,
    Phase::Inspect,
    Phase::Join,
];

impl Phase {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Install => "install",
            Self::Wipe => "wipe",
            Self::Release => "release",
            Self::Inspect => "inspect",
            Self::Join => "join",
        }
    }
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Journal => "journal",
            Self::Store => "store",
            Self::Fsync => "fsync",
            Self::Bmc => "bmc",
            Self::Wire => "wire",
            Self::Api => "api",
            Self::Installer => "installer",
        }
    }
}

/// Who dies at `point`; the standalone API is a part of the hub's process.
pub(crate) fn program(point: &str) -> Option<Program> {
    match point.split('.').next()? {
        "agent" => Some(Program::Agent),
        "hub" | "standalone" => Some(Program::Hub),
        "installer" => Some(Program::Installer),
        _ => None,
    }
}

/// What is done at `point`, by the words of its name.
pub(crate) fn kind(point: &str) -> Kind {
    let has = |word: &str| point.split('.').any(|part| part == word);
    if point.starts_with("installer.") {
        Kind::Installer
    } else if has("bmc") {
        Kind::Bmc
    } else if has("journal") {
        Kind::Journal
    } else if point.contains("fsync") || has("rename") {
        Kind::Fsync
    } else if ["store", "acked"].iter().any(|word| has(word)) && !point.starts_with("hub.") {
        Kind::Store
    } else if ["send", "ack", "acked", "take"]
        .iter()
        .any(|word| has(word))
        && !has("claim")
        && !has("lease")
    {
        Kind::Wire
    } else {
        Kind::Api
    }
}

/// Hit when a program starts, whatever was going on when that was first seen.
const AT_START: [&str; 3] = ["hub.lease.take.", "hub.epoch.raise.", "agent.epoch.store."];

/// Hit when an agent joins, which the first agent of a site does in nobody's life.
const AT_JOIN: [&str; 5] = [
    "agent.identity.",
    "agent.join.",
    "hub.agent.admit.",
    "hub.join.",
    "hub.token.",
];

/// How often each point was hit in each phase.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hits {
    counts: BTreeMap<String, BTreeMap<Phase, u32>>,
}

impl Hits {
    pub(crate) fn add(&mut self, point: &str, phase: Phase) {
        let phases = self.counts.entry(point.to_owned()).or_default();
        *phases.entry(phase).or_default() += 1;
    }

    /// Reads what an earlier run wrote with `--json`.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let mut hits = Self::default();
        let value: serde_json::Value = serde_json::from_str(text).ok()?;
        for point in value["points"].as_array()? {
            for phase in PHASES {
                let count = point["hits"][phase.name()].as_u64().unwrap_or(0);
                for _ in 0..count {
                    hits.add(point["point"].as_str()?, phase);
                }
            }
        }
        Some(hits)
    }

    pub(crate) fn of(&self, point: &str, phase: Phase) -> u32 {
        self.counts
            .get(point)
            .and_then(|phases| phases.get(&phase))
            .copied()
            .unwrap_or_default()
    }

    pub(crate) fn points(&self) -> impl Iterator<Item = &str> {
        self.counts.keys().map(String::as_str)
    }

    /// The phase of a Machine's life to kill the point in: the first with work of the Machine in it.
    pub(crate) fn phase(&self, point: &str) -> Option<Phase> {
        let phases = self.counts.get(point)?;
        let is_of = |beginnings: &[&str]| beginnings.iter().any(|name| point.starts_with(name));
        if is_of(&AT_JOIN) {
            return None;
        }
        if is_of(&AT_START) {
            return Some(Phase::Start);
        }
        [Phase::Install, Phase::Wipe, Phase::Release, Phase::Start]
            .into_iter()
            .find(|phase| phases.contains_key(phase))
    }

    /// Takes over what another life saw: of what both hit, the smaller number, since a point is to be reached in any life.
    pub(crate) fn least(&mut self, other: &Self) {
        for (point, phases) in &other.counts {
            for (phase, count) in phases {
                let known = self.counts.entry(point.clone()).or_default();
                let least = known.entry(*phase).or_insert(*count);
                *least = (*least).min(*count);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_program_and_kind() {
        for (point, who, what) in [
            (
                "agent.journal.about-to.before",
                Program::Agent,
                Kind::Journal,
            ),
            ("agent.store.fsync.after", Program::Agent, Kind::Fsync),
            ("agent.file.dir-fsync.after", Program::Agent, Kind::Fsync),
            ("agent.intent.store.before", Program::Agent, Kind::Store),
            ("agent.reports.acked.before", Program::Agent, Kind::Store),
            ("agent.intent.ack.before", Program::Agent, Kind::Wire),
            ("agent.bmc.power-on.after", Program::Agent, Kind::Bmc),
            ("hub.claim.take.before", Program::Hub, Kind::Api),
            ("hub.intent.send.before", Program::Hub, Kind::Wire),
            ("hub.reports.take.after", Program::Hub, Kind::Wire),
            ("standalone.store.write.before", Program::Hub, Kind::Store),
            (
                "installer.disk.fsync.before",
                Program::Installer,
                Kind::Installer,
            ),
        ] {
            assert_eq!(program(point), Some(who), "{point}");
            assert_eq!(kind(point), what, "{point}");
        }
    }

    #[test]
    fn a_point_is_killed_where_a_machine_is_at_stake() {
        let mut hits = Hits::default();
        hits.add("agent.bmc.read.before", Phase::Start);
        hits.add("agent.bmc.read.before", Phase::Wipe);
        assert_eq!(hits.phase("agent.bmc.read.before"), Some(Phase::Wipe));
        assert_eq!(hits.phase("agent.other.before"), None);
        hits.add("hub.epoch.raise.before", Phase::Install);
        assert_eq!(hits.phase("hub.epoch.raise.before"), Some(Phase::Start));
        hits.add("hub.token.remove.before", Phase::Install);
        assert_eq!(hits.phase("hub.token.remove.before"), None, "of a join");
    }
}
