//! The requests that an API server has counted: `apiserver_request_total`.

use std::collections::BTreeMap;

#[cfg(test)]
mod tests;

/// Writes by verb, resource and subresource.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Writes {
    counts: BTreeMap<Kind, f64>,
}

/// What a request was about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Kind {
    pub(crate) verb: String,
    pub(crate) resource: String,
    pub(crate) subresource: String,
}

impl Kind {
    fn is(&self, resource: &str) -> bool {
        self.resource == resource
    }

    /// `PATCH machines/status`.
    pub(crate) fn words(&self) -> String {
        let Self {
            verb,
            resource,
            subresource,
        } = self;
        if subresource.is_empty() {
            format!("{verb} {resource}")
        } else {
            format!("{verb} {resource}/{subresource}")
        }
    }
}

const WRITING: [&str; 6] = [
    "POST",
    "PUT",
    "PATCH",
    "APPLY",
    "DELETE",
    "DELETECOLLECTION",
];

/// Reads the writes out of an API server's metrics, refused ones included.
pub(crate) fn writes(metrics: &str) -> Writes {
    let mut counts = BTreeMap::new();
    for line in metrics.lines() {
        let Some((labels, value)) = line
            .strip_prefix("apiserver_request_total{")
            .and_then(|rest| rest.rsplit_once("} "))
        else {
            continue;
        };
        let label = |name: &str| {
            let text = labels.split("\",").find_map(|one| {
                one.trim_start_matches(',')
                    .strip_prefix(name)?
                    .strip_prefix("=\"")
            });
            text.unwrap_or_default().trim_end_matches('"').to_owned()
        };
        let kind = Kind {
            verb: label("verb"),
            resource: label("resource"),
            subresource: label("subresource"),
        };
        if WRITING.contains(&kind.verb.as_str()) {
            *counts.entry(kind).or_insert(0.0) += value.trim().parse::<f64>().unwrap_or_default();
        }
    }
    Writes { counts }
}

impl Writes {
    /// What was counted since `before`, without what was not.
    pub(crate) fn since(&self, before: &Self) -> Self {
        let more = |(kind, count): (&Kind, &f64)| {
            let more = count - before.counts.get(kind).copied().unwrap_or_default();
            (more > 0.0).then(|| (kind.clone(), more))
        };
        Self {
            counts: self.counts.iter().filter_map(more).collect(),
        }
    }

    /// Writes of Events alone.
    pub(crate) fn events(&self) -> f64 {
        self.of(|kind| kind.is("events"))
    }

    /// What counts as work: everything but Events, Lease renewals and the creation of `made`, which is the user's.
    pub(crate) fn work(&self, made: &str) -> Self {
        let counts = self.counts.iter().filter(|(kind, _)| {
            let is_users = kind.is(made) && kind.verb == "POST";
            !is_users && !kind.is("events") && !kind.is("leases")
        });
        Self {
            counts: counts.map(|(kind, count)| (kind.clone(), *count)).collect(),
        }
    }

    /// All of them.
    pub(crate) fn total(&self) -> f64 {
        self.of(|_| true)
    }

    /// Each kind, the most frequent first.
    pub(crate) fn by_count(&self) -> Vec<(&Kind, f64)> {
        let mut all: Vec<_> = self
            .counts
            .iter()
            .map(|(kind, count)| (kind, *count))
            .collect();
        all.sort_by(|one, other| other.1.total_cmp(&one.1));
        all
    }

    fn of(&self, choose: impl Fn(&Kind) -> bool) -> f64 {
        let chosen = self.counts.iter().filter(|(kind, _)| choose(kind));
        // Not `sum`: nothing at all would be -0.
        chosen.fold(0.0, |total, (_, count)| total + count)
    }
}
