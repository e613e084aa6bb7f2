//! The complete intent of a Machine.
//!
//! [`present`] compiles what is wanted and refuses what is not clear. [`tombstone`] compiles what release needs from
//! the host alone, so that a Machine can go when everything else that it named has gone before it.

use std::sync::Arc;

use kube::ResourceExt as _;
use vitistack_api::conditions::Reason;
use vitistack_api::host::BareMetalHost;
use vitistack_api::machine::{self, Machine, PowerState};
use vitistack_api::machine_provider::MachineProvider;
use vitistack_api::names::ANNOTATION_ADOPT;
use vitistack_api::validate::{BareMetalImage, bare_metal_image};
use vitistack_protocol::ids::{
    Digest, Fence, Generation, HubEpoch, ObjectRef, OperationId, ParseDigestError, Revision, Uid,
};
use vitistack_protocol::message::Extensions;
use vitistack_protocol::message::body::encode;
use vitistack_protocol::message::intent::{
    Image, Intent, MachineIntent, Provisioned, SecretName, SecretRow,
};
use vitistack_protocol::message::numbered::{self, BodyKind, Cleaning, ImageFormat};
use vitistack_protocol::message::report::MachineReport;

use crate::kinds::credentials::{self, Sight};
use crate::kinds::target::{self, no_uid};
use crate::kinds::{Refusal, annotation_of, generation_of};

/// What goes out: the intent, still without its fence, and the secret values that it names.
#[derive(Clone)]
pub(crate) struct Compiled {
    pub(crate) intent: Intent,
    pub(crate) rows: Vec<SecretRow>,
}

/// What a Machine's intent is compiled from.
pub(crate) struct Sources<'a> {
    pub(crate) machine: &'a Machine,
    pub(crate) host: &'a Arc<BareMetalHost>,
    pub(crate) provider: &'a MachineProvider,
    /// The credentials of the host's BMC.
    pub(crate) bmc: &'a SecretRow,
    /// What the agent reported last. It is a little ahead of both statuses, and what it says goes into the intent with
    /// the write that says it, not with one more afterwards.
    pub(crate) heard: Option<&'a MachineReport>,
    /// The Secret of `userDataSecretRef`, where there is one.
    pub(crate) user_data: Option<Sight<'a>>,
}

/// The intent of a Machine that is to be.
///
/// # Errors
///
/// When the spec does not say clearly what to install.
pub(crate) fn present(sources: &Sources<'_>) -> Result<Compiled, Refusal> {
    let Sources {
        machine,
        host,
        provider,
        bmc,
        heard,
        user_data,
    } = sources;
    let object = target::reference(*machine).ok_or_else(no_uid)?;
    let provisioned = heard
        .and_then(|report| report.provisioned.clone())
        .or_else(|| target::provisioned(host));
    let adopt: Option<Uid> =
        annotation_of(*machine, ANNOTATION_ADOPT).and_then(|uid| uid.parse().ok());
    let user_data = user_data_row(machine, object.uid, *user_data)?;
    let spec = &machine.spec;
    let operation = operation(machine, object.uid, adopt, provisioned.as_ref());
    let wanted = MachineIntent {
        target: target::target(host, Some(bmc.name.uid))?,
        operation,
        image: image(machine, provider)?,
        root_hints: target::root_hints(host.spec.root_device_hints.as_ref()),
        allow_wipe: host.spec.allow_wipe.unwrap_or(false),
        power: match spec.wanted_power() {
            PowerState::On => numbered::PowerState::On,
            PowerState::Off => numbered::PowerState::Off,
        },
        cleaning: cleaning(machine),
        hostname: spec.name.clone().unwrap_or_else(|| object.name.clone()),
        ssh_keys: spec.ssh_keys.clone(),
        user_data: user_data.as_ref().map(SecretRow::key),
        provisioned,
        adopt,
        extensions: if was_begun(machine, operation, *heard) {
            MachineIntent::extensions_begun()
        } else {
            Extensions::default()
        },
    };
    let mut rows = vec![(*bmc).clone()];
    rows.extend(user_data);
    let names = rows.iter().map(|row| row.name).collect();
    Ok(Compiled {
        intent: assemble(object, generation_of(*machine), &wanted, names, false),
        rows,
    })
}

