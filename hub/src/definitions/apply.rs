//! `crd apply`: brings a cluster's definitions to those of this program.
//!
//! Everything is looked at before anything is written: a definition of ours that stands there in a way that cannot be
//! changed refuses the whole, with the steps to migrate. What may be changed is applied by the server, and waited for
//! until it is served. Must not touch any object of our kinds.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::Context as _;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Patch, PatchParams, ValidationDirective};
use kube::{Api, Client, ResourceExt as _};
use tokio::time::Instant;
use vitistack_api::crd::crds;

/// Under which name the server notes what we applied.
const FIELD_MANAGER: &str = "vitistack-hub";

/// A definition is served within a second or two; more means that something is wrong.
const ESTABLISHED: Duration = Duration::from_secs(30);

/// Between two looks at definitions that are not served yet.
const POLL: Duration = Duration::from_millis(250);

/// Whether anything is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The server is asked what would happen.
    DryRun,
    /// It happens.
    Write,
}

/// Applies all definitions. `said` gets a line for each as soon as it is done.
///
/// # Errors
///
/// When the API does not answer or refuses, holds definitions that cannot be changed to ours (then nothing was
/// written), or does not serve them in time.
pub async fn apply(
    client: Client,
    mode: Mode,
    mut said: impl FnMut(&str) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let api: Api<CustomResourceDefinition> = Api::all(client);
    let ours = crds();
    let mut found = BTreeMap::new();
    for definition in &ours {
        let name = definition.name_any();
        if let Some(held) = look(&api, &name).await? {
            found.insert(name, held);
        }
    }
    let obstacles = obstacles(&ours, &found);
    if !obstacles.is_empty() {
        anyhow::bail!(refusal(&obstacles));
    }
    let params = PatchParams {
        dry_run: mode == Mode::DryRun,
        // The definitions are one with the program: what another tool applied of an earlier one must not stay.
        force: true,
        field_manager: Some(FIELD_MANAGER.to_owned()),
        field_validation: Some(ValidationDirective::Strict),
    };
    for definition in &ours {
        let name = definition.name_any();
        let applied = api
            .patch(&name, &params, &Patch::Apply(definition))
            .await
            .with_context(|| format!("apply {name}"))?;
        let outcome = outcome(found.get(&name), &applied);
        let dry = match mode {
            Mode::DryRun => " (dry run)",
            Mode::Write => "",
        };
        said(&format!("{name} {outcome}{dry}\n"))?;
    }
    match mode {
        Mode::DryRun => Ok(()),
        Mode::Write => served(&api, &ours).await,
    }
}

async fn look(
    api: &Api<CustomResourceDefinition>,
    name: &str,
) -> anyhow::Result<Option<CustomResourceDefinition>> {
    api.get_opt(name)
        .await
        .with_context(|| format!("ask the API for the definition {name}"))
}

/// Waits until every definition is served.
async fn served(
    api: &Api<CustomResourceDefinition>,
    ours: &[CustomResourceDefinition],
) -> anyhow::Result<()> {
    let end = Instant::now() + ESTABLISHED;
    for definition in ours {
        let name = definition.name_any();
        loop {
            let held = look(api, &name).await?;
            match held.as_ref().map_or(Standing::Gone, standing) {
                Standing::Served => break,
                Standing::Gone => anyhow::bail!("somebody deleted {name} in between"),
                Standing::Refused(why) => anyhow::bail!("the API does not serve {name}: {why}"),
                Standing::Waiting(why) if Instant::now() >= end => {
                    anyhow::bail!(
                        "the API does not serve {name} after {} s: {why}",
                        ESTABLISHED.as_secs()
                    )
                }
                Standing::Waiting(_) => tokio::time::sleep(POLL).await,
            }
        }
    }
    Ok(())
}

/// Whether a definition is served.
#[derive(Debug, PartialEq, Eq)]
enum Standing {
    Served,
    Gone,
    Waiting(String),
    /// Another definition has a name that this one wants. It does not pass by itself.
    Refused(String),
}

