use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::*;

const FIRST: &str = "6f1c0a52-0001-4000-8000-000000000001";
const SECOND: &str = "6f1c0a52-0001-4000-8000-000000000002";

fn object(name: &str, uid: &str, version: u32) -> ConfigMap {
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.into()),
            namespace: Some("edge".into()),
            uid: Some(uid.into()),
            resource_version: Some(version.to_string()),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    }
}

fn version(cache: &Cache<ConfigMap>, name: &str) -> Option<String> {
    cache.find("edge", name)?.resource_version()
}

#[test]
fn an_event_older_than_the_own_write_is_left_out() {
    let cache = Cache::default();
    assert_eq!(cache.apply(object("a", FIRST, 9)), Seen::New);
    assert!(matches!(
        cache.apply(object("a", FIRST, 11)),
        Seen::Changed(_)
    ));
    assert_eq!(cache.apply(object("a", FIRST, 10)), Seen::Stale);
    assert_eq!(cache.apply(object("a", FIRST, 11)), Seen::Stale);
    assert_eq!(version(&cache, "a").as_deref(), Some("11"));
}

#[test]
fn an_object_made_anew_replaces_its_predecessor_whatever_its_version() {
    let cache = Cache::default();
    cache.apply(object("a", FIRST, 9));
    assert!(matches!(
        cache.apply(object("a", SECOND, 3)),
        Seen::Changed(_)
    ));
    assert!(
        cache.remove(&object("a", FIRST, 12)).is_none(),
        "a late event of the old one"
    );
    assert_eq!(version(&cache, "a").as_deref(), Some("3"));
    let found = |uid: &str| cache.by_uid(uid.parse().expect("a UUID")).is_some();
    assert!(!found(FIRST) && found(SECOND));
}

#[test]
fn a_complete_list_forgets_what_is_not_in_it() {
    let cache = Cache::default();
    cache.apply(object("a", FIRST, 1));
    cache.apply(object("b", SECOND, 2));
    assert!(!cache.is_synced());
    let listed = [(("edge".to_owned(), "b".to_owned()), Some(SECOND.to_owned()))];
    let forgotten = cache.retain(&listed);
    assert_eq!(forgotten.len(), 1);
    assert!(cache.is_synced());
    assert!(cache.by_uid(FIRST.parse().expect("a UUID")).is_none());
    assert!(cache.by_uid(SECOND.parse().expect("a UUID")).is_some());
}
