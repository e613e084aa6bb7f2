//! Whether another DHCP server answers on the wire: when to ask, and what was heard.
//!
//! Pure; time comes in. The own mode serves only while [`Watch::verdict`] is clear. It asks before it serves for the
//! first time, then once a minute; while another server is there every few seconds, so that it serves again soon after
//! that one is gone. Offers to other clients count as much as offers to our own question.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

#[cfg(test)]
mod tests;

/// Questions of one round; one may be lost.
const QUESTIONS: u8 = 4;
/// Between two questions of a round, and after the last one. The round lasts five seconds: dnsmasq pings an address for
/// three before it offers it.
const PAUSE: Duration = Duration::from_millis(1250);
/// From one clear round to the next.
const CLEAR: Duration = Duration::from_secs(60);
/// From one round that found a server to the next.
const FOREIGN: Duration = Duration::from_secs(10);

/// What is known of other servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Not asked long enough yet.
    Looking,
    /// Nobody answered the last round.
    Clear,
    /// This one answered.
    Foreign(Ipv4Addr),
}

/// The state of asking.
#[derive(Debug)]
pub(crate) struct Watch {
    verdict: Verdict,
    /// Questions asked in the running round; 0 between rounds.
    asked: u8,
    /// Somebody answered in the running round.
    heard: bool,
    next: Instant,
}

impl Watch {
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            verdict: Verdict::Looking,
            asked: 0,
            heard: false,
            next: now,
        }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// When to call [`Watch::tick`] next.
    pub(crate) fn next(&self) -> Instant {
        self.next
    }

    /// Time passed. Returns whether a question is to be sent now.
    pub(crate) fn tick(&mut self, now: Instant) -> bool {
        if now < self.next {
            return false;
        }
        if self.asked < QUESTIONS {
            self.asked += 1;
            self.next = now + PAUSE;
            return true;
        }
        if !self.heard {
            self.verdict = Verdict::Clear;
        }
        self.end_round(now);
        false
    }

    /// Another server offered somebody an address.
    pub(crate) fn heard(&mut self, server: Ipv4Addr, now: Instant) {
        self.verdict = Verdict::Foreign(server);
        if self.asked > 0 {
            self.heard = true;
        } else {
            self.next = self.next.min(now + FOREIGN);
        }
    }

    /// Somebody behaves as if there were another server: ask now.
    pub(crate) fn suspect(&mut self, now: Instant) {
        if self.asked == 0 {
            self.next = now;
        }
    }

    fn end_round(&mut self, now: Instant) {
        self.asked = 0;
        self.heard = false;
        self.next = now
            + match self.verdict {
                Verdict::Looking | Verdict::Clear => CLEAR,
                Verdict::Foreign(_) => FOREIGN,
            };
    }
}