/// Whether an agent reported an attempt of `operation`: an agent that lost its store must not begin it anew unasked.
fn was_begun(machine: &Machine, operation: OperationId, heard: Option<&MachineReport>) -> bool {
    let is_told = heard.is_some_and(|report| report.operation == operation && report.attempt > 0);
    is_told
        || machine.status.as_ref().is_some_and(|status| {
            status.operation_id.as_deref() == Some(operation.to_string().as_str())
                && status.attempt.is_some_and(|attempt| attempt > 0)
        })
}

/// The tombstone of a Machine on `host`. `object` names it, since the Machine itself may be gone already; `bmc` is the
/// UID of the Secret with the BMC's credentials. Without it the agent goes on with those that it used for the Machine.
///
/// # Errors
///
/// When the host has no usable boot MAC or UID.
pub(crate) fn tombstone(
    object: ObjectRef,
    generation: i64,
    cleaning: Cleaning,
    host: &BareMetalHost,
    bmc: Option<Uid>,
) -> Result<Intent, Refusal> {
    let provisioned = target::provisioned(host);
    let image = provisioned
        .as_ref()
        .map_or_else(Digest::default, |proof| proof.image);
    let operation = provisioned
        .as_ref()
        .filter(|proof| proof.machine == object.uid)
        .map_or_else(
            || OperationId::derive(object.uid, "install", ""),
            |proof| proof.operation,
        );
    let wanted = MachineIntent {
        target: target::target(host, bmc)?,
        operation,
        image: Image {
            url: String::new(),
            digest: image,
            format: ImageFormat::Raw,
            ca_bundle: String::new(),
        },
        root_hints: target::root_hints(host.spec.root_device_hints.as_ref()),
        allow_wipe: host.spec.allow_wipe.unwrap_or(false),
        power: numbered::PowerState::Off,
        cleaning,
        hostname: object.name.clone(),
        ssh_keys: Vec::new(),
        user_data: None,
        provisioned,
        adopt: None,
        extensions: Extensions::default(),
    };
    let secrets = target::credentials(bmc);
    Ok(assemble(object, generation, &wanted, secrets, true))
}

/// The tombstone that carries the body which was last sent, for a hub that still knows it. `bmc` is the UID of the
/// Secret with the BMC's credentials; without it the one that was last sent.
pub(crate) fn bury(last: &Intent, generation: i64, bmc: Option<Uid>) -> Intent {
    let mut intent = last.clone();
    intent.absent = true;
    intent.generation = Generation(generation);
    if let Ok(mut wanted) = intent.read::<MachineIntent>() {
        // Without the user data, which release does not need and whose Secret may be gone.
        wanted.user_data = None;
        wanted.target.credentials = bmc.or(wanted.target.credentials);
        intent.body = encode(&wanted);
        intent.secrets = target::credentials(wanted.target.credentials);
    }
    intent
}

/// What only a new installation applies: the operation that an intent asks for, and a digest of what it is made from.
pub(crate) fn inputs(intent: &Intent) -> Option<(OperationId, Digest)> {
    let wanted: MachineIntent = intent.read().ok()?;
    Some((wanted.operation, wanted.inputs()))
}

/// What is wiped on release.
pub(crate) fn cleaning(machine: &Machine) -> Cleaning {
    match machine.spec.cleaning {
        Some(machine::Cleaning::None) => Cleaning::None,
        Some(machine::Cleaning::Metadata) | None => Cleaning::Metadata,
    }
}

fn assemble(
    object: ObjectRef,
    generation: i64,
    wanted: &MachineIntent,
    secrets: Vec<SecretName>,
    absent: bool,
) -> Intent {
    Intent {
        fence: Fence {
            epoch: HubEpoch::default(),
            revision: Revision::default(),
        },
        object,
        generation: Generation(generation),
        kind: BodyKind::Machine,
        body: encode(wanted),
        absent,
        secrets,
        extensions: Extensions::default(),
    }
}

