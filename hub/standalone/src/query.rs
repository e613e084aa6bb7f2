//! Reads the query of a request and the form that its `Accept` header asks for. Pure.

use crate::failure::{Cause, Failure};
use crate::lifecycle::Propagation;
use crate::table::Include;

#[cfg(test)]
mod tests;

/// What to do with fields that the schema does not know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum FieldValidation {
    /// Refuse the request.
    Strict,
    /// Drop them and say so.
    #[default]
    Warn,
    /// Drop them.
    Ignore,
}

/// The parameters of a request; what is not known is ignored, as Kubernetes does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Query {
    /// `labelSelector`, unparsed.
    pub(crate) labels: String,
    /// `fieldSelector`, unparsed.
    pub(crate) fields: String,
    /// At most so many objects in a list.
    pub(crate) limit: Option<usize>,
    /// Where an earlier list stopped.
    pub(crate) token: String,
    /// `resourceVersion`; none where it is absent, empty or zero.
    pub(crate) version: Option<u64>,
    /// Whether it is zero: any version is good enough.
    pub(crate) zero: bool,
    /// `resourceVersionMatch`, unparsed.
    pub(crate) matching: String,
    /// Parameters that make no sense for any request.
    pub(crate) faults: Vec<Cause>,
    /// Whether the list is to be a watch.
    pub(crate) watch: bool,
    /// Whether a watch may get bookmarks.
    pub(crate) bookmarks: bool,
    /// Whether a watch begins with the present objects, then a bookmark.
    pub(crate) initial_events: Option<bool>,
    /// How long a watch lasts.
    pub(crate) timeout_seconds: Option<u64>,
    /// Whether nothing is to be written.
    pub(crate) dry_run: bool,
    /// What to do with unknown fields.
    pub(crate) validation: FieldValidation,
    /// Who writes; empty where the request does not say.
    pub(crate) manager: String,
    /// Whether an apply takes what others own.
    pub(crate) force: Option<bool>,
    /// What becomes of dependents.
    pub(crate) propagation: Option<Propagation>,
    /// What a table row carries.
    pub(crate) include: Include,
}

/// Parses the text after `?`.
pub(crate) fn parse(text: &str) -> Result<Query, Failure> {
    let mut query = Query::default();
    for (key, value) in form_urlencoded::parse(text.as_bytes()) {
        set(&mut query, &key, &value).map_err(|failure| {
            // A watch finds out later than a list, and says it otherwise.
            match failure.message.strip_prefix("invalid resource version: ") {
                Some(why) if text.contains("watch=") => Failure::unclassed(why),
                _ => failure,
            }
        })?;
    }
    Ok(query)
}

fn set(query: &mut Query, key: &str, value: &str) -> Result<(), Failure> {
    match key {
        "labelSelector" => query.labels = value.to_owned(),
        "fieldSelector" => query.fields = value.to_owned(),
        "limit" => {
            let limit: Option<i64> = number(value)?;
            query.limit = limit
                .and_then(|n| usize::try_from(n).ok())
                .filter(|n| *n > 0);
        }
        "continue" => query.token = value.to_owned(),
        "resourceVersion" => {
            query.version = version(value)?.filter(|version| *version > 0);
            query.zero = value == "0";
        }
        "resourceVersionMatch" => query.matching = value.to_owned(),
        "watch" => query.watch = flag(value),
        "allowWatchBookmarks" => query.bookmarks = flag(value),
        "sendInitialEvents" => query.initial_events = Some(flag(value)),
        "timeoutSeconds" => query.timeout_seconds = number(value)?,
        "dryRun" => {
            query.dry_run = true;
            query.faults.extend(dry_run_fault(&[value]));
        }
        "fieldValidation" => {
            query.validation = match value {
                "" | "Warn" => FieldValidation::Warn,
                "Strict" => FieldValidation::Strict,
                "Ignore" => FieldValidation::Ignore,
                other => {
                    query
                        .faults
                        .push(unsupported(key, other, &["", "Ignore", "Strict", "Warn"]));
                    FieldValidation::Warn
                }
            }
        }
        "fieldManager" => {
            query.manager = value.to_owned();
            query.faults.extend(manager_fault(value));
        }
        "force" => query.force = Some(flag(value)),
        "propagationPolicy" => match propagation(value) {
            Ok(policy) => query.propagation = Some(policy),
            Err(fault) => query.faults.push(fault),
        },
        "includeObject" => {
            query.include = match value {
                "None" => Include::None,
                "Object" => Include::Object,
                "" | "Metadata" => Include::Metadata,
                other => Include::Wrong(other.to_owned()),
            }
        }
        _ => {}
    }
    Ok(())
}

/// The propagation policy of a name.
pub(crate) fn propagation(value: &str) -> Result<Propagation, Cause> {
    match value {
        "Background" => Ok(Propagation::Background),
        "Foreground" => Ok(Propagation::Foreground),
        "Orphan" => Ok(Propagation::Orphan),
        other => Err(unsupported(
            "propagationPolicy",
            other,
            &["Foreground", "Background", "Orphan", "nil"],
        )),
    }
}

/// What is wrong with the values of `dryRun`.
pub(crate) fn dry_run_fault(values: &[&str]) -> Option<Cause> {
    if values.iter().all(|value| *value == "All") {
        return None;
    }
    let shown: Vec<String> = values.iter().map(|value| format!("{value:?}")).collect();
    let message = format!(
        "Unsupported value: [{}]: supported values: \"All\"",
        shown.join(" ")
    );
    Some(Cause::new("FieldValueNotSupported", "dryRun", message))
}

