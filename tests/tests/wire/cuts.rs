//! A line that is cut at the worst moments, and one that is merely bad. Nothing is lost and nothing is taken twice.

use std::sync::atomic::Ordering;
use std::time::Duration;

use vitistack_protocol::ids::{Fence, OperationId, Revision, Sequence};
use vitistack_protocol::message::intent::{BmcTrust, HostIntent, HostTarget, Intent};
use vitistack_protocol::message::numbered::{BodyKind, BootMode, Inspection};
use vitistack_protocol::message::{Extensions, body};

use super::disk::Agent;
use super::hub::{Hub, intent};
use super::line::{Line, Weather};
use super::{SOON, connected, name, until};

/// For a dead line to be noticed on both sides and dialled again.
const BACK: Duration = Duration::from_secs(90);

struct World {
    hub: Hub,
    line: Line,
    agent: Agent,
}

impl World {
    async fn start(weather: Weather) -> Self {
        let hub = Hub::start().await;
        let line = Line::to(hub.address, weather, 7).await;
        let agent = Agent::start(&hub, line.address).await;
        connected(&hub).await;
        Self { hub, line, agent }
    }

    fn desire(&self, object: u8, revision: u64) -> Intent {
        let mut wanted = intent(object, self.hub.handle.epoch(), revision);
        wanted.kind = BodyKind::Host;
        wanted.body = body::encode(&HostIntent {
            target: HostTarget {
                host: wanted.object.clone(),
                bmc_address: format!("redfish+http://127.0.0.1:1/{revision}"),
                credentials: None,
                trust: BmcTrust::default(),
                boot_mac: [2, 0, 0, 0, 0, object],
                boot_mode: BootMode::Uefi,
                maintenance: false,
            },
            inspection: Inspection::Never,
            inspection_operation: OperationId([object; 16]),
            claimed_by: None,
            provisioned: None,
            externally_provisioned: false,
            extensions: Extensions::default(),
        });
        self.hub.handle.desire(&name(), wanted.clone(), None);
        wanted
    }

    /// The hub knows that the agent holds it.
    async fn acked(&self, wanted: &Intent) {
        until(BACK, "the intent is acked", async || {
            (self.hub.handle.held(wanted.object.uid) == Some(wanted.fence)).then_some(())
        })
        .await;
    }

    /// The hub has the report and says that it is accepted.
    async fn accept(&self, about: &Intent, body: u8) -> Sequence {
        let uid = about.object.uid;
        let sequence = until(BACK, "the report arrived", async || {
            let received = self.hub.handle.report(uid)?;
            (received.report.body == [body]).then_some(received.report.sequence)
        })
        .await;
        self.hub.handle.accepted(uid, sequence);
        sequence
    }

    async fn outbox_is_empty(&self) {
        until(BACK, "every report is acked", async || {
            self.agent.waiting().await.is_empty().then_some(())
        })
        .await;
    }

    /// The session of before is over, on the agent's word, and another has begun.
    async fn heal(&self) {
        let before = self.session();
        // Longer than an agent waits for an answer.
        tokio::time::sleep(Duration::from_secs(17)).await;
        self.line.cut(false);
        until(BACK, "another session", async || {
            let now = self.session();
            (now.is_some() && now != before).then_some(())
        })
        .await;
    }

    fn session(&self) -> Option<u64> {
        let sessions = self.hub.handle.sessions();
        sessions.first().map(|session| session.session)
    }

    async fn stop(self) {
        self.agent.stop().await;
        self.hub.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_whose_ack_was_lost_is_stored_once() {
    let world = World::start(Weather::default()).await;
    let (up, down) = (world.line.up.clone(), world.line.down.clone());
    world.agent.before_next_ack(move || {
        up.store(true, Ordering::SeqCst);
        down.store(true, Ordering::SeqCst);
    });
    let wanted = world.desire(1, 1);
    until(SOON, "the intent is on disk", async || {
        (world.agent.held(wanted.object.uid) == Some(wanted.fence)).then_some(())
    })
    .await;
    assert_eq!(
        world.hub.handle.held(wanted.object.uid),
        None,
        "the hub does not know"
    );
    world.heal().await;
    world.acked(&wanted).await;
    assert_eq!(world.agent.stored(wanted.object.uid, wanted.fence), 1);
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_intent_is_not_sent_again_after_a_cut_behind_its_ack() {
    let world = World::start(Weather::default()).await;
    let wanted = world.desire(1, 1);
    world.acked(&wanted).await;
    world.line.cut(true);
    let newer = world.desire(1, 2);
    world.heal().await;
    world.acked(&newer).await;
    let revisions: Vec<u64> = world
        .agent
        .seen()
        .iter()
        .map(|(_, fence, _)| fence.revision.0)
        .collect();
    assert_eq!(revisions, [1, 2], "each came once");
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_whose_ack_was_lost_is_acked_after_the_cut() {
    let world = World::start(Weather::default()).await;
    let wanted = world.desire(1, 1);
    world.acked(&wanted).await;
    world.agent.report(&wanted, 1).await;
    until(SOON, "the report arrived", async || {
        world.hub.handle.report(wanted.object.uid).map(drop)
    })
    .await;
    world.line.cut(true);
    let first = world.accept(&wanted, 1).await;
    world.heal().await;
    // What the hub accepted it does not forget, and says so at the next occasion.
    world.outbox_is_empty().await;
    world.agent.report(&wanted, 2).await;
    let second = world.accept(&wanted, 2).await;
    assert!(first < second, "{first:?} {second:?}");
    world.outbox_is_empty().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_made_while_the_line_is_cut_arrive_as_the_newest_of_each_object() {
    let world = World::start(Weather::default()).await;
    let wanted = world.desire(1, 1);
    world.acked(&wanted).await;
    world.agent.report(&wanted, 1).await;
    world.accept(&wanted, 1).await;
    world.outbox_is_empty().await;
    world.line.cut(true);
    for body in 2..=9 {
        world.agent.report(&wanted, body).await;
    }
    world.heal().await;
    world.accept(&wanted, 9).await;
    world.outbox_is_empty().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_bad_line_every_object_ends_at_its_newest_revision_and_none_goes_back() {
    let world = World::start(Weather {
        lost: 10,
        doubled: 10,
        late: Duration::from_millis(80),
    })
    .await;
    let (objects, revisions) = (12, 8);
    let mut last = Vec::new();
    for revision in 1..=revisions {
        last.clear();
        for object in 1..=objects {
            last.push(world.desire(object, revision));
        }
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
    for wanted in &last {
        world.acked(wanted).await;
        assert_eq!(world.agent.held(wanted.object.uid), Some(wanted.fence));
        world.agent.report(wanted, 1).await;
    }
    for wanted in &last {
        world.accept(wanted, 1).await;
    }
    world.outbox_is_empty().await;
    for wanted in &last {
        let seen = world.agent.seen();
        let fences: Vec<Fence> = seen
            .into_iter()
            .filter(|(uid, ..)| *uid == wanted.object.uid)
            .map(|(_, fence, _)| fence)
            .collect();
        assert!(
            fences.windows(2).all(|pair| pair[0] < pair[1]),
            "an object went back or came twice: {fences:?}"
        );
        assert_eq!(
            fences.last().map(|fence| fence.revision),
            Some(Revision(revisions))
        );
    }
    world.stop().await;
}
