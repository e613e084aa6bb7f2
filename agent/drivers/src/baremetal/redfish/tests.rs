//! The client against a BMC at the wire with faults.

pub(crate) mod bmc;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use vitistack_protocol::ids::Digest;
use vitistack_protocol::message::intent::{BmcTrust, Credentials};
use vitistack_protocol::message::numbered::{BootMode, Reason};

use self::bmc::{Bmc, Faults};
use super::{Address, BootTarget, Client, Error, Gate, Pace, Power};
use crate::driver::Class;

const SYSTEM: &str = "/redfish/v1/Systems/1";

fn pace() -> Pace {
    Pace {
        gap: Duration::from_millis(1),
        breath: Duration::ZERO,
        connect: Duration::from_secs(5),
        request: Duration::from_secs(5),
        power: Duration::from_millis(60),
        poll: Duration::from_millis(5),
    }
}

fn credentials() -> Credentials {
    Credentials {
        username: "admin".to_owned(),
        password: "password".to_owned(),
    }
}

fn client(bmc: &Bmc, path: &str, trust: &BmcTrust) -> Client {
    let scheme = if bmc.certificate.is_some() {
        "redfish+https"
    } else {
        "redfish+http"
    };
    let address = Address::parse(&format!("{scheme}://{}{path}", bmc.address)).unwrap();
    Client::new(address, trust, Arc::new(Gate::default()), pace()).unwrap()
}

async fn faulty(faults: Faults) -> (Bmc, Client) {
    let bmc = Bmc::plain().await;
    bmc.set(|state| state.faults = faults);
    let client = client(&bmc, SYSTEM, &BmcTrust::default());
    (bmc, client)
}

#[test]
fn addresses_are_read_and_refused_with_a_reason() {
    let lane = |text: &str| Address::parse(text).map(|address| address.lane());
    assert_eq!(
        lane("redfish://bmc-1/redfish/v1/Systems/1").unwrap(),
        "https://bmc-1"
    );
    assert_eq!(
        lane("redfish+https://[::1]:8443/redfish/v1/Systems/1").unwrap(),
        "https://[::1]:8443"
    );
    assert_eq!(
        lane("redfish+http://127.0.0.1:80").unwrap(),
        "http://127.0.0.1"
    );
    for (text, part) in [
        ("ipmi://bmc-1", "scheme \"ipmi\""),
        ("bmc-1", "not a URL"),
        ("redfish://user:secret@bmc-1/", "Secret"),
        ("redfish://bmc-1/a?b=c", "not a URL"),
    ] {
        let problem = Address::parse(text).unwrap_err().to_string();
        assert!(problem.contains(part), "{text}: {problem}");
        assert!(!problem.contains("user:secret"));
    }
}

#[test]
fn a_path_never_leads_to_another_machine() {
    let address = Address::parse("redfish://bmc-1/redfish/v1/Systems/1").unwrap();
    assert!(address.url("/redfish/v1").is_some());
    for away in [
        "http://bmc-1/",
        "https://bmc-2/",
        "//bmc-2/",
        "https://bmc-1:444/",
    ] {
        assert!(address.url(away).is_none(), "{away}");
    }
}

#[tokio::test]
async fn a_system_is_found_by_path_by_name_and_as_the_only_one() {
    let bmc = Bmc::plain().await;
    for path in [SYSTEM, "/redfish/v1/Systems/by-name", "", "/redfish/v1/"] {
        let client = client(&bmc, path, &BmcTrust::default());
        let system = client.system(&credentials()).await.unwrap();
        assert_eq!(system.path, SYSTEM);
        assert_eq!(system.power, Power::Off);
        assert_eq!(system.inventory.cpu_cores, 2);
        assert_eq!(system.inventory.memory_mib, 1536);
        let nics = client.interfaces(&credentials(), &system).await.unwrap();
        assert_eq!(nics.len(), 1);
        assert_eq!(nics[0].mac, [0x52, 0x54, 0, 0x99, 0, 1]);
    }
}

#[tokio::test]
async fn a_boot_override_is_set_and_read_back() {
    let (bmc, client) = faulty(Faults::default()).await;
    for (target, word) in [(BootTarget::Network, "Pxe"), (BootTarget::Disk, "Hdd")] {
        let system = client
            .set_boot(&credentials(), None, target, BootMode::Uefi)
            .await
            .unwrap();
        assert!(system.boots(target, BootMode::Uefi));
        assert_eq!(bmc.state.lock().unwrap().target, word);
    }
    let patches = bmc.sent("PATCH").len();
    client
        .set_boot(&credentials(), None, BootTarget::Disk, BootMode::Uefi)
        .await
        .unwrap();
    assert_eq!(bmc.sent("PATCH").len(), patches, "nothing to change");
}

