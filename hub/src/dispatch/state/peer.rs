//! One agent: what is remembered of it between sessions, and what a live session knows.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use vitistack_protocol::ids::{Digest, Fence, Sequence, Uid};
use vitistack_protocol::message::control::{Held, Hello, IntentAck};
use vitistack_protocol::message::intent::{Intent, SecretName, SecretRow};
use vitistack_protocol::message::numbered::IntentOutcome;
use vitistack_protocol::message::report::Report;

use super::{Accept, Change, Conflict, Desired, SessionInfo};

/// Reports of objects that nobody has claimed that are kept of one agent. A hub that starts sees every object of a site
/// unclaimed for a moment; beyond that it is an agent that makes objects up.
const UNCLAIMED_REPORTS: usize = 8192;

/// After which time a full store is asked again.
const FULL_AGAIN: Duration = Duration::from_secs(30);

/// How the state reaches the task of a session: a word and a wake, because there are as many as agents.
#[derive(Clone, Default)]
pub(crate) struct Standing(Arc<Word>);

#[derive(Default)]
struct Word {
    wake: Notify,
    over: OnceLock<Over>,
}

/// Why a session has to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Over {
    /// A later session of the same agent has begun.
    Superseded,
    /// A person has resumed the agent, which has to dial again for that.
    Resumed,
}

impl Standing {
    /// There may be work or an ack to send.
    pub(super) fn wake(&self) {
        self.0.wake.notify_one();
    }

    /// The session has to end; the first reason stands.
    pub(super) fn end(&self, over: Over) {
        self.0.over.get_or_init(|| over);
        self.wake();
    }

    /// Whether the session has to end.
    pub(crate) fn over(&self) -> Option<Over> {
        self.0.over.get().copied()
    }

    /// Waits for either. Cancel-safe; one that came since the last wait is not missed.
    pub(crate) async fn changed(&self) {
        self.0.wake.notified().await;
    }
}

/// A report that the API has not taken over yet.
pub(super) struct Waiting {
    pub(super) uid: Uid,
    pub(super) since: Instant,
}

/// What outlives a session.
#[derive(Default)]
pub(super) struct Peer {
    /// The store that the sequence numbers belong to.
    pub(super) store: [u8; 16],
    /// What is desired here.
    pub(super) objects: BTreeSet<Uid>,
    /// Rows that intents name or will name, as they were handed over last.
    pub(super) secrets: HashMap<SecretName, Arc<SecretRow>>,
    /// The newest report an object, claimed or not.
    pub(super) reports: HashMap<Uid, Report>,
    /// Reports behind which no ack may go.
    pub(super) waiting: BTreeMap<Sequence, Waiting>,
    /// The highest sequence that arrived.
    pub(super) received: Sequence,
    /// Whose state counts where the agent is ahead; `None` while nobody has chosen.
    pub(super) accept: Option<Accept>,
    /// Boxed: more agents are known than connected.
    pub(super) live: Option<Box<Live>>,
}

impl Peer {
    /// The agent has another store: its numbers begin anew.
    pub(super) fn forget_reports(&mut self, store: [u8; 16]) {
        self.store = store;
        self.reports.clear();
        self.waiting.clear();
        self.received = Sequence(0);
    }

    /// Takes a report; the older ones of the same object count as taken over.
    pub(super) fn take(&mut self, report: Report, now: Instant) {
        let (uid, sequence) = (report.object.uid, report.sequence);
        let is_new = !self.objects.contains(&uid) && !self.reports.contains_key(&uid);
        if is_new && self.reports.len() >= self.objects.len() + UNCLAIMED_REPORTS {
            return;
        }
        self.received = self.received.max(sequence);
        if self
            .reports
            .get(&uid)
            .is_some_and(|known| known.sequence > sequence)
        {
            return;
        }
        self.settled(uid, sequence);
        self.waiting.insert(sequence, Waiting { uid, since: now });
        self.reports.insert(uid, report);
    }

    /// Reports of this object up to `sequence` were taken over.
    pub(super) fn settled(&mut self, uid: Uid, sequence: Sequence) {
        self.waiting
            .retain(|known, waiting| waiting.uid != uid || *known > sequence);
    }

    /// Up to where everything that arrived was taken over. Reports arrive in order, on one stream a session.
    pub(super) fn through(&self) -> Sequence {
        match self.waiting.first_key_value() {
            Some((first, _)) => Sequence(first.0.saturating_sub(1)),
            None => self.received,
        }
    }
}

/// An intent that the agent did not take.
pub(super) struct Refused {
    fence: Fence,
    outcome: IntentOutcome,
    at: Instant,
}

impl Refused {
    /// Only a full store empties by itself; every other refusal needs another intent.
    pub(super) fn worth_another_try(&self, now: Instant) -> bool {
        self.outcome == IntentOutcome::StoreFull
            && now.saturating_duration_since(self.at) >= FULL_AGAIN
    }
}

