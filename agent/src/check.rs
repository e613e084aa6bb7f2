//! The commands that ask, from where the agent runs and with the clients that its drivers use, whether something works:
//! its configuration, an image's URL, a BMC. They change nothing and need no hub.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use vitistack_agent::config;
use vitistack_drivers::baremetal::redfish::{Address, Client, Gate, Pace, Power};
use vitistack_drivers::image;
use vitistack_protocol::ids::Digest;
use vitistack_protocol::message::intent::{BmcTrust, Credentials};

/// How long an image server may take for its first byte.
const DEADLINE: Duration = Duration::from_secs(30);

/// Flags of `check-image`.
#[derive(Args)]
pub(crate) struct ImageArguments {
    /// http or https URL, as `spec.os.imageID` of a Machine names it.
    url: String,
    /// PEM certificates of authorities that are trusted beside the built-in ones, as spec.endpoint.caBundle of a
    /// MachineProvider.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How the answer looks.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// Flags of `check-bmc`.
#[derive(Args)]
pub(crate) struct BmcArguments {
    /// As `spec.bmc.address` of a BareMetalHost: redfish://host[:port]/redfish/v1/Systems/<id>. Without a path, the BMC
    /// must have exactly one system.
    address: String,
    /// User name of an account on the BMC.
    #[arg(long, value_name = "NAME")]
    username: String,
    /// File with the password; a newline at its end does not count.
    #[arg(long, value_name = "FILE")]
    password_file: PathBuf,
    /// How the BMC's certificate is judged.
    #[command(flatten)]
    trust: TrustArguments,
    /// How the answer looks.
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// As `spec.bmc.tls` of a BareMetalHost.
#[derive(Args)]
#[group(multiple = false)]
struct TrustArguments {
    /// PEM certificates of authorities that must have signed the BMC's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The fingerprint that the BMC's certificate must have. With neither this nor --ca any certificate is believed, as
    /// the first one of a host without spec.bmc.tls is, and the answer names its fingerprint.
    #[arg(long, value_name = "sha256:HEX")]
    sha256: Option<Digest>,
}

/// How the answer looks.
#[derive(Clone, Copy, Default, ValueEnum)]
enum Output {
    /// For people.
    #[default]
    Text,
    /// One JSON object with `ok`, and with `error` if that is false.
    Json,
}

/// What was found, for people and for programs.
struct Answer {
    text: String,
    json: Value,
}

/// Says whether a configuration is valid.
pub(crate) fn config(path: &Path) -> anyhow::Result<()> {
    let config = config::load(path)?;
    eprintln!(
        "{} is valid: agent {} of hub {}",
        path.display(),
        config.name,
        config.hub
    );
    Ok(())
}

/// Says whether this agent could fetch an image.
pub(crate) fn image(arguments: &ImageArguments) -> anyhow::Result<ExitCode> {
    say(arguments.output, block_on(look_at_image(arguments)))
}

/// Says whether this agent could work with a BMC.
pub(crate) fn bmc(arguments: &BmcArguments) -> anyhow::Result<ExitCode> {
    say(arguments.output, block_on(look_at_bmc(arguments)))
}

async fn look_at_image(arguments: &ImageArguments) -> anyhow::Result<Answer> {
    let bundle = bundle(arguments.ca.as_deref())?;
    let image::Probe { bytes, resumes } = image::probe(&arguments.url, &bundle, DEADLINE).await?;
    let length = bytes.map_or_else(
        || "length not known".to_owned(),
        |bytes| format!("{bytes} bytes"),
    );
    let again = if resumes {
        "goes on where it stopped"
    } else {
        "begins again"
    };
    Ok(Answer {
        text: format!(
            "{} can be fetched: {length}; a download that breaks {again}",
            arguments.url
        ),
        json: json!({ "ok": true, "url": arguments.url, "bytes": bytes, "resumes": resumes }),
    })
}

async fn look_at_bmc(arguments: &BmcArguments) -> anyhow::Result<Answer> {
    let address = Address::parse(&arguments.address)
        .with_context(|| format!("the BMC address {:?} cannot be used", arguments.address))?;
    let password = std::fs::read_to_string(&arguments.password_file)
        .with_context(|| format!("read {}", arguments.password_file.display()))?;
    let credentials = Credentials {
        username: arguments.username.clone(),
        password: password.trim_end_matches(['\r', '\n']).to_owned(),
    };
    let trust = BmcTrust {
        ca_bundle: bundle(arguments.trust.ca.as_deref())?,
        pin: arguments.trust.sha256,
        insecure: false,
    };
    let client = Client::new(address, &trust, Arc::new(Gate::default()), Pace::default())?;
    let system = client.system(&credentials).await?;
    let certificate = client.certificate().map(|digest| digest.to_string());
    let power = match system.power {
        Power::On => "On",
        Power::Off => "Off",
        Power::Changing => "Changing",
    };
    let inventory = &system.inventory;
    Ok(Answer {
        text: format!(
            "{} answers: {} {}, power {power}, certificate {}",
            system.path,
            inventory.manufacturer,
            inventory.model,
            certificate.as_deref().unwrap_or("none (no TLS)")
        ),
        json: json!({
            "ok": true,
            "address": arguments.address,
            "system": system.path,
            "certificate": certificate,
            "power": power,
            "bootTarget": system.boot.target,
            "manufacturer": inventory.manufacturer,
            "model": inventory.model,
            "serialNumber": inventory.serial_number,
        }),
    })
}

fn bundle(file: Option<&Path>) -> anyhow::Result<String> {
    let Some(file) = file else {
        return Ok(String::new());
    };
    let text = std::fs::read_to_string(file).with_context(|| format!("read {}", file.display()))?;
    // Without one, "trust these" would become "trust as if nothing had been said".
    anyhow::ensure!(
        text.contains("-----BEGIN CERTIFICATE-----"),
        "{} holds no PEM certificate",
        file.display()
    );
    Ok(text)
}

fn block_on<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the runtime")?
        .block_on(work)
}

/// The answer to standard output. For people an error goes the usual way, to standard error; a program finds it where it
/// looks for the answer. Either way the exit status says whether it works.
fn say(output: Output, answer: anyhow::Result<Answer>) -> anyhow::Result<ExitCode> {
    let (line, code) = match (output, answer) {
        (Output::Text, answer) => (answer?.text, ExitCode::SUCCESS),
        (Output::Json, Ok(answer)) => (answer.json.to_string(), ExitCode::SUCCESS),
        (Output::Json, Err(error)) => {
            let refusal = json!({ "ok": false, "error": format!("{error:#}") });
            (refusal.to_string(), ExitCode::FAILURE)
        }
    };
    writeln!(std::io::stdout().lock(), "{line}").context("write to standard output")?;
    Ok(code)
}
