//! Desired state against what agents hold: pure bookkeeping, no I/O, time as an argument.
//!
//! Authorisation lives here too: a report counts only when it comes from the agent that the object is desired at.
//! Reports of objects that nobody has claimed yet (the hub has just started) are kept aside, not shown and not acked,
//! until a controller claims them or [`UNCLAIMED`] has passed.

mod conflict;
mod peer;

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use vitistack_protocol::identity::AgentName;
use vitistack_protocol::ids::{Digest, Fence, HubEpoch, Sequence, Uid};
use vitistack_protocol::message::control::{Health, Held, Hello, IntentAck};
use vitistack_protocol::message::intent::{HeldSecret, Intent, SecretRow};
use vitistack_protocol::message::report::Report;

use super::Change;
use conflict::position;
pub use conflict::{Accept, Ahead, Conflict};
use peer::{Live, Peer};
pub(crate) use peer::{Over, Standing};

/// How long an unacked report of an object that no controller has claimed holds back the acks behind it. Long enough
/// for a starting hub to have compiled every intent; the agent keeps its last report of live objects anyway.
const UNCLAIMED: Duration = Duration::from_secs(60);

/// How many intents and secrets are under way to one agent at a time; the agent grants as many streams.
const IN_FLIGHT: usize = 16;

/// A report with the agent that sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// From the certificate of the session.
    pub agent: AgentName,
    /// What it said.
    pub report: Report,
}

/// A live session.
#[derive(Clone, Debug)]
pub struct SessionInfo {
    /// Who, by certificate.
    pub agent: AgentName,
    /// Number of the session, unique within this hub process.
    pub session: u64,
    /// Version of the agent's program.
    pub build: String,
    /// When it began.
    pub connected_at: Timestamp,
    /// From where.
    pub remote: SocketAddr,
    /// The last health frame.
    pub health: Option<Health>,
    /// Set while nothing is dispatched because the hub is behind.
    pub conflict: Option<Conflict>,
    /// When the agent's certificate ends.
    pub certificate_until: Timestamp,
}

/// A session that has begun.
pub(crate) struct Opened {
    /// Its number.
    pub(crate) session: u64,
    /// Objects whose last report the hub does not know.
    pub(crate) resend: Vec<Uid>,
    /// The highest sequence that was received of the agent's store.
    pub(crate) received: Sequence,
}

/// Something to send to an agent.
#[derive(Clone)]
pub(crate) enum Work {
    /// Before the intents that name it.
    Secret(Arc<SecretRow>),
    /// To be stored and acked.
    Intent(Arc<Intent>),
}

struct Desired {
    agent: AgentName,
    intent: Arc<Intent>,
    digest: Digest,
    /// What the agent may hold in its place, because a person said so.
    stands: Option<Digest>,
}

pub(crate) struct State {
    epoch: HubEpoch,
    sessions: u64,
    desired: HashMap<Uid, Desired>,
    /// A tree: a table has room for up to twice as many as there are.
    peers: BTreeMap<AgentName, Peer>,
}

impl State {
    pub(crate) fn new(epoch: HubEpoch) -> Self {
        Self {
            epoch,
            sessions: 0,
            desired: HashMap::new(),
            peers: BTreeMap::new(),
        }
    }

    pub(crate) fn epoch(&self) -> HubEpoch {
        self.epoch
    }

    pub(crate) fn desire_or(
        &mut self,
        agent: &AgentName,
        intent: Intent,
        stands: Option<Digest>,
    ) -> Vec<Change> {
        let uid = intent.object.uid;
        let digest = intent.digest();
        if let Some(known) = self.desired.get(&uid) {
            let same = known.agent == *agent
                && known.intent.fence == intent.fence
                && known.digest == digest
                && known.stands == stands;
            if same || known.intent.fence > intent.fence {
                return Vec::new();
            }
        }
        let new = Desired {
            agent: agent.clone(),
            intent: Arc::new(intent),
            digest,
            stands,
        };
        let old = self.desired.insert(uid, new);
        let first_here = old.as_ref().is_none_or(|old| old.agent != *agent);
        if let Some(old) = old {
            self.unassign(&old, uid);
        }
        let peer = self.peers.entry(agent.clone()).or_default();
        peer.objects.insert(uid);
        let mut changes = Vec::new();
        if first_here && peer.reports.contains_key(&uid) {
            changes.push(Change::Report(uid));
        }
        changes.extend(self.settle(agent, uid));
        self.wake(agent);
        changes
    }

