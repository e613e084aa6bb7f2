//! What agent and installer say to each other over plain HTTP: signed plans and reports.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use ring::signature::{Ed25519KeyPair, KeyPair as _};
use vitistack_installer_wire::{Plan, Report, SignedPlan};

static KEY: LazyLock<Ed25519KeyPair> =
    LazyLock::new(|| Ed25519KeyPair::from_seed_unchecked(&[7; 32]).expect("a seed has 32 bytes"));

fn public() -> String {
    KEY.public_key()
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fuzz_target!(|data: &[u8]| {
    if let Ok(signed) = serde_json::from_slice::<SignedPlan>(data) {
        // Nobody signs without the key.
        assert!(signed.open(&public()).is_err());
    }
    if let Ok(plan) = serde_json::from_slice::<Plan>(data) {
        let signed = SignedPlan::sign(&plan, &KEY).expect("a plan is JSON");
        let opened = signed.open(&public()).expect("our own signature holds");
        assert_eq!(opened, plan);
        let mut changed = signed;
        changed.plan.push(' ');
        assert!(changed.open(&public()).is_err());
    }
    if let Ok(report) = serde_json::from_slice::<Report>(data) {
        let text = serde_json::to_vec(&report).expect("a report is JSON");
        let again: Report = serde_json::from_slice(&text).expect("its own text is a report");
        assert_eq!(again, report);
    }
});
