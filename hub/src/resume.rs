//! `vitistack-hub resume`: a person says whose state counts after the hub's data was restored from a backup.
//!
//! Writes the annotation `vitistack.io/resume` on each Agent that is paused and waits until the running hub has removed
//! it. Acts on nothing else: the hub that holds the sessions does the work (`controllers::agent`).

use std::time::Duration;

use anyhow::Context as _;
use kube::api::{ListParams, Patch, PatchParams};
use kube::{Api, Client, ResourceExt as _};
use serde::Serialize;
use serde_json::json;
use tokio::time::{Instant, sleep, timeout};
use vitistack_api::agent::Agent;
use vitistack_api::conditions::{Reason, find, types};
use vitistack_api::names::ANNOTATION_RESUME;

#[cfg(test)]
mod tests;

/// Deadline of one call of the API.
const CALL: Duration = Duration::from_secs(15);
/// How often it is looked whether the hub is done.
const LOOK: Duration = Duration::from_millis(500);

/// What became of one agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// Name of the Agent.
    pub agent: String,
    /// Both positions before the choice, in the hub's words.
    pub before: String,
    /// Whether hub and agent agree.
    pub resumed: bool,
    /// The Agent's `Ready` message afterwards.
    pub now: String,
}

/// Resumes the paused agents of `names`, or all of them if there are none, and waits `bound` for each to get on.
///
/// `choice` is a value of `vitistack.io/resume`. An agent that did not get on in time keeps the choice; the hub acts on
/// it as soon as it can.
///
/// # Errors
///
/// When the API does not answer, or a named agent does not exist or is not paused.
pub async fn resume(
    client: Client,
    namespace: &str,
    choice: &str,
    names: &[String],
    bound: Duration,
) -> anyhow::Result<Vec<Outcome>> {
    let agents: Api<Agent> = Api::namespaced(client, namespace);
    let all = timeout(CALL, agents.list(&ListParams::default()))
        .await
        .context("list the Agents: no answer in time")?
        .with_context(|| format!("list the Agents of namespace {namespace}"))?;
    let paused = choose(&all.items, names)?;
    for agent in &paused {
        let patch = json!({"metadata": {
            "annotations": {ANNOTATION_RESUME: choice},
            "resourceVersion": agent.resource_version(),
        }});
        let name = agent.name_any();
        let params = PatchParams::default();
        let merge = Patch::Merge(&patch);
        timeout(CALL, agents.patch(&name, &params, &merge))
            .await
            .with_context(|| format!("annotate Agent {name}: no answer in time"))?
            .with_context(|| format!("annotate Agent {name}"))?;
    }
    let deadline = Instant::now() + bound;
    let mut outcomes = Vec::new();
    for agent in paused {
        outcomes.push(follow(&agents, agent, deadline).await?);
    }
    Ok(outcomes)
}

/// What became of the agents, a line each.
#[must_use]
pub fn text(outcomes: &[Outcome]) -> String {
    if outcomes.is_empty() {
        return "no agent is paused\n".to_owned();
    }
    let line = |outcome: &Outcome| {
        let Outcome {
            agent,
            before,
            resumed,
            now,
        } = outcome;
        if *resumed {
            format!("{agent}: resumed (before: {before})\n")
        } else {
            format!("{agent}: not yet: {now}\n")
        }
    };
    outcomes.iter().map(line).collect()
}

/// The agents to resume.
///
/// # Errors
///
/// When a name is unknown or its agent is not paused: a choice that lies about would be acted on at the next restore.
fn choose<'a>(agents: &'a [Agent], names: &[String]) -> anyhow::Result<Vec<&'a Agent>> {
    if names.is_empty() {
        return Ok(agents.iter().filter(|agent| is_paused(agent)).collect());
    }
    let mut chosen = Vec::new();
    for name in names {
        let agent = agents.iter().find(|agent| agent.name_any() == *name);
        let agent = agent.with_context(|| format!("there is no Agent {name:?}"))?;
        anyhow::ensure!(
            is_paused(agent),
            "Agent {name:?} is not paused: {}",
            ready(agent).1
        );
        chosen.push(agent);
    }
    Ok(chosen)
}

async fn follow(agents: &Api<Agent>, before: &Agent, deadline: Instant) -> anyhow::Result<Outcome> {
    let name = before.name_any();
    loop {
        let now = timeout(CALL, agents.get(&name))
            .await
            .with_context(|| format!("read Agent {name}: no answer in time"))?
            .with_context(|| format!("read Agent {name}"))?;
        let resumed = !now.annotations().contains_key(ANNOTATION_RESUME);
        if resumed || Instant::now() >= deadline {
            return Ok(Outcome {
                agent: name,
                before: ready(before).1.to_owned(),
                resumed,
                now: ready(&now).1.to_owned(),
            });
        }
        sleep(LOOK).await;
    }
}

fn is_paused(agent: &Agent) -> bool {
    ready(agent).0 == Reason::ConflictPaused.as_str()
}

/// Reason and message of `Ready`.
fn ready(agent: &Agent) -> (&str, &str) {
    agent
        .status
        .as_ref()
        .and_then(|status| find(&status.conditions, types::READY))
        .map_or(("", ""), |ready| (&ready.reason, &ready.message))
}
