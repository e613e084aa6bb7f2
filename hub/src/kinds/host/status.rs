//! What is said of a BareMetalHost. A fact that nobody reported stays as it was.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use vitistack_api::conditions::{Reason, State, types};
use vitistack_api::host::{
    BareMetalHost, BareMetalHostStatus, BmcCertificate, BootMode, HardwareCpu, HardwareDetails,
    HardwareNic, HostPhase, Inspection, ProvisionedMachine, Quarantine, StorageDevice,
    SystemVendor,
};
use vitistack_api::machine::{IntentStatus, Machine, PowerState};
use vitistack_protocol::identity::AgentName;
use vitistack_protocol::message::intent::Provisioned;
use vitistack_protocol::message::numbered::{self, HostPhase as Told, MachinePhase, Reason as Why};
use vitistack_protocol::message::report::{Disk, HostReport, Inventory, MachineReport, Nic};

use crate::kinds::{Outlook, Refusal, Says, Verdict, causes, generation_of, is_deleting};

/// Everything that a status is made from.
pub(crate) struct Facts<'a> {
    pub(crate) host: &'a BareMetalHost,
    /// The Machine of `consumerRef`, if it exists.
    pub(crate) consumer: Option<&'a Machine>,
    pub(crate) agent: Option<&'a AgentName>,
    pub(crate) agent_is_connected: bool,
    pub(crate) intent: Option<IntentStatus>,
    pub(crate) refusal: Option<Refusal>,
    pub(crate) heard: Option<&'a HostReport>,
    /// What the agent says of the Machine on it; `true` if nothing of that Machine is left.
    pub(crate) carried: Option<(&'a MachineReport, bool)>,
    pub(crate) quarantine: Option<Quarantine>,
    /// A person accepts what a removed Machine left.
    pub(crate) accepted: bool,
    /// What deletion waits for.
    pub(crate) leaving: Option<String>,
}

/// The status that says it.
pub(crate) fn status(facts: &Facts<'_>, now: &Time) -> BareMetalHostStatus {
    let host = facts.host;
    let generation = generation_of(host);
    let mut status = host.status.clone().unwrap_or_default();
    status.observed_generation = Some(generation);
    if let Some(agent) = facts.agent {
        status.agent = Some(agent.name.clone());
    }
    if facts.intent.is_some() {
        status.intent.clone_from(&facts.intent);
    }
    status.quarantine.clone_from(&facts.quarantine);
    status.provisioned = proof(status.provisioned, facts);
    if let Some(report) = facts.heard {
        take_over(&mut status, report);
    }
    let phase = phase(facts, &status);
    let verdict = verdict(facts, &status, phase);
    let mut conditions = std::mem::take(&mut status.conditions);
    let mut says = Says {
        list: &mut conditions,
        generation,
        now,
    };
    says.verdict(&verdict);
    parts(&mut says, facts, phase);
    status.conditions = conditions;
    status.message = Some(verdict.message);
    status.phase = Some(phase);
    status
}

/// Whether the report of the Machine on a host, with nothing left of it if `gone`, changes what the host's status says.
pub(crate) fn is_news(host: &BareMetalHost, report: &MachineReport, gone: bool) -> bool {
    let known = host.status.as_ref();
    let before = known.and_then(|status| status.provisioned.clone());
    gone || carried_proof(before.clone(), report, gone) != before
}

fn proof(before: Option<ProvisionedMachine>, facts: &Facts<'_>) -> Option<ProvisionedMachine> {
    match facts.carried {
        _ if facts.accepted => None,
        Some((report, gone)) => carried_proof(before, report, gone),
        None => before,
    }
}

/// The proof follows the reports of the Machine that is installed. Only the site's word that nothing is left, or a
/// person, takes it away.
fn carried_proof(
    before: Option<ProvisionedMachine>,
    report: &MachineReport,
    gone: bool,
) -> Option<ProvisionedMachine> {
    if gone || report.phase == MachinePhase::Gone {
        return None;
    }
    report.provisioned.as_ref().map(as_status).or(before)
}

