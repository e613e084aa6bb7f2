//! The table of bare-metal hosts. Pure.

use jiff::Timestamp;
use vitistack_api::conditions::{find, types};
use vitistack_api::host::BareMetalHost;

use crate::table::{age, render, word};

/// One line a host, by namespace and name.
pub(crate) fn to_table(hosts: &[BareMetalHost], namespaces: bool, now: Timestamp) -> String {
    let mut headers = vec![
        "NAMESPACE",
        "NAME",
        "PHASE",
        "READY",
        "REASON",
        "POWER",
        "CONSUMER",
        "PROVIDER",
        "BMC",
        "AGE",
    ];
    let mut rows: Vec<Vec<String>> = hosts.iter().map(|host| row(host, now)).collect();
    rows.sort();
    if !namespaces {
        headers.remove(0);
        for row in &mut rows {
            row.remove(0);
        }
    }
    render(&headers, &rows)
}

fn row(host: &BareMetalHost, now: Timestamp) -> Vec<String> {
    let status = host.status.as_ref();
    let ready = status.and_then(|status| find(&status.conditions, types::READY));
    let consumer = host.spec.consumer_ref.as_ref().map(|consumer| {
        if host.metadata.namespace.as_deref() == Some(consumer.namespace.as_str()) {
            consumer.name.clone()
        } else {
            format!("{}/{}", consumer.namespace, consumer.name)
        }
    });
    vec![
        host.metadata.namespace.clone().unwrap_or_default(),
        host.metadata.name.clone().unwrap_or_default(),
        word(status.and_then(|status| status.phase.as_ref())),
        ready.map(|ready| ready.status.clone()).unwrap_or_default(),
        ready.map(|ready| ready.reason.clone()).unwrap_or_default(),
        word(status.and_then(|status| status.power_state.as_ref())),
        consumer.unwrap_or_default(),
        host.spec.machine_provider_ref.name.clone(),
        host.spec.bmc.address.clone(),
        age(host.metadata.creation_timestamp.as_ref(), now),
    ]
}
