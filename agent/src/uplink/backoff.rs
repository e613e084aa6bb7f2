//! When to dial again. Pure: the random number is an argument.

use std::time::Duration;

use vitistack_protocol::transport::{CloseCode, Ending};

/// First step.
const FIRST: Duration = Duration::from_secs(1);

/// First step after a reset. Agents notice one at their own next keep-alive, so a whole fleet is spread over seconds
/// already; after an orderly stop all of them hear of it at once.
const AFTER_RESET: Duration = Duration::from_millis(500);

/// The longest wait. An hour of outage must not cost another hour after it.
const CAP: Duration = Duration::from_secs(60);

/// How often an agent without a certificate looks for a token.
const TOKEN: Duration = Duration::from_secs(6);

/// A session that lasted this long starts the steps anew.
const GOOD: Duration = Duration::from_secs(60);

/// Why the last attempt ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// The hub stops in order: it, or another, is there soon.
    Stopped,
    /// The hub was restarted: it is there.
    Restarted,
    /// All went as it should; there is a reason to dial at once, such as a new certificate.
    Again,
    /// No answer, or a fault.
    Failed,
    /// The hub does not want this agent. Only people can change that.
    Refused,
    /// The agent has not joined: somebody is about to put a good token into its file, and watches.
    NotJoined,
}

impl Cause {
    pub(super) fn of(ending: &Ending) -> Self {
        match ending {
            Ending::Closed { code, .. } => match code {
                Some(CloseCode::Shutdown) => Self::Stopped,
                Some(CloseCode::Done) => Self::Again,
                Some(
                    CloseCode::Revoked
                    | CloseCode::Anonymous
                    | CloseCode::JoinRefused
                    | CloseCode::Version,
                ) => Self::Refused,
                // Superseded: another process runs with this identity, and taking turns at once would be a storm.
                Some(
                    CloseCode::Superseded
                    | CloseCode::Protocol
                    | CloseCode::Timeout
                    | CloseCode::Internal,
                )
                | None => Self::Failed,
            },
            Ending::Reset => Self::Restarted,
            Ending::Refused { .. } => Self::Refused,
            Ending::Silent | Ending::Local => Self::Failed,
        }
    }
}

/// Counts the failures in a row.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// How long to wait; `lasted` is how long the last attempt took, `random` is of 0..1.
    pub(super) fn delay(&mut self, cause: Cause, lasted: Duration, random: f64) -> Duration {
        let random = random.clamp(0.0, 1.0);
        if lasted >= GOOD {
            self.failures = 0;
        }
        let ceiling = match cause {
            Cause::Stopped | Cause::Restarted | Cause::Again if self.failures == 0 => {
                // Counted all the same: a hub that resets again and again is not dialled every second.
                self.failures = 1;
                let first = if cause == Cause::Restarted {
                    AFTER_RESET
                } else {
                    FIRST
                };
                return first.mul_f64(random);
            }
            Cause::Stopped | Cause::Restarted | Cause::Again | Cause::Failed => {
                let steps = self.failures.min(6);
                FIRST.saturating_mul(1 << steps).min(CAP)
            }
            Cause::Refused => return CAP.mul_f64(0.5 + random / 2.0),
            Cause::NotJoined => return TOKEN.mul_f64(0.5 + random / 2.0),
        };
        self.failures = self.failures.saturating_add(1);
        ceiling.mul_f64(random)
    }
}

#[cfg(test)]
mod tests;
