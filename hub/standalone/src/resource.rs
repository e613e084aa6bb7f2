//! What the API serves: one [`Resource`] a group, version and plural, gathered in a [`Registry`].
//!
//! Built once at start, from the resource definitions that the caller hands in and from the few
//! built-in kinds of [`crate::builtin`]. Read-only afterwards.

use std::sync::Arc;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, CustomResourceDefinitionSpec, JSONSchemaProps,
};

use crate::builtin;
use crate::fields;

/// Which rules an object follows beyond those that hold for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    /// Served from a resource definition: schema, generation, no strategic merge.
    Custom,
    /// core/v1 Secret.
    Secret,
    /// core/v1 ConfigMap.
    ConfigMap,
    /// core/v1 Namespace.
    Namespace,
    /// core/v1 Event, also the stored form of the other one.
    CoreEvent,
    /// events.k8s.io/v1 Event, a view of the same rows.
    Event,
    /// coordination.k8s.io/v1 Lease.
    Lease,
    /// apiextensions.k8s.io/v1 CustomResourceDefinition, read-only.
    Definition,
}

/// A column of `kubectl get`.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    /// The heading.
    pub(crate) name: String,
    /// OpenAPI type; `date` is shown as an age.
    pub(crate) kind: String,
    /// OpenAPI format, mostly empty.
    pub(crate) format: String,
    /// For people.
    pub(crate) description: String,
    /// 0 is always shown, more only with `-o wide`.
    pub(crate) priority: i32,
    /// Where the value stands in the object.
    pub(crate) path: String,
}

/// One served kind.
#[derive(Debug, Clone)]
pub(crate) struct Resource {
    /// Rules beyond the common ones.
    pub(crate) family: Family,
    /// API group; empty is core.
    pub(crate) group: String,
    /// API version.
    pub(crate) version: String,
    /// Name in paths.
    pub(crate) plural: String,
    /// Singular name.
    pub(crate) singular: String,
    /// Kind of one object.
    pub(crate) kind: String,
    /// Kind of a list.
    pub(crate) list_kind: String,
    /// Short names that kubectl understands.
    pub(crate) short_names: Vec<String>,
    /// Categories such as `all`.
    pub(crate) categories: Vec<String>,
    /// Whether objects live in namespaces.
    pub(crate) namespaced: bool,
    /// Whether `/status` is a subresource.
    pub(crate) has_status: bool,
    /// Columns of the table form, the name not among them.
    pub(crate) columns: Vec<Column>,
    /// JSON paths of fields that a field selector may name.
    pub(crate) selectable: Vec<String>,
    /// Structural schema of the kind.
    pub(crate) schema: JSONSchemaProps,
    /// The same with what Kubernetes knows of the metadata; says what is owned how.
    pub(crate) owned: JSONSchemaProps,
    /// First part of the store key; two resources may be views of the same rows.
    pub(crate) storage: Arc<str>,
}

impl Resource {
    /// `group/version`, or `version` for core.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.clone()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// `plural.group`, as errors name a resource.
    pub(crate) fn qualified(&self) -> String {
        qualified(&self.group, &self.plural)
    }

    /// Whether clients may change objects of this kind.
    pub(crate) fn writable(&self) -> bool {
        self.family != Family::Definition
    }

    /// The verbs that discovery names.
    pub(crate) fn verbs(&self) -> &'static [&'static str] {
        if self.family == Family::Custom {
            &[
                "delete",
                "deletecollection",
                "get",
                "list",
                "patch",
                "create",
                "update",
                "watch",
            ]
        } else if self.writable() {
            &[
                "create",
                "delete",
                "deletecollection",
                "get",
                "list",
                "patch",
                "update",
                "watch",
            ]
        } else {
            &["get", "list", "watch"]
        }
    }
}

/// `plural.group`, or `plural` for core.
pub(crate) fn qualified(group: &str, plural: &str) -> String {
    if group.is_empty() {
        plural.to_owned()
    } else {
        format!("{plural}.{group}")
    }
}

/// All that is served.
#[derive(Debug)]
pub(crate) struct Registry {
    resources: Vec<Arc<Resource>>,
}

