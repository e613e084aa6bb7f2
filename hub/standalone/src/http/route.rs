//! From a target and a method to an operation.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::{Body as _, Bytes, Incoming};
use hyper::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use hyper::{Method, Request, Response};
use serde_json::{Value, json};

use super::answer::{self, Body};
use super::{Service, delete, read, watch};
use crate::admit;
use crate::discovery;
use crate::engine::{Ask, Change, Done};
use crate::failure::Failure;
use crate::lifecycle::Part;
use crate::openapi;
use crate::patch;
use crate::path::{Place, Target};
use crate::protobuf;
use crate::query::{self, Form, Query};
use crate::resource::{ACCESS_GROUP, Family, Resource};
use crate::store::Key;
use crate::table::Include;
use crate::warning::Warnings;

/// The largest body, as kube-apiserver has it.
const LARGEST: usize = 3 << 20;
/// How long a body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(30);
/// Bytes of a manager's name.
const LONGEST_MANAGER: usize = 128;

type Answer = Result<Response<Body>, Failure>;

/// What is told to everybody.
pub(super) fn open(service: &Service, target: &Target) -> Answer {
    match target {
        Target::Version => Ok(answer::json(200, &discovery::version())),
        _ if service.ending.is_cancelled() => Err(Failure::unavailable("the server is ending")),
        _ => Ok(answer::text("ok")),
    }
}

/// What is told to those with a token.
pub(super) async fn answer(
    service: &Arc<Service>,
    target: Target,
    request: Request<Incoming>,
) -> Answer {
    let registry = &service.engine.registry;
    let document = match &target {
        Target::Version | Target::Health => return open(service, &target),
        Target::Core => Some(discovery::core()),
        Target::Groups => Some(discovery::groups(registry)),
        Target::Group(group) => discovery::group(registry, group),
        Target::Version1 { group, version } => discovery::resources(registry, group, version),
        Target::OpenApiV2 => None,
        Target::OpenApiIndex => Some(openapi::index(registry, &service.digest)),
        Target::OpenApi { group, version } => openapi::document(registry, group, version),
        Target::Collection(place) if is_access_review(place) => {
            return access_review(request).await;
        }
        Target::Collection(place) => {
            let resource = find(service, place)?;
            return collection(service, resource, place.namespace.as_deref(), request).await;
        }
        Target::Object { place, name, sub } => {
            let resource = find(service, place)?;
            return object(service, resource, place, name, sub.as_deref(), request).await;
        }
    };
    match document {
        Some(document) if request.method() == Method::GET => Ok(answer::json(200, &document)),
        Some(_) => Err(Failure::method_not_allowed()),
        None => Err(Failure::no_route()),
    }
}

fn find(service: &Service, place: &Place) -> Result<Arc<Resource>, Failure> {
    let registry = &service.engine.registry;
    let found = registry
        .find(&place.group, &place.version, &place.plural)
        .cloned();
    found.ok_or_else(Failure::no_route)
}

fn is_access_review(place: &Place) -> bool {
    place.group == ACCESS_GROUP
        && place.version == "v1"
        && place.plural == "selfsubjectaccessreviews"
}

/// Whoever has the token may do everything.
async fn access_review(request: Request<Incoming>) -> Answer {
    if request.method() != Method::POST {
        return Err(Failure::method_not_allowed());
    }
    let mut review = sent(request).await?.object;
    let root = crate::object::root_mut(&mut review);
    root.insert("status".to_owned(), json!({ "allowed": true }));
    Ok(answer::json(201, &review))
}

async fn collection(
    service: &Arc<Service>,
    resource: Arc<Resource>,
    namespace: Option<&str>,
    request: Request<Incoming>,
) -> Answer {
    let query = query::parse(request.uri().query().unwrap_or_default())?;
    let form = form(&request)?;
    if !resource.namespaced && namespace.is_some() {
        return Err(Failure::no_route());
    }
    // Objects are written in their namespace, also by a deletion of them all.
    let nowhere = resource.namespaced && namespace.is_none() || is_namespaces(&resource);
    let reads = *request.method() == Method::GET;
    let creates = *request.method() == Method::POST;
    if nowhere && !reads && !(creates && is_namespaces(&resource)) {
        return Err(if resource.family == Family::Custom {
            Failure::no_route()
        } else {
            Failure::method_not_allowed()
        });
    }
    match *request.method() {
        Method::GET if query.watch => watch::start(service, resource, namespace, query, form),
        Method::GET => read::list(&service.engine, &resource, namespace, &query, form),
        Method::POST => create(service, &resource, namespace, &query, form, request).await,
        Method::DELETE => {
            let body = deletion(request).await?;
            delete::collection(&service.engine, &resource, namespace, &query, &body).await
        }
        Method::PUT | Method::PATCH if resource.family == Family::Custom => {
            Err(Failure::bad_request("name must be provided"))
        }
        _ => Err(Failure::no_verb(&resource, "")),
    }
}

fn is_namespaces(resource: &Resource) -> bool {
    resource.family == Family::Namespace
}

async fn create(
    service: &Service,
    resource: &Resource,
    namespace: Option<&str>,
    query: &Query,
    form: Form,
    request: Request<Incoming>,
) -> Answer {
    query.writes("CreateOptions", None)?;
    let ask = ask(query, &request);
    let parsed = sent(request).await?;
    let mut told = Warnings::default();
    let done = service
        .engine
        .create(resource, namespace, parsed, &ask, &mut told)
        .await;
    Ok(written(resource, done, form, &told))
}

