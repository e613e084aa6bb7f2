//! Who owns which field of an object: server-side apply, and the bookkeeping of every other write. Pure; the time is
//! handed in.
//!
//! An object's `metadata.managedFields` holds an entry a manager (name, way of writing, door, version) with the [`Set`] of
//! paths that it owns ([`managed`]). A write moves ownership ([`update`]): what it changed is its writer's alone, what it
//! removed is nobody's. An apply ([`apply`]) states everything that its manager wants: it shares what it states and
//! others have alike, conflicts where they have something else, and removes what it stated before and no longer does
//! where nobody else owns it. What counts as one field is said by the schema ([`shape`]): scalars, atomic lists and
//! maps are one; keyed lists, sets and maps are owned item by item.

mod apply;
mod managed;
mod set;
mod shape;
#[cfg(test)]
mod tests;
mod walk;

pub(crate) use apply::{Conflict, Refusal, apply, update};
pub(crate) use managed::{Writer, encode, same_but_for_times, sent_or_held};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::JSONSchemaProps;

use crate::builtin;
use crate::lifecycle::Part;
use set::{Element, Set};

/// `schema`, that of a whole object, with what Kubernetes knows of the metadata.
pub(crate) fn schema_of(schema: &JSONSchemaProps) -> JSONSchemaProps {
    let mut whole = schema.clone();
    let properties = whole.properties.get_or_insert_default();
    let text = JSONSchemaProps {
        type_: Some("string".to_owned()),
        ..JSONSchemaProps::default()
    };
    properties.insert("apiVersion".to_owned(), text.clone());
    properties.insert("kind".to_owned(), text);
    properties.insert("metadata".to_owned(), builtin::metadata_schema());
    whole.type_ = Some("object".to_owned());
    whole
}

/// Fields that a door does not write, whoever sends them.
pub(crate) fn ignored(part: Part, has_status: bool) -> Set {
    let top = |names: &[&str]| {
        let mut set = Set::default();
        for name in names {
            set.insert(&[Element::field(name)]);
        }
        set
    };
    match part {
        Part::Main if has_status => top(&["status"]),
        Part::Main => Set::default(),
        Part::Status => top(&["metadata", "spec"]),
    }
}
