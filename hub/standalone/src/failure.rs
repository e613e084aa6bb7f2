//! Refusals in the shape of Kubernetes: HTTP code, reason, message and details of a `Status`.
//!
//! The words follow those of kube-apiserver, because people search for them and tools match them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::fields;
use crate::resource::{Family, Resource};

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Failure {
    /// HTTP status code.
    pub(crate) code: u16,
    /// Machine-readable reason of the `Status`.
    pub(crate) reason: &'static str,
    /// For people.
    pub(crate) message: String,
    /// `details` of the `Status`, or null.
    pub(crate) details: Value,
    /// With which token a list goes on all the same; mostly empty.
    pub(crate) token: String,
}

/// One cause of an `Invalid` refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cause {
    /// `FieldValueRequired` and the like.
    pub(crate) reason: String,
    /// Without the field's name.
    pub(crate) message: String,
    /// Path of the field.
    pub(crate) field: String,
}

impl Cause {
    /// A field with a value that is not allowed.
    pub(crate) fn new(reason: &str, field: &str, message: String) -> Self {
        Self {
            reason: reason.to_owned(),
            message,
            field: field.to_owned(),
        }
    }
}

impl Failure {
    fn plain(code: u16, reason: &'static str, message: String) -> Self {
        Self {
            code,
            reason,
            message,
            details: Value::Null,
            token: String::new(),
        }
    }

    fn named(
        code: u16,
        reason: &'static str,
        resource: &Resource,
        name: &str,
        message: String,
    ) -> Self {
        let mut details = json!({ "name": name, "kind": resource.plural });
        if let (false, Some(map)) = (resource.group.is_empty(), details.as_object_mut()) {
            map.insert("group".to_owned(), Value::String(resource.group.clone()));
        }
        Self {
            code,
            reason,
            message,
            details,
            token: String::new(),
        }
    }

    /// No such path.
    pub(crate) fn no_route() -> Self {
        Self::plain(
            404,
            "NotFound",
            "the server could not find the requested resource".to_owned(),
        )
    }

    /// No such object.
    pub(crate) fn not_found(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", resource.qualified());
        Self::named(404, "NotFound", resource, name, message)
    }

    /// No such namespace, said of the namespace itself.
    pub(crate) fn namespace_missing(namespace: &str) -> Self {
        Self {
            code: 404,
            reason: "NotFound",
            message: format!("namespaces \"{namespace}\" not found"),
            details: json!({ "name": namespace, "kind": "namespaces" }),
            token: String::new(),
        }
    }

    /// The namespace is on its way out.
    pub(crate) fn namespace_terminating(resource: &Resource, name: &str, namespace: &str) -> Self {
        let cause = format!("namespace {namespace} is being terminated");
        let message = format!(
            "{} \"{name}\" is forbidden: unable to create new content in namespace {namespace} \
             because it is being terminated",
            resource.qualified()
        );
        let mut failure = Self::named(403, "Forbidden", resource, name, message);
        if let Some(map) = failure.details.as_object_mut() {
            let causes = json!([{ "reason": "NamespaceTerminating", "message": cause,
                                  "field": "metadata.namespace" }]);
            map.insert("causes".to_owned(), causes);
        }
        failure
    }

    /// An object of the name exists.
    pub(crate) fn already_exists(resource: &Resource, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", resource.qualified());
        Self::named(409, "AlreadyExists", resource, name, message)
    }