fn standing(definition: &CustomResourceDefinition) -> Standing {
    let conditions = definition
        .status
        .as_ref()
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or_default();
    let condition = |kind: &str| conditions.iter().find(|one| one.type_ == kind);
    let text = |kind: &str| {
        condition(kind)
            .and_then(|one| one.message.clone())
            .unwrap_or_else(|| format!("it has no condition {kind} yet"))
    };
    let is = |kind: &str, status: &str| condition(kind).is_some_and(|one| one.status == status);
    if is("NamesAccepted", "False") {
        Standing::Refused(text("NamesAccepted"))
    } else if is("Established", "True") {
        Standing::Served
    } else {
        Standing::Waiting(text("Established"))
    }
}

/// What became of a definition, in kubectl's words. Who manages a field is no change of it.
fn outcome(
    before: Option<&CustomResourceDefinition>,
    after: &CustomResourceDefinition,
) -> &'static str {
    let same = |before: &CustomResourceDefinition| {
        before.spec == after.spec
            && before.labels() == after.labels()
            && before.annotations() == after.annotations()
    };
    match before {
        None => "created",
        Some(before) if same(before) => "unchanged",
        Some(_) => "configured",
    }
}

/// Why a definition that the API has cannot be changed to ours.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Obstacle {
    /// A scope cannot be changed.
    Scope { name: String, scope: String },
    /// Versions that this program does not know: taking them away would lose objects or break their clients.
    Versions { name: String, unknown: Vec<String> },
}

fn obstacles(
    ours: &[CustomResourceDefinition],
    found: &BTreeMap<String, CustomResourceDefinition>,
) -> Vec<Obstacle> {
    let mut obstacles = Vec::new();
    for definition in ours {
        let name = definition.name_any();
        let Some(held) = found.get(&name) else {
            continue;
        };
        if held.spec.scope != definition.spec.scope {
            obstacles.push(Obstacle::Scope {
                name,
                scope: held.spec.scope.clone(),
            });
            continue;
        }
        let known = versions(definition);
        let unknown: Vec<String> = versions(held).difference(&known).cloned().collect();
        if !unknown.is_empty() {
            obstacles.push(Obstacle::Versions { name, unknown });
        }
    }
    obstacles
}

/// Versions that a definition serves or that objects may be stored in.
fn versions(definition: &CustomResourceDefinition) -> BTreeSet<String> {
    let stored = definition
        .status
        .iter()
        .flat_map(|status| status.stored_versions.iter().flatten());
    let defined = definition.spec.versions.iter().map(|version| &version.name);
    defined.chain(stored).cloned().collect()
}

fn refusal(obstacles: &[Obstacle]) -> String {
    let mut text =
        "nothing was written, because the API has definitions of our names that cannot be \
                    changed to ours:\n"
            .to_owned();
    let mut scoped = Vec::new();
    let mut newer = false;
    for obstacle in obstacles {
        match obstacle {
            Obstacle::Scope { name, scope } => {
                text.push_str(&format!(
                    "  {name}: its scope is {scope}, ours is Namespaced\n"
                ));
                scoped.push(name.as_str());
            }
            Obstacle::Versions { name, unknown } => {
                text.push_str(&format!(
                    "  {name}: it has {}, which this program does not know\n",
                    unknown.join(", ")
                ));
                newer = true;
            }
        }
    }
    if newer {
        text.push_str(
            "Objects may be stored in a version that this program does not know: apply with the program of the \
             version that brought it.\n",
        );
    }
    if !scoped.is_empty() {
        text.push_str(&migration(&scoped));
    }
    text
}

/// How to come from definitions of another scope to ours.
fn migration(names: &[&str]) -> String {
    let (commas, spaces) = (names.join(","), names.join(" "));
    format!(
        "A scope cannot be changed. To migrate:
  1. stop what works with these objects, or it takes their deletion for an order to delete machines
  2. export them:  kubectl get {commas} -o yaml > vitistack-objects.yaml
  3. delete the definitions, and with them the objects:  kubectl delete crd {spaces}
     (one that does not go has finalizers: remove metadata.finalizers from its objects)
  4. apply ours:  vitistack-hub crd apply
  5. give each object in the file a metadata.namespace, remove its status, uid, resourceVersion and finalizers,
     and import it:  kubectl create -f vitistack-objects.yaml
"
    )
}
