//! What may differ, and why: the one table, and the page that is made from it.

use super::case::Step;
use super::normal::Finding;

/// One thing that the standalone API does otherwise.
pub(crate) struct Difference {
    /// A name for it.
    pub(crate) id: &'static str,
    /// What kube-apiserver does.
    real: &'static str,
    /// What the standalone API does.
    ours: &'static str,
    /// Why that is no fault.
    why: &'static str,
    /// Where it shows in the steps that name it: parts of the finding's path; an empty one is any.
    shows: &'static [&'static str],
}

/// Everything that may differ.
pub(crate) const DIFFERENCES: &[Difference] = &[
    Difference {
        id: "storage versions",
        real: "Discovery carries `storageVersionHash`, a digest of the version in which etcd holds a kind.",
        ours: "The field is absent.",
        why: "There is one version of each kind, and no stored objects to be migrated.",
        shows: &["storageVersionHash"],
    },
    Difference {
        id: "installation of definitions",
        real: "CustomResourceDefinitions are created, changed and deleted by clients.",
        ours: "They can be read; a write is answered with 405. The program brings its kinds along.",
        why: "The kinds of a standalone hub are those of its release.",
        shows: &[""],
    },
    Difference {
        id: "authentication",
        real: "Users, groups, certificates, service accounts, RBAC.",
        ours: "One bearer token, which may do everything; without it 401.",
        why: "One hub on one machine has one administrator.",
        shows: &[""],
    },
    Difference {
        id: "exec and proxy",
        real: "Pods, Nodes and Services have subresources that carry streams.",
        ours: "Those kinds are not served: 404. What one of them owns is not collected.",
        why: "Nothing runs in a standalone hub that one could exec into.",
        shows: &[""],
    },
    Difference {
        id: "words of parsers",
        real: "A body or a parameter that cannot be read, or a body of another kind, is refused with the words of Go's JSON and YAML parsers and of its registry of types.",
        ours: "The same code and reason, other words.",
        why: "The words name types of another language; no client reads them.",
        shows: &["/message"],
    },
    Difference {
        id: "descriptions",
        real: "Table columns and schemas carry Kubernetes' own texts on metadata.",
        ours: "Shorter texts.",
        why: "Texts for people; names, types, formats and priorities are equal.",
        shows: &["/description"],
    },
];

/// The name of the difference that explains `finding`: the one that the step names, where it may show.
pub(crate) fn excuse(step: &Step, finding: &Finding) -> Option<&'static str> {
    let named = step.differs.as_deref()?;
    DIFFERENCES
        .iter()
        .filter(|difference| difference.id == named)
        .find(|difference| {
            difference
                .shows
                .iter()
                .any(|part| finding.path.contains(part))
        })
        .map(|difference| difference.id)
}

/// `deploy/docs/standalone-api.md`.
pub(crate) fn page() -> String {
    let mut page = String::from(
        "# The standalone API beside kube-apiserver\n\n\
         `vitistack-hub standalone` serves the Kubernetes API for its own kinds and for Secret, ConfigMap, Namespace,\n\
         Event and Lease. The suite `conformance` sends the same requests to it and to a kube-apiserver and compares\n\
         the answers field by field: status code, body, `Content-Type`, `Warning`, `Retry-After`. What is listed here\n\
         may differ, and nothing else. This page is made from the table that the suite uses.\n\n\
         | what | kube-apiserver | standalone | why |\n|---|---|---|---|\n",
    );
    for Difference {
        id,
        real,
        ours,
        why,
        ..
    } in DIFFERENCES
    {
        page.push_str(&format!("| {id} | {real} | {ours} | {why} |\n"));
    }
    page
}
