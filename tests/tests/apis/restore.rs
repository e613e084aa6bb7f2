//! A hub whose data was restored from a backup, and an agent that has gone on without it.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use vitistack_tests::process::{Process, run};
use vitistack_tests::world::{Hub, LOOPBACK, Mode, SOON};
use vitistack_tests::{manifest, peer, wait};

const HOST: (&str, &str, &str) = ("vbmh", "default", "h1");
const AGENT: (&str, &str, &str) = ("agent", "vitistack-system", "edge-1");
const MAC: &str = "52:54:00:00:00:01";

/// A BMC that is not there; what the agent says of it names the system that it asked for.
const YESTERDAY: &str = "redfish+http://127.0.0.1:1/redfish/v1/Systems/yesterday";
const TODAY: &str = "redfish+http://127.0.0.1:1/redfish/v1/Systems/today";

/// A standalone hub at yesterday's data, and an agent that holds what a later hub told it.
struct Restored {
    // The agent ends before the directory of the hub does.
    _agent: Process,
    hub: Hub,
    /// What the agent holds.
    revision: i64,
}

impl Restored {
    fn start() -> Self {
        let mut hub = Hub::start(Mode::Standalone, LOOPBACK);
        let agent = join(&hub);
        hub.apply(&manifest::provider("edge-west")).expect("taken");
        hub.apply(&manifest::bmc_secret("admin", "secret"))
            .expect("taken");
        apply_host(&hub, YESTERDAY);
        wait_tried(&hub, "Systems/yesterday");
        assert!(hub.stop().success());
        copy(&hub, "hub", "backup");

        hub.run();
        apply_host(&hub, TODAY);
        wait_tried(&hub, "Systems/today");
        let revision = intent(&hub)["revision"].as_i64().expect("a number");
        assert!(hub.stop().success());
        // One more start: only the epoch differs from it.
        hub.run();
        hub.wait_condition(AGENT, ("Ready", "True", ""), SOON);
        assert!(hub.stop().success());

        std::fs::remove_dir_all(hub.path("hub")).expect("the directory is ours");
        copy(&hub, "backup", "hub");
        hub.run();
        let said = hub.wait_condition(AGENT, ("Ready", "False", "ConflictPaused"), SOON);
        assert!(said.contains("vitistack-hub resume"), "{said}");
        Self {
            _agent: agent,
            hub,
            revision,
        }
    }

    fn resume(&self, arguments: &[&str]) -> Result<Value, String> {
        let printed = run(Command::new(peer::program("vitistack-hub"))
            .arg("resume")
            .args(arguments)
            .args(["--output", "json", "--kubeconfig"])
            .arg(self.hub.path("hub/kubeconfig")))?;
        serde_json::from_str(&printed).map_err(|error| format!("{error}: {printed}"))
    }
}

fn join(hub: &Hub) -> Process {
    let args = "token create --site edge-west --namespaces default --ttl 10m";
    let token = hub
        .viti(&args.split(' ').collect::<Vec<_>>())
        .expect("a token");
    std::fs::write(hub.path("token"), token.trim()).expect("the directory is writable");
    let quic = hub.addresses()["quic"].as_str().expect("set").to_owned();
    let config = format!(
        "data_dir = {:?}\nhub = {quic:?}\ntoken_file = {:?}\nname = \"edge-1\"\n",
        hub.path("agent"),
        hub.path("token"),
    );
    std::fs::write(hub.path("agent.toml"), config).expect("the directory is writable");
    let mut command = Command::new(peer::program("vitistack-agent"));
    command
        .args(["run", "--config"])
        .arg(hub.path("agent.toml"));
    Process::start("agent", &hub.path("."), &mut command)
}

fn copy(hub: &Hub, from: &str, to: &str) {
    run(Command::new("cp")
        .arg("-a")
        .arg(hub.path(from))
        .arg(hub.path(to)))
    .expect("the directory is ours");
}

fn apply_host(hub: &Hub, bmc: &str) {
    hub.apply(&manifest::host_at("h1", bmc, MAC, "UEFI"))
        .unwrap_or_else(|error| panic!("{error}"));
}

/// Waits until the agent has said, for the newest spec, that it tried `system`.
fn wait_tried(hub: &Hub, system: &str) {
    wait::until(&format!("the agent has tried {system}"), SOON, || {
        let host = hub.object(HOST.0, HOST.1, HOST.2)?;
        let status = host["status"].to_string();
        if status.contains(system) {
            return Ok(());
        }
        Err(status)
    });
}

fn intent(hub: &Hub) -> Value {
    let host = hub.object(HOST.0, HOST.1, HOST.2).expect("it is there");
    host["status"]["intent"].clone()
}

#[test]
fn resumed_for_the_hub_the_restored_state_is_carried_out_under_a_later_revision() {
    let site = Restored::start();
    let outcome = site.resume(&["--accept-hub"]).expect("it goes on");
    assert_eq!(outcome[0]["agent"], "edge-1");
    assert_eq!(outcome[0]["resumed"], true);
    site.hub.wait_condition(AGENT, ("Ready", "True", ""), SOON);
    let intent = intent(&site.hub);
    assert_eq!(intent["revision"], site.revision + 1);
    assert_eq!(intent["accepted"], Value::Null);
    let stored = format!("Revision({})", site.revision + 1);
    wait::until("the agent has stored it", SOON, || {
        let log = site.hub.path("agent.log");
        let log = std::fs::read_to_string(log).map_err(|error| error.to_string())?;
        let line = log
            .lines()
            .find(|line| line.contains("intent stored") && line.contains(&stored));
        line.map(drop).ok_or_else(|| "no such line".to_owned())
    });
    wait_tried(&site.hub, "Systems/yesterday");
    assert_eq!(site.resume(&["--accept-hub"]), Ok(Value::Array(Vec::new())));
}

#[test]
fn resumed_for_the_agents_what_they_hold_stands_until_the_object_changes() {
    let site = Restored::start();
    let refused = site.resume(&["--accept-agents", "edge-2"]).unwrap_err();
    assert!(refused.contains("edge-2"), "{refused}");
    let refused = site.resume(&[]).unwrap_err();
    assert!(refused.contains("--accept-agents"), "{refused}");

    let outcome = site
        .resume(&["--accept-agents", "edge-1"])
        .expect("it goes on");
    assert_eq!(outcome[0]["resumed"], true);
    site.hub.wait_condition(AGENT, ("Ready", "True", ""), SOON);
    let accepted = intent(&site.hub);
    assert_eq!(accepted["revision"], site.revision);
    assert!(accepted["accepted"].is_string(), "{accepted}");
    wait_tried(&site.hub, "Systems/today");
    wait::throughout("what stands stands", Duration::from_secs(3), || {
        let now = intent(&site.hub);
        (now == accepted)
            .then_some(())
            .ok_or_else(|| now.to_string())
    });

    apply_host(
        &site.hub,
        "redfish+http://127.0.0.1:1/redfish/v1/Systems/tomorrow",
    );
    wait_tried(&site.hub, "Systems/tomorrow");
    let changed = intent(&site.hub);
    assert_eq!(changed["revision"], site.revision + 1);
    assert_eq!(changed["accepted"], Value::Null);
}
