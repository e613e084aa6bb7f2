use super::*;

const METRICS: &str = r#"# TYPE apiserver_request_total counter
apiserver_request_total{code="200",component="apiserver",dry_run="",group="vitistack.io",resource="machines",scope="resource",subresource="status",verb="PATCH",version="v1alpha1"} 4
apiserver_request_total{code="409",component="apiserver",dry_run="",group="vitistack.io",resource="machines",scope="resource",subresource="status",verb="PATCH",version="v1alpha1"} 1
apiserver_request_total{code="201",component="apiserver",dry_run="",group="vitistack.io",resource="machines",scope="resource",subresource="",verb="POST",version="v1alpha1"} 2
apiserver_request_total{code="201",component="apiserver",dry_run="",group="events.k8s.io",resource="events",scope="resource",subresource="",verb="POST",version="v1"} 7
apiserver_request_total{code="200",component="apiserver",dry_run="",group="coordination.k8s.io",resource="leases",scope="resource",subresource="",verb="PUT",version="v1"} 9
apiserver_request_total{code="200",component="apiserver",dry_run="",group="vitistack.io",resource="machines",scope="cluster",subresource="",verb="LIST",version="v1alpha1"} 3
apiserver_request_duration_seconds_count{verb="PATCH",resource="machines"} 5
"#;

fn told(writes: &Writes) -> Vec<(String, f64)> {
    let by_count = writes.by_count().into_iter();
    by_count
        .map(|(kind, count)| (kind.words(), count))
        .collect()
}

#[test]
fn writes_are_added_up_over_codes_and_reads_are_left_out() {
    assert_eq!(
        told(&writes(METRICS)),
        [
            ("PUT leases".to_owned(), 9.0),
            ("POST events".to_owned(), 7.0),
            ("PATCH machines/status".to_owned(), 5.0),
            ("POST machines".to_owned(), 2.0),
        ]
    );
}

#[test]
fn the_users_creations_events_and_leases_are_no_work() {
    let all = writes(METRICS);
    assert_eq!(
        told(&all.work("machines")),
        [("PATCH machines/status".to_owned(), 5.0)]
    );
    assert_eq!(all.work("baremetalhosts").total(), 7.0);
    assert_eq!(all.events(), 7.0);
}

#[test]
fn only_what_was_counted_since_is_told() {
    let before = writes(METRICS);
    let after = writes(&METRICS.replace("\"} 4", "\"} 6"));
    assert_eq!(
        told(&after.since(&before)),
        [("PATCH machines/status".to_owned(), 2.0)]
    );
    assert_eq!(before.since(&before).total(), 0.0);
}
