use kube::ResourceExt as _;
use serde_json::{Value, json};
use vitistack_api::conditions::Reason;
use vitistack_api::machine::Machine;

use super::*;
use crate::kinds::Refusal;
use crate::kinds::fixtures::{datacenter, host, machine, provider, ready, uid};

fn merge(mut left: Value, right: &Value) -> Value {
    for (name, value) in right.as_object().expect("an object") {
        left[name] = value.clone();
    }
    left
}

fn field() -> Field {
    Field {
        datacenters: Vec::new(),
        providers: Vec::new(),
        hosts: Vec::new(),
        machines: Vec::new(),
    }
}

fn chosen(field: &Field, spec: Value) -> Result<String, Refusal> {
    choose_provider(field, &machine("node-1", 1, json!({"spec": spec})))
        .map(|chosen| chosen.provider.name_any())
}

fn reason(found: Result<String, Refusal>) -> Result<String, Reason> {
    found.map_err(|refusal| refusal.reason)
}

#[test]
fn a_reference_is_taken_and_into_another_namespace_only_with_a_grant() {
    let grant = json!({"spec": {"allowedNamespaces": {"from": "List", "names": ["edge"]}}});
    let field = Field {
        providers: vec![
            provider("edge", "rack", json!({})),
            provider("providers", "closed", json!({})),
            provider("providers", "open", grant),
        ],
        ..field()
    };
    let by = |name: &str, namespace: Option<&str>| {
        let reference = json!({"machineProviderRef": {"name": name, "namespace": namespace}});
        reason(chosen(&field, reference))
    };
    assert_eq!(by("rack", None).as_deref(), Ok("rack"));
    assert_eq!(by("open", Some("providers")).as_deref(), Ok("open"));
    assert_eq!(
        by("closed", Some("providers")),
        Err(Reason::RefNotPermitted)
    );
    assert_eq!(by("open", None), Err(Reason::ProviderNotFound));
    assert_eq!(
        reason(chosen(&field, json!({}))),
        Err(Reason::ProviderNotFound)
    );
}

#[test]
fn a_datacenter_gives_its_first_enabled_healthy_provider_that_fits() {
    let listed = json!({"spec": {"machineProviders": [
        {"name": "third", "priority": 3},
        {"name": "disabled", "priority": 1, "enabled": false},
        {"name": "ill", "priority": 1},
        {"name": "small", "priority": 2},
        {"name": "unranked"},
    ]}});
    let small = merge(
        ready(),
        &json!({"spec": {"providerType": "baremetal", "region": "edge-west", "capabilities": {
            "instanceTypes": [{"name": "m1", "vcpus": 1, "memoryGB": "1"}]}}}),
    );
    let field = Field {
        datacenters: vec![datacenter("west", listed)],
        providers: vec![
            provider("edge", "third", ready()),
            provider("edge", "disabled", ready()),
            provider("edge", "ill", json!({})),
            provider("edge", "small", small),
            provider("edge", "unranked", ready()),
        ],
        ..field()
    };
    let west = json!({"datacenterRef": {"name": "west"}});
    assert_eq!(chosen(&field, west.clone()).as_deref(), Ok("small"));
    let large = merge(west, &json!({"instanceType": "m9"}));
    assert_eq!(chosen(&field, large).as_deref(), Ok("third"));
    let elsewhere = json!({"datacenterRef": {"name": "east"}});
    assert_eq!(
        reason(chosen(&field, elsewhere)),
        Err(Reason::DatacenterNotFound)
    );
    let unlisted =
        json!({"datacenterRef": {"name": "west"}, "machineProviderRef": {"name": "disabled"}});
    assert_eq!(
        reason(chosen(&field, unlisted)),
        Err(Reason::ProviderNotFound)
    );
}

