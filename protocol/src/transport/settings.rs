//! The numbers that the line is tuned by, and the keys that an endpoint keeps across restarts.

use std::sync::Arc;
use std::time::Duration;

use quinn::{EndpointConfig, IdleTimeout, TransportConfig, VarInt};
use zeroize::Zeroizing;

use super::connection_id::Signed;

/// Bidirectional streams that an agent grants to the hub: intents and secrets under way at a time.
pub const INTENT_STREAMS: u32 = 16;

/// Streams that the hub grants to an agent: control, and spare ones for what later versions open.
const AGENT_STREAMS: u32 = 4;

/// What one stream may have in flight.
const STREAM_WINDOW: u32 = 256 * 1024;

/// What one connection may have in flight, and so what it can cost in memory.
const WINDOW: u32 = 1024 * 1024;

/// The hub forgets an agent after this long; the agent's own limit is lower and counts, except on a metered line.
const HUB_IDLE: Duration = Duration::from_secs(100);

/// What kind of line the agent has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Line {
    /// Bytes cost nothing: a keep-alive every 3 to 4 s.
    #[default]
    Normal,
    /// Bytes cost: a keep-alive every 15 to 25 s.
    Metered,
}

impl Line {
    /// Time between keep-alives; `jitter` of 0..1 spreads a fleet. Below the 30 s for which most NATs keep a flow.
    #[must_use]
    pub fn keep_alive(self, jitter: f64) -> Duration {
        let jitter = jitter.clamp(0.0, 1.0);
        match self {
            Self::Normal => Duration::from_secs_f64(3.0 + jitter),
            Self::Metered => Duration::from_secs_f64(15.0 + 10.0 * jitter),
        }
    }

    /// The round trip that is expected before the first is measured. A first packet that is lost is sent again after
    /// three times this (RFC 9002, 6.2.2), so a third of a second holds nobody up after a storm; too short for a long
    /// line, it costs one packet more. A metered line keeps the 333 ms of the RFC.
    fn initial_rtt(self) -> Duration {
        match self {
            Self::Normal => Duration::from_millis(100),
            Self::Metered => Duration::from_millis(333),
        }
    }

    /// After how long without an answer the line is given up: three keep-alives and some.
    #[must_use]
    pub fn idle(self) -> Duration {
        match self {
            Self::Normal => Duration::from_secs(15),
            Self::Metered => Duration::from_secs(80),
        }
    }
}

/// The secret that reset tokens and connection IDs derive from. The same bytes after a restart let the endpoint reset
/// the connections of its previous life at once. Kept 0600 or in a Secret. It has no `Debug`.
#[derive(Clone)]
pub struct EndpointKeys {
    secret: Zeroizing<[u8; 32]>,
}

impl EndpointKeys {
    /// From 32 random bytes.
    #[must_use]
    pub fn new(secret: [u8; 32]) -> Self {
        Self {
            secret: Zeroizing::new(secret),
        }
    }

    /// From what was kept; `None` if it is not 32 bytes.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::new)
    }

    pub(super) fn endpoint(&self) -> EndpointConfig {
        use ring::hmac;
        let derive = |label: &[u8]| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, self.secret.as_slice());
            hmac::sign(&key, label)
        };
        let reset = hmac::Key::new(hmac::HMAC_SHA256, derive(b"stateless reset").as_ref());
        let mut config = EndpointConfig::new(Arc::new(reset));
        let id = derive(b"connection id");
        config.cid_generator(move || Box::new(Signed::new(id.as_ref())));
        // Each orphan is answered. quinn allows 50 resets a second, and with any limit but none only one for all packets
        // that it finds waiting at a time; an orphan that gets none asks again after a time that has doubled with every
        // try. No stranger gains by it: a reset is shorter than what it answers, and only an ID that carries this
        // endpoint's signature is answered.
        config.min_reset_interval(Duration::ZERO);
        config
    }
}

fn bounded(bidirectional: u32, one_way: u32, idle: Duration) -> TransportConfig {
    let mut config = TransportConfig::default();
    config
        .max_concurrent_bidi_streams(VarInt::from_u32(bidirectional))
        .max_concurrent_uni_streams(VarInt::from_u32(one_way))
        .stream_receive_window(VarInt::from_u32(STREAM_WINDOW))
        .receive_window(VarInt::from_u32(WINDOW))
        .send_window(u64::from(WINDOW))
        .datagram_receive_buffer_size(None)
        .mtu_discovery_config(None)
        .max_idle_timeout(Some(
            IdleTimeout::try_from(idle).expect("both limits are far below the 2^62 ms of QUIC"),
        ));
    config
}

pub(super) fn hub() -> TransportConfig {
    let mut config = bounded(AGENT_STREAMS, AGENT_STREAMS, HUB_IDLE);
    // With it quinn keeps room for twenty datagrams at every connection, 24 KiB for each agent, to save a system call
    // where much is sent at once. What a hub sends to one agent is an intent now and then.
    config.enable_segmentation_offload(false);
    config
}

pub(super) fn agent(line: Line, jitter: f64) -> TransportConfig {
    let mut config = bounded(INTENT_STREAMS, 0, line.idle());
    config
        .keep_alive_interval(Some(line.keep_alive(jitter)))
        .initial_rtt(line.initial_rtt());
    config
}
