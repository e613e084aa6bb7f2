//! How often a Machine on its way is written.

use vitistack_protocol::message::intent::HostIntent;

use super::*;

fn status_writes(site: &Site, controller: &'static str) -> u64 {
    let label = Controller { controller };
    site.hub.metrics.status_writes.get_or_create(&label).get()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_takes_one_status_write_for_its_intent_and_one_for_each_report() {
    // What is only told again rests beyond the end of the test, however slow the machine.
    let site = Site::resting(10 * BOUND).await;
    let (machine, host) = site.furnish().await;
    let mut agent = fake::Agent::connect(&site.handle, &edge_1());
    site.serve(&mut agent, "the host's intent", |agent| {
        agent.intents.contains_key(&host)
    })
    .await;
    // The Machine waits for a host, and its status says so.
    site.until::<Machine>("node-1", "waiting", |machine| {
        why(machine) == "InsufficientCapacity"
    })
    .await;
    let waited = status_writes(&site, "machine");
    agent.report(host, &host_report(HostTold::Available), false);
    site.serve(&mut agent, "the Machine's intent", |agent| {
        agent.intents.contains_key(&machine)
    })
    .await;
    site.serve(&mut agent, "the claim at the host", |agent| {
        let host: HostIntent = agent.intents[&host].read().expect("a host's body");
        host.claimed_by == Some(machine)
    })
    .await;
    assert_eq!(status_writes(&site, "machine") - waited, 1);
    let claimed = status_writes(&site, "baremetalhost");

    let operation = agent.intents[&machine]
        .read::<MachineIntent>()
        .expect("a body")
        .operation;
    let proof = proof_of(&agent.intents[&machine]);
    let told = |phase, proof| MachineReport {
        operation,
        ..machine_report(phase, Why::PhonedHome, host, proof)
    };
    agent.report(machine, &told(Told::Installing, None), false);
    site.serve(&mut agent, "that it was begun", |agent| {
        let body: MachineIntent = agent.intents[&machine].read().expect("a body");
        body.is_begun()
    })
    .await;
    assert_eq!(status_writes(&site, "machine") - waited, 2);

    agent.report(machine, &told(Told::Running, Some(proof.clone())), false);
    site.serve(&mut agent, "the proof in both intents", |agent| {
        let body: MachineIntent = agent.intents[&machine].read().expect("a body");
        let server: HostIntent = agent.intents[&host].read().expect("a body");
        body.provisioned.as_ref() == Some(&proof) && server.provisioned.as_ref() == Some(&proof)
    })
    .await;
    site.until::<BareMetalHost>("server-1", "Provisioned", |host| {
        host_phase(host) == Some(HostPhase::Provisioned)
    })
    .await;
    assert_eq!(status_writes(&site, "machine") - waited, 3);
    assert_eq!(status_writes(&site, "baremetalhost") - claimed, 1);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_was_connected_is_given_time_after_a_start_of_the_hub() {
    let site = Site::start().await;
    let (mut agent, _, _) = running(&site).await;
    let agents: Api<Agent> = site.api("vitistack-system");
    let connected = async |what: &str| {
        let deadline = Instant::now() + BOUND;
        loop {
            let known = agents.get("edge-1").await.expect("it is there");
            let conditions = known.status.unwrap_or_default().conditions;
            if conditions::is_true(&conditions, types::CONNECTED) {
                return;
            }
            assert!(Instant::now() < deadline, "never {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    connected("connected").await;
    let written = status_writes(&site, "agent");
    // As after a restart of the hub: the session is gone, and what was said of the agent stands.
    agent.disconnect();
    assert!(site.hub.is_connected(&edge_1()), "it may come back");
    agent.reconnect();
    site.serve(&mut agent, "the intents", |agent| !agent.intents.is_empty())
        .await;
    connected("connected again").await;
    assert_eq!(status_writes(&site, "agent"), written);
    site.stop().await;
}
