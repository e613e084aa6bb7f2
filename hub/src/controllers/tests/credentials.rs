//! What a rotated or removed Secret with a BMC's credentials does to what was sent.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use vitistack_api::machine::IntentStatus;

use super::*;

/// `status.intent` of the Machine and of its host, and what the Machine's operation is.
async fn positions(site: &Site) -> (Option<IntentStatus>, Option<IntentStatus>, Option<String>) {
    let machine = site.api::<Machine>("edge").get("node-1").await;
    let host = site.api::<BareMetalHost>("edge").get("server-1").await;
    let machine = machine.expect("it is there").status.expect("a status");
    let host = host.expect("it is there").status.expect("a status");
    (machine.intent, host.intent, machine.operation_id)
}

/// Serves the agent until nothing has changed for a second.
async fn settle(site: &Site, agent: &mut fake::Agent) {
    let deadline = Instant::now() + BOUND;
    let mut before = None;
    loop {
        agent.take();
        let now = Some((positions(site).await, agent.taken));
        if now == before {
            return;
        }
        before = now;
        assert!(Instant::now() < deadline, "it never settles");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_password_reaches_the_agent_and_keeps_every_revision_and_operation() {
    let site = Site::start().await;
    let (mut agent, machine, host) = running(&site).await;
    settle(&site, &mut agent).await;
    let (before, (intents, secrets)) = (positions(&site).await, agent.taken);
    let named: MachineIntent = agent.intents[&machine].read().expect("a body");
    let name = named.target.credentials.map(SecretName::of_credentials);
    let name = name.expect("a Secret is named");
    let old = agent.secrets[&name];

    let patch = json!({"stringData": {"password": "another one"}});
    site.api::<k8s_openapi::api::core::v1::Secret>("edge")
        .patch("bmc-1", &PatchParams::default(), &Patch::Merge(&patch))
        .await
        .expect("it is taken");
    site.serve(&mut agent, "the new password", |agent| {
        agent.secrets[&name] != old
    })
    .await;
    settle(&site, &mut agent).await;
    assert_eq!(positions(&site).await, before);
    assert_eq!(agent.taken, (intents, secrets + 1));

    // The agent holds it when its line is back, and a tombstone goes by it.
    agent.reconnect();
    settle(&site, &mut agent).await;
    assert_eq!(agent.taken, (intents, secrets + 1));
    site.delete::<Machine>("node-1").await;
    site.serve(&mut agent, "the Machine's tombstone", |agent| {
        agent.intents[&machine].absent
    })
    .await;
    assert_eq!(agent.intents[&machine].secrets, [name]);
    assert_eq!(agent.intents[&host].secrets, [name]);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_that_says_it_lacks_the_password_gets_it_again() {
    let site = Site::start().await;
    let (mut agent, _, host) = running(&site).await;
    settle(&site, &mut agent).await;
    let (intents, secrets) = agent.taken;
    let lacking = HostReport {
        cause: Cause {
            reason: Why::CredentialsMissing,
            message: String::new(),
        },
        ..host_report(HostTold::InUse)
    };
    agent.report(host, &lacking, false);
    site.serve(&mut agent, "the password again", |agent| {
        agent.taken.1 > secrets
    })
    .await;
    assert_eq!(agent.taken.0, intents);
    site.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_starts_anew_without_the_secret_lets_the_agent_use_what_it_holds() {
    let site = Site::start().await;
    let (mut agent, machine, host) = running(&site).await;
    settle(&site, &mut agent).await;
    site.delete::<k8s_openapi::api::core::v1::Secret>("bmc-1")
        .await;
    let is_stale = |conditions: &[Condition]| {
        conditions
            .iter()
            .any(|known| known.reason == "SecretNotFound")
    };
    site.until::<Machine>("node-1", "without a Secret", |machine| {
        let status = machine.and_then(|machine| machine.status.as_ref());
        status.is_some_and(|status| is_stale(&status.conditions))
    })
    .await;
    site.until::<BareMetalHost>("server-1", "without a Secret", |host| {
        let status = host.and_then(|host| host.status.as_ref());
        status.is_some_and(|status| is_stale(&status.conditions))
    })
    .await;
    // All that a hub process remembers of what it sent.
    site.hub.sent().clear();

    site.delete::<Machine>("node-1").await;
    site.delete::<BareMetalHost>("server-1").await;
    for (object, what) in [(machine, "the Machine's"), (host, "the host's")] {
        site.serve(&mut agent, what, |agent| agent.intents[&object].absent)
            .await;
        assert_eq!(agent.intents[&object].secrets, [], "{what}");
        if object == machine {
            let tombstone: MachineIntent = agent.intents[&object].read().expect("a body");
            assert_eq!(tombstone.target.credentials, None);
            let gone = machine_report(Told::Gone, Why::None, host, None);
            agent.report(machine, &gone, true);
        }
    }
    agent.report(host, &host_report(HostTold::Gone), true);
    site.until::<BareMetalHost>("server-1", "gone", |host| host.is_none())
        .await;
    site.stop().await;
}
