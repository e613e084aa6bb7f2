//! The pure core, one module a kind: what to do about an object and what to say of it.
//!
//! Everything here is synchronous and takes what it needs as arguments: objects, reports, the time. It must not call an
//! API, know a client or wait for anything; `controllers` is the shell that does.

pub(crate) mod agent;
pub(crate) mod agents;
pub(crate) mod causes;
pub(crate) mod credentials;
pub(crate) mod datacenter;
#[cfg(test)]
pub(crate) mod fixtures;
pub(crate) mod host;
pub(crate) mod kubernetes_provider;
pub(crate) mod machine;
pub(crate) mod placement;
pub(crate) mod provider;
pub(crate) mod revision;
pub(crate) mod target;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use vitistack_api::conditions::{self, Reason, State, Statement, types};
use vitistack_api::schema::FieldError;

/// Why something cannot go on, and for whom that is a matter of waiting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) reason: Reason,
    pub(crate) message: String,
    pub(crate) outlook: Outlook,
}

/// Whether a refusal goes away by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outlook {
    /// Nothing is known yet; a wake comes with the answer, and until then nothing is said.
    Looking,
    /// Something else is expected to change: an agent connects, a Secret arrives, a host is freed.
    Waits,
    /// The object itself has to be changed.
    Stalled,
}

impl Refusal {
    pub(crate) fn waits(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            outlook: Outlook::Waits,
        }
    }

    pub(crate) fn stalled(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            reason,
            message: message.into(),
            outlook: Outlook::Stalled,
        }
    }
}

/// What the three conditions of kstatus say together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Verdict {
    pub(crate) ready: State,
    pub(crate) reason: Reason,
    pub(crate) message: String,
    pub(crate) progress: Progress,
}

/// Whether work goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// Nothing to do.
    Settled,
    /// Work goes on or will.
    Reconciling,
    /// Work does not go on without a change or a person.
    Stalled,
}

impl Verdict {
    /// As desired.
    pub(crate) fn ready(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            ready: State::True,
            reason,
            message: message.into(),
            progress: Progress::Settled,
        }
    }

    /// On the way.
    pub(crate) fn reconciling(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            ready: State::False,
            reason,
            message: message.into(),
            progress: Progress::Reconciling,
        }
    }

    /// Stopped.
    pub(crate) fn stalled(reason: Reason, message: impl Into<String>) -> Self {
        Self {
            ready: State::False,
            reason,
            message: message.into(),
            progress: Progress::Stalled,
        }
    }
}

impl From<Refusal> for Verdict {
    fn from(refusal: Refusal) -> Self {
        let Refusal {
            reason,
            message,
            outlook,
        } = refusal;
        match outlook {
            Outlook::Looking | Outlook::Waits => Self::reconciling(reason, message),
            Outlook::Stalled => Self::stalled(reason, message),
        }
    }
}

/// A list of conditions that is being written, with what every entry needs.
pub(crate) struct Says<'a> {
    pub(crate) list: &'a mut Vec<Condition>,
    pub(crate) generation: i64,
    pub(crate) now: &'a Time,
}

impl Says<'_> {
    /// Sets one condition.
    pub(crate) fn set(
        &mut self,
        kind: &'static str,
        state: State,
        reason: Reason,
        message: impl Into<String>,
    ) {
        let statement = Statement {
            kind,
            state,
            reason,
            message: message.into(),
        };
        conditions::set(self.list, statement, self.generation, self.now);
    }

    /// Sets `Ready`, `Reconciling` and `Stalled` together.
    pub(crate) fn verdict(&mut self, verdict: &Verdict) {
        let Verdict {
            ready,
            reason,
            message,
            progress,
        } = verdict;
        self.set(types::READY, *ready, *reason, message);
        for (kind, when) in [
            (types::RECONCILING, Progress::Reconciling),
            (types::STALLED, Progress::Stalled),
        ] {
            if *progress == when {
                self.set(kind, State::True, *reason, message);
            } else {
                self.set(kind, State::False, Reason::AsExpected, "");
            }
        }
    }

    /// Says that nothing executes a section of the spec yet, or drops the condition where the section is not there.
    pub(crate) fn not_supported(&mut self, kind: &'static str, section: Option<&str>) {
        match section {
            Some(section) => self.set(
                kind,
                State::False,
                Reason::NotSupported,
                format!("nothing executes {section} in this version; it does not count for Ready"),
            ),
            None => {
                conditions::remove(self.list, kind);
            }
        }
    }
}

/// What no schema can say about a spec, as a refusal.
///
/// # Errors
///
/// When there are findings: each with its field, value and what is allowed.
pub(crate) fn valid(findings: &[FieldError]) -> Result<(), Refusal> {
    if findings.is_empty() {
        return Ok(());
    }
    let texts: Vec<String> = findings.iter().map(ToString::to_string).collect();
    Err(Refusal::stalled(Reason::ValidationFailed, texts.join("; ")))
}

/// Whether the object carries `annotation` with exactly this value.
pub(crate) fn annotated<K: kube::Resource>(object: &K, annotation: &str, value: &str) -> bool {
    annotation_of(object, annotation) == Some(value)
}

/// The value of an annotation.
pub(crate) fn annotation_of<'a, K: kube::Resource>(object: &'a K, name: &str) -> Option<&'a str> {
    let annotations = object.meta().annotations.as_ref()?;
    annotations.get(name).map(String::as_str)
}

/// Whether somebody asked for the object's deletion.
pub(crate) fn is_deleting<K: kube::Resource>(object: &K) -> bool {
    object.meta().deletion_timestamp.is_some()
}

/// `metadata.generation`, 0 where the server does not count.
pub(crate) fn generation_of<K: kube::Resource>(object: &K) -> i64 {
    object.meta().generation.unwrap_or(0)
}