#[test]
fn a_datacenter_without_a_usable_provider_names_each_candidate_and_its_fault() {
    let listed = json!({"spec": {"machineProviders": [{"name": "ill"}, {"name": "absent"}]}});
    let field = Field {
        datacenters: vec![datacenter("west", listed)],
        providers: vec![provider("edge", "ill", json!({}))],
        ..field()
    };
    let refusal =
        chosen(&field, json!({"datacenterRef": {"name": "west"}})).expect_err("none fits");
    assert_eq!(refusal.reason, Reason::ProviderNotFound);
    assert!(
        refusal.message.contains("edge/ill is not Ready"),
        "{}",
        refusal.message
    );
    assert!(
        refusal.message.contains("edge/absent does not exist"),
        "{}",
        refusal.message
    );
}

#[test]
fn a_configured_name_is_a_name_first_and_a_type_last() {
    let all = json!({"from": "All"});
    let open = |region: &str| json!({"spec": {"providerType": "baremetal", "region": region, "allowedNamespaces": all}});
    let field = Field {
        providers: vec![
            provider("edge", "own", json!({})),
            provider("providers", "own", open("north")),
            provider("providers", "far", open("south")),
            provider("providers", "hidden", json!({})),
        ],
        ..field()
    };
    let by = |config: Value| reason(chosen(&field, json!({"providerConfig": config})));
    assert_eq!(by(json!({"name": "far"})).as_deref(), Ok("far"));
    assert_eq!(by(json!({"name": "hidden"})), Err(Reason::ProviderNotFound));
    assert_eq!(
        by(json!({"name": "baremetal"})),
        Err(Reason::ProviderAmbiguous)
    );
    assert_eq!(
        by(json!({"name": "baremetal", "region": "south"})).as_deref(),
        Ok("far")
    );
    assert_eq!(
        by(json!({"name": "baremetal", "region": "west"})),
        Err(Reason::ProviderNotFound)
    );
    let own = choose_provider(
        &field,
        &machine("n", 1, json!({"spec": {"providerConfig": {"name": "own"}}})),
    );
    let own = own
        .expect("a name in the own namespace wins")
        .provider
        .namespace();
    assert_eq!(own.as_deref(), Some("edge"));
}

#[test]
fn own_credentials_count_only_where_the_provider_allows_them() {
    let spec = json!({
        "machineProviderRef": {"name": "rack"},
        "providerConfig": {"credentialsRef": {"name": "mine"}},
    });
    let with = |more: Value| Field {
        providers: vec![provider("edge", "rack", more)],
        ..field()
    };
    let closed = with(json!({}));
    assert_eq!(
        reason(chosen(&closed, spec.clone())),
        Err(Reason::CredentialsNotAllowed)
    );
    let open = with(json!({"spec": {
        "providerType": "baremetal", "region": "x", "allowCredentialsOverride": true}}));
    assert_eq!(chosen(&open, spec).as_deref(), Ok("rack"));
}

fn sized(cores: i64, mebibytes: i64, root_gb: i64) -> Value {
    json!({"status": {"phase": "Available", "hardware": {
        "cpu": {"count": cores},
        "ramMebibytes": mebibytes,
        "storage": [{"name": "/dev/sda", "sizeBytes": root_gb * 1_000_000_000}],
    }}})
}

fn host_for(hosts: Vec<Arc<BareMetalHost>>, spec: Value) -> Result<String, Refusal> {
    let field = Field { hosts, ..field() };
    let wanted: Machine = machine("node-1", 1, json!({"spec": spec}));
    let provider = provider(
        "edge",
        "rack",
        json!({"spec": {"capabilities": {"instanceTypes": [
            {"name": "medium", "vcpus": 8, "memoryGB": "16", "storageGB": 100}]}}}),
    );
    choose_host(&field, &wanted, &provider).map(|host| host.name_any())
}

