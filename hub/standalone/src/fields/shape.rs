//! What a schema says about ownership below a value.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use serde_json::{Map, Value};

use super::set::Element;

/// How a value is owned.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape<'a> {
    /// As one: a scalar, an atomic list or map.
    Leaf,
    /// Field by field.
    Fields(Node<'a>),
    /// Item by item, by the values of these keys.
    Keyed(Node<'a>, &'a [String]),
    /// Item by item, by themselves.
    Items,
}

/// A schema, or none where anything may stand.
#[derive(Debug, Clone, Copy)]
pub(super) struct Node<'a>(pub(super) Option<&'a JSONSchemaProps>);

impl<'a> Node<'a> {
    /// How `values`, of which at least one should be there, are owned.
    pub(super) fn shape(self, values: [Option<&Value>; 2]) -> Shape<'a> {
        let is = |test: fn(&Value) -> bool| values.into_iter().flatten().any(test);
        let Some(schema) = self.0 else {
            return if is(Value::is_object) {
                Shape::Fields(self)
            } else {
                Shape::Leaf
            };
        };
        match schema.type_.as_deref() {
            Some("object") if schema.x_kubernetes_map_type.as_deref() == Some("atomic") => {
                Shape::Leaf
            }
            Some("object") => Shape::Fields(self),
            Some("array") => match schema.x_kubernetes_list_type.as_deref() {
                Some("set") => Shape::Items,
                Some("map") => {
                    let keys = schema
                        .x_kubernetes_list_map_keys
                        .as_deref()
                        .unwrap_or_default();
                    Shape::Keyed(self, keys)
                }
                _ => Shape::Leaf,
            },
            None if schema.x_kubernetes_preserve_unknown_fields == Some(true)
                && is(Value::is_object) =>
            {
                Shape::Fields(self)
            }
            _ => Shape::Leaf,
        }
    }

    /// The schema of the field `name`, if the schema names one.
    fn named(self, name: &str) -> Option<&'a JSONSchemaProps> {
        self.0?.properties.as_ref()?.get(name)
    }

    /// Whether `name` is a field of a known object, and no key of a map.
    pub(super) fn has(self, name: &str) -> bool {
        self.named(name).is_some()
    }

    /// What may stand below the field or key `name`; none where nothing may.
    pub(super) fn field(self, name: &str) -> Option<Self> {
        if let Some(named) = self.named(name) {
            return Some(Self(Some(named)));
        }
        let Some(schema) = self.0 else {
            return Some(self);
        };
        match &schema.additional_properties {
            Some(JSONSchemaPropsOrBool::Schema(values)) => Some(Self(Some(values))),
            Some(JSONSchemaPropsOrBool::Bool(true)) => Some(Self(None)),
            Some(JSONSchemaPropsOrBool::Bool(false)) | None => {
                (schema.x_kubernetes_preserve_unknown_fields == Some(true)).then_some(Self(None))
            }
        }
    }

    /// The items of a list.
    pub(super) fn items(self) -> Self {
        match self.0.and_then(|schema| schema.items.as_ref()) {
            Some(JSONSchemaPropsOrArray::Schema(items)) => Self(Some(items)),
            Some(JSONSchemaPropsOrArray::Schemas(_)) | None => Self(None),
        }
    }

    /// The step to an item of a keyed list; a key that is absent has its default.
    pub(super) fn key(self, keys: &[String], item: &Value) -> Result<Element, String> {
        let Some(map) = item.as_object() else {
            return Err("associative list with keys may only have maps as elements".to_owned());
        };
        let mut found = std::collections::BTreeMap::new();
        for key in keys {
            if let Some(value) = map.get(key).or_else(|| self.default(key)) {
                found.insert(key.clone(), value.to_string());
            }
        }
        if found.is_empty() {
            return Err(absent(keys));
        }
        Ok(Element::Key(found))
    }

    fn default(self, key: &str) -> Option<&'a Value> {
        self.items()
            .named(key)?
            .default
            .as_ref()
            .map(|default| &default.0)
    }
}

fn absent(keys: &[String]) -> String {
    let names: Vec<String> = keys.iter().map(|key| format!("{key:?}")).collect();
    format!(
        "associative list with keys has an element that omits all key fields [{}] (and doesn't have \
         default values for any key fields)",
        names.join(" ")
    )
}

/// The fields of a map; none where it is null or something else.
pub(super) fn map(value: Option<&Value>) -> Option<&Map<String, Value>> {
    value.and_then(Value::as_object)
}

/// The items of a list; none where it is null or something else.
pub(super) fn list(value: Option<&Value>) -> Option<&Vec<Value>> {
    value.and_then(Value::as_array)
}

/// The items of an owned list with their steps.
pub(super) fn steps<'v>(
    shape: Shape<'_>,
    items: Option<&'v Vec<Value>>,
) -> Result<Vec<(Element, &'v Value)>, String> {
    items
        .into_iter()
        .flatten()
        .map(|item| match shape {
            Shape::Keyed(node, keys) => node.key(keys, item).map(|step| (step, item)),
            Shape::Items | Shape::Leaf | Shape::Fields(_) => {
                Ok((Element::Value(item.to_string()), item))
            }
        })
        .collect()
}
