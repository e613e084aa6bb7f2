//! Watches: what they see, how they end, how they go on.

use futures::{StreamExt as _, TryStreamExt as _};
use kube::ResourceExt as _;
use kube::api::{DeleteParams, DynamicObject, Patch, PatchParams, WatchEvent, WatchParams};
use kube::runtime::{WatchStreamExt as _, watcher};
use serde_json::json;

use crate::support::{PATIENCE, Running, create, widget};

fn word(event: &WatchEvent<DynamicObject>) -> String {
    match event {
        WatchEvent::Added(o) => format!("added {}", o.name_any()),
        WatchEvent::Modified(o) => format!("modified {}", o.name_any()),
        WatchEvent::Deleted(o) => format!("deleted {}", o.name_any()),
        WatchEvent::Bookmark(b) => format!("bookmark {}", b.metadata.resource_version),
        WatchEvent::Error(status) => format!("error {}", status.code),
    }
}

/// The words of the next `count` events.
async fn next(
    events: &mut (impl futures::Stream<Item = kube::Result<WatchEvent<DynamicObject>>> + Unpin),
    count: usize,
) -> Vec<String> {
    let mut words = Vec::new();
    for _ in 0..count {
        let event = tokio::time::timeout(PATIENCE, events.try_next()).await;
        words.push(
            event
                .expect("an event in time")
                .unwrap()
                .map_or_else(|| "end".to_owned(), |e| word(&e)),
        );
    }
    words
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_sees_each_change_after_its_version() {
    let server = Running::start().await;
    let api = server.widgets("default");
    let first = create(&api, &widget("a", json!({ "size": 1 }))).await;
    let version = first.resource_version().unwrap();
    let events = api.watch(&WatchParams::default(), &version).await.unwrap();
    let mut events = events.boxed();
    create(&api, &widget("b", json!({ "size": 1 }))).await;
    let grow = json!({ "spec": { "size": 2 } });
    api.patch("a", &PatchParams::default(), &Patch::Merge(&grow))
        .await
        .unwrap();
    api.delete("b", &DeleteParams::default()).await.unwrap();
    assert_eq!(
        next(&mut events, 3).await,
        ["added b", "modified a", "deleted b"]
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_without_a_version_begins_with_what_is_there() {
    let server = Running::start().await;
    let api = server.widgets("default");
    create(&api, &widget("a", json!({ "size": 1 }))).await;
    let params = WatchParams::default().timeout(1);
    let mut events = api.watch(&params, "0").await.unwrap().boxed();
    let words = next(&mut events, 3).await;
    assert_eq!(words[0], "added a");
    assert!(
        words[1].starts_with("bookmark "),
        "a bookmark ends it: {words:?}"
    );
    assert_eq!(words[2], "end", "after its time");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_enters_and_leaves_a_selection() {
    let server = Running::start().await;
    let api = server.widgets("default");
    let first = create(&api, &widget("a", json!({ "size": 1 }))).await;
    let version = first.resource_version().unwrap();
    let params = WatchParams::default()
        .fields("status.phase=Running")
        .disable_bookmarks();
    let mut events = api.watch(&params, &version).await.unwrap().boxed();
    for phase in ["Pending", "Running", "Stopped"] {
        let status = json!({ "status": { "phase": phase } });
        api.patch_status("a", &PatchParams::default(), &Patch::Merge(&status))
            .await
            .unwrap();
    }
    assert_eq!(next(&mut events, 2).await, ["added a", "deleted a"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_is_no_longer_held_is_gone() {
    let server = Running::start().await;
    create(
        &server.widgets("default"),
        &widget("a", json!({ "size": 1 })),
    )
    .await;
    let server = server.restart().await;
    let api = server.widgets("default");
    let mut events = api
        .watch(&WatchParams::default(), "2")
        .await
        .unwrap()
        .boxed();
    assert_eq!(next(&mut events, 2).await, ["error 410", "end"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_may_stream_its_first_list() {
    let server = Running::start().await;
    let api = server.widgets("default");
    for name in ["a", "b"] {
        create(&api, &widget(name, json!({ "size": 1 }))).await;
    }
    let mut events = watcher(api.clone(), watcher::Config::default().streaming_lists()).boxed();
    let mut words = Vec::new();
    while words.last().is_none_or(|word| word != "done") {
        let event = tokio::time::timeout(PATIENCE, events.try_next())
            .await
            .unwrap()
            .unwrap();
        words.push(match event.unwrap() {
            watcher::Event::Init => "begin".to_owned(),
            watcher::Event::InitApply(object) => object.name_any(),
            watcher::Event::InitDone => "done".to_owned(),
            other => format!("{other:?}"),
        });
    }
    assert_eq!(words, ["begin", "a", "b", "done"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watcher_goes_on_after_a_restart() {
    let server = Running::start().await;
    let api = server.widgets("default");
    create(&api, &widget("before", json!({ "size": 1 }))).await;
    let stream = watcher(api.clone(), watcher::Config::default()).default_backoff();
    let mut seen = stream.applied_objects().boxed();
    let mut wait_for = async |name: &str| {
        let seen = async {
            loop {
                // Errors are what a restart looks like; the watcher goes on by itself.
                if let Some(Ok(object)) = seen.next().await
                    && object.name_any() == name
                {
                    return;
                }
            }
        };
        tokio::time::timeout(PATIENCE, seen)
            .await
            .unwrap_or_else(|_| panic!("{name} never came"));
    };
    wait_for("before").await;
    let server = server.restart().await;
    for n in 0..3 {
        create(
            &server.widgets("default"),
            &widget(&format!("after-{n}"), json!({ "size": 1 })),
        )
        .await;
    }
    wait_for("after-2").await;
    server.stop().await;
}
