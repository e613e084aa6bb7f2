//! The NoCloud files that an installed guest finds on its disk. Pure text.
//!
//! The user's `userData` is passed on byte for byte; what we need of the guest goes into meta-data and vendor-data.

use base64::Engine as _;
use vitistack_installer_wire::SeedFile;
use vitistack_protocol::ids::Uid;

/// What the guest is told.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seed<'a> {
    pub(crate) machine: Uid,
    pub(crate) hostname: &'a str,
    pub(crate) ssh_keys: &'a [String],
    pub(crate) phone_home: &'a str,
    pub(crate) user_data: &'a [u8],
}

/// cloud-init gives up after this many tries, each with a pause that grows; the agent may be restarting.
const PHONE_HOME_TRIES: u32 = 20;

/// The files.
pub(crate) fn render(seed: &Seed<'_>) -> Vec<SeedFile> {
    let Seed {
        machine,
        hostname,
        ssh_keys,
        phone_home,
        user_data,
    } = seed;
    // JSON strings are YAML strings, whatever stands in a key's comment.
    let keys: Vec<String> = ssh_keys.iter().map(|key| quoted(key)).collect();
    let keys = keys.join(", ");
    let meta_data = format!(
        "instance-id: {machine}\nlocal-hostname: {}\nphone-home-url: {phone_home}\n\
         public-keys: [{keys}]\n",
        quoted(hostname)
    );
    let vendor_data = format!(
        "#cloud-config\nphone_home:\n  url: {}\n  post: [instance_id, hostname]\n  tries: {PHONE_HOME_TRIES}\n\
         ssh_authorized_keys: [{keys}]\n",
        quoted(phone_home)
    );
    [
        ("meta-data", meta_data.as_bytes()),
        ("vendor-data", vendor_data.as_bytes()),
        ("user-data", user_data),
    ]
    .into_iter()
    .map(|(name, content)| SeedFile {
        name: name.to_owned(),
        content: base64::engine::general_purpose::STANDARD.encode(content),
    })
    .collect()
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
