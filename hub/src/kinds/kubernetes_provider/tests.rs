use serde_json::json;
use vitistack_api::conditions::{find, is_true};

use super::*;

#[test]
fn nothing_is_claimed_to_be_ready_that_nothing_makes() {
    let provider: KubernetesProvider = serde_json::from_value(json!({
        "apiVersion": "vitistack.io/v1alpha1",
        "kind": "KubernetesProvider",
        "metadata": {"name": "k", "namespace": "edge"},
        "spec": {"providerType": "vanilla", "version": "1.28", "region": "edge-west", "cluster": {}},
    }))
    .expect("the fixture fits its kind");
    let now = Time(jiff::Timestamp::UNIX_EPOCH);
    let held = status(&provider, Ok(()), &now);
    let ready = find(&held.conditions, types::READY).expect("Ready is always there");
    assert_eq!(
        (ready.status.as_str(), ready.reason.as_str()),
        ("False", "NotSupported")
    );
    assert!(
        held.conditions
            .iter()
            .all(|known| known.type_ == types::STALLED || known.status != "True")
    );
    let broken = Refusal::waits(Reason::DatacenterNotFound, "no such Datacenter");
    let broken = status(&provider, Err(broken), &now);
    assert!(!is_true(&broken.conditions, types::READY));
    let ready = find(&broken.conditions, types::READY).expect("Ready is always there");
    assert_eq!(ready.reason, "DatacenterNotFound");
}