    pub(crate) fn secret(&mut self, agent: &AgentName, row: SecretRow) {
        let peer = self.peers.entry(agent.clone()).or_default();
        let name = row.name;
        if let Some(known) = peer.secrets.get(&name)
            && known.digest == row.digest
        {
            return;
        }
        peer.secrets.insert(name, Arc::new(row));
        if let Some(live) = &mut peer.live {
            let names_it = |uid: &&Uid| {
                self.desired
                    .get(*uid)
                    .is_some_and(|desired| desired.intent.secrets.contains(&name))
            };
            live.due.extend(peer.objects.iter().filter(names_it));
        }
        self.wake(agent);
    }

    /// The agent lacks a row that the object's intent names, although it held it once: it drops what no intent names any
    /// more, and an intent that names it again may have been on its way. All are sent again.
    pub(crate) fn missing(&mut self, uid: Uid) {
        let Some(desired) = self.desired.get(&uid) else {
            return;
        };
        let Some(live) = self
            .peers
            .get_mut(&desired.agent)
            .and_then(|peer| peer.live.as_mut())
        else {
            return;
        };
        for name in &desired.intent.secrets {
            live.secrets.remove(name);
        }
        live.due.insert(uid);
        live.standing.wake();
    }

    pub(crate) fn forget(&mut self, uid: Uid) {
        if let Some(old) = self.desired.remove(&uid) {
            self.unassign(&old, uid);
            if let Some(peer) = self.peers.get_mut(&old.agent) {
                peer.reports.remove(&uid);
                peer.settled(uid, Sequence(u64::MAX));
            }
            self.wake(&old.agent);
        }
    }

    pub(crate) fn report(&self, uid: Uid) -> Option<Received> {
        let agent = &self.desired.get(&uid)?.agent;
        let report = self.peers.get(agent)?.reports.get(&uid)?;
        Some(Received {
            agent: agent.clone(),
            report: report.clone(),
        })
    }

    pub(crate) fn held(&self, uid: Uid) -> Option<Fence> {
        let live = self.live(&self.desired.get(&uid)?.agent)?;
        live.held.get(&uid).map(|held| held.fence)
    }

    pub(crate) fn accepted(&mut self, uid: Uid, sequence: Sequence) {
        let Some(agent) = self.desired.get(&uid).map(|desired| desired.agent.clone()) else {
            return;
        };
        if let Some(peer) = self.peers.get_mut(&agent) {
            peer.settled(uid, sequence);
        }
        self.wake(&agent);
    }

    pub(crate) fn sessions(&self) -> Vec<SessionInfo> {
        let mut sessions: Vec<_> = self
            .peers
            .values()
            .filter_map(|peer| peer.live.as_ref())
            .map(|live| live.info.clone())
            .collect();
        sessions.sort_by(|a, b| a.agent.cmp(&b.agent));
        sessions
    }

    pub(crate) fn session(&self, agent: &AgentName) -> Option<SessionInfo> {
        self.live(agent).map(|live| live.info.clone())
    }

    pub(crate) fn is_connected(&self, agent: &AgentName) -> bool {
        self.live(agent).is_some()
    }

    pub(crate) fn sweep(&mut self, now: Instant) {
        let Self { desired, peers, .. } = self;
        for (agent, peer) in peers {
            let claimed = |uid: &Uid| {
                desired
                    .get(uid)
                    .is_some_and(|desired| desired.agent == *agent)
            };
            let before = peer.waiting.len();
            peer.waiting.retain(|_, waiting| {
                claimed(&waiting.uid) || now.saturating_duration_since(waiting.since) < UNCLAIMED
            });
            if let Some(live) = &mut peer.live
                && (live.ask_again(now) || before != peer.waiting.len())
            {
                live.standing.wake();
            }
        }
    }

    /// Begins a session; one that the agent still had is superseded.
    pub(crate) fn open(
        &mut self,
        hello: &Hello,
        mut info: SessionInfo,
        standing: Standing,
    ) -> (Opened, Vec<Change>) {
        self.sessions += 1;
        info.session = self.sessions;
        if hello.epoch > self.epoch {
            info.conflict = Some(Conflict {
                object: None,
                hub: position(self.epoch),
                agent: position(hello.epoch),
            });
        }
        let agent = info.agent.clone();
        let peer = self.peers.entry(agent.clone()).or_default();
        if peer.store != hello.store {
            peer.forget_reports(hello.store);
        }
        let resend = hello
            .held
            .iter()
            .filter(|held| held.report != Digest::default())
            .filter(|held| {
                peer.reports
                    .get(&held.uid)
                    .is_none_or(|known| known.digest() != held.report)
            })
            .map(|held| held.uid)
            .collect();
        let received = peer.received;
        let live = Box::new(Live::new(hello, info, standing));
        if let Some(old) = peer.live.replace(live) {
            old.standing.end(Over::Superseded);
        }
        let objects: Vec<Uid> = peer.objects.iter().copied().collect();
        let mut changes = vec![Change::Session(agent.clone())];
        for uid in objects {
            changes.extend(self.settle(&agent, uid));
        }
        let opened = Opened {
            session: self.sessions,
            resend,
            received,
        };
        (opened, changes)
    }