fn unsupported(field: &str, value: &str, allowed: &[&str]) -> Cause {
    let allowed: Vec<String> = allowed.iter().map(|one| format!("{one:?}")).collect();
    let message = format!(
        "Unsupported value: {value:?}: supported values: {}",
        allowed.join(", ")
    );
    Cause::new("FieldValueNotSupported", field, message)
}

fn manager_fault(value: &str) -> Option<Cause> {
    let (place, letter) = value
        .chars()
        .enumerate()
        .find(|(_, letter)| letter.is_control())?;
    let message = format!(
        "Invalid value: {value:?}: invalid character U+{:04X} (at position {place})",
        u32::from(letter)
    );
    Some(Cause::new("FieldValueInvalid", "fieldManager", message))
}

impl Query {
    /// Whether a list must be of exactly the version asked for.
    pub(crate) fn exact(&self) -> bool {
        self.matching == "Exact"
    }

    /// Refuses a write whose parameters make no sense; `apply` says of a patch whether it is one.
    pub(crate) fn writes(&self, kind: &str, apply: Option<bool>) -> Result<(), Failure> {
        let mut faults = self.faults.clone();
        match apply {
            Some(true) if self.manager.is_empty() => faults.push(Cause::new(
                "FieldValueRequired",
                "fieldManager",
                "Required value: is required for apply patch".to_owned(),
            )),
            Some(false) if self.force.is_some() => faults.push(Cause::new(
                "FieldValueForbidden",
                "force",
                "Forbidden: may not be specified for non-apply patch".to_owned(),
            )),
            _ => {}
        }
        if faults.is_empty() {
            Ok(())
        } else {
            Err(Failure::options(kind, &faults))
        }
    }

    /// Refuses a list or a watch whose parameters make no sense.
    pub(crate) fn lists(&self) -> Result<(), Failure> {
        let mut faults = Vec::new();
        let mut forbidden = |field: &str, why: &str| {
            faults.push(Cause::new(
                "FieldValueForbidden",
                field,
                format!("Forbidden: {why}"),
            ));
        };
        let matching = self.matching.as_str();
        if let Some(initial) = self.initial_events {
            if !self.watch {
                forbidden(
                    "sendInitialEvents",
                    "sendInitialEvents is forbidden for list",
                );
            } else if matching != "NotOlderThan" {
                let why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
                forbidden("resourceVersionMatch", why);
                if !matching.is_empty() {
                    faults.push(unsupported(
                        "resourceVersionMatch",
                        matching,
                        &["NotOlderThan"],
                    ));
                }
            } else if initial && !self.bookmarks {
                faults.clear();
            }
        } else if !matching.is_empty() {
            if self.watch {
                let why = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
                forbidden("resourceVersionMatch", why);
            } else if !["Exact", "NotOlderThan"].contains(&matching) {
                let allowed = ["Exact", "NotOlderThan", ""];
                faults.push(unsupported("resourceVersionMatch", matching, &allowed));
            } else if self.version.is_none() && !self.zero {
                let why = "resourceVersionMatch is forbidden unless resourceVersion is provided";
                forbidden("resourceVersionMatch", why);
            } else if self.exact() && self.zero {
                let why = "resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\"";
                forbidden("resourceVersionMatch", why);
            }
        }
        if faults.is_empty() {
            return Ok(());
        }
        Err(Failure::options("ListOptions", &faults))
    }
}

/// A resource version; empty and `0` ask for nothing in particular.
fn version(value: &str) -> Result<Option<u64>, Failure> {
    if value.is_empty() {
        return Ok(None);
    }
    value.parse().map(Some).map_err(|_| {
        Failure::bad_request(format!(
            "invalid resource version: resourceVersion: Invalid value: {value:?}: \
             strconv.ParseUint: parsing {value:?}: invalid syntax"
        ))
    })
}

fn number<T: std::str::FromStr>(value: &str) -> Result<Option<T>, Failure> {
    if value.is_empty() {
        return Ok(None);
    }
    value.parse().map(Some).map_err(|_| {
        Failure::bad_request(format!(
            "strconv.ParseInt: parsing {value:?}: invalid syntax"
        ))
    })
}

fn flag(value: &str) -> bool {
    !matches!(value, "false" | "0")
}

/// The form of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// The objects themselves.
    Whole,
    /// A table of printer columns.
    Table,
    /// Metadata only.
    Metadata,
}

/// The first form that an `Accept` header names and we can serve.
pub(crate) fn form(accept: &str) -> Result<Form, Failure> {
    if accept.trim().is_empty() {
        return Ok(Form::Whole);
    }
    accept
        .split(',')
        .find_map(one_form)
        .ok_or_else(Failure::not_acceptable)
}

fn one_form(entry: &str) -> Option<Form> {
    let mut parts = entry.split(';').map(str::trim);
    let json = matches!(parts.next()?, "application/json" | "*/*" | "application/*");
    let parameter = |wanted: &str| {
        entry
            .split(';')
            .filter_map(|p| p.trim().split_once('='))
            .find(|(k, _)| *k == wanted)
    };
    let is_v1 = parameter("v").is_none_or(|(_, v)| v == "v1");
    match parameter("as").map(|(_, form)| form) {
        _ if !json => None,
        None => Some(Form::Whole),
        Some("Table") if is_v1 => Some(Form::Table),
        Some("PartialObjectMetadata" | "PartialObjectMetadataList") if is_v1 => {
            Some(Form::Metadata)
        }
        Some(_) => None,
    }
}
