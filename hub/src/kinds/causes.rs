//! What an agent's reason is called in a condition, and whether it is a matter of waiting.

use vitistack_api::conditions::Reason;
use vitistack_protocol::message::numbered::Reason as Told;
use vitistack_protocol::message::report::Cause;

use super::{Outlook, Refusal};

#[cfg(test)]
mod tests;

/// The condition's reason and whether it passes by itself. A reason that needs a change of the object's own spec, or a
/// person at the server, is stalled; what a retry, an arriving Secret or a mended network cures is waited for.
pub(crate) fn translate(told: Told) -> (Reason, Outlook) {
    use Outlook::{Stalled, Waits};
    match told {
        Told::None => (Reason::AsExpected, Waits),
        Told::Progressing => (Reason::Progressing, Waits),
        Told::PhonedHome => (Reason::PhonedHome, Waits),
        Told::ProbeAnswered => (Reason::ProbeAnswered, Waits),
        Told::BmcUnreachable => (Reason::BmcUnreachable, Waits),
        Told::BmcAuthenticationFailed => (Reason::BmcAuthenticationFailed, Waits),
        Told::BmcCertificateChanged => (Reason::BmcCertificateChanged, Stalled),
        Told::BmcCertificateUntrusted => (Reason::BmcCertificateUntrusted, Stalled),
        Told::BmcProtocolError => (Reason::BmcProtocolError, Waits),
        Told::BootOverrideIgnored => (Reason::BootOverrideIgnored, Stalled),
        Told::PowerActionIgnored => (Reason::PowerActionIgnored, Stalled),
        Told::CredentialsMissing => (Reason::CredentialsMissing, Waits),
        Told::ImageFetchFailed => (Reason::ImageFetchFailed, Waits),
        Told::ImageDigestMismatch => (Reason::ImageDigestMismatch, Stalled),
        Told::ImageTooLarge => (Reason::ImageTooLarge, Stalled),
        Told::ImageFormatUnsupported => (Reason::ImageFormatUnsupported, Stalled),
        Told::RootDiskAmbiguous => (Reason::RootDiskAmbiguous, Stalled),
        Told::RootDiskNotFound => (Reason::RootDiskNotFound, Stalled),
        Told::DiskNotEmpty => (Reason::DiskNotEmpty, Stalled),
        Told::DiskWriteFailed => (Reason::DiskWriteFailed, Stalled),
        Told::InstallStateUnknown => (Reason::InstallStateUnknown, Stalled),
        Told::InstallAttemptsExhausted => (Reason::InstallAttemptsExhausted, Stalled),
        Told::InstallerTimeout => (Reason::InstallerTimeout, Waits),
        Told::GuestTimeout => (Reason::GuestTimeout, Stalled),
        Told::HostClaimedByPrevious => (Reason::HostClaimedByPrevious, Stalled),
        Told::InspectionWaits => (Reason::InspectionWaits, Waits),
        Told::NetbootDisabled => (Reason::NetbootDisabled, Stalled),
        Told::ForeignDhcpServer => (Reason::ForeignDhcpServer, Waits),
        Told::BootConflict => (Reason::BootConflict, Waits),
        Told::BackupRestored => (Reason::BackupRestored, Stalled),
    }
}

/// What an agent gives as the cause of not going on.
pub(crate) fn refusal(cause: &Cause) -> Refusal {
    let (reason, outlook) = translate(cause.reason);
    let message = if cause.message.is_empty() {
        reason.meaning().to_owned()
    } else {
        cause.message.clone()
    };
    Refusal {
        reason,
        message,
        outlook,
    }
}