    /// Ends a session, unless a later one has taken its place.
    pub(crate) fn close(&mut self, agent: &AgentName, session: u64) -> Vec<Change> {
        let Some(peer) = self.peers.get_mut(agent) else {
            return Vec::new();
        };
        if peer
            .live
            .as_ref()
            .is_none_or(|live| live.info.session != session)
        {
            return Vec::new();
        }
        peer.live = None;
        vec![Change::Session(agent.clone())]
    }

    /// What to send now; it counts as under way until its ack or the session's end.
    pub(crate) fn next(&mut self, agent: &AgentName, session: u64) -> Vec<Work> {
        let Self { desired, peers, .. } = self;
        let Some(peer) = peers.get_mut(agent) else {
            return Vec::new();
        };
        let Peer {
            objects,
            secrets,
            live,
            ..
        } = peer;
        let Some(live) = live.as_mut().filter(|live| live.info.session == session) else {
            return Vec::new();
        };
        let mut work = Vec::new();
        if live.info.conflict.is_some() {
            return work;
        }
        let due = std::mem::take(&mut live.due);
        for uid in due.intersection(objects).copied() {
            let Some(desired) = desired.get(&uid) else {
                continue;
            };
            // It gets another revision first, by the choice that a person made.
            if live.is_ahead_of(desired) {
                continue;
            }
            let mut ready = true;
            for name in &desired.intent.secrets {
                // A row that nobody has handed over yet does not hold the intent back: the agent waits for it by name.
                let Some(row) = secrets.get(name) else {
                    continue;
                };
                if live.secrets.get(name) == Some(&row.digest) {
                    continue;
                }
                ready = false;
                // One row of a name at a time, or an older one could arrive last.
                if live.under_way() < IN_FLIGHT && live.secrets_under_way.insert(*name) {
                    work.push(Work::Secret(Arc::clone(row)));
                }
            }
            let wanted = live.wants(desired);
            if ready && wanted && live.under_way() < IN_FLIGHT {
                live.intents_under_way.insert(uid);
                work.push(Work::Intent(Arc::clone(&desired.intent)));
            } else if !ready || wanted {
                // It waits for a row, or for its turn.
                live.due.insert(uid);
            }
        }
        work
    }

    pub(crate) fn secret_acked(&mut self, agent: &AgentName, session: u64, held: HeldSecret) {
        if let Some(live) = self.live_mut(agent, session) {
            live.secrets_under_way.remove(&held.name);
            live.secrets.insert(held.name, held.digest);
            live.standing.wake();
        }
    }

    /// Takes the agent's answer to `sent`.
    pub(crate) fn intent_acked(
        &mut self,
        agent: &AgentName,
        session: u64,
        sent: &Intent,
        ack: IntentAck,
        now: Instant,
    ) -> Vec<Change> {
        let Some(live) = self.live_mut(agent, session) else {
            return Vec::new();
        };
        let uid = sent.object.uid;
        live.answered(sent, ack, now);
        live.standing.wake();
        let mut changes = vec![Change::Acked(uid, sent.fence, ack.outcome)];
        if live.info.conflict.is_some() {
            changes.push(Change::Session(agent.clone()));
        }
        changes
    }

    /// Takes reports in the order of their sequence numbers.
    pub(crate) fn reports(
        &mut self,
        agent: &AgentName,
        session: u64,
        reports: Vec<Report>,
        now: Instant,
    ) -> Vec<Change> {
        if self.live_mut(agent, session).is_none() {
            return Vec::new();
        }
        let Some(peer) = self.peers.get_mut(agent) else {
            return Vec::new();
        };
        let mut changes = Vec::new();
        for report in reports {
            let uid = report.object.uid;
            peer.take(report, now);
            if self
                .desired
                .get(&uid)
                .is_some_and(|desired| desired.agent == *agent)
            {
                changes.push(Change::Report(uid));
            }
        }
        changes
    }

    /// Up to where every report was taken over, if that is news to the session.
    pub(crate) fn ack_due(&mut self, agent: &AgentName, session: u64) -> Option<Sequence> {
        let peer = self.peers.get_mut(agent)?;
        let through = peer.through();
        let live = peer
            .live
            .as_mut()
            .filter(|live| live.info.session == session)?;
        if through > live.acked {
            live.acked = through;
            Some(through)
        } else {
            None
        }
    }

