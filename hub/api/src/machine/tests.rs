use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::*;

fn spec(value: Value) -> MachineSpec {
    serde_json::from_value(value).expect("a spec")
}

#[test]
fn a_host_selector_chooses_only_what_meets_all_of_it() {
    let labels: BTreeMap<String, String> = [("rack", "r1"), ("size", "small")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
    let one = |operator: &str, key: &str, values: Value| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
    for (selector, expected) in [
        (json!({}), true),
        (json!({"matchLabels": {"rack": "r1"}}), true),
        (
            json!({"matchLabels": {"rack": "r1", "size": "large"}}),
            false,
        ),
        (one("In", "size", json!(["small", "medium"])), true),
        (one("In", "absent", json!(["small"])), false),
        (one("NotIn", "size", json!(["small"])), false),
        (one("NotIn", "absent", json!(["small"])), true),
        (one("Exists", "rack", json!([])), true),
        (one("Exists", "absent", json!([])), false),
        (one("DoesNotExist", "absent", json!([])), true),
        (one("DoesNotExist", "rack", json!([])), false),
    ] {
        let chosen: HostSelector = serde_json::from_value(selector.clone()).expect("a selector");
        assert_eq!(chosen.matches(&labels), expected, "{selector}");
    }
}

#[test]
fn the_root_disk_is_the_one_that_boots_or_the_first() {
    let named = |spec: &MachineSpec| spec.root_disk().and_then(|disk| disk.name.clone());
    let first = spec(json!({"disks": [{"name": "a"}, {"name": "b"}]}));
    assert_eq!(named(&first).as_deref(), Some("a"));
    let boots = spec(json!({"disks": [{"name": "a"}, {"name": "b", "boot": true}]}));
    assert_eq!(named(&boots).as_deref(), Some("b"));
    assert_eq!(named(&spec(json!({}))), None);
}

#[test]
fn power_is_on_unless_somebody_says_otherwise() {
    for (value, expected) in [
        (json!({}), PowerState::On),
        (json!({"powerState": "On"}), PowerState::On),
        (json!({"powerState": "Off"}), PowerState::Off),
        (json!({"powerState": "PoweredOff"}), PowerState::Off),
    ] {
        assert_eq!(spec(value.clone()).wanted_power(), expected, "{value}");
    }
    assert_eq!(json!(PowerState::Off), json!("Off"));
}

#[test]
fn addresses_are_sorted_by_family() {
    let mut status = MachineStatus::default();
    let told = ["10.0.0.9", "2001:db8::9", "nonsense"].map(str::to_owned);
    status.set_addresses(&told);
    status.set_addresses(&told);
    assert_eq!(status.ip_addresses, ["10.0.0.9"]);
    assert_eq!(status.ipv6_addresses, ["2001:db8::9"]);
    assert_eq!(status.addresses.len(), 2);
    assert_eq!(status.addresses[0].kind, "InternalIP");
}
