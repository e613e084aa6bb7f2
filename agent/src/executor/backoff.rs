//! How long a worker waits after a failure: the one back-off of the agent's work on objects.

use std::time::Duration;

use vitistack_drivers::driver::Class;

/// First wait after a failure that may pass by itself.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// Longest such wait: a site that comes back is noticed within it.
const RETRY_CAP: Duration = Duration::from_secs(60);
/// First wait after somebody else was faster.
const CONFLICT_FIRST: Duration = Duration::from_millis(200);
/// Longest such wait.
const CONFLICT_CAP: Duration = Duration::from_secs(5);
/// After refused credentials. BMCs lock an account after three to five wrong logins within minutes; one knock in
/// five minutes stays below what the vendors ship, and finds a password that was set right on the BMC's side.
const UNAUTHENTICATED: Duration = Duration::from_secs(300);
/// After a limit was reached, or a request that cannot succeed: somebody may have made room or changed the peer.
const SLOW: Duration = Duration::from_secs(300);

/// What a worker does until its next look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pause {
    /// Look again after this long; `None`: not by itself.
    pub(crate) after: Option<Duration>,
    /// What ends the pause earlier.
    pub(crate) ear: Ear,
}

/// What a pausing worker listens to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ear {
    /// Anything: events of the provider, intents, secrets.
    Open,
    /// Only what the hub sends, and the object's own voice.
    Hub,
}

/// Counts failures in a row of one worker.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// Something went well.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }

    /// The pause after a failure. `jitter` is from 0 to 1.
    pub(crate) fn after(&mut self, class: Class, jitter: f64) -> Pause {
        let failures = self.failures;
        self.failures = failures.saturating_add(1);
        let (after, ear) = match class {
            Class::Retry | Class::NotFound => {
                (spread(RETRY_FIRST, RETRY_CAP, failures, jitter), Ear::Open)
            }
            Class::Conflict => (
                spread(CONFLICT_FIRST, CONFLICT_CAP, failures, jitter),
                Ear::Open,
            ),
            Class::Throttled { after } => (after.mul_f64(1.0 + jitter / 10.0), Ear::Hub),
            Class::Unauthenticated => (UNAUTHENTICATED, Ear::Hub),
            Class::Invalid | Class::Exhausted => (SLOW.mul_f64(1.0 + jitter / 10.0), Ear::Hub),
        };
        Pause {
            after: Some(after),
            ear,
        }
    }
}

/// Doubles `first` for each failure up to `cap`, and takes between half and all of it.
fn spread(first: Duration, cap: Duration, failures: u32, jitter: f64) -> Duration {
    let factor = 1_u32.checked_shl(failures.min(16)).unwrap_or(u32::MAX);
    let full = first.saturating_mul(factor).min(cap);
    full.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_grow_to_the_cap_and_start_again_after_success() {
        let mut backoff = Backoff::default();
        let waits: Vec<u64> = (0..8)
            .map(|_| backoff.after(Class::Retry, 1.0).after.unwrap().as_secs())
            .collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        backoff.reset();
        let pause = backoff.after(Class::Retry, 0.0);
        assert_eq!(pause.after, Some(Duration::from_millis(500)));
    }

    #[test]
    fn a_refused_account_is_not_knocked_at_again_because_of_noise() {
        let mut backoff = Backoff::default();
        for _ in 0..3 {
            let pause = backoff.after(Class::Unauthenticated, 0.0);
            assert_eq!((pause.after, pause.ear), (Some(UNAUTHENTICATED), Ear::Hub));
        }
    }

    #[test]
    fn a_peer_that_asks_for_patience_is_given_at_least_that() {
        let class = Class::Throttled {
            after: Duration::from_secs(40),
        };
        let pause = Backoff::default().after(class, 0.7);
        assert!(pause.after.unwrap() >= Duration::from_secs(40));
    }
}
