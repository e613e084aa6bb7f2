//! The table of agents. Pure.

use jiff::Timestamp;
use vitistack_api::agent::Agent;
use vitistack_api::conditions::{find, types};

use crate::table::{age, render, word};

/// One line an agent, by name.
pub(crate) fn to_table(agents: &[Agent], now: Timestamp) -> String {
    let mut rows: Vec<Vec<String>> = agents.iter().map(|agent| row(agent, now)).collect();
    rows.sort();
    render(
        &[
            "NAME",
            "SITE",
            "PHASE",
            "REASON",
            "BUILD",
            "NAMESPACES",
            "AGE",
        ],
        &rows,
    )
}

fn row(agent: &Agent, now: Timestamp) -> Vec<String> {
    let status = agent.status.as_ref();
    let reason = status
        .and_then(|status| find(&status.conditions, types::CONNECTED))
        .map(|condition| condition.reason.clone());
    vec![
        agent.metadata.name.clone().unwrap_or_default(),
        agent.spec.site.clone(),
        word(status.and_then(|status| status.phase.as_ref())),
        reason.unwrap_or_default(),
        status
            .and_then(|status| status.build.clone())
            .unwrap_or_default(),
        agent.spec.served_namespaces.join(","),
        age(agent.metadata.creation_timestamp.as_ref(), now),
    ]
}
