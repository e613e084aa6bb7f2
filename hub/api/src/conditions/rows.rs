//! The table behind [`Reason`]: one row a variant, in the order of the variants.

use super::Reason;

/// What a reason is called, what it means, what to do.
pub(super) struct Row {
    pub(super) reason: Reason,
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
    pub(super) what_to_do: &'static str,
}

const fn row(
    reason: Reason,
    name: &'static str,
    meaning: &'static str,
    what_to_do: &'static str,
) -> Row {
    Row {
        reason,
        name,
        meaning,
        what_to_do,
    }
}

// A variant without its row, or a row out of place, does not compile.
const _: () = {
    assert!(ROWS.len() == Reason::InternalError as usize + 1);
    let mut place = 0;
    while place < ROWS.len() {
        assert!(ROWS[place].reason as usize == place);
        place += 1;
    }
};

/// Every reason.
pub(super) const ROWS: &[Row] = &[
    row(
        Reason::AsExpected,
        "AsExpected",
        "The object is as its spec says.",
        "Nothing.",
    ),
    row(
        Reason::Progressing,
        "Progressing",
        "Work goes on; the message names the step.",
        "Wait.",
    ),
    row(
        Reason::PhonedHome,
        "PhonedHome",
        "The guest itself reported the Machine's UID.",
        "Nothing.",
    ),
    row(
        Reason::ProbeAnswered,
        "ProbeAnswered",
        "The guest did not phone home, but answered from outside.",
        "Nothing; use an image with cloud-init if you want the guest's own word.",
    ),
    row(
        Reason::PoweredOff,
        "PoweredOff",
        "The Machine is off, as its spec asks.",
        "Set `spec.powerState: On` to start it.",
    ),
    row(
        Reason::Deleting,
        "Deleting",
        "The object is being removed.",
        "Wait; the message names what it waits for.",
    ),
    row(
        Reason::NotSupported,
        "NotSupported",
        "A section of the spec has nothing that executes it yet. It does not count for `Ready`.",
        "Remove the section, or leave it for later; nothing acts on it.",
    ),
    row(
        Reason::NotApplicable,
        "NotApplicable",
        "The question does not arise for this object.",
        "Nothing.",
    ),
    row(
        Reason::ValidationFailed,
        "ValidationFailed",
        "The spec holds a value that is not allowed.",
        "Correct the field that the message names; it says which values are allowed.",
    ),
    row(
        Reason::ProviderNotFound,
        "ProviderNotFound",
        "No MachineProvider fits the Machine, or the one that it names is not there.",
        "Create it, or correct the reference; the message lists the candidates.",
    ),
    row(
        Reason::ProviderAmbiguous,
        "ProviderAmbiguous",
        "More than one MachineProvider fits the Machine.",
        "Name one in `spec.machineProviderRef`; the message lists them.",
    ),
    row(
        Reason::DatacenterNotFound,
        "DatacenterNotFound",
        "The Datacenter that the object names is not there.",
        "Create it, or correct `spec.datacenterRef`.",
    ),
    row(
        Reason::DependencyNotReady,
        "DependencyNotReady",
        "An object that this one needs is not ready.",
        "Look at the object that the message names.",
    ),
    row(
        Reason::RefNotPermitted,
        "RefNotPermitted",
        "A reference leads into a namespace that does not let this one in.",
        "On the target set `spec.allowedNamespaces`, on a Secret the annotation `vitistack.io/allow-from`; the message names which.",
    ),
    row(
        Reason::SecretNotFound,
        "SecretNotFound",
        "A Secret that the spec names is not there, or lacks a key.",
        "Create it with the keys that the message names.",
    ),
    row(
        Reason::CredentialsNotAllowed,
        "CredentialsNotAllowed",
        "The Machine brings credentials of its own, and its provider does not allow that.",
        "Remove `spec.providerConfig.credentialsRef`, or set `spec.allowCredentialsOverride: true` on the provider.",
    ),
    row(
        Reason::InsufficientCapacity,
        "InsufficientCapacity",
        "No free host fits, or the provider is full.",
        "Free or add a host, or ask for less; the message says which hosts were looked at and why they do not fit.",
    ),
    row(
        Reason::QuotaExceeded,
        "QuotaExceeded",
        "The Datacenter's quota is used up.",
        "Raise `spec.resourceQuotas`, or delete what is not needed.",
    ),
    row(
        Reason::ProviderTypeNotSupported,
        "ProviderTypeNotSupported",
        "No driver for this provider type exists in this version.",
        "Use a provider of type `baremetal`.",
    ),
    row(
        Reason::PlacementImmutable,
        "PlacementImmutable",
        "The Machine is placed, and its spec now names another place.",
        "Set the reference back, or delete and recreate the Machine.",
    ),
    row(
        Reason::AgentConnected,
        "AgentConnected",
        "The agent holds a session.",
        "Nothing.",
    ),
    row(
        Reason::AgentDisconnected,
        "AgentDisconnected",
        "The agent's line is down. What runs at the site goes on.",
        "Look at the site's network and at the agent's log; work resumes by itself.",
    ),
    row(
        Reason::AgentNotFound,
        "AgentNotFound",
        "No agent serves this site and namespace.",
        "Create a token with `kubectl viti token create --site … --namespaces …` and start an agent with it.",
    ),
    row(
        Reason::AgentAmbiguous,
        "AgentAmbiguous",
        "More than one agent serves this site.",
        "Revoke the ones that shall not act.",
    ),
    row(
        Reason::AgentRevoked,
        "AgentRevoked",
        "The agent's certificate is refused.",
        "Join the site again with a new token if that was not meant.",
    ),
    row(
        Reason::CertificateExpired,
        "CertificateExpired",
        "The agent slept past its certificate and past the grace.",
        "Join again with a new token.",
    ),
    row(
        Reason::ProtocolUnsupported,
        "ProtocolUnsupported",
        "Agent and hub have no protocol version in common.",
        "Update the older one; the message says which.",
    ),
    row(
        Reason::ConflictPaused,
        "ConflictPaused",
        "The hub is behind its agents, as after a restored backup, and sends nothing.",
        "Restore the hub's newest data, or choose a side: `vitistack-hub resume --accept-agents` or `--accept-hub`.",
    ),
    row(
        Reason::BackupRestored,
        "BackupRestored",
        "The agent holds a newer state than the hub.",
        "Restore the hub's newest data, or choose a side: `vitistack-hub resume --accept-agents` or `--accept-hub`.",
    ),
    row(
        Reason::StoreFull,
        "StoreFull",
        "The agent's disk is full and takes no new intents.",
        "Free space on the agent's data directory.",
    ),
    row(
        Reason::AuthenticationFailed,
        "AuthenticationFailed",
        "The provider refused the credentials.",
        "Correct the Secret that the message names; it is tried again by itself.",
    ),
    row(
        Reason::BmcUnreachable,
        "BMCUnreachable",
        "The BMC does not answer on the network.",
        "Check `spec.bmc.address`, the cable and the management network.",
    ),
    row(
        Reason::BmcAuthenticationFailed,
        "BMCAuthenticationFailed",
        "The BMC refused user name or password.",
        "Correct the Secret in `spec.bmc.credentialsRef`; it is tried again at once.",
    ),
    row(
        Reason::BmcCertificateChanged,
        "BMCCertificateChanged",
        "The BMC shows another certificate than the pinned one.",
        "If that was you, set `spec.bmc.tls.sha256` to the new fingerprint that the message names; if not, find out who answers.",
    ),
    row(
        Reason::BmcCertificateUntrusted,
        "BMCCertificateUntrusted",
        "The BMC's certificate does not fit `caBundle` or `sha256`.",
        "Correct `spec.bmc.tls`.",
    ),
    row(
        Reason::BmcCertificateNotChecked,
        "BMCCertificateNotChecked",
        "The BMC's certificate is not checked, because the spec says so.",
        "Replace `spec.bmc.tls.insecure` by `caBundle` or `sha256`.",
    ),
    row(
        Reason::BmcCertificatePinned,
        "BMCCertificatePinned",
        "The BMC's certificate was pinned at first sight.",
        "Nothing; compare the fingerprint in status if you want to be sure.",
    ),
    row(
        Reason::BmcCertificateVerified,
        "BMCCertificateVerified",
        "The BMC's certificate fits `caBundle` or `sha256`.",
        "Nothing.",
    ),
    row(
        Reason::BmcPlaintext,
        "BMCPlaintext",
        "The BMC is spoken to without TLS, because its address says so.",
        "Use `redfish://` instead of `redfish+http://`.",
    ),
    row(
        Reason::BmcProtocolError,
        "BMCProtocolError",
        "The BMC answered something that Redfish does not allow.",
        "Update the BMC's firmware; the message has the request and the answer.",
    ),
    row(
        Reason::BootOverrideIgnored,
        "BootOverrideIgnored",
        "The BMC accepted the boot override and did not keep it. Nothing was written to a disk.",
        "Update the BMC's firmware, or set the boot order in the server's setup.",
    ),
    row(
        Reason::PowerActionIgnored,
        "PowerActionIgnored",
        "The BMC accepted a power action and nothing changed.",
        "Look at the server; reset the BMC.",
    ),
    row(
        Reason::CredentialsMissing,
        "CredentialsMissing",
        "The Secret with the BMC's credentials has not reached the agent.",
        "Create the Secret in `spec.bmc.credentialsRef` with `username` and `password`.",
    ),
    row(
        Reason::Inspected,
        "Inspected",
        "The inventory comes from an inspection.",
        "Nothing.",
    ),
    row(
        Reason::InventoryFromBmc,
        "InventoryFromBMC",
        "The inventory is what the BMC tells; the server was not booted for it.",
        "Nothing; with `spec.inspect: Reboot` it is inspected even while it runs.",
    ),
    row(
        Reason::InspectionWaits,
        "InspectionWaits",
        "The server runs and may not be restarted to be inspected.",
        "Switch it off, or set `spec.inspect: Reboot`.",
    ),
    row(
        Reason::ImageDigestRequired,
        "ImageDigestRequired",
        "On bare metal the image needs its digest.",
        "Set `spec.os.imageDigest` to `sha256:` and what `sha256sum` says of the published file.",
    ),
    row(
        Reason::ImageNotFound,
        "ImageNotFound",
        "`spec.os.imageID` is neither a URL nor an entry of the provider's `operatingSystems`.",
        "Set a URL, or one of the entries that the message lists.",
    ),
    row(
        Reason::ImageFetchFailed,
        "ImageFetchFailed",
        "The image could not be downloaded.",
        "Check the URL at the site: `vitistack-agent check-image URL`. It is tried again by itself.",
    ),
    row(
        Reason::ImageDigestMismatch,
        "ImageDigestMismatch",
        "The image's bytes do not have the digest that the Machine names.",
        "Correct `spec.os.imageDigest`, or publish the right file; the message has both digests.",
    ),
    row(
        Reason::ImageTooLarge,
        "ImageTooLarge",
        "The image does not fit on the root disk.",
        "Choose a larger disk by `rootDeviceHints`, or a smaller image.",
    ),
    row(
        Reason::ImageFormatUnsupported,
        "ImageFormatUnsupported",
        "The image is packed in a way that the installer cannot read.",
        "Publish it raw, gzip or zstd.",
    ),
    row(
        Reason::RootDiskAmbiguous,
        "RootDiskAmbiguous",
        "Not exactly one disk fits.",
        "Set `spec.rootDeviceHints` on the host so that one disk remains; the message lists the disks.",
    ),
    row(
        Reason::RootDiskNotFound,
        "RootDiskNotFound",
        "No disk fits the hints.",
        "Correct `spec.rootDeviceHints` on the host; the message lists the disks.",
    ),
    row(
        Reason::DiskNotEmpty,
        "DiskNotEmpty",
        "The disk holds data, and the host was never provisioned by us.",
        "Save the data, then set `spec.allowWipe: true` on the host.",
    ),
    row(
        Reason::DiskWriteFailed,
        "DiskWriteFailed",
        "The disk refused a write or a flush.",
        "Replace the disk.",
    ),
    row(
        Reason::InstallStateUnknown,
        "InstallStateUnknown",
        "Neither record nor proof says whether the host was installed.",
        "Look at the server; then set a new `spec.reinstall` to install, or `vitistack.io/accept` on the host to keep it.",
    ),
    row(
        Reason::InstallAttemptsExhausted,
        "InstallAttemptsExhausted",
        "Three attempts of one installation failed.",
        "Look at the message of the last one; a new `spec.reinstall` starts over.",
    ),
    row(
        Reason::InstallerTimeout,
        "InstallerTimeout",
        "The netboot installer did not report in time.",
        "Look at the server's console; check cable, boot MAC and boot network.",
    ),
    row(
        Reason::GuestTimeout,
        "GuestTimeout",
        "The installed system did not report in time.",
        "Look at the server's console; check that the image has cloud-init and a network.",
    ),
    row(
        Reason::HostClaimedByPrevious,
        "HostClaimedByPrevious",
        "The host still carries a Machine of the same name and another UID.",
        "Set `vitistack.io/adopt` on the Machine to that UID to keep the installation, or release the host.",
    ),
    row(
        Reason::HostNotFound,
        "HostNotFound",
        "The host that the Machine claimed is gone.",
        "Recreate the BareMetalHost, or delete the Machine.",
    ),
    row(
        Reason::HostInMaintenance,
        "HostInMaintenance",
        "The host is in maintenance and nothing touches it.",
        "Set `spec.maintenance: false` on the host.",
    ),
    row(
        Reason::ExternallyProvisioned,
        "ExternallyProvisioned",
        "The host was installed by somebody else and is never written.",
        "Nothing; set `spec.externallyProvisioned: false` to hand it over.",
    ),
    row(
        Reason::Claimed,
        "Claimed",
        "A Machine holds the host.",
        "Nothing.",
    ),
    row(
        Reason::Quarantined,
        "Quarantined",
        "A Machine was removed from the host by force, and may still be on it.",
        "Clean it, or set `vitistack.io/accept` on the host to the UID that the message names.",
    ),
    row(
        Reason::SpecChangedAfterInstall,
        "SpecChangedAfterInstall",
        "Fields changed that only a new installation applies.",
        "Set a new `spec.reinstall` to apply them; the message lists them.",
    ),
    row(
        Reason::Protected,
        "Protected",
        "The object carries `vitistack.io/protect: \"true\"` and is not deleted.",
        "Remove the annotation.",
    ),
    row(
        Reason::InUse,
        "InUse",
        "Other objects refer to this one.",
        "Delete or move those first; the message lists them.",
    ),
    row(
        Reason::CleaningFailed,
        "CleaningFailed",
        "The host could not be wiped on release.",
        "Look at the message; `spec.cleaning: None` skips it, `vitistack.io/force-delete` gives up.",
    ),
    row(
        Reason::ForceDeleted,
        "ForceDeleted",
        "The object was removed without the site's word.",
        "Clean the host by hand.",
    ),
    row(
        Reason::NetbootDisabled,
        "NetbootDisabled",
        "The site's agent has no boot network configured.",
        "Add a `[netboot]` section to the agent's file.",
    ),
    row(
        Reason::ForeignDhcpServer,
        "ForeignDHCPServer",
        "Another DHCP server answers on the boot network.",
        "Use `mode = \"proxy\"`, or switch the other server off.",
    ),
    row(
        Reason::BootConflict,
        "BootConflict",
        "Another object holds this MAC address's boot slot.",
        "Correct `spec.bootMAC` of one of the hosts.",
    ),
    row(
        Reason::ProvidersHealthy,
        "ProvidersHealthy",
        "Every enabled provider is there and ready.",
        "Nothing.",
    ),
    row(
        Reason::ProvidersUnhealthy,
        "ProvidersUnhealthy",
        "Some of the enabled providers are missing or not ready.",
        "Look at the providers that the message names.",
    ),
    row(
        Reason::NoProviders,
        "NoProviders",
        "The Datacenter lists no enabled provider.",
        "Add one to `spec.machineProviders`.",
    ),
    row(
        Reason::QuotaAvailable,
        "QuotaAvailable",
        "The quotas leave room.",
        "Nothing.",
    ),
    row(Reason::NoQuota, "NoQuota", "No quota is set.", "Nothing."),
    row(
        Reason::CredentialsValid,
        "CredentialsValid",
        "The credentials are there and nobody refused them.",
        "Nothing.",
    ),
    row(
        Reason::InternalError,
        "InternalError",
        "Something went wrong in the hub itself.",
        "It is tried again by itself; if it stays, report it with the hub's log.",
    ),
];
