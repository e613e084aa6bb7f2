//! Watches: the events of a resource after a version, as a stream of JSON lines.
//!
//! The stream is polled by its connection and holds no task. It reads events from the store's ring
//! in batches, and ends when its time is over, when the server ends, or with 410 when the ring no
//! longer holds what comes next.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use futures::stream;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::Response;
use hyper::body::{Bytes, Frame};
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use rand::Rng as _;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::Service;
use super::answer::Body;
use super::read::{Filter, shown};
use crate::failure::Failure;
use crate::query::{Form, Query};
use crate::resource::Resource;
use crate::store::{Event, Page, Row, Since};
use crate::table::Include;
use crate::view;

/// Events taken from the ring at a time.
const BATCH: usize = 256;
/// How often a watch that allows bookmarks gets one.
const BOOKMARK: Duration = Duration::from_secs(60);
/// How long a watch lasts that does not say; half as much again is added at random.
const LASTS: u64 = 1800;

struct Watch {
    service: Arc<Service>,
    resource: Arc<Resource>,
    namespace: Option<String>,
    filter: Filter,
    form: Form,
    include: Include,
    bookmarks: bool,
    /// Everything up to here was sent.
    seen: u64,
    ready: VecDeque<Bytes>,
    newest: tokio::sync::watch::Receiver<u64>,
    ends: Instant,
    bookmark_at: Instant,
    over: bool,
}

/// Begins a watch.
pub(super) fn start(
    service: &Arc<Service>,
    resource: Arc<Resource>,
    namespace: Option<&str>,
    query: Query,
    form: Form,
) -> Result<Response<Body>, Failure> {
    query.lists()?;
    let filter = Filter::parse(&query, &resource)?;
    let store = &service.engine.store;
    let lasts = query
        .timeout_seconds
        .unwrap_or_else(|| LASTS + rand::rng().random_range(0..LASTS / 2));
    let now = Instant::now();
    let mut watch = Watch {
        service: service.clone(),
        resource,
        namespace: namespace.map(str::to_owned),
        filter,
        form,
        include: query.include,
        bookmarks: query.bookmarks,
        seen: store.version(),
        ready: VecDeque::new(),
        newest: store.newest(),
        ends: now + Duration::from_secs(lasts.min(LASTS * 2)),
        bookmark_at: now + BOOKMARK,
        over: false,
    };
    let begins_with_all = query.initial_events.unwrap_or(false)
        || (query.initial_events.is_none() && query.version.is_none());
    match query.version {
        _ if begins_with_all => watch.present(query.initial_events == Some(true)),
        Some(version) => watch.seen = version,
        None => {}
    }
    let frames = stream::unfold(watch, |mut watch| async move {
        let chunk = watch.next().await?;
        Some((Ok::<_, Infallible>(Frame::data(chunk)), watch))
    });
    let mut response = Response::new(StreamBody::new(frames).boxed_unsync());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    Ok(response)
}

impl Watch {
    /// The present objects as if they had just come.
    fn present(&mut self, marked: bool) {
        let store = &self.service.engine.store;
        let Page { rows, version } = store.list(&self.resource.storage, self.namespace.as_deref());
        self.seen = version;
        for row in rows
            .iter()
            .filter(|row| self.filter.takes(&self.resource, row))
        {
            self.ready.push_back(self.line("ADDED", row.object()));
        }
        if marked {
            let done = json!({ "k8s.io/initial-events-end": "true" });
            self.ready.push_back(self.bookmark(Some(done)));
        }
    }

    async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(chunk) = self.ready.pop_front() {
                return Some(chunk);
            }
            if self.over {
                return None;
            }
            // Marked as seen before the ring is read, so that no later change is slept through.
            self.newest.borrow_and_update();
            if self.read_ring() {
                continue;
            }
            // Cancel-safe: each arm only waits.
            tokio::select! {
                () = self.service.ending.cancelled() => self.over = true,
                () = tokio::time::sleep_until(self.ends) => {
                    self.over = true;
                    if self.bookmarks {
                        self.ready.push_back(self.bookmark(None));
                    }
                }
                () = tokio::time::sleep_until(self.bookmark_at) => {
                    self.bookmark_at = Instant::now() + BOOKMARK;
                    if self.bookmarks {
                        self.ready.push_back(self.bookmark(None));
                    }
                }
                changed = self.newest.changed() => self.over = changed.is_err(),
            }
        }
    }

    /// Whether the ring had something, or had lost it.
    fn read_ring(&mut self) -> bool {
        let store = &self.service.engine.store;
        let namespace = self.namespace.as_deref();
        match store.since(&self.resource.storage, namespace, self.seen, BATCH) {
            Since::Expired(oldest) => {
                let status = Failure::expired(self.seen, oldest).body();
                self.ready
                    .push_back(text(&json!({ "type": "ERROR", "object": status })));
                self.over = true;
                true
            }
            Since::Events(events, reached) => {
                let moved = reached > self.seen;
                self.seen = reached;
                let lines: Vec<Bytes> = events.iter().filter_map(|e| self.event(e)).collect();
                self.ready.extend(lines);
                moved
            }
        }
    }

    /// An object that begins to match is added, one that ceases to match is deleted.
    fn event(&self, event: &Event) -> Option<Bytes> {
        let takes = |row: &Row| self.filter.takes(&self.resource, row);
        let was = event.old.as_deref().is_some_and(takes);
        let is = !event.removed && takes(&event.new);
        match (was, is) {
            (false, true) => Some(self.line("ADDED", event.new.object())),
            (true, true) => Some(self.line("MODIFIED", event.new.object())),
            (true, false) if event.removed => Some(self.line("DELETED", event.new.object())),
            (true, false) => {
                let mut last = event.old.as_deref().map(Row::object).unwrap_or_default();
                crate::object::metadata_mut(&mut last).insert(
                    "resourceVersion".to_owned(),
                    json!(event.version.to_string()),
                );
                Some(self.line("DELETED", last))
            }
            (false, false) => None,
        }
    }

    fn line(&self, kind: &str, object: Value) -> Bytes {
        let object = view::outward(&self.resource, object);
        let object = shown(&self.resource, object, self.form, self.include.clone());
        text(&json!({ "type": kind, "object": object }))
    }

    fn bookmark(&self, annotations: Option<Value>) -> Bytes {
        let mut metadata = json!({ "resourceVersion": self.seen.to_string() });
        if let (Some(annotations), Some(map)) = (annotations, metadata.as_object_mut()) {
            map.insert("annotations".to_owned(), annotations);
        }
        let object = match self.form {
            Form::Whole => json!({ "kind": self.resource.kind,
                                   "apiVersion": self.resource.api_version(), "metadata": metadata }),
            Form::Metadata => json!({ "kind": "PartialObjectMetadata",
                                      "apiVersion": "meta.k8s.io/v1", "metadata": metadata }),
            Form::Table => json!({ "kind": "Table", "apiVersion": "meta.k8s.io/v1",
                                   "metadata": metadata, "columnDefinitions": [], "rows": [] }),
        };
        text(&json!({ "type": "BOOKMARK", "object": object }))
    }
}

fn text(value: &Value) -> Bytes {
    let mut text = value.to_string();
    text.push('\n');
    Bytes::from(text)
}
