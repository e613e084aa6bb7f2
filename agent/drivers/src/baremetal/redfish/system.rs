//! The `ComputerSystem` resource as far as we use it, read leniently: BMCs leave out required properties and send
//! numbers as text, and one odd property must not hide the power state.

use serde_json::Value;
use vitistack_protocol::message::numbered::{BootMode, PowerState};
use vitistack_protocol::message::report::Inventory;

/// What a server should boot next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootTarget {
    /// The network.
    Network,
    /// The installed system.
    Disk,
}

/// Power as the BMC says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Power {
    /// On.
    On,
    /// Off.
    Off,
    /// On its way, paused, or a word that we do not know: look again.
    Changing,
}

/// The boot override. Words are kept as the BMC says them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Boot {
    /// `BootSourceOverrideTarget`.
    pub target: Option<String>,
    /// `BootSourceOverrideEnabled`.
    pub enabled: Option<String>,
    /// `BootSourceOverrideMode`.
    pub mode: Option<String>,
    /// Targets that may be set; empty if the BMC does not say.
    pub allowed: Vec<String>,
}

/// One server behind a BMC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct System {
    /// Path that answered, after redirects.
    pub path: String,
    /// Power.
    pub power: Power,
    /// Boot override.
    pub boot: Boot,
    /// Path of the reset action.
    pub reset: Option<String>,
    /// Reset types that may be sent; empty if the BMC does not say.
    pub resets: Vec<String>,
    /// Resource that takes the boot override where the system itself does not (iDRAC 10).
    pub settings: Option<String>,
    /// For `If-Match`.
    pub etag: Option<String>,
    /// Path of the network interfaces.
    pub interfaces: Option<String>,
    /// What the BMC knows without booting the server.
    pub inventory: Inventory,
}

impl System {
    /// Reads the resource. `None` if it is not an object.
    pub(super) fn parse(path: &str, etag: Option<String>, value: &Value) -> Option<Self> {
        value.as_object()?;
        let boot = &value["Boot"];
        let reset = &value["Actions"]["#ComputerSystem.Reset"];
        Some(Self {
            path: path.to_owned(),
            power: match text(&value["PowerState"]).as_deref() {
                Some("On") => Power::On,
                Some("Off") => Power::Off,
                Some(_) | None => Power::Changing,
            },
            boot: Boot {
                target: text(&boot["BootSourceOverrideTarget"]),
                enabled: text(&boot["BootSourceOverrideEnabled"]),
                mode: text(&boot["BootSourceOverrideMode"]),
                allowed: texts(&boot["BootSourceOverrideTarget@Redfish.AllowableValues"]),
            },
            reset: text(&reset["target"]),
            resets: texts(&reset["ResetType@Redfish.AllowableValues"]),
            settings: text(&value["@Redfish.Settings"]["SettingsObject"]["@odata.id"]),
            // An empty tag is sent by some and must be ignored.
            etag: etag
                .or_else(|| text(&value["@odata.etag"]))
                .filter(|tag| !tag.is_empty()),
            interfaces: text(&value["EthernetInterfaces"]["@odata.id"]),
            inventory: inventory(value),
        })
    }

    /// Power for a report; `None` while it changes.
    #[must_use]
    pub fn power_state(&self) -> Option<PowerState> {
        match self.power {
            Power::On => Some(PowerState::On),
            Power::Off => Some(PowerState::Off),
            Power::Changing => None,
        }
    }

    /// Whether `reset_type` may be sent. A BMC that does not say gets the benefit of the doubt.
    #[must_use]
    pub fn allows_reset(&self, reset_type: &str) -> bool {
        self.resets.is_empty() || self.resets.iter().any(|allowed| allowed == reset_type)
    }

    /// The word for `target` that this BMC takes; `None` is "no override".
    #[must_use]
    pub fn word(&self, target: BootTarget) -> Option<&'static str> {
        let allows = |word: &str| {
            self.boot.allowed.is_empty() || self.boot.allowed.iter().any(|allowed| allowed == word)
        };
        match target {
            BootTarget::Network if !allows("Pxe") && allows("UefiHttp") => Some("UefiHttp"),
            BootTarget::Network => Some("Pxe"),
            BootTarget::Disk => allows("Hdd").then_some("Hdd"),
        }
    }

    /// Whether the override is as wanted. `Once` and `Continuous` are both good: sushy-tools knows only the latter, and
    /// the override is set again before every start anyway.
    #[must_use]
    pub fn boots(&self, target: BootTarget, mode: BootMode) -> bool {
        let enabled = matches!(self.boot.enabled.as_deref(), Some("Once" | "Continuous"));
        match self.word(target) {
            Some(word) => {
                enabled && self.boot.target.as_deref() == Some(word) && self.mode_fits(mode)
            }
            None => !enabled || matches!(self.boot.target.as_deref(), Some("None") | None),
        }
    }

    /// Whether the firmware mode is as wanted, as far as the BMC says one.
    pub(super) fn mode_fits(&self, mode: BootMode) -> bool {
        self.boot
            .mode
            .as_deref()
            .is_none_or(|word| word == mode_word(mode))
    }

    /// The override for people.
    pub(super) fn describe_boot(&self) -> String {
        let or_none = |word: &Option<String>| word.clone().unwrap_or_else(|| "none".to_owned());
        format!(
            "{} ({}, mode {})",
            or_none(&self.boot.target),
            or_none(&self.boot.enabled),
            or_none(&self.boot.mode)
        )
    }
}

/// Redfish's word for a firmware mode.
pub(super) fn mode_word(mode: BootMode) -> &'static str {
    match mode {
        BootMode::Uefi => "UEFI",
        BootMode::Legacy => "Legacy",
    }
}

fn inventory(value: &Value) -> Inventory {
    let processors = &value["ProcessorSummary"];
    Inventory {
        manufacturer: text(&value["Manufacturer"]).unwrap_or_default(),
        model: text(&value["Model"]).unwrap_or_default(),
        serial_number: text(&value["SerialNumber"]).unwrap_or_default(),
        system_uuid: text(&value["UUID"]).unwrap_or_default(),
        firmware: text(&value["BiosVersion"]).unwrap_or_default(),
        boot_mode: match text(&value["Boot"]["BootSourceOverrideMode"]).as_deref() {
            Some("UEFI") => Some(BootMode::Uefi),
            Some("Legacy") => Some(BootMode::Legacy),
            Some(_) | None => None,
        },
        cpu_cores: number(&processors["LogicalProcessorCount"])
            .or_else(|| number(&processors["CoreCount"]))
            .or_else(|| number(&processors["Count"]))
            .and_then(|cores| u32::try_from(cores as u64).ok())
            .unwrap_or(0),
        cpu_model: text(&processors["Model"]).unwrap_or_default(),
        memory_mib: number(&value["MemorySummary"]["TotalSystemMemoryGiB"])
            .map_or(0, |gib| (gib * 1024.0) as u64),
        disks: Vec::new(),
        nics: Vec::new(),
    }
}

pub(super) fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn texts(value: &Value) -> Vec<String> {
    value
        .as_array()
        .map(|list| list.iter().filter_map(text).collect())
        .unwrap_or_default()
}

/// A number, also where it came as text; never negative.
fn number(value: &Value) -> Option<f64> {
    value
        .as_f64()
        .or_else(|| value.as_str()?.trim().parse().ok())
        .filter(|number| number.is_finite() && *number >= 0.0)
}
