//! The Redfish client against a BMC that is neither ours nor made for us: sushy-tools with its fake driver. Nothing boots.
//!
//! Every test has a service of its own. Run by `tests/run.sh`; needs what `deploy/install.sh tests` installs.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::Value;
use vitistack_drivers::baremetal::redfish::{
    Address, BootTarget, Client, Error, Gate, Pace, Power,
};
use vitistack_drivers::driver::Class;
use vitistack_protocol::ids::Digest;
use vitistack_protocol::message::intent::{BmcTrust, Credentials};
use vitistack_protocol::message::numbered::{BootMode, Reason};
use vitistack_tests::peer;
use vitistack_tests::peer::sushy::{self, FakeBmc};
use vitistack_tests::process::run;

/// Looks often; a power change takes up to 11 s.
fn pace() -> Pace {
    Pace {
        gap: Duration::from_millis(10),
        breath: Duration::ZERO,
        poll: Duration::from_millis(200),
        power: Duration::from_secs(60),
        ..Pace::default()
    }
}

fn fake(systems: usize) -> (FakeBmc, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("/tmp is writable");
    (FakeBmc::start(dir.path(), systems), dir)
}

fn credentials() -> Credentials {
    account(sushy::PASSWORD)
}

fn account(password: &str) -> Credentials {
    Credentials {
        username: sushy::USERNAME.to_owned(),
        password: password.to_owned(),
    }
}

fn fingerprint(certificate: &Path) -> Digest {
    Digest::of(&CertificateDer::from_pem_file(certificate).expect("it is a PEM certificate"))
}

fn pinned(pin: Digest) -> BmcTrust {
    BmcTrust {
        pin: Some(pin),
        ..BmcTrust::default()
    }
}

fn client(address: &str, trust: &BmcTrust, pace: Pace) -> Client {
    let address = Address::parse(address).expect("it is an address");
    Client::new(address, trust, Arc::new(Gate::default()), pace).expect("the trust is usable")
}

/// A client that trusts the fingerprint of `bmc`.
fn trusting(bmc: &FakeBmc, address: &str) -> Client {
    client(address, &pinned(fingerprint(&bmc.certificate)), pace())
}

/// What another client than ours reads of a system.
fn witness(bmc: &FakeBmc, system: usize) -> Value {
    let path = format!("/redfish/v1/Systems/{}", sushy::uuid(system));
    let text = bmc.curl(&path).unwrap_or_else(|error| panic!("{error}"));
    serde_json::from_str(&text).expect("a system is JSON")
}

#[tokio::test]
async fn power_is_switched_on_and_off_and_read_back_although_the_bmc_is_slow() {
    let (bmc, _dir) = fake(1);
    let client = trusting(&bmc, &bmc.address(0));
    let system = client.system(&credentials()).await.expect("it answers");
    assert_eq!(system.power, Power::Off);
    let system = client
        .power_on(&credentials(), None)
        .await
        .expect("it goes on");
    assert_eq!(system.power, Power::On);
    assert_eq!(witness(&bmc, 0)["PowerState"], "On");
    client
        .power_on(&credentials(), None)
        .await
        .expect("it is on");
    let system = client
        .power_off(&credentials(), None)
        .await
        .expect("it goes off");
    assert_eq!(system.power, Power::Off);
    assert_eq!(witness(&bmc, 0)["PowerState"], "Off");
}

#[tokio::test]
async fn a_power_change_that_is_not_seen_in_time_is_an_error_to_try_again() {
    let (bmc, _dir) = fake(1);
    let hasty = Pace {
        power: Duration::ZERO,
        ..pace()
    };
    let trust = pinned(fingerprint(&bmc.certificate));
    let client = client(&bmc.address(0), &trust, hasty);
    let error = client
        .power_on(&credentials(), None)
        .await
        .expect_err("it takes a second at least");
    assert!(matches!(error, Error::PowerActionIgnored { .. }));
    assert_eq!(error.class(), Class::Retry);
}

#[tokio::test]
async fn a_boot_override_is_set_and_read_back_in_each_form() {
    let (bmc, _dir) = fake(1);
    let client = trusting(&bmc, &bmc.address(0));
    // Without a mode where it fits already, with one where it changes.
    for (target, word, mode, mode_word) in [
        (BootTarget::Network, "Pxe", BootMode::Uefi, "UEFI"),
        (BootTarget::Network, "Pxe", BootMode::Legacy, "Legacy"),
        (BootTarget::Disk, "Hdd", BootMode::Legacy, "Legacy"),
        (BootTarget::Network, "Pxe", BootMode::Uefi, "UEFI"),
        (BootTarget::Disk, "Hdd", BootMode::Uefi, "UEFI"),
    ] {
        let system = client
            .set_boot(&credentials(), None, target, mode)
            .await
            .unwrap_or_else(|error| panic!("{word} in {mode_word}: {error}"));
        assert!(system.boots(target, mode), "{:?}", system.boot);
        let boot = &witness(&bmc, 0)["Boot"];
        assert_eq!(boot["BootSourceOverrideTarget"], word, "{boot}");
        assert_eq!(boot["BootSourceOverrideMode"], mode_word, "{boot}");
    }
    assert_eq!(
        witness(&bmc, 0)["PowerState"],
        "Off",
        "an override does not switch power"
    );
}

