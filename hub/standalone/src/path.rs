//! Parses a request path into what it addresses. Pure.

use percent_encoding::percent_decode_str;

#[cfg(test)]
mod tests;

/// What a path addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// `/version`.
    Version,
    /// `/healthz`, `/readyz` or `/livez`.
    Health,
    /// `/api`: the versions of core.
    Core,
    /// `/apis`: the groups.
    Groups,
    /// `/apis/G`.
    Group(String),
    /// `/api/V` or `/apis/G/V`.
    Version1 {
        /// API group; empty is core.
        group: String,
        /// API version.
        version: String,
    },
    /// `/openapi/v2`.
    OpenApiV2,
    /// `/openapi/v3`: the index.
    OpenApiIndex,
    /// `/openapi/v3/…`: the document of one group and version.
    OpenApi {
        /// API group; empty is core.
        group: String,
        /// API version.
        version: String,
    },
    /// A list of objects.
    Collection(Place),
    /// One object or a subresource of it.
    Object {
        /// Where it stands.
        place: Place,
        /// Its name.
        name: String,
        /// The subresource, for instance `status`.
        sub: Option<String>,
    },
}

/// Group, version, plural and, where given, namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    /// API group; empty is core.
    pub(crate) group: String,
    /// API version.
    pub(crate) version: String,
    /// Plural of the kind.
    pub(crate) plural: String,
    /// None asks across namespaces, or for a kind without them.
    pub(crate) namespace: Option<String>,
}

/// The target of `path`; none where nothing can be.
pub(crate) fn parse(path: &str) -> Option<Target> {
    let decoded: Vec<String> = path
        .split('/')
        .filter(|s| !s.is_empty())
        .map(|s| {
            percent_decode_str(s)
                .decode_utf8()
                .ok()
                .map(std::borrow::Cow::into_owned)
        })
        .collect::<Option<_>>()?;
    let parts: Vec<&str> = decoded.iter().map(String::as_str).collect();
    match parts.as_slice() {
        ["version"] => Some(Target::Version),
        ["healthz" | "readyz" | "livez"] => Some(Target::Health),
        ["openapi", "v2"] => Some(Target::OpenApiV2),
        ["openapi", "v3"] => Some(Target::OpenApiIndex),
        ["openapi", "v3", "api", version] => Some(Target::OpenApi {
            group: String::new(),
            version: (*version).to_owned(),
        }),
        ["openapi", "v3", "apis", group, version] => Some(Target::OpenApi {
            group: (*group).to_owned(),
            version: (*version).to_owned(),
        }),
        ["api"] => Some(Target::Core),
        ["apis"] => Some(Target::Groups),
        ["apis", group] => Some(Target::Group((*group).to_owned())),
        ["api", version, rest @ ..] => resources("", version, rest),
        ["apis", group, version, rest @ ..] => resources(group, version, rest),
        _ => None,
    }
}

fn resources(group: &str, version: &str, rest: &[&str]) -> Option<Target> {
    let place = |plural: &str, namespace: Option<&str>| Place {
        group: group.to_owned(),
        version: version.to_owned(),
        plural: plural.to_owned(),
        namespace: namespace.map(str::to_owned),
    };
    let object = |place: Place, name: &str, sub: Option<&str>| Target::Object {
        place,
        name: name.to_owned(),
        sub: sub.map(str::to_owned),
    };
    match rest {
        [] => Some(Target::Version1 {
            group: group.to_owned(),
            version: version.to_owned(),
        }),
        ["namespaces", name, sub @ ("status" | "finalize")] if group.is_empty() => {
            Some(object(place("namespaces", None), name, Some(sub)))
        }
        ["namespaces", namespace, plural] => {
            Some(Target::Collection(place(plural, Some(namespace))))
        }
        ["namespaces", namespace, plural, name] => {
            Some(object(place(plural, Some(namespace)), name, None))
        }
        ["namespaces", namespace, plural, name, sub] => {
            Some(object(place(plural, Some(namespace)), name, Some(sub)))
        }
        [plural] => Some(Target::Collection(place(plural, None))),
        [plural, name] => Some(object(place(plural, None), name, None)),
        [plural, name, sub] => Some(object(place(plural, None), name, Some(sub))),
        _ => None,
    }
}
