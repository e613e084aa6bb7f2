//! KubernetesProvider: one Kubernetes cluster, made or managed.

mod addons;
mod authentication;
mod cluster;
mod node_pool;
mod observability;
mod spec;
mod status;

pub use self::addons::{
    Addon, AddonClass, Addons, IngressController, MonitoringAddon, ServiceMesh, StorageAddon,
};
pub use self::authentication::{
    Authentication, AuthenticationProvider, Ldap, Oidc, ServiceAccountConfig,
};
pub use self::cluster::{ApiServer, Cluster, ClusterDns, ControlPlane, Etcd};
pub use self::node_pool::{
    AutoScaling, Kubelet, NodeConfig, NodeDisk, NodeNetwork, NodeOs, NodePool, NodeSecurity, Taint,
};
pub use self::observability::{Logging, Metrics, Observability, Tracing};
pub use self::spec::{
    ClusterBackup, ClusterSecurity, KubernetesNetwork, KubernetesProvider, KubernetesProviderSpec,
    KubernetesProviderType, LoadBalancerConfig, RuntimeSecurity,
};
pub use self::status::{
    AddonStatus, Capacity, ClusterState, ClusterStatus, ClusterVersion, ComponentHealth, Endpoints,
    KubernetesPhase, KubernetesProviderStatus, NodePoolScaling, NodePoolStatus, SecurityStatus,
};