/// The proof as the status has it.
pub(crate) fn as_status(proof: &Provisioned) -> ProvisionedMachine {
    let Provisioned {
        machine,
        operation,
        image,
        disk,
    } = proof;
    ProvisionedMachine {
        machine_uid: machine.to_string(),
        operation_id: operation.to_string(),
        image_digest: image.to_string(),
        disk: disk.clone(),
    }
}

fn take_over(status: &mut BareMetalHostStatus, report: &HostReport) {
    let HostReport {
        phase: _,
        cause: _,
        power,
        reachable: _,
        bmc_certificate,
        inventory,
        inspected,
        extensions: _,
    } = report;
    status.power_state = power.map(|power| match power {
        numbered::PowerState::On => PowerState::On,
        numbered::PowerState::Off => PowerState::Off,
    });
    // The first certificate is the pin. A later one is a reason to stop, never a new pin.
    if status.bmc_certificate.is_none() {
        status.bmc_certificate = bmc_certificate.map(|digest| BmcCertificate {
            sha256: digest.to_string(),
        });
    }
    if let Some(inventory) = inventory {
        status.hardware = Some(hardware(inventory));
    }
    if let Some(operation) = inspected {
        status.inspection = Some(Inspection {
            operation_id: operation.to_string(),
        });
    }
}

fn phase(facts: &Facts<'_>, status: &BareMetalHostStatus) -> HostPhase {
    let host = facts.host;
    if is_deleting(host) {
        return HostPhase::Deleting;
    }
    if status.quarantine.is_some() {
        return HostPhase::Quarantined;
    }
    if let Some(consumer) = &host.spec.consumer_ref {
        return match facts.consumer {
            Some(machine) if is_deleting(machine) => HostPhase::Releasing,
            _ if status
                .provisioned
                .as_ref()
                .is_some_and(|proof| proof.machine_uid == consumer.uid) =>
            {
                HostPhase::Provisioned
            }
            // A claim whose Machine is not there (a restored backup): whatever runs, runs.
            None if status.provisioned.is_some() => HostPhase::Provisioned,
            Some(_) | None => HostPhase::Provisioning,
        };
    }
    if host.spec.externally_provisioned == Some(true) {
        return HostPhase::ExternallyProvisioned;
    }
    let Some(report) = facts.heard else {
        return match &facts.refusal {
            Some(refusal) if refusal.outlook == Outlook::Stalled => HostPhase::Failed,
            _ => status.phase.unwrap_or(HostPhase::Registering),
        };
    };
    match report.phase {
        Told::Registering => HostPhase::Registering,
        Told::Inspecting => HostPhase::Inspecting,
        Told::Available => HostPhase::Available,
        // The agent has not yet taken up that the claim is gone.
        Told::InUse => HostPhase::Releasing,
        Told::Failed => HostPhase::Failed,
        Told::Gone => HostPhase::Registering,
    }
}

