//! What particular BMCs want to be told differently. Data, and nothing but data: which forms of a boot override are
//! tried, in which order.

use serde_json::{Map, Value, json};
use vitistack_protocol::message::numbered::BootMode;

use super::system::{BootTarget, System, mode_word};

/// Which properties a boot override is sent with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Target and Enabled; Mode only where the BMC reports another one than is wanted.
    Minimal,
    /// Target, Enabled and Mode.
    Full,
    /// Target and Enabled, never Mode.
    WithoutMode,
}

/// A vendor, by the start of the manufacturer's name, and the forms that it takes best.
struct Quirk {
    manufacturer: &'static str,
    forms: &'static [Form],
}

const QUIRKS: &[Quirk] = &[
    // Supermicro (AMI based) falls back to Legacy and Disabled unless it is told everything.
    Quirk {
        manufacturer: "Supermicro",
        forms: &[Form::Full, Form::WithoutMode],
    },
    // AMI MegaRAC and ASRock Rack want all three properties.
    Quirk {
        manufacturer: "American Megatrends",
        forms: &[Form::Full, Form::WithoutMode],
    },
    Quirk {
        manufacturer: "ASRockRack",
        forms: &[Form::Full, Form::WithoutMode],
    },
    // HPE ProLiant refuses Mode in the same request.
    Quirk {
        manufacturer: "HP",
        forms: &[Form::WithoutMode, Form::Minimal],
    },
];

/// The smallest first; each further one only if the BMC refused or did not keep the one before.
const USUAL: &[Form] = &[Form::Minimal, Form::Full, Form::WithoutMode];

/// Bodies to try, in order, without repetition.
pub(super) fn boot_bodies(system: &System, target: BootTarget, mode: BootMode) -> Vec<Value> {
    let forms = QUIRKS
        .iter()
        .find(|quirk| {
            system
                .inventory
                .manufacturer
                .starts_with(quirk.manufacturer)
        })
        .map_or(USUAL, |quirk| quirk.forms);
    let mut bodies = Vec::new();
    for form in forms {
        let body = boot_body(system, target, mode, *form);
        if !bodies.contains(&body) {
            bodies.push(body);
        }
    }
    bodies
}

fn boot_body(system: &System, target: BootTarget, mode: BootMode, form: Form) -> Value {
    let mut boot = Map::new();
    let Some(word) = system.word(target) else {
        // iLO refuses the target None, so only Enabled is sent.
        boot.insert("BootSourceOverrideEnabled".to_owned(), json!("Disabled"));
        return json!({ "Boot": boot });
    };
    boot.insert("BootSourceOverrideTarget".to_owned(), json!(word));
    boot.insert("BootSourceOverrideEnabled".to_owned(), json!("Once"));
    let send_mode = match form {
        Form::Minimal => !system.mode_fits(mode),
        Form::Full => true,
        Form::WithoutMode => false,
    };
    if send_mode {
        boot.insert("BootSourceOverrideMode".to_owned(), json!(mode_word(mode)));
    }
    json!({ "Boot": boot })
}
