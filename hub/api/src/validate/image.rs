//! Which image a Machine on bare metal gets.

use crate::machine::{Architecture, OperatingSystem};
use crate::machine_provider::OperatingSystemOffer;
use crate::schema::{FieldError, FieldReason};

/// An image that a bare-metal host can be installed with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BareMetalImage {
    /// http or https URL.
    pub url: String,
    /// `sha256:` and 64 hexadecimal digits.
    pub digest: String,
}

/// Whether `text` is an http or https URL with a host.
pub(super) fn is_url(text: &str) -> bool {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with(['/', ':', '?', '#'])
            && !rest.contains(|character: char| character.is_whitespace() || character.is_control())
    })
}

/// The image of a Machine on a bare-metal provider with these offers. `imageID` is a URL, or names an offer: by its
/// distribution, or by distribution and version as in `debian-12`. Without it distribution and version choose.
///
/// # Errors
/// The field that is missing or leads nowhere, with what is allowed.
pub fn bare_metal_image(
    os: Option<&OperatingSystem>,
    offers: &[OperatingSystemOffer],
) -> Result<BareMetalImage, FieldError> {
    let empty = OperatingSystem::default();
    let os = os.unwrap_or(&empty);
    let url = match os.image_id.as_deref() {
        Some(id) if id.contains("://") => Some(id).filter(|id| is_url(id)),
        Some(id) => offers
            .iter()
            .find(|offer| names(offer, id))
            .and_then(|offer| offer.default_image_id.as_deref()),
        None => offers
            .iter()
            .find(|offer| suits(offer, os))
            .and_then(|offer| offer.default_image_id.as_deref()),
    };
    let Some(url) = url else {
        let known: Vec<&str> = offers
            .iter()
            .map(|offer| offer.distribution.as_str())
            .collect();
        let detail = format!(
            "must be an http or https URL, or one of the provider's operatingSystems: [{}]",
            known.join(", ")
        );
        let (reason, value) = match os.image_id.as_deref() {
            Some(id) => (FieldReason::Invalid, Some(id.into())),
            None => (FieldReason::Required, None),
        };
        return Err(FieldError {
            path: "spec.os.imageID".to_owned(),
            reason,
            value,
            detail,
        });
    };
    let Some(digest) = os.image_digest.clone() else {
        return Err(FieldError {
            path: "spec.os.imageDigest".to_owned(),
            reason: FieldReason::Required,
            value: None,
            detail: "on bare metal: sha256: and what sha256sum says of the published file"
                .to_owned(),
        });
    };
    Ok(BareMetalImage {
        url: url.to_owned(),
        digest,
    })
}

fn names(offer: &OperatingSystemOffer, id: &str) -> bool {
    id == offer.distribution
        || id
            .strip_prefix(offer.distribution.as_str())
            .and_then(|rest| rest.strip_prefix('-'))
            .is_some_and(|version| offer.versions.iter().any(|known| known == version))
}

/// Whether an offer is what the spec asks for; a spec that asks for nothing gets none.
fn suits(offer: &OperatingSystemOffer, os: &OperatingSystem) -> bool {
    let architecture = os.architecture.is_none_or(|wanted| {
        offer.architectures.iter().any(|known| match wanted {
            Architecture::Amd64 | Architecture::X8664 => known == "amd64" || known == "x86_64",
            Architecture::Arm64 => known == "arm64",
        })
    });
    let version = os
        .version
        .as_ref()
        .is_none_or(|wanted| offer.versions.contains(wanted));
    architecture && version && os.distribution.as_deref() == Some(offer.distribution.as_str())
}
