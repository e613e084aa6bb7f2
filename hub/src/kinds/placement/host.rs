//! The host: one that is free and fits; best fit, then name.

use kube::ResourceExt as _;
use vitistack_api::conditions::Reason;
use vitistack_api::host::{BareMetalHost, HostPhase, RootDeviceHints, StorageDevice};
use vitistack_api::machine::Machine;
use vitistack_api::machine_provider::MachineProvider;
use vitistack_api::names::LABEL_INSTANCE_TYPE;

use super::Field;
use crate::kinds::{Refusal, is_deleting};

/// Bytes of a GB, as sizes of disks and of `sizeGB` are counted.
const GB: i64 = 1_000_000_000;
/// Bytes of a MiB.
const MIB: i64 = 1 << 20;

/// Chooses a free host of `provider` for `machine`.
///
/// # Errors
///
/// When none fits: each host that was looked at is named with what is in its way.
pub(crate) fn choose<'a>(
    field: &'a Field,
    machine: &Machine,
    provider: &MachineProvider,
) -> Result<&'a BareMetalHost, Refusal> {
    let needs = Needs::of(machine, provider)?;
    let mut fitting: Vec<(Size, &BareMetalHost)> = Vec::new();
    let mut unfit = Vec::new();
    for host in &field.hosts {
        if host.metadata.namespace != provider.metadata.namespace
            || Some(&host.spec.machine_provider_ref.name) != provider.metadata.name.as_ref()
        {
            continue;
        }
        match is_free(host).and_then(|()| needs.met_by(host, machine)) {
            Ok(()) => fitting.push((Size::of(host), host.as_ref())),
            Err(why) => unfit.push(format!("{} {why}", host.name_any())),
        }
    }
    fitting.sort_by_key(|(size, host)| (*size, host.name_any()));
    match fitting.into_iter().next() {
        Some((_, host)) => Ok(host),
        None if unfit.is_empty() => Err(Refusal::waits(
            Reason::InsufficientCapacity,
            format!(
                "MachineProvider {} has no BareMetalHosts",
                provider.name_any()
            ),
        )),
        None => Err(Refusal::waits(
            Reason::InsufficientCapacity,
            format!("no free host fits: {}", unfit.join("; ")),
        )),
    }
}

/// Whether a Machine may claim the host.
///
/// # Errors
///
/// What is in the way, as a predicate: `"is in maintenance"`.
pub(crate) fn is_free(host: &BareMetalHost) -> Result<(), String> {
    let spec = &host.spec;
    let status = host.status.clone().unwrap_or_default();
    if is_deleting(host) {
        return Err("is being deleted".into());
    }
    if let Some(consumer) = &spec.consumer_ref {
        return Err(format!(
            "is claimed by Machine {}/{}",
            consumer.namespace, consumer.name
        ));
    }
    if spec.maintenance == Some(true) {
        return Err("is in maintenance".into());
    }
    if spec.externally_provisioned == Some(true) {
        return Err("was installed by somebody else".into());
    }
    if status.quarantine.is_some() {
        return Err("is quarantined".into());
    }
    if let Some(provisioned) = &status.provisioned {
        return Err(format!("still carries Machine {}", provisioned.machine_uid));
    }
    match status.phase {
        Some(HostPhase::Available) => Ok(()),
        Some(phase) => Err(format!("is {phase:?}")),
        None => Err("is not known yet".into()),
    }
}

/// What the Machine asks for, at least.
struct Needs {
    /// A label value that a host may carry instead of the sizes.
    instance_type: Option<String>,
    /// The instance type's sizes are known, so that a host without the label may do.
    sized: bool,
    cores: i64,
    memory_bytes: i64,
    root_gb: i64,
}

impl Needs {
    fn of(machine: &Machine, provider: &MachineProvider) -> Result<Self, Refusal> {
        let spec = &machine.spec;
        let offers = provider.spec.capabilities.as_ref();
        let offer = spec.instance_type.as_deref().and_then(|name| {
            offers?
                .instance_types
                .iter()
                .find(|offer| offer.name == name)
        });
        let mut needs = Self {
            instance_type: spec.instance_type.clone(),
            sized: offer.is_some(),
            cores: offer.map_or(0, |offer| offer.vcpus),
            memory_bytes: 0,
            root_gb: offer.and_then(|offer| offer.storage_gb).unwrap_or(0),
        };
        if let Some(offer) = offer {
            needs.memory_bytes = gigabytes(&offer.memory_gb).ok_or_else(|| {
                Refusal::waits(
                    Reason::ValidationFailed,
                    format!(
                        "memoryGB {:?} of instance type {} at MachineProvider {} is not a decimal number",
                        offer.memory_gb,
                        offer.name,
                        provider.name_any()
                    ),
                )
            })?;
        }
        if let Some(cores) = spec.cpu.as_ref().and_then(|cpu| cpu.cores) {
            needs.cores = needs.cores.max(cores);
        }
        needs.memory_bytes = needs.memory_bytes.max(spec.memory.unwrap_or(0));
        if let Some(size) = spec.root_disk().and_then(|disk| disk.size_gb) {
            needs.root_gb = needs.root_gb.max(size);
        }
        Ok(needs)
    }