#[tokio::test]
async fn continuous_is_as_good_as_once() {
    let (bmc, client) = faulty(Faults::default()).await;
    bmc.set(|state| {
        "Pxe".clone_into(&mut state.target);
        "Continuous".clone_into(&mut state.enabled);
    });
    let system = client.system(&credentials()).await.unwrap();
    assert!(system.boots(BootTarget::Network, BootMode::Uefi));
    assert!(!system.boots(BootTarget::Network, BootMode::Legacy));
}

#[tokio::test]
async fn an_override_that_is_dropped_or_reverted_is_said_so() {
    for faults in [
        Faults {
            drop_patch: true,
            ..Faults::default()
        },
        Faults {
            revert_mode: true,
            ..Faults::default()
        },
    ] {
        let (bmc, client) = faulty(faults).await;
        let error = client
            .set_boot(&credentials(), None, BootTarget::Network, BootMode::Uefi)
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::BootOverrideIgnored { .. }),
            "{error}"
        );
        assert_eq!(error.reason(), Reason::BootOverrideIgnored);
        assert!(bmc.sent("RESET").is_empty());
    }
}

#[tokio::test]
async fn other_forms_and_places_are_tried_before_giving_up() {
    for (name, faults) in [
        (
            "settings",
            Faults {
                settings_only: true,
                ..Faults::default()
            },
        ),
        (
            "mode refused",
            Faults {
                refuse_mode: true,
                ..Faults::default()
            },
        ),
        (
            "weak tag refused",
            Faults {
                strong_tag_only: true,
                ..Faults::default()
            },
        ),
    ] {
        let (bmc, client) = faulty(faults).await;
        bmc.set(|state| state.manufacturer = "Supermicro");
        client
            .set_boot(&credentials(), None, BootTarget::Network, BootMode::Uefi)
            .await
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(bmc.state.lock().unwrap().target, "Pxe", "{name}");
    }
}

#[tokio::test]
async fn power_is_switched_and_read_back() {
    let (bmc, client) = faulty(Faults::default()).await;
    assert_eq!(
        client.power_on(&credentials(), None).await.unwrap().power,
        Power::On
    );
    client.power_on(&credentials(), None).await.unwrap();
    assert_eq!(bmc.sent("RESET"), ["RESET On"], "already on is a success");
    assert_eq!(
        client.power_off(&credentials(), None).await.unwrap().power,
        Power::Off
    );
    client.shut_down(&credentials()).await.unwrap();
    assert_eq!(bmc.sent("RESET"), ["RESET On", "RESET ForceOff"]);
}

#[tokio::test]
async fn a_power_action_that_does_nothing_is_said_so_after_a_bound() {
    let (_bmc, client) = faulty(Faults {
        ignore_reset: true,
        ..Faults::default()
    })
    .await;
    let error = client.power_on(&credentials(), None).await.unwrap_err();
    assert_eq!(error.reason(), Reason::PowerActionIgnored);
    assert_eq!(error.class(), Class::Retry);
}

#[tokio::test]
async fn wrong_credentials_are_one_knock_and_never_in_the_text() {
    let bmc = Bmc::plain().await;
    let client = client(&bmc, SYSTEM, &BmcTrust::default());
    let wrong = Credentials {
        username: "admin".to_owned(),
        password: "hunter2-wrong".to_owned(),
    };
    let error = client.power_on(&wrong, None).await.unwrap_err();
    assert_eq!(error.class(), Class::Unauthenticated);
    assert_eq!(error.reason(), Reason::BmcAuthenticationFailed);
    assert_eq!(bmc.state.lock().unwrap().log.len(), 1);
    assert!(!format!("{error} {error:?}").contains("hunter2"));
}

#[tokio::test]
async fn status_and_message_decide_the_class() {
    let (bmc, client) = faulty(Faults {
        throttle: true,
        ..Faults::default()
    })
    .await;
    let error = client.system(&credentials()).await.unwrap_err();
    let after = Duration::from_secs(7);
    assert_eq!(error.class(), Class::Throttled { after });

    bmc.set(|state| {
        state.faults = Faults {
            refuse_reset: Some("UnableToModifyDuringSystemPOST"),
            ..Faults::default()
        }
    });
    let error = client.power_on(&credentials(), None).await.unwrap_err();
    assert_eq!(error.class(), Class::Retry);
    assert!(error.to_string().contains("UnableToModifyDuringSystemPOST"));
}

