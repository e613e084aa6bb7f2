//! Events on transitions, for `kubectl describe`.
//!
//! Owns a bounded queue and the task that publishes from it, so that no reconcile waits for an Event. An Event that
//! finds the queue full is dropped: conditions say the same, and stay.

use std::fmt::Debug;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::debug;
use vitistack_api::conditions::{Condition, find, types};
use vitistack_protocol::Chain;

/// Events that may wait. A burst of some hundred transitions fits; more than that nobody reads one by one.
const CAPACITY: usize = 512;
/// What the API takes as a note: 1 KiB.
const NOTE: usize = 1024;
/// Events of which a repetition is counted and not written anew. The library remembers each for six minutes, at some
/// 4 KiB, and looks through all of them for each new one: a fleet that comes back would cost megabytes.
const REMEMBERED: usize = 56;
/// Deadline of one write.
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(10);

/// Where Events are handed in. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Events {
    queue: mpsc::Sender<Announcement>,
}

/// The task that publishes.
pub(crate) struct Publisher {
    queue: mpsc::Receiver<Announcement>,
    client: Client,
    reporter: Reporter,
    recorder: Recorder,
    /// Events that the recorder has been given.
    given: usize,
}

/// A transition of an object.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Announcement {
    pub(crate) object: ObjectReference,
    pub(crate) is_warning: bool,
    pub(crate) reason: String,
    pub(crate) note: String,
    pub(crate) action: String,
}

/// The two ends of a new queue.
pub(crate) fn channel(client: Client, instance: String) -> (Events, Publisher) {
    let (sender, receiver) = mpsc::channel(CAPACITY);
    let reporter = Reporter {
        controller: "vitistack-hub".to_owned(),
        instance: Some(instance),
    };
    let publisher = Publisher {
        queue: receiver,
        recorder: Recorder::new(client.clone(), reporter.clone()),
        client,
        reporter,
        given: 0,
    };
    (Events { queue: sender }, publisher)
}

impl Events {
    /// Hands an Event in, or drops it if there are too many.
    pub(crate) fn announce(&self, announcement: Announcement) {
        if self.queue.try_send(announcement).is_err() {
            debug!("an Event was dropped: too many wait");
        }
    }
}

impl Publisher {
    /// Publishes until `cancel`.
    pub(crate) async fn run(mut self, cancel: CancellationToken) {
        loop {
            let announcement = tokio::select! {
                // Both arms are cancel-safe per tokio's documentation.
                () = cancel.cancelled() => return,
                next = self.queue.recv() => match next {
                    Some(announcement) => announcement,
                    None => return cancel.cancelled().await,
                },
            };
            let Announcement {
                object,
                is_warning,
                reason,
                mut note,
                action,
            } = announcement;
            note.truncate(note.floor_char_boundary(NOTE));
            let event = Event {
                type_: if is_warning {
                    EventType::Warning
                } else {
                    EventType::Normal
                },
                reason,
                note: Some(note).filter(|note| !note.is_empty()),
                action,
                secondary: None,
            };
            let recorder = self.recorder();
            match tokio::time::timeout(DEADLINE, recorder.publish(&event, &object)).await {
                Ok(Ok(())) => {}
                // A namespace that is being deleted takes no Events; nothing depends on them.
                Ok(Err(error)) => {
                    debug!(
                        error = %Chain(&error),
                        "an Event was not taken"
                    );
                }
                Err(_) => debug!("an Event was not taken in time"),
            }
        }
    }
}

impl Publisher {
    /// The recorder for one more Event; one that has seen enough is replaced.
    fn recorder(&mut self) -> &Recorder {
        if self.given == REMEMBERED {
            self.recorder = Recorder::new(self.client.clone(), self.reporter.clone());
            self.given = 0;
        }
        self.given += 1;
        &self.recorder
    }
}

/// What a status write has to announce: another phase, or another reason of `Ready`.
pub(crate) fn transition<P: Debug + PartialEq>(
    object: ObjectReference,
    phases: (Option<P>, Option<P>),
    before: &[Condition],
    after: &[Condition],
) -> Option<Announcement> {
    let ready = find(after, types::READY)?;
    let same = find(before, types::READY)
        .is_some_and(|held| held.status == ready.status && held.reason == ready.reason);
    let (old, new) = phases;
    if same && old == new {
        return None;
    }
    let is_stalled = find(after, types::STALLED).is_some_and(|stalled| stalled.status == "True");
    let phase = new.map_or_else(String::new, |phase| format!("{phase:?}"));
    Some(Announcement {
        object,
        is_warning: is_stalled,
        reason: ready.reason.clone(),
        note: if ready.message.is_empty() {
            phase.clone()
        } else {
            format!("{phase}: {}", ready.message)
        },
        action: if phase.is_empty() {
            "Reconcile".to_owned()
        } else {
            phase
        },
    })
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use axum::http::{Method, Request, Response};
    use kube::client::Body;
    use tower::service_fn;

    use super::*;

    /// An API that takes every Event; the methods with which they came.
    fn api() -> (Client, Arc<Mutex<Vec<Method>>>) {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let service = service_fn({
            let seen = Arc::clone(&seen);
            move |request: Request<Body>| {
                seen.lock().unwrap().push(request.method().clone());
                let event = br#"{"metadata":{"name":"n"},"eventTime":null}"#;
                async { Ok::<_, Infallible>(Response::new(Body::from(event.to_vec()))) }
            }
        });
        (Client::new(service, "default"), seen)
    }

    fn announcement(name: &str) -> Announcement {
        Announcement {
            object: ObjectReference {
                name: Some(name.to_owned()),
                ..Default::default()
            },
            is_warning: false,
            reason: "Ready".to_owned(),
            note: String::new(),
            action: "Reconcile".to_owned(),
        }
    }

    #[tokio::test]
    async fn a_repetition_is_counted_and_what_is_long_past_is_forgotten() {
        let (client, seen) = api();
        let (events, publisher) = channel(client, "here".to_owned());
        let others: Vec<String> = (0..REMEMBERED).map(|index| index.to_string()).collect();
        let mut names = vec!["same", "same"];
        names.extend(others.iter().map(String::as_str));
        names.push("same");
        for name in &names {
            events.announce(announcement(name));
        }
        let cancel = CancellationToken::new();
        let run = publisher.run(cancel.clone());
        let told = async {
            while seen.lock().unwrap().len() < names.len() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            cancel.cancel();
        };
        let both = async { tokio::join!(run, told) };
        tokio::time::timeout(Duration::from_secs(30), both)
            .await
            .expect("every Event is written");
        let seen = seen.lock().unwrap();
        assert_eq!(seen[..3], [Method::POST, Method::PATCH, Method::POST]);
        assert_eq!(seen.last(), Some(&Method::POST));
        let repeated = seen.iter().filter(|method| *method == Method::PATCH);
        assert_eq!(repeated.count(), 1);
    }
}
