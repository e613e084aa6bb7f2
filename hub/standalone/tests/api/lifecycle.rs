//! How objects go: finalizers, owners, namespaces.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{DeleteParams, DynamicObject, ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, ResourceExt as _};
use serde_json::json;

use crate::support::{Running, code, create, eventually, widget};

fn named(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        ..ObjectMeta::default()
    }
}

async fn namespace(server: &Running, name: &str) -> Api<Namespace> {
    let api: Api<Namespace> = Api::all(server.client.clone());
    let object = Namespace {
        metadata: named(name),
        ..Namespace::default()
    };
    api.create(&PostParams::default(), &object).await.unwrap();
    api
}

fn held(name: &str) -> DynamicObject {
    let mut object = widget(name, json!({ "size": 1 }));
    object.metadata.finalizers = Some(vec!["test.vitistack.io/hold".to_owned()]);
    object
}

async fn release(api: &Api<DynamicObject>, name: &str) {
    let patch = json!({ "metadata": { "finalizers": null } });
    api.patch(name, &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_finalizer_holds_an_object_until_it_is_removed() {
    let server = Running::start().await;
    let api = server.widgets("default");
    create(&api, &held("a")).await;
    let answer = api.delete("a", &DeleteParams::default()).await.unwrap();
    let object = answer
        .left()
        .expect("the object is held, so it is the answer");
    assert!(object.metadata.deletion_timestamp.is_some());
    let more = json!({ "metadata": { "finalizers": ["test.vitistack.io/hold", "another/one"] } });
    let result = api
        .patch("a", &PatchParams::default(), &Patch::Merge(&more))
        .await;
    assert_eq!(code(result), 422);
    release(&api, "a").await;
    assert!(api.get_opt("a").await.unwrap().is_none());
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_goes_with_its_contents_in_any_order() {
    let server = Running::start().await;
    let missing = server.widgets("prod");
    let result = missing
        .create(&PostParams::default(), &widget("a", json!({ "size": 1 })))
        .await;
    assert_eq!(code(result), 404);
    let namespaces = namespace(&server, "prod").await;
    let api = server.widgets("prod");
    create(&api, &widget("free", json!({ "size": 1 }))).await;
    create(&api, &held("held")).await;
    let maps: Api<ConfigMap> = Api::namespaced(server.client.clone(), "prod");
    let map = ConfigMap {
        metadata: named("map"),
        ..ConfigMap::default()
    };
    maps.create(&PostParams::default(), &map).await.unwrap();

    namespaces
        .delete("prod", &DeleteParams::default())
        .await
        .unwrap();
    let late = api
        .create(
            &PostParams::default(),
            &widget("late", json!({ "size": 1 })),
        )
        .await;
    assert_eq!(code(late), 403);
    eventually("what nothing holds goes", || async {
        api.get_opt("free").await.unwrap().is_none() && maps.get_opt("map").await.unwrap().is_none()
    })
    .await;
    eventually("what is held is marked", || async {
        api.get("held")
            .await
            .unwrap()
            .metadata
            .deletion_timestamp
            .is_some()
    })
    .await;
    let phase = namespaces.get("prod").await.unwrap().status.unwrap().phase;
    assert_eq!(phase.as_deref(), Some("Terminating"));
    release(&api, "held").await;
    eventually("the namespace goes", || async {
        namespaces.get_opt("prod").await.unwrap().is_none()
    })
    .await;
    namespace(&server, "prod").await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_that_was_half_deleted_goes_after_a_restart() {
    let server = Running::start().await;
    let namespaces = namespace(&server, "prod").await;
    create(&server.widgets("prod"), &held("held")).await;
    namespaces
        .delete("prod", &DeleteParams::default())
        .await
        .unwrap();
    let server = server.restart().await;
    let api = server.widgets("prod");
    eventually("what is held is marked", || async {
        api.get("held")
            .await
            .is_ok_and(|o| o.metadata.deletion_timestamp.is_some())
    })
    .await;
    release(&api, "held").await;
    let namespaces: Api<Namespace> = Api::all(server.client.clone());
    eventually("the namespace goes", || async {
        namespaces.get_opt("prod").await.unwrap().is_none()
    })
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dependents_go_with_their_owner_as_asked() {
    let server = Running::start().await;
    let api = server.widgets("default");
    let maps: Api<ConfigMap> = Api::namespaced(server.client.clone(), "default");
    for (owner, how) in [
        ("background", DeleteParams::background()),
        ("foreground", DeleteParams::foreground()),
        ("orphan", DeleteParams::orphan()),
    ] {
        let made = create(&api, &widget(owner, json!({ "size": 1 }))).await;
        let reference = OwnerReference {
            api_version: "test.vitistack.io/v1".to_owned(),
            kind: "Widget".to_owned(),
            name: owner.to_owned(),
            uid: made.uid().unwrap(),
            block_owner_deletion: Some(true),
            controller: None,
        };
        let metadata = ObjectMeta {
            owner_references: Some(vec![reference]),
            ..named(owner)
        };
        let map = ConfigMap {
            metadata,
            ..ConfigMap::default()
        };
        maps.create(&PostParams::default(), &map).await.unwrap();
        api.delete(owner, &how).await.unwrap();
        eventually("the owner goes", || async {
            api.get_opt(owner).await.unwrap().is_none()
        })
        .await;
        if owner == "orphan" {
            let left = maps.get(owner).await.unwrap();
            assert_eq!(left.metadata.owner_references, None);
        } else {
            eventually("the dependent goes", || async {
                maps.get_opt(owner).await.unwrap().is_none()
            })
            .await;
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_protected_machine_is_not_deleted() {
    let server = Running::start().await;
    let kind = kube::api::GroupVersionKind::gvk("vitistack.io", "v1alpha1", "Machine");
    let resource = kube::api::ApiResource::from_gvk_with_plural(&kind, "machines");
    let api: Api<DynamicObject> = Api::namespaced_with(server.client.clone(), "default", &resource);
    let mut machine = DynamicObject::new("m", &resource).data(json!({ "spec": {} }));
    machine
        .annotations_mut()
        .insert("vitistack.io/protect".to_owned(), "true".to_owned());
    create(&api, &machine).await;
    assert_eq!(code(api.delete("m", &DeleteParams::default()).await), 403);
    let free = json!({ "metadata": { "annotations": { "vitistack.io/protect": null } } });
    api.patch("m", &PatchParams::default(), &Patch::Merge(&free))
        .await
        .unwrap();
    api.delete("m", &DeleteParams::default()).await.unwrap();
    server.stop().await;
}
