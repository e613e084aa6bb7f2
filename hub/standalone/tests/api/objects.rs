//! Objects: what is accepted, how they change, who may ask.

use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Event, Secret};
use kube::api::{DynamicObject, ListParams, ObjectMeta, Patch, PatchParams, PostParams};
use kube::runtime::events::{EventType, Recorder, Reporter};
use kube::{Api, Client, Resource as _, ResourceExt as _};
use serde_json::{Value, json};

use crate::support::{Running, client, code, config, create, eventually, widget, widget_resource};

fn merge(patch: &Value) -> Patch<&Value> {
    Patch::Merge(patch)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_object_is_created_changed_and_deleted() {
    let server = Running::start().await;
    let api = server.widgets("default");
    let params = PatchParams::default();
    let made = create(&api, &widget("a", json!({ "size": 2 }))).await;
    assert_eq!(made.data["spec"]["color"], "red", "the default is stored");
    assert_eq!(made.metadata.generation, Some(1));
    assert!(made.uid().is_some() && made.creation_timestamp().is_some());
    let again = api
        .create(&PostParams::default(), &widget("a", json!({ "size": 2 })))
        .await;
    assert_eq!(code(again), 409);

    let grown = api
        .patch("a", &params, &merge(&json!({ "spec": { "size": 3 } })))
        .await
        .unwrap();
    assert_eq!(grown.metadata.generation, Some(2));
    let stale = api.replace("a", &PostParams::default(), &made).await;
    assert_eq!(code(stale), 409);
    let same = api
        .patch("a", &params, &merge(&json!({ "spec": { "size": 3 } })))
        .await
        .unwrap();
    assert_eq!(
        same.resource_version(),
        grown.resource_version(),
        "nothing changed"
    );

    let patch: json_patch::Patch =
        serde_json::from_value(json!([{ "op": "replace", "path": "/spec/size", "value": 4 }]))
            .unwrap();
    let patched = api
        .patch("a", &params, &Patch::<()>::Json(patch))
        .await
        .unwrap();
    assert_eq!(patched.data["spec"]["size"], 4);

    let status = json!({ "spec": { "size": 9 }, "status": { "phase": "Running" } });
    let reported = api
        .patch_status("a", &params, &merge(&status))
        .await
        .unwrap();
    assert_eq!(
        reported.data["spec"]["size"], 4,
        "the status door does not change the spec"
    );
    assert_eq!(reported.data["status"]["phase"], "Running");
    assert_eq!(reported.metadata.generation, patched.metadata.generation);
    let lie = json!({ "status": { "phase": "Lie" } });
    let kept = api.patch("a", &params, &merge(&lie)).await.unwrap();
    assert_eq!(
        kept.data["status"]["phase"], "Running",
        "the main door keeps the status"
    );

    api.delete("a", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    assert_eq!(api.get_opt("a").await.unwrap().map(|o| o.name_any()), None);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_breaks_the_rules_is_refused_with_the_path() {
    let server = Running::start().await;
    let api = server.widgets("default");
    let refused = |spec: Value| {
        let api = api.clone();
        async move {
            match api.create(&PostParams::default(), &widget("x", spec)).await {
                Err(kube::Error::Api(status)) => (status.code, status.message),
                other => panic!("a refusal was expected: {other:?}"),
            }
        }
    };
    let cases = [
        (json!({}), "spec.size: Required value"),
        (json!({ "size": 0 }), "spec.size"),
        (json!({ "size": "two" }), "spec.size"),
        (
            json!({ "size": 1, "color": "green" }),
            "spec.color: Unsupported value",
        ),
        (
            json!({ "size": 1, "color": "blue" }),
            "a blue widget is larger than 1",
        ),
    ];
    for (spec, words) in cases {
        let (code, message) = refused(spec.clone()).await;
        assert_eq!(code, 422, "{spec}: {message}");
        assert!(message.contains(words), "{spec}: {message}");
    }
    create(&api, &widget("a", json!({ "size": 3 }))).await;
    let shrink = json!({ "spec": { "size": 2 } });
    let result = api
        .patch("a", &PatchParams::default(), &merge(&shrink))
        .await;
    assert_eq!(code(result), 422, "transition rules see the old object");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unknown_fields_are_refused_or_dropped_as_asked() {
    let server = Running::start().await;
    let api = server.widgets("default");
    let wrong = widget(
        "a",
        json!({ "size": 1, "parts": [{ "name": "p", "nmae": "q" }] }),
    );
    let made = create(&api, &wrong).await;
    assert_eq!(
        made.data["spec"]["parts"],
        json!([{ "name": "p" }]),
        "pruned without strictness"
    );

    let request = http_request(&wrong, "fieldValidation=Strict");
    let refused: kube::Result<Value> = server.client.request(request).await;
    let Err(kube::Error::Api(status)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(status.code, 400);
    assert!(
        status
            .message
            .contains("unknown field \"spec.parts[0].nmae\""),
        "{}",
        status.message
    );
    server.stop().await;
}

fn http_request(object: &DynamicObject, query: &str) -> hyper::Request<Vec<u8>> {
    hyper::Request::post(format!(
        "/apis/test.vitistack.io/v1/namespaces/default/widgets?{query}"
    ))
    .header("content-type", "application/json")
    .body(serde_json::to_vec(object).unwrap())
    .unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dry_run_decides_and_writes_nothing() {
    let server = Running::start().await;
    let api = server.widgets("default");
    let dry = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let shown = api
        .create(&dry, &widget("a", json!({ "size": 1 })))
        .await
        .unwrap();
    assert_eq!(shown.data["spec"]["color"], "red");
    assert!(api.get_opt("a").await.unwrap().is_none());
    assert_eq!(code(api.create(&dry, &widget("a", json!({}))).await), 422);
    let nowhere = server.widgets("nowhere");
    assert_eq!(
        code(
            nowhere
                .create(&dry, &widget("a", json!({ "size": 1 })))
                .await
        ),
        404
    );
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_side_apply_creates_shares_conflicts_and_lets_go() {
    let server = Running::start().await;
    let api = server.widgets("default");
    let apply = async |manager: &str, spec: Value| {
        let object = widget("a", spec);
        let params = PatchParams::apply(manager);
        api.patch("a", &params, &Patch::Apply(&object)).await
    };
    let made = apply("one", json!({ "size": 1, "tags": { "k": "v" } }))
        .await
        .unwrap();
    assert_eq!(made.managed_fields()[0].manager.as_deref(), Some("one"));
    let refused = apply("two", json!({ "size": 2 })).await;
    let Err(kube::Error::Api(status)) = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(
        (status.code, status.message.as_str()),
        (
            409,
            "Apply failed with 1 conflict: conflict with \"one\": .spec.size"
        )
    );
    apply("two", json!({ "size": 1 })).await.unwrap();
    let left = apply("one", json!({})).await.unwrap();
    assert_eq!(left.data["spec"]["size"], 1, "somebody else owns it");
    assert_eq!(left.data["spec"].get("tags"), None, "nobody else owns it");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lists_are_selected_and_paged() {
    let server = Running::start().await;
    let api = server.widgets("default");
    for n in 0..7 {
        let mut object = widget(&format!("w{n}"), json!({ "size": 1 }));
        object
            .labels_mut()
            .insert("parity".to_owned(), (n % 2).to_string());
        create(&api, &object).await;
    }
    let running = json!({ "status": { "phase": "Running" } });
    api.patch_status("w3", &PatchParams::default(), &merge(&running))
        .await
        .unwrap();
    let names = |list: Vec<DynamicObject>| list.iter().map(|o| o.name_any()).collect::<Vec<_>>();
    let select = |params: ListParams| {
        let api = api.clone();
        async move { names(api.list(&params).await.unwrap().items) }
    };
    assert_eq!(
        select(ListParams::default().labels("parity=1")).await,
        ["w1", "w3", "w5"]
    );
    assert_eq!(
        select(ListParams::default().fields("status.phase=Running")).await,
        ["w3"]
    );
    assert_eq!(
        select(ListParams::default().fields("metadata.name=w4")).await,
        ["w4"]
    );
    let wrong = api.list(&ListParams::default().fields("spec.size=1")).await;
    assert_eq!(code(wrong), 400);

    let first = api.list(&ListParams::default().limit(3)).await.unwrap();
    let token = first.metadata.continue_.clone().unwrap();
    assert_eq!(first.metadata.remaining_item_count, Some(4));
    // What happens between two pages is not part of the list.
    api.delete("w4", &kube::api::DeleteParams::default())
        .await
        .unwrap();
    create(&api, &widget("w55", json!({ "size": 1 }))).await;
    let second = api
        .list(&ListParams::default().limit(9).continue_token(&token))
        .await
        .unwrap();
    assert_eq!(
        second.metadata.resource_version,
        first.metadata.resource_version
    );
    assert_eq!(names(second.items), ["w3", "w4", "w5", "w6"]);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_selection_is_deleted_and_metadata_is_listed_alone() {
    let server = Running::start().await;
    let api = server.widgets("default");
    for (name, parity) in [("a", "odd"), ("b", "even"), ("c", "odd")] {
        let mut object = widget(name, json!({ "size": 1 }));
        object
            .labels_mut()
            .insert("parity".to_owned(), parity.to_owned());
        create(&api, &object).await;
    }
    let odd = ListParams::default().labels("parity=odd");
    api.delete_collection(&kube::api::DeleteParams::default(), &odd)
        .await
        .unwrap();
    let left = api
        .list_metadata(&ListParams::default())
        .await
        .unwrap()
        .items;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0].metadata.name.as_deref(), Some("b"));
    let one = api.get_metadata("b").await.unwrap();
    assert_eq!(one.metadata.labels, left[0].metadata.labels);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn patches_without_a_version_never_lose_each_other() {
    let server = Running::start().await;
    let api = server.widgets("default");
    create(&api, &widget("a", json!({ "size": 1 }))).await;
    let patches = (0..8).map(|n| {
        let api = api.clone();
        async move {
            let patch = json!({ "spec": { "tags": { format!("k{n}"): "v" } } });
            api.patch("a", &PatchParams::default(), &merge(&patch))
                .await
                .unwrap();
        }
    });
    futures::future::join_all(patches).await;
    let tags = api.get("a").await.unwrap().data["spec"]["tags"].clone();
    assert_eq!(tags.as_object().unwrap().len(), 8, "{tags}");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_of_a_recorder_are_seen_in_both_groups() {
    let server = Running::start().await;
    let made = create(
        &server.widgets("default"),
        &widget("a", json!({ "size": 1 })),
    )
    .await;
    let reference = made.object_ref(&widget_resource());
    let recorder = Recorder::new(server.client.clone(), Reporter::from("test"));
    let event = kube::runtime::events::Event {
        type_: EventType::Normal,
        reason: "Grown".to_owned(),
        note: Some("it grew".to_owned()),
        action: "Growing".to_owned(),
        secondary: None,
    };
    recorder.publish(&event, &reference).await.unwrap();
    recorder.publish(&event, &reference).await.unwrap();
    let events: Api<Event> = Api::namespaced(server.client.clone(), "default");
    let uid = made.uid().unwrap();
    let params = ListParams::default().fields(&format!("involvedObject.uid={uid}"));
    let list = events.list(&params).await.unwrap().items;
    assert_eq!(list.len(), 1, "{list:?}");
    assert_eq!(list[0].message.as_deref(), Some("it grew"));
    assert_eq!(list[0].reporting_component.as_deref(), Some("test"));
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_has_one_winner() {
    let server = Running::start().await;
    let leases: Api<Lease> = Api::namespaced(server.client.clone(), "vitistack-system");
    let lease: Lease = serde_json::from_value(json!({
        "metadata": { "name": "leader" },
        "spec": { "holderIdentity": "none", "leaseDurationSeconds": 15 },
    }))
    .unwrap();
    let lease = leases.create(&PostParams::default(), &lease).await.unwrap();
    let races = (0..8).map(|n| {
        let (leases, mut lease) = (leases.clone(), lease.clone());
        async move {
            lease.spec.get_or_insert_default().holder_identity = Some(format!("hub-{n}"));
            leases
                .replace("leader", &PostParams::default(), &lease)
                .await
        }
    });
    let results = futures::future::join_all(races).await;
    assert_eq!(results.iter().filter(|r| r.is_ok()).count(), 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_of_a_megabyte_is_refused_and_of_half_of_it_survives() {
    let server = Running::start().await;
    let secrets: Api<Secret> = Api::namespaced(server.client.clone(), "default");
    let secret = |name: &str, length: usize| Secret {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            ..ObjectMeta::default()
        },
        string_data: Some([("key".to_owned(), "x".repeat(length))].into()),
        ..Secret::default()
    };
    assert_eq!(
        code(
            secrets
                .create(&PostParams::default(), &secret("big", 1 << 20))
                .await
        ),
        413
    );
    secrets
        .create(&PostParams::default(), &secret("fits", 500_000))
        .await
        .unwrap();
    let server = server.restart().await;
    let secrets: Api<Secret> = Api::namespaced(server.client.clone(), "default");
    let held = secrets.get("fits").await.unwrap();
    assert_eq!(held.data.unwrap()["key"].0.len(), 500_000);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_the_bearer_of_the_token_is_answered() {
    let server = Running::start().await;
    let mut config = config(&server.kubeconfig).await;
    config.auth_info.token = None;
    let anonymous = Client::try_from(config.clone()).unwrap();
    config.auth_info.token = Some("0".repeat(64).into());
    let wrong = Client::try_from(config).unwrap();
    for client in [&anonymous, &wrong] {
        assert_eq!(code(client.list_core_api_versions().await), 401);
        let secrets: Api<Secret> = Api::namespaced(client.clone(), "default");
        assert_eq!(code(secrets.list(&ListParams::default()).await), 401);
        assert_eq!(client.apiserver_version().await.unwrap().major, "1");
        for path in ["/healthz", "/readyz", "/livez"] {
            let request = hyper::Request::get(path).body(Vec::new()).unwrap();
            assert_eq!(client.request_text(request).await.unwrap(), "ok");
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_keeps_token_objects_and_version_and_writes_nothing() {
    use std::os::unix::fs::PermissionsExt as _;

    let server = Running::start().await;
    create(
        &server.widgets("default"),
        &widget("a", json!({ "size": 1 })),
    )
    .await;
    let before = server
        .widgets("default")
        .list(&ListParams::default())
        .await
        .unwrap();
    let kubeconfig = std::fs::read_to_string(&server.kubeconfig).unwrap();
    let old_client = server.client.clone();
    let server = server.restart().await;
    assert_eq!(
        std::fs::read_to_string(&server.kubeconfig).unwrap(),
        kubeconfig
    );
    let mode = std::fs::metadata(&server.kubeconfig)
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    // A client that was made before goes on, once its old connection is given up.
    let api: Api<DynamicObject> = Api::namespaced_with(old_client, "default", &widget_resource());
    eventually("the old client is served", || async {
        api.get("a").await.is_ok()
    })
    .await;
    let after = client(&server.kubeconfig).await;
    let after: Api<DynamicObject> = Api::namespaced_with(after, "default", &widget_resource());
    let after = after.list(&ListParams::default()).await.unwrap();
    assert_eq!(
        after.metadata.resource_version,
        before.metadata.resource_version
    );
    assert_eq!(after.items.len(), 1);
    server.stop().await;
}