async fn object(
    service: &Arc<Service>,
    resource: Arc<Resource>,
    place: &Place,
    name: &str,
    sub: Option<&str>,
    request: Request<Incoming>,
) -> Answer {
    if resource.namespaced != place.namespace.is_some() {
        return Err(Failure::no_route());
    }
    let part = match sub {
        None => Part::Main,
        Some("status") if resource.has_status => Part::Status,
        // A subresource that the kind does not have is an object that is not there.
        Some(_) => return Err(Failure::not_found(&resource, name)),
    };
    let query = query::parse(request.uri().query().unwrap_or_default())?;
    let form = form(&request)?;
    let namespace = place.namespace.as_deref().unwrap_or_default();
    let key = Key::new(resource.storage.clone(), namespace, name);
    let ask = ask(&query, &request);
    let mut told = Warnings::default();
    let change = match *request.method() {
        Method::GET => {
            let object = service.engine.get(&resource, &key)?;
            read::must_include(&query.include, form)?;
            return Ok(answer::json(
                200,
                &read::shown(&resource, object, form, query.include),
            ));
        }
        Method::DELETE if part == Part::Main => {
            let body = deletion(request).await?;
            return delete::one(&service.engine, &resource, &key, &query, &body).await;
        }
        Method::DELETE => return Err(Failure::not_supported(&resource, "delete")),
        // Under a name an object of a custom kind is created as in the collection; what counts is the name in it.
        Method::POST if part == Part::Main && resource.family == Family::Custom => {
            let namespace = place.namespace.as_deref();
            return create(service, &resource, namespace, &query, form, request).await;
        }
        Method::POST => return Err(Failure::no_verb(&resource, "create")),
        Method::PUT => {
            query.writes("UpdateOptions", None)?;
            Change::Replace(sent(request).await?)
        }
        Method::PATCH => {
            let kind = patch::kind(content_type(&request), &resource)?;
            query.writes("PatchOptions", Some(kind == patch::Kind::Apply))?;
            let bytes = body(request).await?;
            if kind == patch::Kind::Apply {
                let applied = patch::applied(&bytes, query.validation, &mut told)?;
                let done = service
                    .engine
                    .apply(&resource, &key, &applied, part, &ask, &mut told)
                    .await;
                return Ok(written(&resource, done, form, &told));
            }
            Change::Patch(kind, bytes)
        }
        _ => return Err(Failure::no_verb(&resource, "")),
    };
    let done = service
        .engine
        .change(&resource, &key, &change, part, &ask, &mut told)
        .await;
    Ok(written(&resource, done, form, &told))
}

/// What became of a write, and what was noticed on the way.
fn written(
    resource: &Resource,
    done: Result<Done, Failure>,
    form: Form,
    told: &Warnings,
) -> Response<Body> {
    let response = match done {
        Ok(done) => {
            let code = if done.created { 201 } else { 200 };
            let shown = read::shown(resource, done.object, form, Include::Metadata);
            answer::json(code, &shown)
        }
        Err(failure) => answer::failure(&failure),
    };
    answer::warn(response, told)
}

fn ask(query: &Query, request: &Request<Incoming>) -> Ask {
    let agent = request.headers().get(USER_AGENT);
    let agent = agent
        .and_then(|header| header.to_str().ok())
        .unwrap_or_default();
    Ask {
        dry_run: query.dry_run,
        validation: query.validation,
        manager: manager(&query.manager, agent),
        force: query.force == Some(true),
    }
}

/// Who writes: whom the request names, else the program in its `User-Agent`, else nobody known.
fn manager(named: &str, agent: &str) -> String {
    if !named.is_empty() {
        return named.to_owned();
    }
    let program = agent.split('/').next().unwrap_or_default();
    let mut name = String::new();
    for letter in program.chars().filter(|letter| !letter.is_control()) {
        if name.len() + letter.len_utf8() > LONGEST_MANAGER {
            break;
        }
        name.push(letter);
    }
    if name.is_empty() {
        "unknown".to_owned()
    } else {
        name
    }
}

fn form(request: &Request<Incoming>) -> Result<Form, Failure> {
    let accept = request
        .headers()
        .get(ACCEPT)
        .and_then(|h| h.to_str().ok())
        .unwrap_or_default();
    query::form(accept)
}

fn content_type(request: &Request<Incoming>) -> &str {
    request
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|h| h.to_str().ok())
        .unwrap_or_default()
}

/// The object in a body, JSON or protobuf.
async fn sent(request: Request<Incoming>) -> Result<admit::Parsed, Failure> {
    let media = content_type(&request)
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned();
    let bytes = body(request).await?;
    match media.as_str() {
        "" | "application/json" => admit::parse(&bytes),
        protobuf::MEDIA => protobuf::decode(&bytes).map(admit::Parsed::whole),
        _ => Err(Failure::unsupported_media_type(&format!(
            "the body of the request was in an unknown format - accepted media types include: \
             application/json, application/yaml, {}",
            protobuf::MEDIA
        ))),
    }
}

/// The options in the body of a deletion, null where there are none.
async fn deletion(request: Request<Incoming>) -> Result<Value, Failure> {
    if request.body().is_end_stream() {
        return Ok(Value::Null);
    }
    let is_protobuf = content_type(&request).starts_with(protobuf::MEDIA);
    let bytes = body(request).await?;
    match bytes.as_ref() {
        [] => Ok(Value::Null),
        bytes if is_protobuf => protobuf::decode(bytes),
        bytes => admit::parse(bytes).map(|parsed| parsed.object),
    }
}

async fn body(request: Request<Incoming>) -> Result<Bytes, Failure> {
    let limited = Limited::new(request.into_body(), LARGEST).collect();
    match tokio::time::timeout(ARRIVAL, limited).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Failure::too_large(LARGEST)),
        Ok(Err(error)) => Err(Failure::bad_request(format!(
            "cannot read the body: {error}"
        ))),
        Err(_) => Err(Failure::bad_request("the body did not arrive in time")),
    }
}