impl Registry {
    /// The built-in kinds and one resource for each served version of `definitions`.
    pub(crate) fn new(definitions: Vec<CustomResourceDefinition>) -> Self {
        let customs = definitions.into_iter().flat_map(of_definition);
        let resources = builtin::resources()
            .into_iter()
            .chain(customs)
            .map(Arc::new)
            .collect();
        Self { resources }
    }

    /// The resource of a path.
    pub(crate) fn find(&self, group: &str, version: &str, plural: &str) -> Option<&Arc<Resource>> {
        self.resources
            .iter()
            .find(|r| r.group == group && r.version == version && r.plural == plural)
    }

    /// The resource under whose rules a stored row stands.
    pub(crate) fn of_storage(&self, storage: &str) -> Option<&Arc<Resource>> {
        self.resources
            .iter()
            .find(|r| &*r.storage == storage && r.family != Family::Event)
    }

    /// The resource of a kind, to which an owner reference leads.
    pub(crate) fn of_kind(&self, api_version: &str, kind: &str) -> Option<&Arc<Resource>> {
        self.resources
            .iter()
            .find(|r| r.kind == kind && r.api_version() == api_version)
    }

    /// Everything, in the order of discovery.
    pub(crate) fn all(&self) -> &[Arc<Resource>] {
        &self.resources
    }

    /// Groups other than core with their versions, in order of appearance.
    pub(crate) fn groups(&self) -> Vec<(String, Vec<String>)> {
        let mut groups: Vec<(String, Vec<String>)> = Vec::new();
        for r in self.resources.iter().filter(|r| !r.group.is_empty()) {
            match groups.iter_mut().find(|(name, _)| *name == r.group) {
                Some((_, versions)) if versions.contains(&r.version) => {}
                Some((_, versions)) => versions.push(r.version.clone()),
                None => groups.push((r.group.clone(), vec![r.version.clone()])),
            }
        }
        groups.push((ACCESS_GROUP.to_owned(), vec!["v1".to_owned()]));
        groups
    }

    /// The resources of one group and version.
    pub(crate) fn of_version<'a>(
        &'a self,
        group: &'a str,
        version: &'a str,
    ) -> impl Iterator<Item = &'a Arc<Resource>> {
        self.resources
            .iter()
            .filter(move |r| r.group == group && r.version == version)
    }
}

/// The group of SelfSubjectAccessReview, which is answered and never stored.
pub(crate) const ACCESS_GROUP: &str = "authorization.k8s.io";

fn of_definition(definition: CustomResourceDefinition) -> Vec<Resource> {
    let CustomResourceDefinitionSpec {
        group,
        names,
        scope,
        versions,
        conversion: _,
        preserve_unknown_fields: _,
    } = definition.spec;
    let served = versions.into_iter().filter(|version| version.served);
    served
        .map(|version| {
            // Moved and not copied: a schema is half a MiB.
            let schema = version
                .schema
                .and_then(|schema| schema.open_api_v3_schema)
                .unwrap_or_default();
            let mut columns: Vec<Column> = version
                .additional_printer_columns
                .unwrap_or_default()
                .into_iter()
                .map(|column| Column {
                    name: column.name,
                    kind: column.type_,
                    format: column.format.unwrap_or_default(),
                    description: column.description.unwrap_or_default(),
                    priority: column.priority.unwrap_or(0),
                    path: column.json_path,
                })
                .collect();
            if columns.is_empty() {
                columns.push(builtin::age());
            }
            Resource {
                family: Family::Custom,
                group: group.clone(),
                version: version.name,
                plural: names.plural.clone(),
                singular: names
                    .singular
                    .clone()
                    .unwrap_or_else(|| names.kind.to_lowercase()),
                kind: names.kind.clone(),
                list_kind: names
                    .list_kind
                    .clone()
                    .unwrap_or_else(|| format!("{}List", names.kind)),
                short_names: names.short_names.clone().unwrap_or_default(),
                categories: names.categories.clone().unwrap_or_default(),
                namespaced: scope == "Namespaced",
                has_status: version
                    .subresources
                    .is_some_and(|subresources| subresources.status.is_some()),
                columns,
                selectable: version
                    .selectable_fields
                    .unwrap_or_default()
                    .into_iter()
                    .map(|field| field.json_path)
                    .collect(),
                owned: fields::schema_of(&schema),
                schema,
                storage: qualified(&group, &names.plural).into(),
            }
        })
        .collect()
}
