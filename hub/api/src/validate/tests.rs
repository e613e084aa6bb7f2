use serde_json::{Value, json};

use super::*;

/// Findings of an object of `kind` with this spec.
fn found(kind: &str, spec: Value) -> Vec<String> {
    let value = json!({
        "apiVersion": "vitistack.io/v1alpha1",
        "kind": kind,
        "metadata": {"name": "me", "namespace": "here"},
        "spec": spec,
    });
    object(kind, &value)
        .iter()
        .map(ToString::to_string)
        .collect()
}

/// Each spec has exactly one finding, and it starts like this.
fn one_each(kind: &str, cases: Vec<(Value, &str)>) {
    for (spec, expected) in cases {
        let findings = found(kind, spec);
        assert_eq!(findings.len(), 1, "{expected}: {findings:?}");
        assert!(
            findings[0].starts_with(expected),
            "{findings:?} is not {expected}"
        );
    }
}

#[test]
fn a_datacenter_is_refused_where_no_schema_would() {
    let vpcs = |vpcs: Value| json!({"region": "r", "networking": {"vpcs": vpcs}});
    let rule = |more: Value| {
        let mut rule = json!({"name": "a", "action": "allow"});
        rule.as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        json!({"region": "r", "networking": {"firewall": {"rules": [rule]}}})
    };
    one_each(
        "Datacenter",
        vec![
            (
                json!({"region": "r", "machineProviders": [{"name": "a"}, {"name": "a", "namespace": "here"}]}),
                r#"spec.machineProviders[1].name: Duplicate value: "a""#,
            ),
            (
                vpcs(json!([{"name": "a", "cidr": "999.1.1.1/8"}])),
                r#"spec.networking.vpcs[0].cidr: Invalid value: "999.1.1.1/8": must be an IPv4 or IPv6 network"#,
            ),
            (
                vpcs(json!([{"name": "a", "cidr": "10.0.0.0/33"}])),
                "spec.networking.vpcs[0].cidr: ",
            ),
            (
                vpcs(
                    json!([{"name": "a", "cidr": "10.0.0.0/8"}, {"name": "b", "cidr": "10.9.0.0/16"}]),
                ),
                r#"spec.networking.vpcs[1].cidr: Invalid value: "10.9.0.0/16": must not overlap that of "a""#,
            ),
            (
                vpcs(
                    json!([{"name": "a", "cidr": "10.0.0.0/8", "default": true}, {"name": "b", "cidr": "11.0.0.0/8", "default": true}]),
                ),
                "spec.networking.vpcs[1].default: ",
            ),
            (
                vpcs(
                    json!([{"name": "a", "cidr": "10.0.0.0/16", "subnets": [{"name": "s", "cidr": "10.1.0.0/24"}]}]),
                ),
                r#"spec.networking.vpcs[0].subnets[0].cidr: Invalid value: "10.1.0.0/24": must lie inside 10.0.0.0/16"#,
            ),
            (
                vpcs(
                    json!([{"name": "a", "cidr": "10.0.0.0/16", "subnets": [{"name": "s", "cidr": "10.0.0.0/24"}, {"name": "s", "cidr": "10.0.1.0/24"}]}]),
                ),
                "spec.networking.vpcs[0].subnets[1].name: Duplicate value",
            ),
            (
                vpcs(
                    json!([{"name": "a", "cidr": "10.0.0.0/16", "subnets": [{"name": "s", "cidr": "10.0.0.0/23"}, {"name": "t", "cidr": "10.0.1.0/24"}]}]),
                ),
                "spec.networking.vpcs[0].subnets[1].cidr: ",
            ),
            (
                vpcs(
                    json!([{"name": "a", "cidr": "2001:db8::/32", "subnets": [{"name": "s", "cidr": "10.0.1.0/24"}]}]),
                ),
                "spec.networking.vpcs[0].subnets[0].cidr: ",
            ),
            (
                rule(json!({"port": "banana"})),
                r#"spec.networking.firewall.rules[0].port: Invalid value: "banana""#,
            ),
            (
                rule(json!({"port": "80,0"})),
                "spec.networking.firewall.rules[0].port: ",
            ),
            (
                rule(json!({"port": "90-80"})),
                "spec.networking.firewall.rules[0].port: ",
            ),
            (
                rule(json!({"source": "not-an-ip"})),
                "spec.networking.firewall.rules[0].source: ",
            ),
            (
                rule(json!({"destination": "10.0.0.9-10.0.0.1"})),
                "spec.networking.firewall.rules[0].destination: ",
            ),
            (
                json!({"region": "r", "networking": {"dns": {"servers": ["8.8.8"]}}}),
                "spec.networking.dns.servers[0]: ",
            ),
            (
                json!({"region": "r", "backup": {"schedule": "0 25 * * *"}}),
                r#"spec.backup.schedule: Invalid value: "0 25 * * *": must be a cron line"#,
            ),
            (
                json!({"region": "r", "backup": {"disasterRecovery": {"targetDatacenter": "me"}}}),
                "spec.backup.disasterRecovery.targetDatacenter: ",
            ),
        ],
    );
    for good in ["80", "80,443", "6000-6010", "22, 8000-8080"] {
        assert_eq!(
            found("Datacenter", rule(json!({"port": good}))),
            Vec::<String>::new(),
            "{good}"
        );
    }
    let elsewhere = json!({"region": "r", "machineProviders": [{"name": "a"}, {"name": "a", "namespace": "there"}]});
    assert_eq!(found("Datacenter", elsewhere), Vec::<String>::new());
}

