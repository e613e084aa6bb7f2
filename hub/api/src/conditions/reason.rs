//! Every reason that a condition of ours can carry, in one enum, with what it means and what to do about it.
//!
//! `deploy/docs/reasons.md` is rendered from here. The words that upstream uses are kept. `InternalError` stays last:
//! the table is checked against it.

use super::rows::{ROWS, Row};

/// Why a condition is as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// The object is as its spec says.
    AsExpected,
    /// Work goes on; the message names the step.
    Progressing,
    /// The guest itself reported the Machine's UID.
    PhonedHome,
    /// The guest did not phone home, but answered from outside.
    ProbeAnswered,
    /// The Machine is off, as its spec asks.
    PoweredOff,
    /// The object is being removed.
    Deleting,
    /// A section of the spec has nothing that executes it yet. It does not count for `Ready`.
    NotSupported,
    /// The question does not arise for this object.
    NotApplicable,
    /// The spec holds a value that is not allowed.
    ValidationFailed,
    /// No MachineProvider fits the Machine, or the one that it names is not there.
    ProviderNotFound,
    /// More than one MachineProvider fits the Machine.
    ProviderAmbiguous,
    /// The Datacenter that the object names is not there.
    DatacenterNotFound,
    /// An object that this one needs is not ready.
    DependencyNotReady,
    /// A reference leads into a namespace that does not let this one in.
    RefNotPermitted,
    /// A Secret that the spec names is not there, or lacks a key.
    SecretNotFound,
    /// The Machine brings credentials of its own, and its provider does not allow that.
    CredentialsNotAllowed,
    /// No free host fits, or the provider is full.
    InsufficientCapacity,
    /// The Datacenter's quota is used up.
    QuotaExceeded,
    /// No driver for this provider type exists in this version.
    ProviderTypeNotSupported,
    /// The Machine is placed, and its spec now names another place.
    PlacementImmutable,
    /// The agent holds a session.
    AgentConnected,
    /// The agent's line is down. What runs at the site goes on.
    AgentDisconnected,
    /// No agent serves this site and namespace.
    AgentNotFound,
    /// More than one agent serves this site.
    AgentAmbiguous,
    /// The agent's certificate is refused.
    AgentRevoked,
    /// The agent slept past its certificate and past the grace.
    CertificateExpired,
    /// Agent and hub have no protocol version in common.
    ProtocolUnsupported,
    /// The hub is behind its agents, as after a restored backup, and sends nothing.
    ConflictPaused,
    /// The agent holds a newer state than the hub.
    BackupRestored,
    /// The agent's disk is full and takes no new intents.
    StoreFull,
    /// The provider refused the credentials.
    AuthenticationFailed,
    /// The BMC does not answer on the network.
    BmcUnreachable,
    /// The BMC refused user name or password.
    BmcAuthenticationFailed,
    /// The BMC shows another certificate than the pinned one.
    BmcCertificateChanged,
    /// The BMC's certificate does not fit `caBundle` or `sha256`.
    BmcCertificateUntrusted,
    /// The BMC's certificate is not checked, because the spec says so.
    BmcCertificateNotChecked,
    /// The BMC's certificate was pinned at first sight.
    BmcCertificatePinned,
    /// The BMC's certificate fits `caBundle` or `sha256`.
    BmcCertificateVerified,
    /// The BMC is spoken to without TLS, because its address says so.
    BmcPlaintext,
    /// The BMC answered something that Redfish does not allow.
    BmcProtocolError,
    /// The BMC accepted the boot override and did not keep it. Nothing was written to a disk.
    BootOverrideIgnored,
    /// The BMC accepted a power action and nothing changed.
    PowerActionIgnored,
    /// The Secret with the BMC's credentials has not reached the agent.
    CredentialsMissing,
    /// The inventory comes from an inspection.
    Inspected,
    /// The inventory is what the BMC tells; the server was not booted for it.
    InventoryFromBmc,
    /// The server runs and may not be restarted to be inspected.
    InspectionWaits,
    /// On bare metal the image needs its digest.
    ImageDigestRequired,
    /// `spec.os.imageID` is neither a URL nor an entry of the provider's `operatingSystems`.
    ImageNotFound,
    /// The image could not be downloaded.
    ImageFetchFailed,
    /// The image's bytes do not have the digest that the Machine names.
    ImageDigestMismatch,
    /// The image does not fit on the root disk.
    ImageTooLarge,
    /// The image is packed in a way that the installer cannot read.
    ImageFormatUnsupported,
    /// Not exactly one disk fits.
    RootDiskAmbiguous,
    /// No disk fits the hints.
    RootDiskNotFound,
    /// The disk holds data, and the host was never provisioned by us.
    DiskNotEmpty,
    /// The disk refused a write or a flush.
    DiskWriteFailed,
    /// Neither record nor proof says whether the host was installed.
    InstallStateUnknown,
    /// Three attempts of one installation failed.
    InstallAttemptsExhausted,
    /// The netboot installer did not report in time.
    InstallerTimeout,
    /// The installed system did not report in time.
    GuestTimeout,
    /// The host still carries a Machine of the same name and another UID.
    HostClaimedByPrevious,
    /// The host that the Machine claimed is gone.
    HostNotFound,
    /// The host is in maintenance and nothing touches it.
    HostInMaintenance,
    /// The host was installed by somebody else and is never written.
    ExternallyProvisioned,
    /// A Machine holds the host.
    Claimed,
    /// A Machine was removed from the host by force, and may still be on it.
    Quarantined,
    /// Fields changed that only a new installation applies.
    SpecChangedAfterInstall,
    /// The object carries `vitistack.io/protect: "true"` and is not deleted.
    Protected,
    /// Other objects refer to this one.
    InUse,
    /// The host could not be wiped on release.
    CleaningFailed,
    /// The object was removed without the site's word.
    ForceDeleted,
    /// The site's agent has no boot network configured.
    NetbootDisabled,
    /// Another DHCP server answers on the boot network.
    ForeignDhcpServer,
    /// Another object holds this MAC address's boot slot.
    BootConflict,
    /// Every enabled provider is there and ready.
    ProvidersHealthy,
    /// Some of the enabled providers are missing or not ready.
    ProvidersUnhealthy,
    /// The Datacenter lists no enabled provider.
    NoProviders,
    /// The quotas leave room.
    QuotaAvailable,
    /// No quota is set.
    NoQuota,
    /// The credentials are there and nobody refused them.
    CredentialsValid,
    /// Something went wrong in the hub itself.
    InternalError,
}

impl Reason {
    /// Every reason, in the order of the table.
    pub fn all() -> impl Iterator<Item = Self> {
        ROWS.iter().map(|row| row.reason)
    }

    /// As a condition carries it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        self.row().name
    }

    /// What it means.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        self.row().meaning
    }

    /// What to do about it.
    #[must_use]
    pub fn what_to_do(self) -> &'static str {
        self.row().what_to_do
    }

    /// The reason that a condition carries, if it is one of ours.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::all().find(|reason| reason.as_str() == text)
    }

    /// The table as a page of Markdown.
    #[must_use]
    pub fn table() -> String {
        let mut page = String::from(
            "# Reasons\n\nEvery condition of a VitiStack object carries one of these. \
             Generated by `vitistack-hub reasons`.\n\n\
             | reason | what it means | what to do |\n|---|---|---|\n",
        );
        for Row {
            reason: _,
            name,
            meaning,
            what_to_do,
        } in ROWS
        {
            page.push_str(&format!("| `{name}` | {meaning} | {what_to_do} |\n"));
        }
        page
    }

    fn row(self) -> &'static Row {
        // In bounds: `rows` checks at compile time that row n is the one of variant n, up to the last variant.
        &ROWS[self as usize]
    }
}
