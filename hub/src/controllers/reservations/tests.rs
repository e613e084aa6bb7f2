use serde_json::json;
use vitistack_api::machine::PlacedHost;

use super::*;
use crate::kinds::fixtures::{host, machine, uid};

fn placed(number: u8) -> Placement {
    Placement {
        machine_provider: Some(ObjectReference {
            name: "rack".into(),
            namespace: Some("edge".into()),
        }),
        host: Some(PlacedHost {
            name: "a".into(),
            namespace: "edge".into(),
            uid: uid(number),
        }),
        ..Placement::default()
    }
}

fn field(hosts: Vec<Arc<BareMetalHost>>, machines: Vec<Machine>) -> Field {
    Field {
        datacenters: Vec::new(),
        providers: Vec::new(),
        hosts,
        machines: machines.into_iter().map(Arc::new).collect(),
    }
}

fn placement(field: &Field, index: usize) -> Option<&Placement> {
    field.machines[index].status.as_ref()?.placement.as_ref()
}

#[test]
fn a_decision_counts_for_the_next_one() {
    let mut field = field(
        vec![host("a", 50, json!({})), host("b", 51, json!({}))],
        vec![machine("m", 1, json!({})), machine("n", 2, json!({}))],
    );
    let reserved = Reserved::from([(uid(1), placed(50))]);
    foresee(&mut field, &reserved);
    assert_eq!(placement(&field, 0), Some(&placed(50)));
    assert_eq!(placement(&field, 1), None);
    let consumer = field.hosts[0].spec.consumer_ref.as_ref();
    assert_eq!(consumer.map(|consumer| consumer.uid.clone()), Some(uid(1)));
    assert_eq!(field.hosts[1].spec.consumer_ref, None);
}

#[test]
fn a_claim_counts_although_no_status_says_it_yet() {
    let claimed =
        json!({"spec": {"consumerRef": {"name": "m", "namespace": "edge", "uid": uid(1)}}});
    let mut field = field(
        vec![host("a", 50, claimed)],
        vec![machine("m", 1, json!({}))],
    );
    foresee(&mut field, &Reserved::new());
    let provider = placement(&field, 0).and_then(|placement| placement.machine_provider.clone());
    assert_eq!(provider, placed(50).machine_provider);
}

#[test]
fn what_the_api_says_is_left_as_it_is() {
    let status = json!({"status": {"placement": {"machineProvider": {"name": "other"}}}});
    let consumer =
        json!({"spec": {"consumerRef": {"name": "x", "namespace": "edge", "uid": uid(9)}}});
    let mut field = field(vec![host("a", 50, consumer)], vec![machine("m", 1, status)]);
    let before: Vec<_> = field.machines.clone();
    foresee(&mut field, &Reserved::from([(uid(1), placed(50))]));
    assert_eq!(field.machines, before);
    let consumer = field.hosts[0].spec.consumer_ref.as_ref();
    assert_eq!(consumer.map(|consumer| consumer.uid.clone()), Some(uid(9)));
}

#[test]
fn a_reservation_ends_with_its_machine_alone() {
    let reservations = Reservations::default();
    reservations.lock().insert(uid(1), placed(50));
    reservations.lock().insert(uid(2), placed(51));
    reservations.end(&machine("m", 1, json!({})));
    assert_eq!(reservations.lock().keys().collect::<Vec<_>>(), [&uid(2)]);
}
