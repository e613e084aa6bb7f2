use serde_json::{Value, json};
use vitistack_api::conditions::{find, is_true};

use super::*;
use crate::kinds::fixtures::{datacenter, machine, provider, ready};

fn said(
    spec: Value,
    providers: Vec<Arc<vitistack_api::machine_provider::MachineProvider>>,
    machines: u8,
) -> DatacenterStatus {
    let mut whole = json!({"region": "edge-west"});
    for (name, value) in spec.as_object().expect("an object") {
        whole[name] = value.clone();
    }
    let datacenter = datacenter("west", json!({"spec": whole}));
    let placed = json!({"status": {"placement": {"machineProvider": {"name": "rack", "namespace": "edge"}}}});
    let field = Field {
        datacenters: vec![datacenter.clone()],
        providers,
        hosts: Vec::new(),
        machines: (0..machines)
            .map(|number| Arc::new(machine("node", number, placed.clone())))
            .collect(),
    };
    let facts = Facts {
        datacenter: &datacenter,
        field: &field,
        kubernetes_providers: &[],
    };
    status(&facts, &Time(jiff::Timestamp::UNIX_EPOCH))
}

fn reason(status: &DatacenterStatus, kind: &str) -> String {
    find(&status.conditions, kind)
        .map(|known| known.reason.clone())
        .unwrap_or_default()
}

#[test]
fn the_phase_follows_the_providers() {
    let both = json!({"machineProviders": [{"name": "rack"}, {"name": "other"}]});
    let well = || provider("edge", "rack", ready());
    let ill = || provider("edge", "other", json!({}));
    for (name, providers, phase, why) in [
        (
            "none there",
            vec![],
            DatacenterPhase::Provisioning,
            "ProviderNotFound",
        ),
        (
            "one there",
            vec![well()],
            DatacenterPhase::Degraded,
            "ProviderNotFound",
        ),
        (
            "one ill",
            vec![well(), ill()],
            DatacenterPhase::Degraded,
            "ProvidersUnhealthy",
        ),
        (
            "well",
            vec![well(), provider("edge", "other", ready())],
            DatacenterPhase::Ready,
            "ProvidersHealthy",
        ),
    ] {
        let status = said(both.clone(), providers, 0);
        assert_eq!(status.phase, Some(phase), "{name}");
        assert_eq!(reason(&status, types::READY), why, "{name}");
        assert_eq!(status.provider_statuses.len(), 2, "{name}");
    }
    assert_eq!(
        reason(&said(json!({}), vec![], 0), types::READY),
        "NoProviders"
    );
    let invalid = json!({"networking": {"vpcs": [{"name": "a", "cidr": "999.0.0.0/8"}]}});
    let status = said(invalid, vec![], 0);
    assert_eq!(status.phase, Some(DatacenterPhase::Failed));
    assert_eq!(reason(&status, types::READY), "ValidationFailed");
}

#[test]
fn a_provider_of_another_namespace_needs_its_grant() {
    let spec = json!({"machineProviders": [{"name": "rack", "namespace": "providers"}]});
    let closed = said(
        spec.clone(),
        vec![provider("providers", "rack", ready())],
        0,
    );
    assert_eq!(reason(&closed, types::READY), "RefNotPermitted");
    assert_eq!(closed.machine_provider_count, Some(0));
    assert_eq!(
        closed.provider_statuses[0].phase, None,
        "nothing is told of what is closed"
    );
    let mut open = ready();
    open["spec"] =
        json!({"providerType": "baremetal", "region": "x", "allowedNamespaces": {"from": "All"}});
    let status = said(spec, vec![provider("providers", "rack", open)], 0);
    assert!(is_true(&status.conditions, types::READY));
}

#[test]
fn sections_that_nothing_executes_are_false_and_do_not_count() {
    let spec = json!({
        "networking": {"dns": {"domain": "edge.example"}},
        "monitoring": {"enabled": true},
        "backup": {"enabled": true},
        "security": {"accessControl": {"rbac": true}},
    });
    let status = said(spec, vec![], 0);
    assert!(is_true(&status.conditions, types::READY));
    for kind in [
        types::NETWORKING_READY,
        types::MONITORING_READY,
        types::BACKUP_READY,
        types::SECURITY_COMPLIANT,
    ] {
        assert_eq!(reason(&status, kind), "NotSupported", "{kind}");
        assert!(!is_true(&status.conditions, kind), "{kind}");
    }
}

#[test]
fn a_used_up_quota_is_said_and_so_is_a_quota_that_nothing_enforces() {
    let spec = json!({
        "machineProviders": [{"name": "rack"}],
        "resourceQuotas": {"maxMachines": 2, "maxCPUCores": 4},
    });
    let full = said(spec, vec![provider("edge", "rack", ready())], 2);
    assert_eq!(full.active_machines, Some(2));
    assert_eq!(reason(&full, types::QUOTA_AVAILABLE), "QuotaExceeded");
    let said = find(&full.conditions, types::QUOTA_AVAILABLE).expect("it is said");
    assert!(
        said.message.contains("nothing enforces maxCPUCores"),
        "{}",
        said.message
    );
}