#[tokio::test]
async fn a_wrong_password_is_not_a_reason_to_try_again() {
    let (bmc, _dir) = fake(1);
    let client = trusting(&bmc, &bmc.address(0));
    let wrong = account("wrong-horse");
    for error in [
        client.system(&wrong).await,
        client.power_on(&wrong, None).await,
        client
            .set_boot(&wrong, None, BootTarget::Network, BootMode::Uefi)
            .await,
    ]
    .map(|answer| answer.expect_err("the password is wrong"))
    {
        assert_eq!(error.class(), Class::Unauthenticated, "{error}");
        assert_eq!(error.reason(), Reason::BmcAuthenticationFailed);
    }
    assert_eq!(witness(&bmc, 0)["PowerState"], "Off");
}

#[tokio::test]
async fn a_system_is_found_by_id_by_name_and_as_the_only_one_and_an_absent_one_is_not_found() {
    let (bmc, _dir) = fake(1);
    let by_id = format!("/redfish/v1/Systems/{}", sushy::uuid(0));
    let by_name = format!("/redfish/v1/Systems/{}", sushy::name(0));
    for path in [by_id.as_str(), &by_name, "/redfish/v1", ""] {
        let client = trusting(&bmc, &bmc.address_of(path));
        let system = client.system(&credentials()).await.expect("it answers");
        assert_eq!(system.path, by_id, "{path:?}");
        assert_eq!(system.inventory.system_uuid, sushy::uuid(0));
        let nics = client
            .interfaces(&credentials(), &system)
            .await
            .expect("it answers");
        assert_eq!(nics.len(), 1);
        assert_eq!(nics[0].mac, [0x52, 0x54, 0, 0xfa, 0xce, 0]);
    }
    let client = trusting(&bmc, &bmc.address(7));
    for error in [
        client.system(&credentials()).await,
        client.power_on(&credentials(), None).await,
    ]
    .map(|answer| answer.expect_err("there is no such system"))
    {
        assert_eq!(error.class(), Class::NotFound, "{error}");
    }
}

#[tokio::test]
async fn several_systems_behind_one_bmc_are_never_guessed_and_never_mixed_up() {
    let (bmc, _dir) = fake(2);
    let error = trusting(&bmc, &bmc.address_of(""))
        .system(&credentials())
        .await
        .expect_err("two are there");
    for system in [0, 1] {
        assert!(error.to_string().contains(&sushy::uuid(system)), "{error}");
    }
    trusting(&bmc, &bmc.address(1))
        .set_boot(&credentials(), None, BootTarget::Network, BootMode::Uefi)
        .await
        .expect("it is set");
    let target = |system| witness(&bmc, system)["Boot"]["BootSourceOverrideTarget"].clone();
    assert_eq!((target(0), target(1)), ("Hdd".into(), "Pxe".into()));
}

#[tokio::test]
async fn the_certificate_is_judged_as_the_trust_says() {
    let (bmc, dir) = fake(1);
    let own = fingerprint(&bmc.certificate);
    let (other, _key) = peer::certificate(dir.path(), "other");
    let bundle = |file: &Path| BmcTrust {
        ca_bundle: std::fs::read_to_string(file).expect("the certificate is readable"),
        ..BmcTrust::default()
    };
    // With neither pin nor bundle the first one counts.
    for trust in [pinned(own), bundle(&bmc.certificate), BmcTrust::default()] {
        let client = client(&bmc.address(0), &trust, pace());
        client.system(&credentials()).await.expect("it is trusted");
        assert_eq!(client.certificate(), Some(own), "{trust:?}");
    }
    for (trust, reason) in [
        (pinned(fingerprint(&other)), Reason::BmcCertificateChanged),
        (bundle(&other), Reason::BmcCertificateUntrusted),
    ] {
        let client = client(&bmc.address(0), &trust, pace());
        let error = client
            .system(&credentials())
            .await
            .expect_err("it is not trusted");
        assert_eq!(error.reason(), reason, "{error}");
        assert_eq!(error.class(), Class::Invalid);
        assert!(error.to_string().contains(&own.to_string()), "{error}");
    }
}

#[test]
fn check_bmc_says_what_an_operator_needs_for_a_host_and_what_is_in_the_way() {
    let (bmc, dir) = fake(1);
    let own = fingerprint(&bmc.certificate).to_string();
    let password = dir.path().join("password");
    std::fs::write(&password, format!("{}\n", sushy::PASSWORD)).expect("the file is writable");
    let check = |flags: &[&str]| {
        run(Command::new(peer::program("vitistack-agent"))
            .args(["check-bmc", &bmc.address(0)])
            .args(["--username", sushy::USERNAME, "--password-file"])
            .arg(&password)
            .args(flags))
    };
    let seen = check(&[]).expect("it answers");
    assert!(seen.contains("power Off") && seen.contains(&own), "{seen}");
    let seen = check(&["--sha256", &own, "-o", "json"]).expect("it is trusted");
    let seen: Value = serde_json::from_str(&seen).expect("it is JSON");
    assert_eq!(seen["ok"], true);
    assert_eq!(seen["certificate"], own.as_str());
    assert_eq!(seen["power"], "Off");

    let other = format!("sha256:{}", "0".repeat(64));
    let refused = check(&["--sha256", &other]).expect_err("it has another one");
    assert!(
        refused.contains(&own) && refused.contains(&other),
        "{refused}"
    );
    let refused = check(&["--sha256", "abc"]).expect_err("that is no fingerprint");
    assert!(refused.contains("64 hexadecimal digits"), "{refused}");
    let no_certificate = password.display().to_string();
    let refused = check(&["--ca", &no_certificate]).expect_err("that is no certificate");
    assert!(refused.contains("holds no PEM certificate"), "{refused}");
    std::fs::write(&password, "wrong-horse").expect("the file is writable");
    let refused = check(&["-o", "json"]).expect_err("the password is wrong");
    assert!(
        refused.contains(r#""ok":false"#) && refused.contains("refused the credentials"),
        "{refused}"
    );
}