fn verdict(facts: &Facts<'_>, status: &BareMetalHostStatus, phase: HostPhase) -> Verdict {
    if let Some(what) = &facts.leaving {
        return Verdict::reconciling(Reason::Deleting, what.clone());
    }
    if let Some(quarantine) = &status.quarantine {
        return Verdict::stalled(
            Reason::Quarantined,
            format!(
                "Machine {} was removed by force and may still be on it; the host is free when the site reports it \
                 cleaned, or with the annotation vitistack.io/accept={}",
                quarantine.machine_uid, quarantine.machine_uid
            ),
        );
    }
    if let Some(refusal) = &facts.refusal {
        return Verdict::from(refusal.clone());
    }
    if facts.host.spec.maintenance == Some(true) {
        return Verdict::ready(
            Reason::HostInMaintenance,
            Reason::HostInMaintenance.meaning(),
        );
    }
    let Some(report) = facts.heard else {
        return unheard(facts, status);
    };
    let cause = causes::refusal(&report.cause);
    if !report.reachable || report.phase == Told::Failed {
        return match report.phase {
            Told::Failed => Verdict::stalled(cause.reason, cause.message),
            _ => Verdict::from(match cause.reason {
                Reason::AsExpected => Refusal::waits(Reason::Progressing, "asking the BMC"),
                _ => cause,
            }),
        };
    }
    match phase {
        HostPhase::Registering | HostPhase::Inspecting => Verdict::reconciling(
            match cause.reason {
                Reason::AsExpected => Reason::Progressing,
                reason => reason,
            },
            cause.message,
        ),
        HostPhase::ExternallyProvisioned => Verdict::ready(
            Reason::ExternallyProvisioned,
            Reason::ExternallyProvisioned.meaning(),
        ),
        HostPhase::Available
        | HostPhase::Provisioning
        | HostPhase::Provisioned
        | HostPhase::Releasing
        | HostPhase::Quarantined
        | HostPhase::Failed
        | HostPhase::Deleting => Verdict::ready(
            match cause.reason {
                Reason::Progressing => Reason::AsExpected,
                reason => reason,
            },
            match report.cause.reason {
                Why::None => "the BMC answers and lets us in".to_owned(),
                _ => cause.message,
            },
        ),
    }
}

/// The agent has said nothing to this hub process yet.
fn unheard(facts: &Facts<'_>, status: &BareMetalHostStatus) -> Verdict {
    // What an earlier hub process heard stands until the agent says otherwise.
    if let Some(known) = vitistack_api::conditions::find(&status.conditions, types::READY)
        .filter(|known| known.status == State::True.as_str())
    {
        let reason = Reason::parse(&known.reason).unwrap_or(Reason::AsExpected);
        return Verdict::ready(reason, known.message.clone());
    }
    let agent = facts.agent.map_or("", |agent| agent.name.as_str());
    if facts.agent_is_connected {
        Verdict::reconciling(Reason::Progressing, format!("agent {agent} looks at it"))
    } else {
        Verdict::reconciling(
            Reason::AgentDisconnected,
            format!("agent {agent} is not connected"),
        )
    }
}

fn parts(says: &mut Says<'_>, facts: &Facts<'_>, phase: HostPhase) {
    availability(says, facts, phase);
    let Some(report) = facts.heard else {
        return;
    };
    let cause = causes::refusal(&report.cause);
    let refused = report.cause.reason == Why::BmcAuthenticationFailed;
    // A BMC that refuses the password has been reached.
    if report.reachable || refused {
        says.set(types::REACHABLE, State::True, Reason::AsExpected, "");
    } else {
        says.set(
            types::REACHABLE,
            State::False,
            cause.reason,
            cause.message.clone(),
        );
    }
    if refused {
        says.set(
            types::AUTHENTICATED,
            State::False,
            cause.reason,
            cause.message.clone(),
        );
    } else if report.reachable {
        says.set(
            types::AUTHENTICATED,
            State::True,
            Reason::CredentialsValid,
            "",
        );
    }
    if report.inspected.is_some() {
        says.set(types::INSPECTED, State::True, Reason::Inspected, "");
    } else if report.cause.reason == Why::InspectionWaits {
        says.set(
            types::INSPECTED,
            State::False,
            Reason::InspectionWaits,
            cause.message.clone(),
        );
    } else if report.inventory.is_some() {
        let meaning = Reason::InventoryFromBmc.meaning();
        says.set(
            types::INSPECTED,
            State::False,
            Reason::InventoryFromBmc,
            meaning,
        );
    }
    trust(says, facts, report);
}

