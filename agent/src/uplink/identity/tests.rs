use std::os::unix::fs::PermissionsExt as _;
use std::time::SystemTime;

use vitistack_protocol::identity::{AgentName, Authority};

use super::*;

fn certificates(key: &AgentKey) -> (Vec<Vec<u8>>, Vec<Vec<u8>>) {
    let now = SystemTime::now();
    let authority = Authority::generate(DEFAULT_TRUST_DOMAIN, now).unwrap();
    let name = AgentName::new("edge-west", "edge-1").unwrap();
    let chain = authority
        .sign_agent(&key.request().unwrap(), &name, "0123456789", [1; 16], now)
        .unwrap();
    (authority.roots(), chain)
}

#[tokio::test]
async fn an_identity_survives_its_files_and_nobody_else_reads_them() {
    let place = tempfile::tempdir().unwrap();
    let folder = place.path().join("data/identity");
    assert!(Identity::load(&folder).await.unwrap().is_none());
    let key = Identity::key_for_joining(&folder).await.unwrap();
    let again = Identity::key_for_joining(&folder).await.unwrap();
    assert_eq!(
        *key.to_pem(),
        *again.to_pem(),
        "a second attempt takes the same key"
    );
    // The key alone is not an identity yet.
    assert!(Identity::load(&folder).await.unwrap().is_none());
    let (roots, chain) = certificates(&key);
    let identity = Identity::new(Arc::new(key), roots, chain).unwrap();
    identity.save(&folder).await.unwrap();
    let loaded = Identity::load(&folder).await.unwrap().unwrap();
    assert_eq!(loaded.leaf(), identity.leaf());
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&folder), 0o700);
    for name in [KEY, ROOTS, CERTIFICATE] {
        assert_eq!(mode(&folder.join(name)), 0o600, "{name}");
    }
}

#[tokio::test]
async fn damaged_files_are_an_error_and_not_a_new_identity() {
    for (name, content) in [(CERTIFICATE, "nonsense"), (KEY, "nonsense"), (ROOTS, "")] {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path();
        let key = Identity::key_for_joining(folder).await.unwrap();
        let (roots, chain) = certificates(&key);
        let identity = Identity::new(Arc::new(key), roots, chain).unwrap();
        identity.save(folder).await.unwrap();
        fs::write(folder.join(name), content).unwrap();
        assert!(Identity::load(folder).await.is_err(), "{name}");
        fs::remove_file(folder.join(name)).unwrap();
        assert_eq!(
            Identity::load(folder).await.is_err(),
            name != CERTIFICATE,
            "{name}"
        );
    }
}

#[test]
fn a_certificate_for_another_key_is_refused() {
    let (roots, chain) = certificates(&AgentKey::generate().unwrap());
    let other = Arc::new(AgentKey::generate().unwrap());
    assert!(matches!(
        Identity::new(other, roots, chain),
        Err(Error::Identity { .. })
    ));
}
