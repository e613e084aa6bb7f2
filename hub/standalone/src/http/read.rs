//! Get and list: selects, pages, and renders in the form that was asked for.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use hyper::Response;
use hyper::body::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::answer::{self, Body};
use crate::engine::Engine;
use crate::failure::Failure;
use crate::query::{Form, Query};
use crate::resource::{Family, Resource};
use crate::selector::{Fields, Labels};
use crate::store::{Handle, Key, Page, Row};
use crate::table::{self, Include};
use crate::view;

/// Which objects of a resource a request means.
#[derive(Debug)]
pub(super) struct Filter {
    labels: Labels,
    fields: Fields,
}

impl Filter {
    /// Reads the selectors of a query.
    pub(super) fn parse(query: &Query, resource: &Resource) -> Result<Self, Failure> {
        Ok(Self {
            labels: Labels::parse(&query.labels)?,
            fields: Fields::parse(&query.fields, resource)?,
        })
    }

    /// Whether all objects are meant.
    pub(super) fn is_open(&self) -> bool {
        self.labels.is_empty() && self.fields.is_empty()
    }

    /// Whether the row is meant. The text is parsed only where its key does not decide.
    pub(super) fn takes(&self, resource: &Resource, row: &Row) -> bool {
        if self.is_open() {
            return true;
        }
        if self.fields.name().is_some_and(|name| name != row.key.name)
            || self
                .fields
                .namespace()
                .is_some_and(|namespace| namespace != row.key.namespace)
        {
            return false;
        }
        let object = view::outward(resource, row.object());
        self.labels.matches(&object) && self.fields.matches(&object)
    }
}

/// Where a list goes on, in the form of Kubernetes.
#[derive(Debug, Serialize, Deserialize)]
struct Token {
    #[serde(rename = "v", default)]
    form: String,
    /// The version of which all pages are; any below zero is the newest.
    #[serde(rename = "rv", default)]
    version: i64,
    /// Name of the first object, behind its namespace where the list is of all.
    #[serde(default)]
    start: String,
}

/// The form of tokens.
const FORM: &str = "meta.k8s.io/v1";

impl Token {
    fn parse(text: &str) -> Result<Self, Failure> {
        let refused = |why: &str| {
            Failure::bad_request(format!(
                "invalid continue token: continue key is not valid{why}"
            ))
        };
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(text).ok();
        let token: Self = bytes
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .ok_or_else(|| refused(""))?;
        let Self {
            form,
            version,
            start,
        } = &token;
        if form != FORM {
            return Err(refused(&format!(
                ": server does not recognize this encoded version {form}"
            )));
        }
        if *version == 0 {
            return Err(refused(
                ": incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
            ));
        }
        if start.is_empty() {
            return Err(refused(
                ": encoded start key empty (version meta.k8s.io/v1)",
            ));
        }
        let inner = start.strip_prefix('/').unwrap_or(start);
        if inner.split('/').any(|part| ["", ".", ".."].contains(&part)) {
            return Err(refused(&format!(": {start}")));
        }
        Ok(token)
    }

    fn text(version: i64, start: String) -> String {
        let form = FORM.to_owned();
        let token = json!(Self {
            form,
            version,
            start
        });
        BASE64_URL_SAFE_NO_PAD.encode(token.to_string())
    }

    /// What goes on behind `row`.
    fn after(row: &Row, version: u64, namespace: Option<&str>) -> String {
        let Key {
            namespace: home,
            name,
            ..
        } = &row.key;
        let start = match namespace {
            None if !home.is_empty() => format!("{home}/{name}\0"),
            None | Some(_) => format!("{name}\0"),
        };
        Self::text(i64::try_from(version).unwrap_or(i64::MAX), start)
    }

    /// Whether the list that goes on here has `row`.
    fn takes(&self, row: &Row, namespace: Option<&str>) -> bool {
        let start = self.start.strip_prefix('/').unwrap_or(&self.start);
        let Key {
            namespace: home,
            name,
            ..
        } = &row.key;
        if namespace.is_some() || home.is_empty() {
            return name.as_str() >= start;
        }
        let place = home.bytes().chain([b'/']).chain(name.bytes());
        place.ge(start.bytes())
    }
}