/// A Machine is installed once, and again only for a new `reinstall` token. One that takes over a predecessor's
/// installation goes on under the operation that made it, so that nothing is written.
fn operation(
    machine: &Machine,
    uid: Uid,
    adopt: Option<Uid>,
    provisioned: Option<&Provisioned>,
) -> OperationId {
    let token = machine.spec.reinstall.as_deref().unwrap_or_default();
    match provisioned {
        Some(proof) if token.is_empty() && adopt == Some(proof.machine) => proof.operation,
        // Once taken over, the proof carries this Machine's UID and still the old operation.
        Some(proof) if token.is_empty() && adopt.is_some() && proof.machine == uid => {
            proof.operation
        }
        _ => OperationId::derive(uid, "install", token),
    }
}

fn user_data_row(
    machine: &Machine,
    uid: Uid,
    sight: Option<Sight<'_>>,
) -> Result<Option<SecretRow>, Refusal> {
    if let Some(text) = &machine.spec.user_data {
        return Ok(Some(SecretRow::new(uid, text.clone().into_bytes())));
    }
    let Some(reference) = &machine.spec.user_data_secret_ref else {
        return Ok(None);
    };
    let namespace = machine.namespace().unwrap_or_default();
    let secret = credentials::secret(
        sight.unwrap_or(Sight::Unseen),
        &namespace,
        &reference.name,
        &namespace,
        "spec.userDataSecretRef",
    )?;
    let key = reference.key.as_deref().unwrap_or("userData");
    credentials::value(secret, key).map(Some)
}

/// What to install, checked before a host is claimed and again whenever the intent is compiled.
///
/// # Errors
///
/// When the image is not named, has no digest, or is packed in an unknown way.
pub(crate) fn image(machine: &Machine, provider: &MachineProvider) -> Result<Image, Refusal> {
    let offers = provider.spec.capabilities.as_ref();
    let offers = offers.map_or(&[][..], |offers| offers.operating_systems.as_slice());
    let BareMetalImage { url, digest } = bare_metal_image(machine.spec.os.as_ref(), offers)
        .map_err(|error| {
            let reason = if error.path == "spec.os.imageDigest" {
                Reason::ImageDigestRequired
            } else {
                Reason::ImageNotFound
            };
            Refusal::stalled(reason, error.to_string())
        })?;
    let digest = digest.parse().map_err(|error: ParseDigestError| {
        Refusal::stalled(
            Reason::ValidationFailed,
            format!("spec.os.imageDigest: {error}"),
        )
    })?;
    let endpoint = provider.spec.endpoint.clone().unwrap_or_default();
    Ok(Image {
        format: format_of(&url)?,
        url,
        digest,
        ca_bundle: endpoint.ca_bundle.unwrap_or_default(),
    })
}

/// The format by the name's end, as publishers write it; without a known one the bytes are taken as they are.
fn format_of(url: &str) -> Result<ImageFormat, Refusal> {
    let path = url
        .split(['?', '#'])
        .next()
        .unwrap_or(url)
        .to_ascii_lowercase();
    let ends_with = |ends: &[&str]| ends.iter().any(|end| path.ends_with(end));
    if ends_with(&[".gz", ".gzip"]) {
        Ok(ImageFormat::Gzip)
    } else if ends_with(&[".zst", ".zstd"]) {
        Ok(ImageFormat::Zstd)
    } else if ends_with(&[
        ".qcow2", ".vmdk", ".vhd", ".vhdx", ".xz", ".bz2", ".iso", ".ova",
    ]) {
        Err(Refusal::stalled(
            Reason::ImageFormatUnsupported,
            format!("spec.os.imageID {url}: publish the image raw, as .gz or as .zst"),
        ))
    } else {
        Ok(ImageFormat::Raw)
    }
}