    /// Somebody else was faster.
    pub(crate) fn conflict(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": {why}",
            resource.qualified()
        );
        Self::named(409, "Conflict", resource, name, message)
    }

    /// Others own fields that an apply states otherwise.
    pub(crate) fn apply_conflict(conflicts: &[fields::Conflict]) -> Self {
        let causes: Vec<Value> = conflicts
            .iter()
            .map(|one| {
                json!({ "reason": "FieldManagerConflict", "field": one.path,
                        "message": format!("conflict with {}", one.manager) })
            })
            .collect();
        let text = match conflicts {
            [one] => format!("conflict: conflict with {}: {}", one.manager, one.path),
            many => {
                let mut managers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
                for one in many {
                    managers.entry(&one.manager).or_default().push(&one.path);
                }
                let parts: Vec<String> = managers
                    .iter()
                    .map(|(manager, paths)| {
                        let paths: Vec<String> =
                            paths.iter().map(|path| format!("\n- {path}")).collect();
                        format!("conflicts with {manager}:{}", paths.concat())
                    })
                    .collect();
                format!("conflicts: {}", parts.join("\n"))
            }
        };
        let message = format!("Apply failed with {} {text}", conflicts.len());
        let mut failure = Self::plain(409, "Conflict", message);
        failure.details = json!({ "causes": causes });
        failure
    }

    /// A deletion whose precondition does not hold; it names the kind, not the resource.
    pub(crate) fn deletion_conflict(resource: &Resource, name: &str, why: &str) -> Self {
        if resource.group.is_empty() {
            return Self::conflict(resource, name, why);
        }
        let message = format!(
            "Operation cannot be fulfilled on {}.{} \"{name}\": {why}",
            resource.kind, resource.group
        );
        let mut failure = Self::named(409, "Conflict", resource, name, message);
        if let Some(map) = failure.details.as_object_mut() {
            map.insert("kind".to_owned(), json!(resource.kind));
        }
        failure
    }

    /// The object changed since it was read.
    pub(crate) fn modified(resource: &Resource, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version \
                   and try again";
        Self::conflict(resource, name, why)
    }

    /// The object breaks rules of its kind.
    pub(crate) fn invalid(resource: &Resource, name: &str, causes: &[Cause]) -> Self {
        // A cause may stand twice, its words do not.
        let mut lines: Vec<String> = Vec::new();
        for cause in causes {
            let line = format!("{}: {}", cause.field, cause.message);
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        let text = match lines.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let kind = if resource.group.is_empty() {
            resource.kind.clone()
        } else {
            format!("{}.{}", resource.kind, resource.group)
        };
        let causes: Vec<Value> = causes
            .iter()
            .map(|c| json!({ "reason": c.reason, "message": c.message, "field": c.field }))
            .collect();
        let mut details = json!({ "kind": resource.kind, "causes": causes });
        if let Some(map) = details.as_object_mut() {
            for (key, value) in [("name", name), ("group", &resource.group)] {
                if !value.is_empty() {
                    map.insert(key.to_owned(), json!(value));
                }
            }
        }
        let message = format!("{kind} \"{name}\" is invalid: {text}");
        Self {
            code: 422,
            reason: "Invalid",
            message,
            details,
            token: String::new(),
        }
    }

    /// Parameters of the request make no sense; `kind` is that of its options.
    pub(crate) fn options(kind: &str, causes: &[Cause]) -> Self {
        let lines: Vec<String> = causes
            .iter()
            .map(|c| format!("{}: {}", c.field, c.message))
            .collect();
        let text = match lines.as_slice() {
            [one] => one.clone(),
            many => format!("[{}]", many.join(", ")),
        };
        let causes: Vec<Value> = causes
            .iter()
            .map(|c| json!({ "reason": c.reason, "message": c.message, "field": c.field }))
            .collect();
        let mut failure = Self::plain(
            422,
            "Invalid",
            format!("{kind}.meta.k8s.io \"\" is invalid: {text}"),
        );
        failure.details = json!({ "group": "meta.k8s.io", "kind": kind, "causes": causes });
        failure
    }

    /// An error without a class of its own, as kube-apiserver words those.
    pub(crate) fn unclassed(message: impl Into<String>) -> Self {
        Self::plain(500, "", message.into())
    }

    /// A version that the server has not reached.
    pub(crate) fn too_large_version(asked: u64, newest: u64) -> Self {
        let message = format!("Timeout: Too large resource version: {asked}, current: {newest}");
        let mut failure = Self::plain(504, "Timeout", message);
        let cause = json!({ "reason": "ResourceVersionTooLarge",
                            "message": "Too large resource version" });
        failure.details = json!({ "causes": [cause], "retryAfterSeconds": 1 });
        failure
    }

    /// The verb is not served for this kind.
    pub(crate) fn not_supported(resource: &Resource, verb: &str) -> Self {
        let message = format!(
            "{verb} is not supported on resources of kind \"{}\"",
            resource.qualified()
        );
        let mut failure = Self::plain(405, "MethodNotAllowed", message);
        let mut details = json!({ "kind": resource.plural });
        if let (false, Some(map)) = (resource.group.is_empty(), details.as_object_mut()) {
            map.insert("group".to_owned(), json!(resource.group));
        }
        failure.details = details;
        failure
    }

    /// A strict decoding error in what a patch makes of an object.
    pub(crate) fn of_patch(self) -> Self {
        if self.code != 400 || !self.message.contains("strict decoding error") {
            return self;
        }
        let why = self
            .message
            .split_once(": ")
            .map_or(self.message.as_str(), |(_, why)| why);
        let message = format!("Invalid value: {why}");
        let mut failure = Self::plain(
            422,
            "Invalid",
            format!(" \"\" is invalid: patch: {message}"),
        );
        let cause = json!({ "reason": "FieldValueInvalid", "message": message, "field": "patch" });
        failure.details = json!({ "causes": [cause] });
        failure
    }

    /// One field breaks a rule of its kind.
    pub(crate) fn invalid_field(
        resource: &Resource,
        name: &str,
        reason: &str,
        field: &str,
        message: &str,
    ) -> Self {
        Self::invalid(
            resource,
            name,
            &[Cause::new(reason, field, message.to_owned())],
        )
    }

    /// The request makes no sense.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::plain(400, "BadRequest", message.into())
    }

    /// The request is understood and refused.
    pub(crate) fn forbidden(resource: &Resource, name: &str, why: &str) -> Self {
        let message = format!("{} \"{name}\" is forbidden: {why}", resource.qualified());
        Self::named(403, "Forbidden", resource, name, message)
    }

    /// No or a wrong bearer token.
    pub(crate) fn unauthorized() -> Self {
        Self::plain(401, "Unauthorized", "Unauthorized".to_owned())
    }

    /// The version that a list is to be of is no longer held.
    pub(crate) fn list_expired() -> Self {
        let message = "The resourceVersion for the provided list is too old.";
        Self::plain(410, "Expired", message.to_owned())
    }

    /// The version after which a watch is to begin is no longer held.
    pub(crate) fn expired(asked: u64, oldest: u64) -> Self {
        Self::plain(
            410,
            "Expired",
            format!("too old resource version: {asked} ({oldest})"),
        )
    }

    /// The continue token points at a version that is no longer held; `token` goes on with what is there now.
    pub(crate) fn continue_expired(token: String) -> Self {
        let message = "The provided continue parameter is too old to display a consistent list \
                       result. You can start a new list without the continue parameter, or use the \
                       continue token in this response to retrieve the remainder of the results. \
                       Continuing with the provided token results in an inconsistent list - objects \
                       that were created, modified, or deleted between the time the first chunk was \
                       returned and now may show up in the list.";
        Self {
            token,
            ..Self::plain(410, "Expired", message.to_owned())
        }
    }

    /// The verb is not served on this path.
    pub(crate) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        let mut failure = Self::plain(405, "MethodNotAllowed", message.to_owned());
        failure.details = json!({});
        failure
    }

    /// The verb is not served on a path of this kind; `verb` is empty where Kubernetes has none for the method.
    pub(crate) fn no_verb(resource: &Resource, verb: &str) -> Self {
        if resource.family == Family::Custom {
            Self::not_supported(resource, verb)
        } else {
            Self::method_not_allowed()
        }
    }

    /// An object is sent to the path of `name` and has no name itself.
    pub(crate) fn nameless(name: &str) -> Self {
        Self::bad_request(format!(
            "the name of the object ({name} based on URL) was undeterminable: name must be provided"
        ))
    }

    /// The body's format is not understood.
    pub(crate) fn unsupported_media_type(message: &str) -> Self {
        Self::plain(415, "UnsupportedMediaType", message.to_owned())
    }

    /// No form that the client accepts can be served.
    pub(crate) fn not_acceptable() -> Self {
        let message = "only the following media types are accepted: application/json, \
                       application/yaml, application/vnd.kubernetes.protobuf";
        Self::plain(406, "NotAcceptable", message.to_owned())
    }

    /// The body is larger than any object may be.
    pub(crate) fn too_large(limit: usize) -> Self {
        let message = format!("Request entity too large: limit is {limit}");
        Self::plain(413, "RequestEntityTooLarge", message)
    }

    /// The disk has no room. The code of its own tells it from what a retry heals.
    pub(crate) fn full(free: u64) -> Self {
        Self::plain(
            507,
            "InsufficientStorage",
            format!(
                "the store is full: {free} bytes are free on its disk; make room there, then writes are taken again"
            ),
        )
    }

    /// The server cannot take this now.
    pub(crate) fn unavailable(why: &str) -> Self {
        Self::plain(503, "ServiceUnavailable", why.to_owned())
    }

    /// The server could not do what it should have done.
    pub(crate) fn internal(why: &str) -> Self {
        Self::plain(
            500,
            "InternalError",
            format!("Internal error occurred: {why}"),
        )
    }

    /// A patch that cannot be applied to the object as it is.
    pub(crate) fn unprocessable() -> Self {
        let message = "the server rejected our request due to an error in our request";
        let mut failure = Self::plain(422, "Invalid", message.to_owned());
        failure.details = json!({});
        failure
    }

    /// The `Status` object.
    pub(crate) fn body(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
            "code": self.code,
        });
        if let (false, Some(map)) = (self.reason.is_empty(), status.as_object_mut()) {
            map.insert("reason".to_owned(), json!(self.reason));
        }
        if !self.token.is_empty() {
            status["metadata"] = json!({ "continue": self.token });
        }
        if let (false, Some(map)) = (self.details.is_null(), status.as_object_mut()) {
            map.insert("details".to_owned(), self.details.clone());
        }
        status
    }
}
