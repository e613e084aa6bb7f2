//! An agent that has lost its identity joins with a new token, with programs that die on the way: one name, one agent, and
//! a token that nobody can use again.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;
use vitistack_tests::process::run;
use vitistack_tests::world::SOON;

use super::{Kill, Lane, Outcome};
use crate::point::Phase;

const NAMESPACE: &str = "vitistack-system";

impl Lane {
    /// Takes the agent's identity away, hands it a token, and waits until it is connected under its old name.
    pub(super) fn join(&self, kills: &[Kill], outcome: &mut Outcome) -> Result<(), String> {
        let mark = self.mark();
        // Both: a hub that still waits for the old session would give the name to nobody.
        self.agent.down();
        // Every other one finds no `Agent` to take over, and makes it.
        if self.number.is_multiple_of(2) {
            let args = ["delete", "agents.vitistack.io", "edge-1", "-n", NAMESPACE];
            self.wait("the old agent is deleted", SOON, || {
                match self.world.hub.try_kubectl(&args) {
                    Err(text) if text.contains("NotFound") => Ok(String::new()),
                    other => other,
                }
            })?;
        }
        self.hub.down();
        let identity = self.world.hub.path("agent/identity");
        std::fs::remove_dir_all(&identity)
            .map_err(|error| format!("{}: {error}", identity.display()))?;
        self.hub.up();
        self.retry(|| self.world.hub.object("machineprovider", "default", "edge"))?;
        let token = self.retry(|| {
            let site = ["token", "create", "--site", "edge-west"];
            let grant = ["--namespaces", "default", "--ttl", "10m"];
            self.world.hub.viti(&[site.as_slice(), &grant].concat())
        })?;
        let id = token.trim().split('.').nth(1).unwrap_or("?").to_owned();
        std::fs::write(self.world.hub.path("token"), token.trim())
            .map_err(|error| error.to_string())?;
        self.arm(kills);
        self.agent.up();
        self.wait("the agent has joined", SOON, || self.joined(&id))?;
        self.wait("the token is gone", SOON, || {
            let secret = format!("vitistack-token-{id}");
            match self.world.hub.object("secret", NAMESPACE, &secret) {
                Err(text) if text.contains("NotFound") => Ok(()),
                Err(text) => Err(text),
                Ok(_) => Err(format!("{secret} is there")),
            }
        })?;
        self.wait("every point is reached", SOON, || self.unarmed())
            .ok();
        self.wait("the provider is ready", SOON, || {
            self.ready("machineprovider", "edge")
        })?;
        self.check_joined(outcome)?;
        self.close(mark, Phase::Join, kills, outcome);
        Ok(())
    }

    /// Whether the agent is connected under the enrolment that the token `id` began.
    fn joined(&self, id: &str) -> Result<(), String> {
        let agent = self
            .world
            .hub
            .object("agents.vitistack.io", NAMESPACE, "edge-1")?;
        let enrolment = &agent["metadata"]["annotations"]["vitistack.io/enrolment"];
        if enrolment == id && agent["status"]["phase"] == "Connected" {
            Ok(())
        } else {
            Err(format!("enrolment {enrolment}, {}", agent["status"]))
        }
    }

    fn check_joined(&self, outcome: &mut Outcome) -> Result<(), String> {
        let list = self.retry(|| {
            let text = self.world.hub.try_kubectl(&[
                "get",
                "agents.vitistack.io",
                "-n",
                NAMESPACE,
                "-o",
                "json",
            ])?;
            serde_json::from_str::<Value>(&text).map_err(|error| error.to_string())
        })?;
        let items = list["items"].as_array().into_iter().flatten();
        let names: BTreeSet<&str> = items
            .filter_map(|agent| agent["metadata"]["name"].as_str())
            .collect();
        if names != BTreeSet::from(["edge-1"]) {
            outcome.wrong.push(format!("the agents are {names:?}"));
        }
        let file = |name: &str| self.world.hub.path(&format!("agent/identity/{name}"));
        let public = |kind: &[&str], name: &str| {
            let mut command = Command::new("openssl");
            run(command.args(kind).arg("-in").arg(file(name)))
        };
        let held = public(&["pkey", "-pubout"], "agent.key")?;
        let signed = public(&["x509", "-noout", "-pubkey"], "agent.crt")?;
        if held != signed {
            outcome
                .wrong
                .push("the certificate on the disk is of another key".to_owned());
        }
        Ok(())
    }
}