    /// A person has chosen a side. The hub speaks with `epoch` from now on, and the agent is made to dial again, since
    /// it takes nothing from a hub that was behind when the session began.
    pub(crate) fn resume(
        &mut self,
        agent: &AgentName,
        accept: Accept,
        epoch: HubEpoch,
    ) -> Vec<Change> {
        self.epoch = self.epoch.max(epoch);
        for desired in self.desired.values_mut() {
            let intent = Arc::make_mut(&mut desired.intent);
            intent.fence.epoch = intent.fence.epoch.max(epoch);
        }
        let peer = self.peers.entry(agent.clone()).or_default();
        peer.accept = Some(accept);
        if let Some(live) = &peer.live {
            live.standing.end(Over::Resumed);
        }
        vec![Change::Session(agent.clone())]
    }

    /// Remembers the choice that is in force for an agent, or that none is.
    pub(crate) fn accept(&mut self, agent: &AgentName, accept: Option<Accept>) {
        if let Some(peer) = self.peers.get_mut(agent) {
            peer.accept = accept;
        }
    }

    /// Where the agent is ahead of what is desired, if a person has chosen.
    pub(crate) fn ahead(&self, uid: Uid) -> Option<Ahead> {
        let desired = self.desired.get(&uid)?;
        let peer = self.peers.get(&desired.agent)?;
        let held = peer.live.as_ref()?.held.get(&uid)?;
        let accept = peer.accept?;
        desired.is_behind(held).then_some(Ahead {
            revision: held.fence.revision,
            content: held.intent,
            accept,
        })
    }

    /// What the agent holds that is not desired there, or not yet beyond it.
    pub(crate) fn unsettled(&self, agent: &AgentName) -> Vec<Uid> {
        let Some(live) = self.live(agent) else {
            return Vec::new();
        };
        let is_open = |held: &&Held| {
            self.desired
                .get(&held.uid)
                .is_none_or(|desired| desired.agent == *agent && desired.is_behind(held))
        };
        live.held
            .values()
            .filter(is_open)
            .map(|held| held.uid)
            .collect()
    }

    pub(crate) fn health(&mut self, agent: &AgentName, session: u64, health: Health) {
        if let Some(live) = self.live_mut(agent, session) {
            live.info.health = Some(health);
        }
    }

    pub(crate) fn certificate(&mut self, agent: &AgentName, session: u64, until: Timestamp) {
        if let Some(live) = self.live_mut(agent, session) {
            live.info.certificate_until = until;
        }
    }

    /// Compares what is desired with what the agent said it holds: equal counts as acked, a newer revision at the
    /// agent is a conflict. Whatever it is, it is looked at once whether something has to be sent.
    fn settle(&mut self, agent: &AgentName, uid: Uid) -> Vec<Change> {
        let Some(desired) = self.desired.get(&uid) else {
            return Vec::new();
        };
        let Some(peer) = self.peers.get_mut(agent) else {
            return Vec::new();
        };
        let chosen = peer.accept.is_some();
        let Some(live) = peer.live.as_mut() else {
            return Vec::new();
        };
        live.due.insert(uid);
        live.compare(uid, desired, chosen)
    }

    fn unassign(&mut self, old: &Desired, uid: Uid) {
        let still_here = self
            .desired
            .get(&uid)
            .is_some_and(|desired| desired.agent == old.agent);
        let Some(peer) = self.peers.get_mut(&old.agent) else {
            return;
        };
        if !still_here {
            peer.objects.remove(&uid);
        }
        // A row stays while any intent of this agent names it. A row that came ahead of its intent is named by none,
        // so only those go that the replaced intent named.
        for name in &old.intent.secrets {
            let named = peer.objects.iter().any(|object| {
                self.desired
                    .get(object)
                    .is_some_and(|desired| desired.intent.secrets.contains(name))
            });
            if !named {
                peer.secrets.remove(name);
                // The agent drops a row that no intent names any more, so it has to be sent again when it is named again.
                if let Some(live) = &mut peer.live {
                    live.secrets.remove(name);
                }
            }
        }
    }

    fn wake(&self, agent: &AgentName) {
        if let Some(live) = self.live(agent) {
            live.standing.wake();
        }
    }

    fn live(&self, agent: &AgentName) -> Option<&Live> {
        self.peers.get(agent)?.live.as_deref()
    }

    fn live_mut(&mut self, agent: &AgentName, session: u64) -> Option<&mut Live> {
        self.peers
            .get_mut(agent)?
            .live
            .as_deref_mut()
            .filter(|live| live.info.session == session)
    }
}

#[cfg(test)]
mod tests;
