//! Decodes the protobuf bodies that kubectl sends for built-in kinds (`create namespace`,
//! `create secret`, `auth can-i`), into the JSON form of the same object. Pure.
//!
//! Design note: clients that send protobuf accept JSON in return, so nothing is ever encoded. The
//! tables below hold the field numbers of Kubernetes' published `generated.proto` files; a field
//! that they do not name is skipped, as protobuf wants it.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::failure::Failure;

#[cfg(test)]
mod tests;

/// The content type.
pub(crate) const MEDIA: &str = "application/vnd.kubernetes.protobuf";
/// What each body begins with.
const MAGIC: &[u8] = b"k8s\0";

type Fields = &'static [(u64, &'static str, Kind)];

#[derive(Clone, Copy)]
enum Kind {
    Text,
    Int,
    Flag,
    Time,
    Texts,
    TextMap,
    BytesMap,
    One(Fields),
    Many(Fields),
}

use Kind::{BytesMap, Flag, Int, Many, One, Text, TextMap, Texts, Time};

const OWNER: Fields = &[
    (1, "kind", Text),
    (3, "name", Text),
    (4, "uid", Text),
    (5, "apiVersion", Text),
    (6, "controller", Flag),
    (7, "blockOwnerDeletion", Flag),
];
const METADATA: Fields = &[
    (1, "name", Text),
    (2, "generateName", Text),
    (3, "namespace", Text),
    (5, "uid", Text),
    (6, "resourceVersion", Text),
    (7, "generation", Int),
    (8, "creationTimestamp", Time),
    (9, "deletionTimestamp", Time),
    (10, "deletionGracePeriodSeconds", Int),
    (11, "labels", TextMap),
    (12, "annotations", TextMap),
    (13, "ownerReferences", Many(OWNER)),
    (14, "finalizers", Texts),
];
const NAMESPACE: Fields = &[
    (1, "metadata", One(METADATA)),
    (2, "spec", One(&[(1, "finalizers", Texts)])),
    (3, "status", One(&[(1, "phase", Text)])),
];
const SECRET: Fields = &[
    (1, "metadata", One(METADATA)),
    (2, "data", BytesMap),
    (3, "type", Text),
    (4, "stringData", TextMap),
    (5, "immutable", Flag),
];
const CONFIG_MAP: Fields = &[
    (1, "metadata", One(METADATA)),
    (2, "data", TextMap),
    (3, "binaryData", BytesMap),
    (4, "immutable", Flag),
];
const LEASE: Fields = &[
    (1, "metadata", One(METADATA)),
    (
        2,
        "spec",
        One(&[
            (1, "holderIdentity", Text),
            (2, "leaseDurationSeconds", Int),
            (3, "acquireTime", Time),
            (4, "renewTime", Time),
            (5, "leaseTransitions", Int),
            (6, "strategy", Text),
            (7, "preferredHolder", Text),
        ]),
    ),
];
const REFERENCE: Fields = &[
    (1, "kind", Text),
    (2, "namespace", Text),
    (3, "name", Text),
    (4, "uid", Text),
    (5, "apiVersion", Text),
    (6, "resourceVersion", Text),
    (7, "fieldPath", Text),
];
const SOURCE: Fields = &[(1, "component", Text), (2, "host", Text)];
const SERIES: Fields = &[(1, "count", Int), (2, "lastObservedTime", Time)];
const CORE_EVENT: Fields = &[
    (1, "metadata", One(METADATA)),
    (2, "involvedObject", One(REFERENCE)),
    (3, "reason", Text),
    (4, "message", Text),
    (5, "source", One(SOURCE)),
    (6, "firstTimestamp", Time),
    (7, "lastTimestamp", Time),
    (8, "count", Int),
    (9, "type", Text),
    (10, "eventTime", Time),
    (11, "series", One(SERIES)),
    (12, "action", Text),
    (13, "related", One(REFERENCE)),
    (14, "reportingComponent", Text),
    (15, "reportingInstance", Text),
];
const EVENT: Fields = &[
    (1, "metadata", One(METADATA)),
    (2, "eventTime", Time),
    (3, "series", One(SERIES)),
    (4, "reportingController", Text),
    (5, "reportingInstance", Text),
    (6, "action", Text),
    (7, "reason", Text),
    (8, "regarding", One(REFERENCE)),
    (9, "related", One(REFERENCE)),
    (10, "note", Text),
    (11, "type", Text),
    (12, "deprecatedSource", One(SOURCE)),
    (13, "deprecatedFirstTimestamp", Time),
    (14, "deprecatedLastTimestamp", Time),
    (15, "deprecatedCount", Int),
];
const DELETE_OPTIONS: Fields = &[
    (1, "gracePeriodSeconds", Int),
    (
        2,
        "preconditions",
        One(&[(1, "uid", Text), (2, "resourceVersion", Text)]),
    ),
    (3, "orphanDependents", Flag),
    (4, "propagationPolicy", Text),
    (5, "dryRun", Texts),
];
const ACCESS_REVIEW: Fields = &[
    (1, "metadata", One(METADATA)),
    (
        2,
        "spec",
        One(&[
            (
                1,
                "resourceAttributes",
                One(&[
                    (1, "namespace", Text),
                    (2, "verb", Text),
                    (3, "group", Text),
                    (4, "version", Text),
                    (5, "resource", Text),
                    (6, "subresource", Text),
                    (7, "name", Text),
                ]),
            ),
            (
                2,
                "nonResourceAttributes",
                One(&[(1, "path", Text), (2, "verb", Text)]),
            ),
        ]),
    ),
];