/// Answers a list.
pub(super) fn list(
    engine: &Engine,
    resource: &Resource,
    namespace: Option<&str>,
    query: &Query,
    form: Form,
) -> Result<Response<Body>, Failure> {
    query.lists()?;
    must_include(&query.include, form)?;
    let filter = Filter::parse(query, resource)?;
    let Page { rows, version } = page(engine, resource, namespace, query)?;
    let start = match query.token.as_str() {
        "" => None,
        token => Some(Token::parse(token)?),
    };
    let mut rest = rows
        .iter()
        .filter(|row| start.as_ref().is_none_or(|t| t.takes(row, namespace)));
    let chosen: Vec<&Row> = rest
        .by_ref()
        .filter(|row| filter.takes(resource, row))
        .take(query.limit.unwrap_or(usize::MAX))
        .map(AsRef::as_ref)
        .collect();
    let mut metadata = json!({ "resourceVersion": version.to_string() });
    if resource.family == Family::Custom && form == Form::Whole {
        // Lists of custom kinds have the field in any case, those of built-in kinds do not.
        crate::object::root_mut(&mut metadata).insert("continue".to_owned(), json!(""));
    }
    // A page that is full goes on whether or not a selector takes anything of the rest.
    let remaining = rest.count();
    if let (true, Some(last), Some(map)) = (remaining > 0, chosen.last(), metadata.as_object_mut())
    {
        map.insert(
            "continue".to_owned(),
            json!(Token::after(last, version, namespace)),
        );
        if filter.is_open() {
            map.insert("remainingItemCount".to_owned(), json!(remaining));
        }
    }
    Ok(match form {
        Form::Whole if resource.family == Family::Custom => {
            answer::bytes(200, joined(resource, &chosen, &metadata))
        }
        _ => answer::json(
            200,
            &shown_list(resource, &chosen, metadata, form, query.include.clone()),
        ),
    })
}

fn page(
    engine: &Engine,
    resource: &Resource,
    namespace: Option<&str>,
    query: &Query,
) -> Result<Page, Failure> {
    let store = &engine.store;
    if !query.token.is_empty() {
        if query.version.is_some() {
            return Err(Failure::bad_request(
                "specifying resource version is not allowed when using continue",
            ));
        }
        let token = Token::parse(&query.token)?;
        let Ok(version) = u64::try_from(token.version) else {
            return Ok(store.list(&resource.storage, namespace));
        };
        reached(store, version)?;
        let page = store.list_at(&resource.storage, namespace, version);
        return page.map_err(|_| Failure::continue_expired(Token::text(-1, token.start)));
    }
    match query.version {
        Some(version) if query.exact() => {
            reached(store, version)?;
            store
                .list_at(&resource.storage, namespace, version)
                .map_err(|_| Failure::list_expired())
        }
        Some(version) => {
            reached(store, version)?;
            Ok(store.list(&resource.storage, namespace))
        }
        None => Ok(store.list(&resource.storage, namespace)),
    }
}

/// Refuses a version that is still to come.
fn reached(store: &Handle, version: u64) -> Result<(), Failure> {
    let newest = store.version();
    if version > newest {
        return Err(Failure::too_large_version(version, newest));
    }
    Ok(())
}

/// A list of stored texts, none of them parsed.
fn joined(resource: &Resource, rows: &[&Row], metadata: &Value) -> Bytes {
    let head = json!({ "kind": resource.list_kind, "apiVersion": resource.api_version(),
                       "metadata": metadata })
    .to_string();
    let size: usize = rows.iter().map(|row| row.length() + 1).sum();
    let mut text = Vec::with_capacity(head.len() + size + 16);
    text.extend_from_slice(head.strip_suffix('}').unwrap_or(&head).as_bytes());
    text.extend_from_slice(b",\"items\":[");
    for (index, row) in rows.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        text.extend_from_slice(&row.text());
    }
    text.extend_from_slice(b"]}");
    Bytes::from(text)
}

fn shown_list(
    resource: &Resource,
    rows: &[&Row],
    metadata: Value,
    form: Form,
    include: Include,
) -> Value {
    let objects = rows.iter().map(|row| view::outward(resource, row.object()));
    match form {
        Form::Whole => json!({ "kind": resource.list_kind, "apiVersion": resource.api_version(),
                               "metadata": metadata,
                               "items": objects.map(|o| nameless(resource, o)).collect::<Vec<_>>() }),
        Form::Metadata => {
            let items: Vec<Value> = objects
                .map(|object| table::only_metadata(&object))
                .collect();
            json!({ "kind": "PartialObjectMetadataList", "apiVersion": "meta.k8s.io/v1",
                    "metadata": metadata, "items": items })
        }
        Form::Table => table::render(
            resource,
            objects.collect(),
            metadata,
            include,
            Timestamp::now(),
        ),
    }
}

/// An item of a list: of a built-in kind it does not repeat what the list says.
pub(super) fn nameless(resource: &Resource, mut object: Value) -> Value {
    if resource.family != Family::Custom {
        let root = crate::object::root_mut(&mut object);
        root.remove("kind");
        root.remove("apiVersion");
    }
    object
}

/// Refuses a table whose rows are to carry something that they cannot.
pub(super) fn must_include(include: &Include, form: Form) -> Result<(), Failure> {
    match include {
        Include::Wrong(word) if form == Form::Table => Err(Failure::bad_request(format!(
            "Unable to convert to Table as requested: includeObject: Invalid value: {word:?}: must \
             be 'Metadata', 'Object', 'None', or empty"
        ))),
        _ => Ok(()),
    }
}

/// One object in the form that was asked for.
pub(super) fn shown(resource: &Resource, object: Value, form: Form, include: Include) -> Value {
    match form {
        Form::Whole => object,
        Form::Metadata => table::only_metadata(&object),
        Form::Table => {
            let version = crate::object::text(&object, "resourceVersion").to_owned();
            let metadata = json!({ "resourceVersion": version });
            table::render(resource, vec![object], metadata, include, Timestamp::now())
        }
    }
}