/// A live session.
pub(super) struct Live {
    pub(super) info: SessionInfo,
    pub(super) standing: Standing,
    /// What the agent holds, by its Hello and its acks.
    pub(super) held: HashMap<Uid, Held>,
    /// Rows that the agent holds, likewise.
    pub(super) secrets: HashMap<SecretName, Digest>,
    pub(super) secrets_under_way: HashSet<SecretName>,
    pub(super) intents_under_way: HashSet<Uid>,
    pub(super) refused: HashMap<Uid, Refused>,
    /// Objects of which something may have to be sent: only these are looked at.
    pub(super) due: BTreeSet<Uid>,
    /// The last ack that was sent.
    pub(super) acked: Sequence,
}

impl Live {
    pub(super) fn new(hello: &Hello, info: SessionInfo, standing: Standing) -> Self {
        Self {
            info,
            standing,
            held: hello.held.iter().map(|held| (held.uid, *held)).collect(),
            secrets: hello
                .secrets()
                .into_iter()
                .map(|held| (held.name, held.digest))
                .collect(),
            secrets_under_way: HashSet::new(),
            intents_under_way: HashSet::new(),
            refused: HashMap::new(),
            due: BTreeSet::new(),
            acked: Sequence(0),
        }
    }

    pub(super) fn under_way(&self) -> usize {
        self.secrets_under_way.len() + self.intents_under_way.len()
    }

    /// Forgets refusals that are worth another try; whether there were any.
    pub(super) fn ask_again(&mut self, now: Instant) -> bool {
        let again: Vec<Uid> = self
            .refused
            .extract_if(|_, refused| refused.worth_another_try(now))
            .map(|(uid, _)| uid)
            .collect();
        self.due.extend(&again);
        !again.is_empty()
    }

    /// Whether this intent is to be sent.
    pub(super) fn wants(&self, desired: &Desired) -> bool {
        let (uid, fence) = (desired.intent.object.uid, desired.intent.fence);
        let refused = self
            .refused
            .get(&uid)
            .is_some_and(|refused| refused.fence == fence);
        !refused
            && !self.intents_under_way.contains(&uid)
            && self
                .held
                .get(&uid)
                .is_none_or(|held| !desired.is_held(held))
    }

    /// Whether the agent holds what this hub has not come to yet.
    pub(super) fn is_ahead_of(&self, desired: &Desired) -> bool {
        self.held
            .get(&desired.intent.object.uid)
            .is_some_and(|held| desired.is_behind(held))
    }

    /// Says what follows from comparing a desired intent with what is held. `chosen`: a person has said whose state
    /// counts, so that a hub that is behind is no conflict any more.
    pub(super) fn compare(&mut self, uid: Uid, desired: &Desired, chosen: bool) -> Vec<Change> {
        let Some(held) = self.held.get(&uid) else {
            return Vec::new();
        };
        let fence = desired.intent.fence;
        if desired.is_held(held) {
            return vec![Change::Acked(uid, fence, IntentOutcome::AlreadyHeld)];
        }
        if !desired.is_behind(held) {
            return Vec::new();
        }
        if chosen {
            return vec![Change::Ahead(uid)];
        }
        if self.info.conflict.is_none() {
            self.info.conflict = Some(Conflict {
                object: Some(uid),
                hub: fence,
                agent: held.fence,
            });
            return vec![Change::Session(self.info.agent.clone())];
        }
        Vec::new()
    }

    /// Takes the agent's answer.
    pub(super) fn answered(&mut self, sent: &Intent, ack: IntentAck, now: Instant) {
        let uid = sent.object.uid;
        self.intents_under_way.remove(&uid);
        self.due.insert(uid);
        if ack.outcome.holds() {
            self.refused.remove(&uid);
            let report = self.held.get(&uid).map(|held| held.report);
            self.held.insert(
                uid,
                Held {
                    uid,
                    fence: sent.fence,
                    intent: sent.digest(),
                    report: report.unwrap_or_default(),
                },
            );
            return;
        }
        self.refused.insert(
            uid,
            Refused {
                fence: sent.fence,
                outcome: ack.outcome,
                at: now,
            },
        );
        match ack.outcome {
            IntentOutcome::OlderEpoch
            | IntentOutcome::OlderRevision
            | IntentOutcome::ContentDiffers => {
                self.info.conflict.get_or_insert(Conflict {
                    object: Some(uid),
                    hub: sent.fence,
                    agent: ack.held,
                });
            }
            IntentOutcome::Stored
            | IntentOutcome::AlreadyHeld
            | IntentOutcome::StoreFull
            | IntentOutcome::NotUnderstood => {}
        }
    }
}
