//! Objects for the tests of `kinds`, from as little YAML-like JSON as each test needs.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use vitistack_api::datacenter::Datacenter;
use vitistack_api::host::BareMetalHost;
use vitistack_api::machine::Machine;
use vitistack_api::machine_provider::MachineProvider;
use vitistack_protocol::ids::{Digest, OperationId, Uid};
use vitistack_protocol::message::Extensions;
use vitistack_protocol::message::intent::Provisioned;
use vitistack_protocol::message::numbered::{MachinePhase, PowerState, Reason};
use vitistack_protocol::message::report::{Cause, MachineReport};

pub(crate) const DIGEST: &str =
    "sha256:1111111111111111111111111111111111111111111111111111111111111111";

/// A UID that ends in `number`.
pub(crate) fn uid(number: u8) -> String {
    let mut bytes = [0; 16];
    bytes[15] = number;
    Uid(bytes).to_string()
}

fn read<K: DeserializeOwned>(value: Value) -> K {
    serde_json::from_value(value).expect("the fixture fits its kind")
}

fn merged(mut base: Value, more: Value) -> Value {
    fn into(base: &mut Value, more: Value) {
        match (base, more) {
            (Value::Object(base), Value::Object(more)) => {
                for (name, value) in more {
                    into(base.entry(name).or_insert(Value::Null), value);
                }
            }
            (base, more) => *base = more,
        }
    }
    into(&mut base, more);
    base
}

/// A Machine of namespace `edge`.
pub(crate) fn machine(name: &str, number: u8, more: Value) -> Machine {
    read(merged(
        json!({
            "apiVersion": "vitistack.io/v1alpha1",
            "kind": "Machine",
            "metadata": {"name": name, "namespace": "edge", "uid": uid(number), "generation": 1},
            "spec": {},
        }),
        more,
    ))
}

/// An available host of namespace `edge` and provider `rack`.
pub(crate) fn host(name: &str, number: u8, more: Value) -> Arc<BareMetalHost> {
    Arc::new(read(merged(
        json!({
            "apiVersion": "vitistack.io/v1alpha1",
            "kind": "BareMetalHost",
            "metadata": {"name": name, "namespace": "edge", "uid": uid(number), "generation": 1},
            "spec": {
                "machineProviderRef": {"name": "rack"},
                "bmc": {
                    "address": "redfish://192.0.2.10/redfish/v1/Systems/1",
                    "credentialsRef": {"name": "bmc"},
                },
                "bootMAC": "52:54:00:00:00:01",
            },
            "status": {"phase": "Available"},
        }),
        more,
    )))
}

/// A provider `name` of namespace `namespace`.
pub(crate) fn provider(namespace: &str, name: &str, more: Value) -> Arc<MachineProvider> {
    Arc::new(read(merged(
        json!({
            "apiVersion": "vitistack.io/v1alpha1",
            "kind": "MachineProvider",
            "metadata": {"name": name, "namespace": namespace, "generation": 1},
            "spec": {"providerType": "baremetal", "region": "edge-west"},
        }),
        more,
    )))
}

/// What makes a provider healthy.
pub(crate) fn ready() -> Value {
    json!({"status": {"conditions": [{
        "type": "Ready", "status": "True", "reason": "AgentConnected", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z",
    }]}})
}

/// A Datacenter of namespace `edge`.
pub(crate) fn datacenter(name: &str, more: Value) -> Arc<Datacenter> {
    Arc::new(read(merged(
        json!({
            "apiVersion": "vitistack.io/v1alpha1",
            "kind": "Datacenter",
            "metadata": {"name": name, "namespace": "edge", "generation": 1},
            "spec": {"region": "edge-west"},
        }),
        more,
    )))
}

/// A report of the Machine with this number.
pub(crate) fn report(phase: MachinePhase, reason: Reason, message: &str) -> MachineReport {
    MachineReport {
        phase,
        cause: Cause {
            reason,
            message: message.to_owned(),
        },
        power: Some(PowerState::On),
        host: Uid([9; 16]),
        operation: OperationId([7; 16]),
        attempt: 1,
        progress: None,
        provisioned: None,
        addresses: Vec::new(),
        extensions: Extensions::default(),
    }
}

/// The proof that the Machine with this number is installed.
pub(crate) fn proof(number: u8) -> Provisioned {
    Provisioned {
        machine: uid(number).parse().expect("a UUID"),
        operation: OperationId([7; 16]),
        image: DIGEST.parse::<Digest>().expect("a digest"),
        disk: "QM00001".into(),
    }
}
