//! What is known beforehand about a server, and what may be done to it.

use std::collections::BTreeMap;

use kube::CustomResource;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_with::skip_serializing_none;

use super::status::BareMetalHostStatus;
use crate::crd::rule;
use crate::reference::{ConsumerReference, LocalReference, SecretReference};

/// A server: how its BMC is reached, which NIC boots, what may be done to it.
#[expect(
    clippy::duplicated_attributes,
    reason = "two columns may have the same type"
)]
#[skip_serializing_none]
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "vitistack.io",
    version = "v1alpha1",
    kind = "BareMetalHost",
    plural = "baremetalhosts",
    shortname = "vbmh",
    namespaced,
    category = "vitistack",
    status = "BareMetalHostStatus",
    derive = "PartialEq",
    selectable = ".status.phase",
    doc = "A BareMetalHost is a physical server that Machines can be installed on.",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase"),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].reason"#
    ),
    printcolumn(
        name = "Consumer",
        type_ = "string",
        json_path = ".spec.consumerRef.name"
    ),
    printcolumn(name = "Power", type_ = "string", json_path = ".status.powerState"),
    printcolumn(
        name = "Provider",
        type_ = "string",
        json_path = ".spec.machineProviderRef.name",
        priority = 1
    ),
    printcolumn(
        name = "BMC",
        type_ = "string",
        json_path = ".spec.bmc.address",
        priority = 1
    ),
    printcolumn(
        name = "Boot MAC",
        type_ = "string",
        json_path = ".spec.bootMAC",
        priority = 1
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    )
)]
#[serde(rename_all = "camelCase")]
pub struct BareMetalHostSpec {
    /// The MachineProvider, of type `baremetal` and of this namespace, that it belongs to. It gives the site.
    pub machine_provider_ref: LocalReference,
    /// The board management controller.
    pub bmc: Bmc,
    /// MAC address of the NIC that boots from the network.
    #[serde(rename = "bootMAC")]
    #[schemars(regex(pattern = "^[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}$"))]
    pub boot_mac: String,
    /// Firmware interface; `UEFI` if absent.
    pub boot_mode: Option<BootMode>,
    /// Which disk is the root disk; needed where more than one could be.
    pub root_device_hints: Option<RootDeviceHints>,
    /// Labels that a Machine's `hostSelector` sees, beside those of the object.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// When it may be booted to be inspected; `WhenOff` if absent.
    pub inspect: Option<Inspect>,
    /// A disk that holds somebody's data may be overwritten.
    pub allow_wipe: Option<bool>,
    /// It is only watched: no power action, no boot, no write.
    pub maintenance: Option<bool>,
    /// Somebody else installed it; it is never written.
    pub externally_provisioned: Option<bool>,
    /// The Machine that claimed it. Written by the hub.
    pub consumer_ref: Option<ConsumerReference>,
}

/// A board management controller.
#[skip_serializing_none]
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Bmc {
    /// `redfish://host[:port]/redfish/v1/Systems/<id>` over TLS (`redfish+https` is the same), or `redfish+http://…`.
    #[schemars(
        length(max = 1024),
        regex(pattern = r"^redfish(\+https?)?://[^/@\s]+/redfish/v1/Systems/[^/\s]+/?$")
    )]
    pub address: String,
    /// The Secret with `username` and `password`.
    #[schemars(extend("x-kubernetes-validations" = [SecretReference::one_spelling(), rule("has(self.name) && self.name != '' || has(self.secretName) && self.secretName != ''", "name is required")]))]
    pub credentials_ref: SecretReference,
    /// How its certificate is judged; without this the first one seen is pinned.
    pub tls: Option<BmcTls>,
}

/// How a BMC's certificate is judged. At most one is set.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[schemars(extend("x-kubernetes-validations" = [rule("(has(self.caBundle) ? 1 : 0) + (has(self.sha256) ? 1 : 0) + (has(self.insecure) && self.insecure ? 1 : 0) <= 1", "at most one of caBundle, sha256 and insecure")]))]
pub struct BmcTls {
    /// PEM certificates of authorities that may have signed it.
    #[schemars(length(min = 1, max = 262144))]
    pub ca_bundle: Option<String>,
    /// SHA-256 of the certificate's DER: 64 hexadecimal digits, with or without colons or a leading `sha256:`.
    #[schemars(regex(pattern = "^(sha256:)?[0-9a-fA-F]{2}(:?[0-9a-fA-F]{2}){31}$"))]
    pub sha256: Option<String>,
    /// No check at all. A condition says so.
    pub insecure: Option<bool>,
}

/// Firmware interface.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum BootMode {
    /// UEFI.
    #[serde(rename = "UEFI")]
    Uefi,
    /// BIOS.
    Legacy,
}

/// When a server may be booted to be inspected.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Inspect {
    /// Only while it is off.
    WhenOff,
    /// A running server may be restarted for it.
    Reboot,
    /// Never; what the BMC tells is enough.
    Never,
}

/// Which disk is the root disk. All that is set must match one disk.
#[skip_serializing_none]
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RootDeviceHints {
    /// `/dev/…`, exact.
    pub device_name: Option<String>,
    /// SCSI address `host:bus:target:lun`, exact.
    pub hctl: Option<String>,
    /// Part of the model.
    pub model: Option<String>,
    /// Part of the vendor.
    pub vendor: Option<String>,
    /// Serial number, exact.
    pub serial_number: Option<String>,
    /// World wide name, exact.
    pub wwn: Option<String>,
    /// Size in GiB, at least.
    #[schemars(range(min = 0))]
    pub min_size_gigabytes: Option<i64>,
    /// Spinning or not.
    pub rotational: Option<bool>,
}

impl BareMetalHost {
    /// The labels that a `hostSelector` sees: `spec.labels`, and over them those of the object.
    #[must_use]
    pub fn selector_labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.spec.labels.clone();
        labels.extend(self.metadata.labels.clone().unwrap_or_default());
        labels
    }
}

impl BareMetalHostSpec {
    /// Firmware interface; UEFI unless the spec says otherwise.
    #[must_use]
    pub fn wanted_boot_mode(&self) -> BootMode {
        self.boot_mode.unwrap_or(BootMode::Uefi)
    }

    /// [`Self::boot_mac`] as bytes; `None` if it is none, which the schema refuses.
    #[must_use]
    pub fn boot_mac_bytes(&self) -> Option<[u8; 6]> {
        let mut bytes = [0; 6];
        let mut parts = self.boot_mac.split(':');
        for byte in &mut bytes {
            *byte = u8::from_str_radix(parts.next()?, 16).ok()?;
        }
        parts.next().is_none().then_some(bytes)
    }
}

impl BmcTls {
    /// [`Self::sha256`] as bytes; `None` if it is absent or none, which the schema refuses.
    #[must_use]
    pub fn fingerprint(&self) -> Option<[u8; 32]> {
        let text = self.sha256.as_deref()?;
        let digits: Vec<u8> = text
            .strip_prefix("sha256:")
            .unwrap_or(text)
            .chars()
            .filter(|character| *character != ':')
            .map(|character| {
                character
                    .to_digit(16)
                    .and_then(|digit| u8::try_from(digit).ok())
            })
            .collect::<Option<_>>()?;
        let bytes: Vec<u8> = digits
            .chunks(2)
            .map(|pair| pair.iter().fold(0, |high, low| (high << 4) | low))
            .collect();
        if digits.len() == 64 {
            bytes.try_into().ok()
        } else {
            None
        }
    }
}
