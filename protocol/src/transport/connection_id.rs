//! The IDs by which an endpoint tells its connections apart, made so that a later life of it knows those of an earlier one.
//!
//! A packet for a connection that is not known any more is answered with a stateless reset, and its sender dials again at
//! once (RFC 9000, 10.3). That fails where its ID has come to name a new connection meanwhile: the packet is taken for a
//! broken one of that, nothing is answered, and the sender waits for its idle time-out. So the random part is long. The
//! signature lets packets that are none of ours go unanswered.

use quinn_proto::{ConnectionId, ConnectionIdGenerator, InvalidCid, RandomConnectionIdGenerator};
use ring::hmac;

/// Random bytes. A thousand agents have about eight thousand IDs at a time: with 24 bits two lives of a hub share one in
/// every second restart, with 64 never.
const RANDOM: usize = 8;

/// Bytes of the signature: one packet in four thousand million that is none of ours is answered.
const SIGNATURE: usize = 4;

/// Makes IDs, and recognises those that were made with the same key.
pub(super) struct Signed {
    random: RandomConnectionIdGenerator,
    key: hmac::Key,
}

impl Signed {
    pub(super) fn new(key: &[u8]) -> Self {
        Self {
            random: RandomConnectionIdGenerator::new(RANDOM),
            key: hmac::Key::new(hmac::HMAC_SHA256, key),
        }
    }

    fn sign(&self, random: &[u8]) -> ConnectionId {
        let signature = hmac::sign(&self.key, random);
        let signature = signature.as_ref().iter().take(SIGNATURE);
        let bytes: Vec<u8> = random.iter().chain(signature).copied().collect();
        ConnectionId::new(&bytes)
    }
}

impl ConnectionIdGenerator for Signed {
    fn generate_cid(&mut self) -> ConnectionId {
        let random = self.random.generate_cid();
        self.sign(&random)
    }

    fn validate(&self, id: &ConnectionId) -> Result<(), InvalidCid> {
        let random = id.get(..RANDOM).ok_or(InvalidCid)?;
        if self.sign(random) == *id {
            Ok(())
        } else {
            Err(InvalidCid)
        }
    }

    fn cid_len(&self) -> usize {
        RANDOM + SIGNATURE
    }

    fn cid_lifetime(&self) -> Option<std::time::Duration> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_of_an_earlier_life_are_known_and_others_are_not() {
        let id = Signed::new(b"key").generate_cid();
        assert_eq!(id.len(), Signed::new(b"key").cid_len());
        assert!(Signed::new(b"key").validate(&id).is_ok());
        assert!(Signed::new(b"another key").validate(&id).is_err());
        let mut changed = id.to_vec();
        changed[0] ^= 1;
        let changed = ConnectionId::new(&changed);
        assert!(Signed::new(b"key").validate(&changed).is_err());
        assert!(
            Signed::new(b"key")
                .validate(&ConnectionId::new(b"short"))
                .is_err()
        );
    }

    #[test]
    fn no_id_of_a_new_life_names_a_connection_of_an_earlier_one() {
        let life = || {
            let mut ids = Signed::new(b"key");
            (0..100_000).map(move |_| ids.generate_cid().to_vec())
        };
        let earlier: HashSet<Vec<u8>> = life().collect();
        assert_eq!(life().filter(|id| earlier.contains(id)).count(), 0);
    }
}
