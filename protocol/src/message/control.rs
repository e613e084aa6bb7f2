//! What the two say about the session itself.

use serde::{Deserialize, Serialize};

use super::intent::HeldSecret;
use super::numbered::IntentOutcome;
use super::report::Report;
use super::{Extensions, body};
use crate::ids::{Digest, Fence, HubEpoch, Sequence, Uid};

/// First frame of an agent. Frozen for ever, in every protocol version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Oldest protocol version that the agent speaks.
    pub min_version: u16,
    /// Newest protocol version that the agent speaks.
    pub max_version: u16,
    /// Version of the program, for people.
    pub build: String,
    /// Capability bits; none are allotted yet.
    pub capabilities: u64,
    /// Random, new at every start of the process.
    pub boot: [u8; 16],
    /// Random, made with the store: another value means that the store was emptied.
    pub store: [u8; 16],
    /// Newest hub epoch that the agent has accepted.
    pub epoch: HubEpoch,
    /// What the agent holds.
    pub held: Vec<Held>,
    /// First and last report that waits to be sent; both 0 when none does.
    pub outbox: (Sequence, Sequence),
    /// Growth.
    pub extensions: Extensions,
}

/// One object that the agent holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The object.
    pub uid: Uid,
    /// Its newest intent.
    pub fence: Fence,
    /// SHA-256 of that intent's content without its fence (see `Intent::digest`).
    pub intent: Digest,
    /// SHA-256 of the last report's content without its sequence; zero if there was none.
    pub report: Digest,
}

/// The hub's answer to [`Hello`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// Protocol version of everything that follows.
    pub version: u16,
    /// Number of this session, for logs on both sides.
    pub session: u64,
    /// The hub's epoch.
    pub epoch: HubEpoch,
    /// Milliseconds between keep-alives that the hub wants.
    pub keep_alive_ms: u32,
    /// Objects whose last report the agent shall send again, because the hub knows another one.
    pub resend: Vec<Uid>,
    /// Growth.
    pub extensions: Extensions,
}

/// The hub does not go on with this session; the connection is closed behind it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Goodbye {
    /// Why, as an explicit number of `transport::CloseCode`.
    pub code: u16,
    /// Why, for people.
    pub message: String,
}

/// The agent's answer to an intent, sent only after the intent is on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IntentAck {
    /// The object.
    pub uid: Uid,
    /// The fence that was answered.
    pub fence: Fence,
    /// What became of it.
    pub outcome: IntentOutcome,
    /// What the agent holds now.
    pub held: Fence,
}

/// The agent has the secret on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretAck {
    /// The row.
    pub held: HeldSecret,
}

/// Reports, in the order of their sequence numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportBatch {
    /// At most 256.
    pub reports: Vec<Report>,
}

/// Every report up to and including this one was taken over into the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportAck {
    /// Cumulative.
    pub through: Sequence,
}

/// How the agent and its machine are. Never stored in the API; metrics only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// Seconds since the agent started.
    pub uptime: u64,
    /// Load average over one minute, in hundredths.
    pub load_hundredths: u32,
    /// Used memory of the machine in MiB.
    pub memory_used_mib: u64,
    /// Memory of the machine in MiB.
    pub memory_total_mib: u64,
    /// Free bytes on the filesystem of the data directory.
    pub data_free_bytes: u64,
    /// Objects held.
    pub objects: u32,
    /// Reports waiting.
    pub outbox: u32,
    /// What is wrong with the agent itself, by name (`StoreFull`, `ForeignDhcpServer`, …).
    pub problems: Vec<String>,
}

/// Asks for a new certificate over the live session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renew {
    /// PKCS#10 request, DER, made with the key that the session authenticated with or a new one.
    pub csr: Vec<u8>,
}

/// A new certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Renewed {
    /// Certificate chain, DER, leaf first.
    pub chain: Vec<Vec<u8>>,
    /// The authorities to trust from now on, DER.
    pub roots: Vec<Vec<u8>>,
}

/// Only message of the join protocol that an agent sends.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// The token as printed by `kubectl viti token create`.
    pub token: String,
    /// Name that the agent would like; the hub decides.
    pub name: String,
    /// PKCS#10 request, DER.
    pub csr: Vec<u8>,
}

/// The hub's answer to [`Join`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Joined {
    /// Name that the hub gave.
    pub name: String,
    /// Site that the token was bound to.
    pub site: String,
    /// Certificate chain, DER, leaf first.
    pub chain: Vec<Vec<u8>>,
    /// The authorities to trust, DER.
    pub roots: Vec<Vec<u8>>,
}

/// The peer sent a message kind or version that this side does not know. The line stays up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsupported {
    /// The frame's type.
    pub kind: u16,
    /// The frame's version.
    pub version: u16,
}

/// Tag of the extension of [`Hello`] that lists the secret rows held.
const HELLO_SECRETS: u16 = 1;

/// Tag of the extension of [`Welcome`] that says: this session may only renew its certificate.
const WELCOME_RENEW_ONLY: u16 = 1;

/// Tag of the extension of [`Welcome`] that holds the highest report sequence that the hub has received.
const WELCOME_RECEIVED: u16 = 2;

impl Hello {
    /// The secret rows that the agent says it holds; none if it did not say.
    #[must_use]
    pub fn secrets(&self) -> Vec<HeldSecret> {
        self.extensions
            .find(HELLO_SECRETS)
            .and_then(|bytes| postcard::from_bytes(bytes).ok())
            .unwrap_or_default()
    }

    /// The extensions of an agent that holds `secrets`.
    #[must_use]
    pub fn extensions_for(secrets: &[HeldSecret]) -> Extensions {
        Extensions(vec![(HELLO_SECRETS, body::encode(&secrets))])
    }
}

impl Welcome {
    /// Whether the hub understands nothing but [`Renew`] in this session, because the certificate has ended.
    #[must_use]
    pub fn is_renew_only(&self) -> bool {
        self.extensions.find(WELCOME_RENEW_ONLY).is_some()
    }

    /// The highest sequence that the hub has received of the agent's store; 0 if it knows none. An agent whose disk is
    /// that of an earlier day numbers its reports on behind it, or the hub would take them for old ones.
    #[must_use]
    pub fn received(&self) -> Sequence {
        self.extensions
            .find(WELCOME_RECEIVED)
            .and_then(|bytes| postcard::from_bytes(bytes).ok())
            .unwrap_or_default()
    }

    /// The extensions of a session with an agent of whose reports `received` was the last.
    #[must_use]
    pub fn received_extensions(received: Sequence) -> Extensions {
        Extensions(vec![(WELCOME_RECEIVED, body::encode(&received))])
    }

    /// The extensions of a session that may only renew.
    #[must_use]
    pub fn renew_only_extensions() -> Extensions {
        Extensions(vec![(WELCOME_RENEW_ONLY, Vec::new())])
    }
}
