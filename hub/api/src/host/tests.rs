use serde_json::{Value, json};

use super::*;

fn host(metadata: Value, more: Value) -> BareMetalHost {
    let mut spec = json!({
        "machineProviderRef": {"name": "rack"},
        "bmc": {"address": "redfish://bmc/redfish/v1/Systems/1", "credentialsRef": {"name": "c"}},
        "bootMAC": "52:54:00:AA:bb:01",
    });
    spec.as_object_mut()
        .expect("an object")
        .extend(more.as_object().expect("an object").clone());
    serde_json::from_value(json!({
        "apiVersion": "vitistack.io/v1alpha1",
        "kind": "BareMetalHost",
        "metadata": metadata,
        "spec": spec,
    }))
    .expect("a host")
}

#[test]
fn the_objects_labels_win_over_those_of_the_spec() {
    let host = host(
        json!({"name": "h", "labels": {"rack": "r2"}}),
        json!({"labels": {"rack": "r1", "size": "small"}}),
    );
    let labels = host.selector_labels();
    assert_eq!(labels["rack"], "r2");
    assert_eq!(labels["size"], "small");
}

#[test]
fn a_mac_address_is_read_in_either_case_and_only_whole() {
    for (text, expected) in [
        ("52:54:00:AA:bb:01", Some([0x52, 0x54, 0, 0xaa, 0xbb, 1])),
        ("52:54:00:AA:bb", None),
        ("52:54:00:AA:bb:01:02", None),
        ("52:54:00:AA:bb:xx", None),
    ] {
        let host = host(json!({"name": "h"}), json!({"bootMAC": text}));
        assert_eq!(host.spec.boot_mac_bytes(), expected, "{text}");
    }
    let plain = host(json!({"name": "h"}), json!({}));
    assert_eq!(plain.spec.wanted_boot_mode(), BootMode::Uefi);
}

#[test]
fn a_fingerprint_is_read_in_every_spelling() {
    let plain = "ab".repeat(32);
    let colons = vec!["AB"; 32].join(":");
    for (text, expected) in [
        (plain.clone(), Some([0xab; 32])),
        (format!("sha256:{plain}"), Some([0xab; 32])),
        (colons, Some([0xab; 32])),
        ("ab".repeat(31), None),
        ("zz".repeat(32), None),
    ] {
        let tls = BmcTls {
            sha256: Some(text.clone()),
            ..BmcTls::default()
        };
        assert_eq!(tls.fingerprint(), expected, "{text}");
    }
}