#[test]
fn cron_lines_are_read_as_cron_does() {
    for good in [
        "0 2 * * *",
        "*/5 * * * *",
        "0 0 1,15 * 1-5",
        "5-55/10 8-18 * jan-mar mon,Fri",
        "@daily",
        "0 0 * * 7",
        " 0  2 * * * ",
    ] {
        assert_eq!(cron::check(good), Ok(()), "{good}");
    }
    for bad in [
        "",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * * 13 *",
        "* * * * 8",
        "*/0 * * * *",
        "5-1 * * * *",
        "+5 * * * *",
        "a * * * *",
        "1,,2 * * * *",
        "@never",
        "* * * foo *",
    ] {
        assert!(cron::check(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_machine_is_refused_where_no_schema_would() {
    one_each(
        "Machine",
        vec![
            (json!({"name": "no_host"}), "spec.name: "),
            (
                json!({"disks": [{"boot": true}, {"boot": true}]}),
                "spec.disks[1].boot: ",
            ),
            (
                json!({"disks": [{"name": "a"}, {"name": "a"}]}),
                "spec.disks[1].name: ",
            ),
            (
                json!({"network": {"privateIP": "10.0.0"}}),
                "spec.network.privateIP: ",
            ),
            (
                json!({"network": {"interfaces": [{"primary": true}, {"primary": true}]}}),
                "spec.network.interfaces[1].primary: ",
            ),
            (
                json!({"os": {"imageID": "ftp://images/x"}}),
                "spec.os.imageID: ",
            ),
            (
                json!({"sshKeys": ["ssh-ed25519 AAAA a\nssh-ed25519 BBBB b"]}),
                "spec.sshKeys[0]: ",
            ),
            (
                json!({"providerConfig": {"credentialsRef": {"name": "a", "secretName": "b"}}}),
                r#"spec.providerConfig.credentialsRef.secretName: Invalid value: "b""#,
            ),
            (
                json!({"backup": {"schedule": "often"}}),
                "spec.backup.schedule: ",
            ),
        ],
    );
    assert_eq!(
        found(
            "Machine",
            json!({"os": {"imageID": "ami-1"}, "sshKeys": ["ssh-ed25519 AAAA a\n"]})
        ),
        Vec::<String>::new()
    );
}

#[test]
fn a_provider_is_refused_where_no_schema_would() {
    let base = |more: Value| {
        let mut spec = json!({"providerType": "baremetal", "region": "r"});
        spec.as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        spec
    };
    one_each(
        "MachineProvider",
        vec![
            (
                json!({"providerType": "baremetal", "region": "Not a label"}),
                "spec.site: Required value",
            ),
            (
                base(json!({"zones": ["a", "a"]})),
                "spec.zones[1]: Duplicate value",
            ),
            (
                base(
                    json!({"authentication": {"type": "credentials", "credentialsRef": {"name": "a", "secretName": "b"}}}),
                ),
                "spec.authentication.credentialsRef.secretName: ",
            ),
            (
                base(
                    json!({"capabilities": {"instanceTypes": [{"name": "s", "vcpus": 1, "memoryGB": "1"}, {"name": "s", "vcpus": 2, "memoryGB": "1"}]}}),
                ),
                "spec.capabilities.instanceTypes[1].name: Duplicate value",
            ),
            (
                base(
                    json!({"capabilities": {"storageTypes": [{"name": "s", "class": "SSD", "iopsRange": {"min": 2, "max": 1}}]}}),
                ),
                "spec.capabilities.storageTypes[0].iopsRange.min: ",
            ),
            (
                base(
                    json!({"capabilities": {"operatingSystems": [{"family": "linux", "distribution": "debian", "versions": [], "architectures": [], "defaultImageID": "ami-1"}]}}),
                ),
                "spec.capabilities.operatingSystems[0].defaultImageID: ",
            ),
            (
                base(
                    json!({"network": {"availableVPCs": [{"id": "v", "name": "v", "cidr": "10.0.0.0/16", "subnets": [{"id": "s", "name": "s", "cidr": "10.1.0.0/24", "zone": "z", "public": false}]}]}}),
                ),
                "spec.network.availableVPCs[0].subnets[0].cidr: ",
            ),
        ],
    );
}

#[test]
fn a_cluster_is_refused_where_no_schema_would() {
    let base = |more: Value| {
        let mut spec =
            json!({"providerType": "k3s", "region": "r", "version": "1.30", "cluster": {}});
        spec.as_object_mut()
            .expect("an object")
            .extend(more.as_object().expect("an object").clone());
        spec
    };
    let pool = |least: i64, wanted: i64, most: i64| json!({"name": "p", "instanceType": "s", "minNodes": least, "desiredNodes": wanted, "maxNodes": most});
    let mut tainted = pool(0, 0, 1);
    tainted["taints"] = json!([{"key": "k", "effect": "Bogus"}]);
    one_each(
        "KubernetesProvider",
        vec![
            (
                base(json!({"nodePools": [pool(9, 1, 1)]})),
                "spec.nodePools[0].minNodes: Invalid value: 9: must be at most maxNodes, 1",
            ),
            (
                base(json!({"nodePools": [pool(1, 6, 5)]})),
                "spec.nodePools[0].desiredNodes: Invalid value: 6",
            ),
            (
                base(json!({"nodePools": [pool(1, 1, 1), pool(1, 1, 1)]})),
                "spec.nodePools[1].name: Duplicate value",
            ),
            (
                base(json!({"nodePools": [tainted]})),
                r#"spec.nodePools[0].taints[0].effect: Unsupported value: "Bogus""#,
            ),
            (
                base(json!({"network": {"podCIDR": "nope"}})),
                "spec.network.podCIDR: ",
            ),
            (
                base(json!({"network": {"podCIDR": "10.0.0.0/8", "serviceCIDR": "10.9.0.0/16"}})),
                "spec.network.serviceCIDR: ",
            ),
            (
                base(
                    json!({"network": {"serviceCIDR": "10.9.0.0/16", "dnsServiceIP": "10.8.0.1"}}),
                ),
                "spec.network.dnsServiceIP: ",
            ),
            (
                base(json!({"cluster": {"etcd": {"backupSchedule": "x"}}})),
                "spec.cluster.etcd.backupSchedule: ",
            ),
            (
                base(
                    json!({"authentication": {"oidc": {"issuerURL": "u", "clientID": "c", "clientSecretRef": {"name": "a", "secretName": "b"}}}}),
                ),
                "spec.authentication.oidc.clientSecretRef.secretName: ",
            ),
        ],
    );
}

#[test]
fn a_host_is_refused_where_no_schema_would() {
    let base = |pointer: &str, value: Value| {
        let mut spec = json!({
            "machineProviderRef": {"name": "rack"},
            "bmc": {"address": "redfish://bmc/redfish/v1/Systems/1", "credentialsRef": {"name": "c"}, "tls": {}},
            "bootMAC": "52:54:00:00:00:01",
            "rootDeviceHints": {},
        });
        let (parent, key) = pointer.rsplit_once('/').expect("a pointer");
        spec.pointer_mut(parent).expect("an object")[key] = value;
        spec
    };
    one_each(
        "BareMetalHost",
        vec![
            (
                base("/bootMAC", json!("01:00:5e:00:00:01")),
                "spec.bootMAC: ",
            ),
            (
                base("/bootMAC", json!("00:00:00:00:00:00")),
                "spec.bootMAC: ",
            ),
            (
                base(
                    "/bmc/address",
                    json!("redfish://bmc:99999/redfish/v1/Systems/1"),
                ),
                "spec.bmc.address: ",
            ),
            (
                base(
                    "/bmc/credentialsRef",
                    json!({"name": "a", "secretName": "b"}),
                ),
                "spec.bmc.credentialsRef.secretName: ",
            ),
            (
                base("/bmc/tls", json!({"caBundle": "nonsense"})),
                "spec.bmc.tls.caBundle: ",
            ),
            (
                base("/rootDeviceHints", json!({"deviceName": "sda"})),
                "spec.rootDeviceHints.deviceName: ",
            ),
            (
                base("/rootDeviceHints", json!({"hctl": "0:0:0"})),
                "spec.rootDeviceHints.hctl: ",
            ),
            (
                base("/rootDeviceHints", json!({"serialNumber": " "})),
                "spec.rootDeviceHints.serialNumber: ",
            ),
        ],
    );
    for good in [
        "redfish://[2001:db8::1]:8443/redfish/v1/Systems/1",
        "redfish://[2001:db8::1]/redfish/v1/Systems/1",
    ] {
        assert_eq!(
            found("BareMetalHost", base("/bmc/address", json!(good))),
            Vec::<String>::new(),
            "{good}"
        );
    }
}

#[test]
fn bare_metal_needs_an_image_that_it_can_fetch_and_its_digest() {
    let offers = vec![crate::machine_provider::OperatingSystemOffer {
        family: "linux".to_owned(),
        distribution: "debian".to_owned(),
        versions: vec!["12".to_owned()],
        architectures: vec!["amd64".to_owned()],
        default_image_id: Some("https://images.example/debian.raw".to_owned()),
    }];
    let digest = format!("sha256:{}", "0".repeat(64));
    let image = |os: Value| {
        let os = serde_json::from_value(os).expect("an os");
        bare_metal_image(Some(&os), &offers)
            .map(|image| image.url)
            .map_err(|error| error.path)
    };
    for (os, expected) in [
        (
            json!({"imageID": "http://a/b", "imageDigest": digest}),
            Ok("http://a/b"),
        ),
        (
            json!({"imageID": "debian", "imageDigest": digest}),
            Ok("https://images.example/debian.raw"),
        ),
        (
            json!({"imageID": "debian-12", "imageDigest": digest}),
            Ok("https://images.example/debian.raw"),
        ),
        (
            json!({"distribution": "debian", "architecture": "x86_64", "imageDigest": digest}),
            Ok("https://images.example/debian.raw"),
        ),
        (json!({"imageID": "http://a/b"}), Err("spec.os.imageDigest")),
        (
            json!({"imageID": "debian-11", "imageDigest": digest}),
            Err("spec.os.imageID"),
        ),
        (
            json!({"imageID": "file:///x", "imageDigest": digest}),
            Err("spec.os.imageID"),
        ),
        (
            json!({"distribution": "debian", "version": "11", "imageDigest": digest}),
            Err("spec.os.imageID"),
        ),
        (json!({"imageDigest": digest}), Err("spec.os.imageID")),
    ] {
        assert_eq!(
            image(os.clone()),
            expected.map(str::to_owned).map_err(str::to_owned),
            "{os}"
        );
    }
    assert!(bare_metal_image(None, &offers).is_err());
}
