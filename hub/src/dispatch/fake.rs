//! An agent for the tests of the controllers: it talks to a [`Handle`] as a session does, without a line in between.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use vitistack_protocol::identity::AgentName;
use vitistack_protocol::ids::{Digest, Sequence, Uid};
use vitistack_protocol::message::Extensions;
use vitistack_protocol::message::body::{ReportBody, encode};
use vitistack_protocol::message::control::{Held, Hello, IntentAck};
use vitistack_protocol::message::intent::{HeldSecret, Intent, SecretName};
use vitistack_protocol::message::numbered::IntentOutcome;
use vitistack_protocol::message::report::Report;

use super::{Handle, SessionInfo, Standing, Work};

/// An agent with a session, and what it holds.
pub(crate) struct Agent {
    handle: Handle,
    name: AgentName,
    session: u64,
    sequence: u64,
    /// The newest intent of each object.
    pub(crate) intents: HashMap<Uid, Arc<Intent>>,
    /// What arrived last under each name.
    pub(crate) secrets: HashMap<SecretName, Digest>,
    /// How many intents and secrets arrived.
    pub(crate) taken: (usize, usize),
}

impl Agent {
    /// Opens a session of an agent that holds nothing.
    pub(crate) fn connect(handle: &Handle, name: &AgentName) -> Self {
        let mut agent = Self {
            handle: handle.clone(),
            name: name.clone(),
            session: 0,
            sequence: 0,
            intents: HashMap::new(),
            secrets: HashMap::new(),
            taken: (0, 0),
        };
        agent.reconnect();
        agent
    }

    /// Opens a session of the agent as it is, with what it holds.
    pub(crate) fn reconnect(&mut self) {
        let held = self.intents.values().map(|intent| Held {
            uid: intent.object.uid,
            fence: intent.fence,
            intent: intent.digest(),
            report: Digest::default(),
        });
        let secrets: Vec<_> = self
            .secrets
            .iter()
            .map(|(name, digest)| HeldSecret {
                name: *name,
                digest: *digest,
            })
            .collect();
        let hello = Hello {
            min_version: 1,
            max_version: 1,
            build: "test".to_owned(),
            capabilities: 0,
            boot: [1; 16],
            store: [2; 16],
            epoch: self.handle.epoch(),
            held: held.collect(),
            outbox: (Sequence(0), Sequence(0)),
            extensions: Hello::extensions_for(&secrets),
        };
        let info = SessionInfo {
            agent: self.name.clone(),
            session: 0,
            build: hello.build.clone(),
            connected_at: Timestamp::UNIX_EPOCH,
            remote: SocketAddr::from((Ipv4Addr::LOCALHOST, 1)),
            health: None,
            conflict: None,
            certificate_until: Timestamp::UNIX_EPOCH,
        };
        let session = self.handle.open(&hello, info, Standing::default()).session;
        self.session = session;
    }

    /// Ends the session.
    pub(crate) fn disconnect(&self) {
        self.handle.close(&self.name, self.session);
    }

    /// Takes and acks whatever the hub sends now.
    pub(crate) fn take(&mut self) {
        for work in self.handle.next(&self.name, self.session) {
            match work {
                Work::Secret(row) => {
                    self.taken.1 += 1;
                    self.secrets.insert(row.name, row.digest);
                    self.handle
                        .secret_acked(&self.name, self.session, row.held());
                }
                Work::Intent(intent) => {
                    self.taken.0 += 1;
                    let ack = IntentAck {
                        uid: intent.object.uid,
                        fence: intent.fence,
                        outcome: IntentOutcome::Stored,
                        held: intent.fence,
                    };
                    self.handle
                        .intent_acked(&self.name, self.session, &intent, ack);
                    self.intents.insert(intent.object.uid, intent);
                }
            }
        }
    }

    /// Reports under the intent that is held, which there must be.
    pub(crate) fn report<B: ReportBody>(&mut self, uid: Uid, body: &B, gone: bool) {
        let intent = self
            .intents
            .get(&uid)
            .expect("the object's intent arrived before");
        self.sequence += 1;
        let report = Report {
            sequence: Sequence(self.sequence),
            object: intent.object.clone(),
            fence: intent.fence,
            generation: intent.generation,
            kind: B::KIND,
            body: encode(body),
            gone,
            extensions: Extensions::default(),
        };
        self.handle
            .reports(&self.name, self.session, vec![report], Instant::now());
    }

    /// Up to where the hub has acked since it was last asked.
    pub(crate) fn acked(&self) -> Option<Sequence> {
        self.handle.ack_due(&self.name, self.session)
    }
}
