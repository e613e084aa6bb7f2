//! Reads the query of a request and the form that its `Accept` header asks for. Pure.

use crate::failure::Failure;
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
    /// `resourceVersion`; none where it is absent or empty.
    pub(crate) version: Option<u64>,
    /// Whether a list must be of exactly that version.
    pub(crate) exact: bool,
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
        set(&mut query, &key, &value)?;
    }
    Ok(query)
}

fn set(query: &mut Query, key: &str, value: &str) -> Result<(), Failure> {
    match key {
        "labelSelector" => query.labels = value.to_owned(),
        "fieldSelector" => query.fields = value.to_owned(),
        "limit" => query.limit = number(key, value)?.filter(|n| *n > 0),
        "continue" => query.token = value.to_owned(),
        "resourceVersion" => query.version = version(value)?,
        "resourceVersionMatch" => query.exact = value == "Exact",
        "watch" => query.watch = flag(value),
        "allowWatchBookmarks" => query.bookmarks = flag(value),
        "sendInitialEvents" => query.initial_events = Some(flag(value)),
        "timeoutSeconds" => query.timeout_seconds = number(key, value)?,
        "dryRun" => {
            query.dry_run = match value {
                "" => false,
                "All" => true,
                other => return Err(wrong(key, other)),
            }
        }
        "fieldValidation" => {
            query.validation = match value {
                "" | "Warn" => FieldValidation::Warn,
                "Strict" => FieldValidation::Strict,
                "Ignore" => FieldValidation::Ignore,
                other => return Err(wrong(key, other)),
            }
        }
        "fieldManager" => query.manager = value.to_owned(),
        "force" => query.force = Some(flag(value)),
        "propagationPolicy" => query.propagation = Some(propagation(value)?),
        "includeObject" => {
            query.include = match value {
                "None" => Include::None,
                "Object" => Include::Object,
                _ => Include::Metadata,
            }
        }
        _ => {}
    }
    Ok(())
}

/// The propagation policy of a name.
pub(crate) fn propagation(value: &str) -> Result<Propagation, Failure> {
    match value {
        "Background" => Ok(Propagation::Background),
        "Foreground" => Ok(Propagation::Foreground),
        "Orphan" => Ok(Propagation::Orphan),
        other => Err(wrong("propagationPolicy", other)),
    }
}

/// A resource version; empty and `0` ask for nothing in particular.
fn version(value: &str) -> Result<Option<u64>, Failure> {
    if value.is_empty() {
        return Ok(None);
    }
    value.parse().map(Some).map_err(|_| {
        Failure::bad_request(format!(
            "resourceVersion: Invalid value: \"{value}\": not a version"
        ))
    })
}

fn number<T: std::str::FromStr>(key: &str, value: &str) -> Result<Option<T>, Failure> {
    if value.is_empty() {
        return Ok(None);
    }
    value.parse().map(Some).map_err(|_| wrong(key, value))
}

fn flag(value: &str) -> bool {
    !matches!(value, "false" | "0")
}

fn wrong(key: &str, value: &str) -> Failure {
    Failure::bad_request(format!("{key}: Invalid value: \"{value}\""))
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
