//! The agents that are admitted, as both the handshake and live sessions consult them.
//!
//! Absence is refusal: an agent whose object is gone is revoked, whether or not anybody noted it. So the roster must be
//! filled before the first handshake.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::watch;

use super::AgentName;

/// Cheap to clone; all clones are one roster.
#[derive(Clone)]
pub struct Roster {
    shared: Arc<Shared>,
}

struct Shared {
    /// Enrolment an agent.
    admitted: RwLock<HashMap<AgentName, String>>,
    /// How often somebody ceased to be admitted.
    losses: watch::Sender<u64>,
}

impl Default for Roster {
    fn default() -> Self {
        Self::new()
    }
}

impl Roster {
    /// A roster that admits nobody.
    #[must_use]
    pub fn new() -> Self {
        Self {
            shared: Arc::new(Shared {
                admitted: RwLock::new(HashMap::new()),
                losses: watch::Sender::new(0),
            }),
        }
    }

    /// Admits exactly these.
    pub fn replace(&self, admitted: HashMap<AgentName, String>) {
        self.change(|known| {
            let lost = known
                .iter()
                .any(|(name, enrolment)| admitted.get(name) != Some(enrolment));
            *known = admitted;
            lost
        });
    }

    /// Admits `name` with certificates that go back to `enrolment`, and no others of that name.
    pub fn admit(&self, name: AgentName, enrolment: String) {
        self.change(|known| match known.get(&name) {
            Some(same) if *same == enrolment => false,
            _ => known.insert(name, enrolment).is_some(),
        });
    }

    /// Revokes `name`.
    pub fn revoke(&self, name: &AgentName) {
        self.change(|known| known.remove(name).is_some());
    }

    /// Whether certificates of `name` that go back to `enrolment` are good.
    #[must_use]
    pub fn admits(&self, name: &AgentName, enrolment: &str) -> bool {
        self.shared
            .admitted
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(name)
            .is_some_and(|known| known == enrolment)
    }

    /// Changes whenever somebody who was admitted no longer is, so that live sessions look again. Not when somebody is
    /// admitted: in a fleet that joins, each agent would wake all others.
    #[must_use]
    pub fn losses(&self) -> watch::Receiver<u64> {
        self.shared.losses.subscribe()
    }

    /// `apply` says whether somebody ceased to be admitted.
    fn change(&self, apply: impl FnOnce(&mut HashMap<AgentName, String>) -> bool) {
        let lost = apply(
            &mut self
                .shared
                .admitted
                .write()
                .unwrap_or_else(PoisonError::into_inner),
        );
        if lost {
            self.shared.losses.send_modify(|losses| *losses += 1);
        }
    }
}

#[cfg(test)]
mod tests;