#[tokio::test]
async fn credentials_do_not_follow_a_redirect_to_another_machine() {
    let (_bmc, client) = faulty(Faults {
        redirect_away: true,
        ..Faults::default()
    })
    .await;
    let error = client.system(&credentials()).await.unwrap_err();
    assert_eq!(error.reason(), Reason::BmcProtocolError);
}

#[tokio::test]
async fn a_silent_bmc_is_unreachable_within_the_deadline() {
    let bmc = Bmc::plain().await;
    bmc.set(|state| state.faults.delay = Duration::from_secs(60));
    let address = Address::parse(&format!("redfish+http://{}{SYSTEM}", bmc.address)).unwrap();
    let pace = Pace {
        request: Duration::from_millis(50),
        ..pace()
    };
    let client = Client::new(
        address,
        &BmcTrust::default(),
        Arc::new(Gate::default()),
        pace,
    )
    .unwrap();
    let error = client.system(&credentials()).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }), "{error}");
    assert_eq!(error.reason(), Reason::BmcUnreachable);
}

#[tokio::test]
async fn two_clients_of_one_bmc_never_ask_at_the_same_time() {
    let bmc = Bmc::plain().await;
    bmc.set(|state| state.faults.delay = Duration::from_millis(10));
    let gate = Arc::new(Gate::default());
    let asks = (0..8).map(|_| {
        let address = Address::parse(&format!("redfish+http://{}{SYSTEM}", bmc.address)).unwrap();
        let client = Client::new(address, &BmcTrust::default(), Arc::clone(&gate), pace()).unwrap();
        async move { client.system(&credentials()).await.map(|_| ()) }
    });
    for answer in futures::future::join_all(asks).await {
        answer.unwrap();
    }
    assert_eq!(bmc.state.lock().unwrap().most_in_flight, 1);
}

#[tokio::test]
async fn the_first_certificate_is_pinned_and_another_one_is_refused() {
    let first = Bmc::tls(SocketAddr::from(([127, 0, 0, 1], 0))).await;
    let address = first.address;
    let client = client(&first, SYSTEM, &BmcTrust::default());
    client.system(&credentials()).await.unwrap();
    let seen = first.certificate.as_ref().unwrap().0;
    assert_eq!(client.certificate(), Some(seen));
    drop(first);
    let second = loop {
        // The port is free once the aborted listener is gone.
        tokio::task::yield_now().await;
        if std::net::TcpListener::bind(address).is_ok() {
            break Bmc::tls(address).await;
        }
    };
    let error = client.system(&credentials()).await.unwrap_err();
    assert_eq!(error.reason(), Reason::BmcCertificateChanged);
    assert_eq!(error.class(), Class::Invalid);
    assert!(second.state.lock().unwrap().log.is_empty());
}

#[tokio::test]
async fn trust_is_by_pin_by_authority_or_by_order() {
    let bmc = Bmc::tls(SocketAddr::from(([127, 0, 0, 1], 0))).await;
    let (digest, pem) = bmc.certificate.clone().unwrap();
    let other = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let pin = |pin| BmcTrust {
        pin: Some(pin),
        ..BmcTrust::default()
    };
    let bundle = |ca_bundle| BmcTrust {
        ca_bundle,
        ..BmcTrust::default()
    };
    let insecure = BmcTrust {
        insecure: true,
        ..BmcTrust::default()
    };
    for (name, trust, refused) in [
        ("its own pin", pin(digest), None),
        (
            "another pin",
            pin(Digest([7; 32])),
            Some(Reason::BmcCertificateChanged),
        ),
        ("its own authority", bundle(pem), None),
        (
            "another authority",
            bundle(other.cert.pem()),
            Some(Reason::BmcCertificateUntrusted),
        ),
        ("insecure", insecure, None),
    ] {
        let client = client(&bmc, SYSTEM, &trust);
        let answer = client.system(&credentials()).await;
        let reason = answer.as_ref().err().map(Error::reason);
        assert_eq!(reason, refused, "{name}");
    }
    let address = Address::parse(&format!("redfish://{}{SYSTEM}", bmc.address)).unwrap();
    let empty = bundle("no certificate".to_owned());
    let refused = Client::new(address, &empty, Arc::new(Gate::default()), pace());
    assert_eq!(
        refused.unwrap_err().reason(),
        Reason::BmcCertificateUntrusted
    );
}
