//! Every name that hub, command line and users agree on: group, finalizers, labels, annotations, Secret keys.

/// API group of all our kinds.
pub const GROUP: &str = "vitistack.io";
/// The only version.
pub const VERSION: &str = "v1alpha1";
/// Category that `kubectl get vitistack` lists.
pub const CATEGORY: &str = "vitistack";

/// Namespace of the hub's own objects, unless told otherwise.
pub const DEFAULT_HUB_NAMESPACE: &str = "vitistack-system";
/// ConfigMap in the hub's namespace that says where the hub is.
pub const HUB_CONFIG_MAP: &str = "vitistack-hub";
/// Keys of [`HUB_CONFIG_MAP`].
pub mod hub_config {
    /// PEM of the certificate authority.
    pub const CA_CERT: &str = "ca.crt";
    /// Hexadecimal SHA-256 of the authority's DER.
    pub const CA_HASH: &str = "ca-hash";
    /// `host:port` that agents dial.
    pub const ADDRESS: &str = "address";
    /// Counts the starts of a leader.
    pub const EPOCH: &str = "epoch";
}
/// Secret in the hub's namespace with the authority's certificate and key.
pub const CA_SECRET: &str = "vitistack-ca";

/// Type of a Secret that carries a join token.
pub const JOIN_TOKEN_TYPE: &str = "vitistack.io/join-token";
/// A join token's Secret is called this and the token's id.
pub const JOIN_TOKEN_PREFIX: &str = "vitistack-token-";
/// Keys of a join token's Secret.
pub mod join_token {
    /// Site that an agent with this token joins.
    pub const SITE: &str = "site";
    /// Namespaces that it serves, with commas.
    pub const NAMESPACES: &str = "namespaces";
    /// Hexadecimal SHA-256 of the token's secret part.
    pub const SECRET_HASH: &str = "secret-hash";
    /// RFC 3339 time after which it is refused.
    pub const EXPIRES: &str = "expires";
    /// Hexadecimal SHA-256 of the public key that redeemed it, a space, and the name that it wished for. From then on it is
    /// good for that key under that wish alone, which may ask again when the answer was lost.
    pub const REDEEMED_BY: &str = "redeemed-by";
    /// Name of the Agent that was made by it. When that Agent is gone, so is what the token is good for.
    pub const ENROLLED: &str = "enrolled";
}

/// Names the instance type of a BareMetalHost.
pub const LABEL_INSTANCE_TYPE: &str = "vitistack.io/instance-type";

/// Removes the finalizer although the site cannot be asked; the value is the object's UID.
pub const ANNOTATION_FORCE_DELETE: &str = "vitistack.io/force-delete";
/// Lets a Machine take over the installation of an earlier one; the value is that Machine's UID.
pub const ANNOTATION_ADOPT: &str = "vitistack.io/adopt";
/// `"true"` refuses delete.
pub const ANNOTATION_PROTECT: &str = "vitistack.io/protect";
/// On an Agent that is ahead of a restored hub: whose state counts, one of [`resume`]'s values. Removed when it is done.
pub const ANNOTATION_RESUME: &str = "vitistack.io/resume";
/// Values of [`ANNOTATION_RESUME`].
pub mod resume {
    /// What the agent holds stands until an object changes.
    pub const ACCEPT_AGENTS: &str = "accept-agents";
    /// What the hub wants is carried out, as if it had been changed now.
    pub const ACCEPT_HUB: &str = "accept-hub";
}
/// On a Secret: the other namespaces whose objects may name it, with commas.
pub const ANNOTATION_ALLOW_FROM: &str = "vitistack.io/allow-from";
/// On a BareMetalHost: a new value asks for a new inspection.
pub const ANNOTATION_INSPECT: &str = "vitistack.io/inspect";
/// On a quarantined BareMetalHost: the UID of the Machine whose remains are accepted.
pub const ANNOTATION_ACCEPT: &str = "vitistack.io/accept";

/// Keys of a Secret with a BMC's credentials.
pub mod bmc_credentials {
    /// Account name.
    pub const USERNAME: &str = "username";
    /// Password.
    pub const PASSWORD: &str = "password";
}

/// The finalizer that the hub keeps on objects of `kind`.
#[must_use]
pub fn finalizer(kind: &str) -> String {
    format!("{GROUP}/{}", kind.to_ascii_lowercase())
}