/// The JSON form of a body.
pub(crate) fn decode(body: &[u8]) -> Result<Value, Failure> {
    let wrong = || Failure::bad_request("the object provided is unrecognized: not protobuf");
    let rest = body.strip_prefix(MAGIC).ok_or_else(wrong)?;
    let (mut api_version, mut kind, mut raw) = (String::new(), String::new(), &[][..]);
    for field in Wire(rest) {
        match field.ok_or_else(wrong)? {
            (1, Part::Bytes(meta)) => {
                for field in Wire(meta) {
                    match field.ok_or_else(wrong)? {
                        (1, Part::Bytes(text)) => api_version = words(text),
                        (2, Part::Bytes(text)) => kind = words(text),
                        _ => {}
                    }
                }
            }
            (2, Part::Bytes(bytes)) => raw = bytes,
            _ => {}
        }
    }
    let fields = match (api_version.as_str(), kind.as_str()) {
        ("v1", "Namespace") => NAMESPACE,
        ("v1", "Secret") => SECRET,
        ("v1", "ConfigMap") => CONFIG_MAP,
        ("v1", "Event") => CORE_EVENT,
        ("events.k8s.io/v1", "Event") => EVENT,
        ("coordination.k8s.io/v1", "Lease") => LEASE,
        ("authorization.k8s.io/v1", "SelfSubjectAccessReview") => ACCESS_REVIEW,
        (_, "DeleteOptions") => DELETE_OPTIONS,
        _ => {
            return Err(Failure::unsupported_media_type(&format!(
                "{MEDIA} is not understood for {kind}; send application/json"
            )));
        }
    };
    let mut object = message(fields, raw).ok_or_else(wrong)?;
    object.insert("apiVersion".to_owned(), json!(api_version));
    object.insert("kind".to_owned(), json!(kind));
    Ok(Value::Object(object))
}

fn message(fields: Fields, bytes: &[u8]) -> Option<Map<String, Value>> {
    let mut object = Map::new();
    for field in Wire(bytes) {
        let (number, part) = field?;
        let Some((_, name, kind)) = fields.iter().find(|(n, _, _)| *n == number) else {
            continue;
        };
        match (kind, part) {
            // An absent text or time is sent as an empty one.
            (Text | Time, Part::Bytes([])) => {}
            (Text, Part::Bytes(text)) => set(&mut object, name, json!(words(text))),
            (Int, Part::Number(number)) => set(&mut object, name, json!(number.cast_signed())),
            (Flag, Part::Number(number)) => set(&mut object, name, json!(number != 0)),
            (Time, Part::Bytes(bytes)) => set(&mut object, name, json!(time(bytes)?)),
            (Texts, Part::Bytes(text)) => push(&mut object, name, json!(words(text))),
            (TextMap | BytesMap, Part::Bytes(bytes)) => {
                let (key, value) = entry(bytes)?;
                let value = match kind {
                    BytesMap => BASE64_STANDARD.encode(value),
                    _ => words(value),
                };
                crate::object::child_mut(&mut object, name).insert(key, json!(value));
            }
            (One(fields), Part::Bytes(bytes)) => {
                let inner = message(fields, bytes)?;
                if !inner.is_empty() {
                    set(&mut object, name, Value::Object(inner));
                }
            }
            (Many(fields), Part::Bytes(bytes)) => {
                let inner = message(fields, bytes)?;
                push(&mut object, name, Value::Object(inner));
            }
            _ => return None,
        }
    }
    Some(object)
}

fn set(object: &mut Map<String, Value>, name: &str, value: Value) {
    object.insert(name.to_owned(), value);
}

fn push(object: &mut Map<String, Value>, name: &str, value: Value) {
    let list = object.entry(name).or_insert_with(|| json!([]));
    if let Some(list) = list.as_array_mut() {
        list.push(value);
    }
}

fn words(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn time(bytes: &[u8]) -> Option<String> {
    let (mut seconds, mut nanos) = (0, 0);
    for field in Wire(bytes) {
        match field? {
            (1, Part::Number(number)) => seconds = number.cast_signed(),
            (2, Part::Number(number)) => nanos = i32::try_from(number).ok()?,
            _ => {}
        }
    }
    Timestamp::new(seconds, nanos)
        .ok()
        .map(|time| time.to_string())
}

fn entry(bytes: &[u8]) -> Option<(String, &[u8])> {
    let (mut key, mut value) = (String::new(), &[][..]);
    for field in Wire(bytes) {
        match field? {
            (1, Part::Bytes(text)) => key = words(text),
            (2, Part::Bytes(bytes)) => value = bytes,
            _ => {}
        }
    }
    Some((key, value))
}

enum Part<'a> {
    Number(u64),
    Bytes(&'a [u8]),
    Fixed,
}

/// The fields of a message; yields none for what is not one, and ends there.
struct Wire<'a>(&'a [u8]);

impl<'a> Iterator for Wire<'a> {
    type Item = Option<(u64, Part<'a>)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.0.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_none() {
            self.0 = &[];
        }
        Some(field)
    }
}

impl<'a> Wire<'a> {
    fn field(&mut self) -> Option<(u64, Part<'a>)> {
        let tag = self.varint()?;
        let part = match tag & 7 {
            0 => Part::Number(self.varint()?),
            1 => self.take(8).map(|_| Part::Fixed)?,
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                Part::Bytes(self.take(length)?)
            }
            5 => self.take(4).map(|_| Part::Fixed)?,
            _ => return None,
        };
        Some((tag >> 3, part))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.0.split_first()?;
            self.0 = rest;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }
}