    fn met_by(&self, host: &BareMetalHost, machine: &Machine) -> Result<(), String> {
        let labels = host.selector_labels();
        if let Some(selector) = &machine.spec.host_selector
            && !selector.matches(&labels)
        {
            return Err("does not match spec.hostSelector".into());
        }
        if let Some(wanted) = &self.instance_type {
            match labels.get(LABEL_INSTANCE_TYPE) {
                Some(label) if label == wanted => {}
                Some(label) => return Err(format!("is of instance type {label}, not {wanted}")),
                None if self.sized => {}
                None => {
                    return Err(format!(
                        "has no label {LABEL_INSTANCE_TYPE}={wanted}, and the provider offers no such instance type"
                    ));
                }
            }
        }
        let size = Size::of(host);
        if self.cores > size.cores {
            return Err(format!(
                "has {} cores, {} are asked",
                size.cores, self.cores
            ));
        }
        // Firmware and kernel keep some memory for themselves before anybody can count it: up to a sixteenth.
        if self.memory_bytes > size.memory_bytes.saturating_add(size.memory_bytes / 15) {
            return Err(format!(
                "has {} MiB of memory, {} are asked",
                size.memory_bytes / MIB,
                self.memory_bytes / MIB
            ));
        }
        if self.root_gb > size.root_bytes / GB {
            return Err(format!(
                "has a root disk of {} GB, {} are asked",
                size.root_bytes / GB,
                self.root_gb
            ));
        }
        Ok(())
    }
}

/// `"7.5"` to bytes.
fn gigabytes(text: &str) -> Option<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let whole: i64 = whole.parse().ok()?;
    // Nine digits are exact in bytes; more would only be noise.
    let fraction: i64 = format!("{fraction:0<9}").get(..9)?.parse().ok()?;
    whole.checked_mul(GB)?.checked_add(fraction)
}

/// How big a host is; the order is that of the best fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Size {
    cores: i64,
    memory_bytes: i64,
    root_bytes: i64,
}

impl Size {
    fn of(host: &BareMetalHost) -> Self {
        let status = host.status.as_ref();
        let Some(hardware) = status.and_then(|status| status.hardware.as_ref()) else {
            return Self::default();
        };
        Self {
            cores: hardware.cpu.as_ref().and_then(|cpu| cpu.count).unwrap_or(0),
            memory_bytes: hardware.ram_mebibytes.unwrap_or(0).saturating_mul(MIB),
            root_bytes: hardware
                .storage
                .iter()
                .filter(|disk| could_be_root(disk, host.spec.root_device_hints.as_ref()))
                .map(|disk| disk.size_bytes)
                .max()
                .unwrap_or(0),
        }
    }
}

/// Whether the disk could become the root disk. Which one does is the agent's decision, which sees the disks.
fn could_be_root(disk: &StorageDevice, hints: Option<&RootDeviceHints>) -> bool {
    let Some(hints) = hints else {
        return disk.removable != Some(true);
    };
    let RootDeviceHints {
        device_name,
        hctl,
        model,
        vendor,
        serial_number,
        wwn,
        min_size_gigabytes,
        rotational,
    } = hints;
    let is = |hint: &Option<String>, fact: Option<&String>| {
        hint.as_ref().is_none_or(|hint| fact == Some(hint))
    };
    let holds = |hint: &Option<String>, fact: Option<&String>| {
        hint.as_ref()
            .is_none_or(|hint| fact.is_some_and(|fact| fact.contains(hint.as_str())))
    };
    is(device_name, Some(&disk.name))
        && is(hctl, disk.hctl.as_ref())
        && holds(model, disk.model.as_ref())
        && holds(vendor, disk.vendor.as_ref())
        && is(serial_number, disk.serial_number.as_ref())
        && is(wwn, disk.wwn.as_ref())
        && min_size_gigabytes.is_none_or(|least| disk.size_bytes >> 30 >= least)
        && rotational.is_none_or(|wanted| disk.rotational == Some(wanted))
}