#[test]
fn the_smallest_host_that_fits_is_taken_and_then_the_first_by_name() {
    let hosts = vec![
        host("large", 1, sized(32, 262_144, 2000)),
        host("b", 2, sized(8, 32_768, 500)),
        host("a", 3, sized(8, 32_768, 500)),
        host("tiny", 4, sized(2, 2048, 20)),
    ];
    let pick = |spec: Value| host_for(hosts.clone(), spec).expect("one fits");
    assert_eq!(pick(json!({})), "tiny");
    assert_eq!(pick(json!({"cpu": {"cores": 4}})), "a");
    assert_eq!(pick(json!({"instanceType": "medium"})), "a");
    assert_eq!(pick(json!({"memory": 64_i64 << 30})), "large");
    assert_eq!(pick(json!({"disks": [{"sizeGB": 900}]})), "large");
    // A server with 32 GiB shows a little less; it is still one with 32 GiB.
    let real = vec![host("real", 5, sized(8, 31_900, 500))];
    assert_eq!(
        host_for(real, json!({"memory": 32_i64 << 30})).as_deref(),
        Ok("real")
    );
}

#[test]
fn every_host_that_does_not_fit_is_named_with_its_reason() {
    let claimed = json!({"spec": {"consumerRef": {
        "name": "other", "namespace": "edge", "uid": uid(9)}}});
    let hosts = vec![
        host("claimed", 1, claimed),
        host("serviced", 2, json!({"spec": {"maintenance": true}})),
        host(
            "foreign",
            3,
            json!({"spec": {"externallyProvisioned": true}}),
        ),
        host(
            "held",
            4,
            json!({"status": {"quarantine": {"machineUID": uid(9)}}}),
        ),
        host("new", 5, json!({"status": {"phase": "Registering"}})),
        host("small", 6, sized(1, 1024, 10)),
        host(
            "labelled",
            7,
            json!({"metadata": {"labels": {"vitistack.io/instance-type": "huge"}}}),
        ),
        host(
            "elsewhere",
            8,
            json!({"spec": {"machineProviderRef": {"name": "other"}}}),
        ),
    ];
    let refusal = host_for(hosts, json!({"instanceType": "medium"})).expect_err("none fits");
    assert_eq!(refusal.reason, Reason::InsufficientCapacity);
    for text in [
        "claimed is claimed by Machine edge/other",
        "serviced is in maintenance",
        "foreign was installed by somebody else",
        "held is quarantined",
        "new is Registering",
        "small has 1 cores, 8 are asked",
        "labelled is of instance type huge, not medium",
    ] {
        assert!(
            refusal.message.contains(text),
            "{text}: {}",
            refusal.message
        );
    }
    assert!(
        !refusal.message.contains("elsewhere"),
        "{}",
        refusal.message
    );
}

#[test]
fn a_host_selector_sees_the_labels_of_spec_and_object() {
    let hosts = vec![
        host("plain", 1, json!({})),
        host("gpu", 2, json!({"spec": {"labels": {"gpu": "yes"}}})),
    ];
    let wanted = json!({"hostSelector": {"matchLabels": {"gpu": "yes"}}});
    assert_eq!(host_for(hosts, wanted).as_deref(), Ok("gpu"));
}

fn placed_on(name: &str, number: u8) -> Arc<Machine> {
    Arc::new(machine(
        name,
        number,
        json!({"status": {"placement": {"machineProvider": {"name": "rack", "namespace": "edge"}}}}),
    ))
}

#[test]
fn a_used_up_quota_refuses_the_next_machine_and_counts_those_of_listed_providers() {
    let with = |limit: u32, machines: Vec<Arc<Machine>>| Field {
        datacenters: vec![datacenter(
            "west",
            json!({"spec": {
                "resourceQuotas": {"maxMachines": limit},
                "machineProviders": [{"name": "rack"}],
            }}),
        )],
        providers: vec![provider("edge", "rack", json!({}))],
        machines,
        ..field()
    };
    let check = |field: &Field| {
        let wanted = machine(
            "n",
            1,
            json!({"spec": {"machineProviderRef": {"name": "rack"}}}),
        );
        let chosen = choose_provider(field, &wanted).expect("the provider is there");
        check_quota(field, &chosen).map_err(|refusal| refusal.reason)
    };
    let two = vec![placed_on("a", 2), placed_on("b", 3)];
    assert_eq!(check(&with(3, two.clone())), Ok(()));
    assert_eq!(check(&with(2, two.clone())), Err(Reason::QuotaExceeded));
    let full = with(2, two);
    assert_eq!(usage(&full, &full.datacenters[0]).machines, 2);
}
