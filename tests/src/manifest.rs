//! The objects that the tests apply, in namespace `default`.

use crate::peer;
use crate::site::Server;
use crate::world::IMAGE_SERVER;

/// MachineProvider `edge` of type baremetal at `site`.
#[must_use]
pub fn provider(site: &str) -> String {
    format!(
        "apiVersion: vitistack.io/v1alpha1
kind: MachineProvider
metadata: {{name: edge, namespace: default}}
spec:
  providerType: baremetal
  displayName: Edge servers
  region: {site}
  site: {site}
  authentication:
    type: credentials
    credentialsRef: {{name: bmc}}
"
    )
}

/// Secret `bmc`.
#[must_use]
pub fn bmc_secret(username: &str, password: &str) -> String {
    format!(
        "apiVersion: v1
kind: Secret
metadata: {{name: bmc, namespace: default}}
stringData: {{username: {username:?}, password: {password:?}}}
"
    )
}

/// BareMetalHost `name` for a server of the site.
#[must_use]
pub fn host(name: &str, server: &Server) -> String {
    let mode = if server.firmware == "uefi" {
        "UEFI"
    } else {
        "Legacy"
    };
    host_at(name, &server.bmc, &server.mac, mode)
}

/// BareMetalHost `name` for any BMC address.
#[must_use]
pub fn host_at(name: &str, bmc: &str, mac: &str, mode: &str) -> String {
    format!(
        "apiVersion: vitistack.io/v1alpha1
kind: BareMetalHost
metadata: {{name: {name}, namespace: default}}
spec:
  machineProviderRef: {{name: edge}}
  bmc:
    address: {bmc}
    credentialsRef: {{name: bmc}}
  bootMAC: {mac:?}
  bootMode: {mode}
"
    )
}

/// Machine `name` on provider `edge` with the tiny test image.
#[must_use]
pub fn tiny_machine(name: &str) -> String {
    let (url, digest) = published("tiny");
    machine(name, &url, &digest, "")
}

/// Machine `name` with any image; `more` is appended to its spec.
#[must_use]
pub fn machine(name: &str, url: &str, digest: &str, more: &str) -> String {
    format!(
        "apiVersion: vitistack.io/v1alpha1
kind: Machine
metadata: {{name: {name}, namespace: default}}
spec:
  name: {name}
  machineProviderRef: {{name: edge}}
  os:
    family: linux
    imageID: {url}
    imageDigest: {digest}
{more}"
    )
}

/// URL inside the site and digest of an image that `images/os` built.
///
/// # Panics
/// If it was not built.
#[must_use]
pub fn published(name: &str) -> (String, String) {
    let text = std::fs::read(peer::image(&format!("os/{name}.json")))
        .expect("the image has a description");
    let image: serde_json::Value = serde_json::from_slice(&text).expect("the description is JSON");
    let field = |key: &str| {
        image[key]
            .as_str()
            .expect("the description is complete")
            .to_owned()
    };
    (format!("{IMAGE_SERVER}/{}", field("file")), field("digest"))
}