fn availability(says: &mut Says<'_>, facts: &Facts<'_>, phase: HostPhase) {
    let spec = &facts.host.spec;
    let (state, reason, message) = match (&spec.consumer_ref, phase) {
        (_, HostPhase::Quarantined) => (
            State::False,
            Reason::Quarantined,
            Reason::Quarantined.meaning().to_owned(),
        ),
        (Some(consumer), _) => (
            State::False,
            Reason::Claimed,
            format!("Machine {}/{}", consumer.namespace, consumer.name),
        ),
        (None, HostPhase::Available) if spec.maintenance == Some(true) => (
            State::False,
            Reason::HostInMaintenance,
            Reason::HostInMaintenance.meaning().to_owned(),
        ),
        (None, HostPhase::Available) => (State::True, Reason::AsExpected, String::new()),
        (None, HostPhase::ExternallyProvisioned) => (
            State::False,
            Reason::ExternallyProvisioned,
            Reason::ExternallyProvisioned.meaning().to_owned(),
        ),
        (None, phase) => (
            State::False,
            Reason::DependencyNotReady,
            format!("{phase:?}"),
        ),
    };
    says.set(types::AVAILABLE, state, reason, message);
}

fn trust(says: &mut Says<'_>, facts: &Facts<'_>, report: &HostReport) {
    let bmc = &facts.host.spec.bmc;
    let tls = bmc.tls.clone().unwrap_or_default();
    let cause = causes::refusal(&report.cause);
    let (state, reason) = match report.cause.reason {
        Why::BmcCertificateChanged | Why::BmcCertificateUntrusted => (State::False, cause.reason),
        _ if bmc.address.starts_with("redfish+http://") => (State::False, Reason::BmcPlaintext),
        _ if tls.insecure == Some(true) => (State::False, Reason::BmcCertificateNotChecked),
        _ if !report.reachable => return,
        _ if tls.ca_bundle.is_some() || tls.sha256.is_some() => {
            (State::True, Reason::BmcCertificateVerified)
        }
        _ => (State::True, Reason::BmcCertificatePinned),
    };
    let message = if reason == cause.reason {
        cause.message
    } else {
        reason.meaning().to_owned()
    };
    says.set(types::BMC_TRUSTED, state, reason, message);
}

/// What an empty text means: not known.
fn known(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn hardware(inventory: &Inventory) -> HardwareDetails {
    let Inventory {
        manufacturer,
        model,
        serial_number,
        system_uuid,
        firmware,
        boot_mode,
        cpu_cores,
        cpu_model,
        memory_mib,
        disks,
        nics,
    } = inventory;
    HardwareDetails {
        system_vendor: Some(SystemVendor {
            manufacturer: known(manufacturer),
            product_name: known(model),
            serial_number: known(serial_number),
        }),
        system_uuid: known(system_uuid),
        firmware: known(firmware),
        boot_mode: boot_mode.map(|mode| match mode {
            numbered::BootMode::Uefi => BootMode::Uefi,
            numbered::BootMode::Legacy => BootMode::Legacy,
        }),
        cpu: Some(HardwareCpu {
            count: Some(i64::from(*cpu_cores)).filter(|count| *count > 0),
            model: known(cpu_model),
        }),
        ram_mebibytes: i64::try_from(*memory_mib)
            .ok()
            .filter(|mebibytes| *mebibytes > 0),
        storage: disks.iter().map(disk).collect(),
        nics: nics.iter().map(nic).collect(),
    }
}

fn disk(disk: &Disk) -> StorageDevice {
    let Disk {
        device_name,
        size,
        model,
        vendor,
        serial_number,
        wwn,
        hctl,
        rotational,
        removable,
        in_use,
    } = disk;
    StorageDevice {
        name: device_name.clone(),
        size_bytes: i64::try_from(*size).unwrap_or(i64::MAX),
        model: known(model),
        vendor: known(vendor),
        serial_number: known(serial_number),
        wwn: known(wwn),
        hctl: known(hctl),
        rotational: Some(*rotational),
        removable: Some(*removable),
        in_use: Some(*in_use),
    }
}

fn nic(nic: &Nic) -> HardwareNic {
    let Nic {
        name,
        mac,
        carrier,
        speed,
    } = nic;
    let mac: Vec<String> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
    HardwareNic {
        name: name.clone(),
        mac: mac.join(":"),
        link_up: Some(*carrier),
        speed_mbps: Some(i64::from(*speed)).filter(|speed| *speed > 0),
    }
}
