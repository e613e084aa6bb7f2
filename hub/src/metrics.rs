//! What Prometheus reads.
//!
//! Owns the counters of the controllers, under the names that stock dashboards of controller-runtime know, and those of
//! VitiStack. Gauges of the objects' states are computed when somebody asks (see `controllers::gauges`), so that they
//! cannot disagree with the caches. Labels are closed sets, but for the object names that published dashboards expect.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

/// The name of a controller.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Controller {
    pub(crate) controller: &'static str,
}

/// The name of a controller and how a reconcile ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Reconciled {
    pub(crate) controller: &'static str,
    pub(crate) result: &'static str,
}

/// The name of a queue.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct QueueName {
    pub(crate) name: &'static str,
}

/// A resource and its namespace.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Resource {
    pub(crate) resource_type: &'static str,
    pub(crate) namespace: String,
}

/// A failed operation's error, by label.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct Failure {
    pub(crate) controller: &'static str,
    pub(crate) error: &'static str,
}

/// The counters that are counted as things happen.
#[derive(Clone, Debug)]
pub(crate) struct Metrics {
    pub(crate) reconciles: Family<Reconciled, Counter>,
    pub(crate) reconcile_errors: Family<Controller, Counter>,
    pub(crate) errors_by_label: Family<Failure, Counter>,
    pub(crate) reconcile_seconds: Family<Controller, Histogram>,
    pub(crate) active_workers: Family<Controller, Gauge>,
    pub(crate) queue_adds: Family<QueueName, Counter>,
    pub(crate) queue_retries: Family<QueueName, Counter>,
    pub(crate) queue_seconds: Family<QueueName, Histogram>,
    pub(crate) work_seconds: Family<QueueName, Histogram>,
    pub(crate) resource_seconds: Family<Resource, Histogram>,
    pub(crate) status_writes: Family<Controller, Counter>,
    pub(crate) machines_provisioned: Counter,
    pub(crate) machine_failures: Counter,
}

fn seconds() -> Histogram {
    // 1 ms to 16 s in doublings: the buckets that VitiStack's published dashboards expect.
    Histogram::new(exponential_buckets(0.001, 2.0, 15))
}

impl Metrics {
    /// Makes the counters and registers them.
    pub(crate) fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            reconciles: Family::default(),
            reconcile_errors: Family::default(),
            errors_by_label: Family::default(),
            reconcile_seconds: Family::new_with_constructor(seconds as fn() -> Histogram),
            active_workers: Family::default(),
            queue_adds: Family::default(),
            queue_retries: Family::default(),
            queue_seconds: Family::new_with_constructor(seconds as fn() -> Histogram),
            work_seconds: Family::new_with_constructor(seconds as fn() -> Histogram),
            resource_seconds: Family::new_with_constructor(seconds as fn() -> Histogram),
            status_writes: Family::default(),
            machines_provisioned: Counter::default(),
            machine_failures: Counter::default(),
        };
        registry.register(
            "controller_runtime_reconcile",
            "Reconciles by controller and result",
            metrics.reconciles.clone(),
        );
        registry.register(
            "controller_runtime_reconcile_errors",
            "Reconciles that failed, by controller",
            metrics.reconcile_errors.clone(),
        );
        registry.register(
            "vitistack_reconcile_failures",
            "Reconciles that failed, by controller and kind of error",
            metrics.errors_by_label.clone(),
        );
        registry.register(
            "controller_runtime_reconcile_time_seconds",
            "Length of a reconcile, by controller",
            metrics.reconcile_seconds.clone(),
        );
        registry.register(
            "controller_runtime_active_workers",
            "Workers at work, by controller",
            metrics.active_workers.clone(),
        );
        registry.register(
            "workqueue_adds",
            "Keys taken from the queue",
            metrics.queue_adds.clone(),
        );
        registry.register(
            "workqueue_retries",
            "Keys that came back after a failure",
            metrics.queue_retries.clone(),
        );
        registry.register(
            "workqueue_queue_duration_seconds",
            "How long a key waited for a worker",
            metrics.queue_seconds.clone(),
        );
        registry.register(
            "workqueue_work_duration_seconds",
            "How long a worker worked on a key",
            metrics.work_seconds.clone(),
        );
        registry.register(
            "vitistack_reconcile_duration_seconds",
            "Length of a reconcile, by resource type and namespace",
            metrics.resource_seconds.clone(),
        );
        registry.register(
            "vitistack_status_writes",
            "Status patches sent, by controller; an idle system sends none",
            metrics.status_writes.clone(),
        );
        registry.register(
            "vitistack_machine_provisioning",
            "Machines that reached Running for the first time",
            metrics.machines_provisioned.clone(),
        );
        registry.register(
            "vitistack_machine_provisioning_failures",
            "Machines that turned Failed",
            metrics.machine_failures.clone(),
        );
        metrics
    }
}
