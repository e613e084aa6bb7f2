use serde_json::json;

use super::decode;

/// A field of bytes.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).unwrap();
    [&[number << 3 | 2, length], bytes].concat()
}

fn body(api_version: &str, kind: &str, raw: &[u8]) -> Vec<u8> {
    let meta = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
    [
        b"k8s\0".to_vec(),
        field(1, &meta),
        field(2, raw),
        field(3, b""),
        field(4, b""),
    ]
    .concat()
}

#[test]
fn a_namespace_of_kubectl_is_read() {
    // As `kubectl create namespace aa` of version 1.32 sends it.
    let sent = b"k8s\0\x0a\x0f\x0a\x02v1\x12\x09Namespace\x12\x1a\x0a\x12\x0a\x02aa\x12\x00\x1a\
                 \x00\x22\x00\x2a\x00\x32\x00\x38\x00\x42\x00\x12\x00\x1a\x02\x0a\x00\x1a\x00\x22\x00";
    let expected = json!({ "apiVersion": "v1", "kind": "Namespace",
                           "metadata": { "name": "aa", "generation": 0 } });
    assert_eq!(decode(sent).unwrap(), expected);
}

#[test]
fn values_of_a_secret_become_base64() {
    let entry = [field(1, b"key"), field(2, &[0xff, 0x00])].concat();
    let raw = [
        field(1, &field(1, b"s")),
        field(2, &entry),
        field(3, b"Opaque"),
        vec![5 << 3, 1],
    ];
    let expected = json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "s" },
                           "data": { "key": "/wA=" }, "type": "Opaque", "immutable": true });
    assert_eq!(
        decode(&body("v1", "Secret", &raw.concat())).unwrap(),
        expected
    );
}

#[test]
fn times_and_lists_are_read() {
    let time = [1 << 3, 60];
    let meta = [field(1, b"l"), field(14, b"a/b"), field(14, b"c/d")].concat();
    let raw = [
        field(1, &meta),
        field(2, &[field(1, b"me"), field(4, &time)].concat()),
    ]
    .concat();
    let lease = decode(&body("coordination.k8s.io/v1", "Lease", &raw)).unwrap();
    assert_eq!(lease["metadata"]["finalizers"], json!(["a/b", "c/d"]));
    assert_eq!(
        lease["spec"],
        json!({ "holderIdentity": "me", "renewTime": "1970-01-01T00:01:00Z" })
    );
}

#[test]
fn fields_that_are_not_known_are_skipped() {
    let raw = [
        field(1, &field(1, b"n")),
        field(9, b"new"),
        vec![10 << 3, 7],
    ]
    .concat();
    let object = decode(&body("v1", "Namespace", &raw)).unwrap();
    assert_eq!(object["metadata"]["name"], "n");
}

#[test]
fn what_is_not_protobuf_is_refused() {
    let truncated = &body("v1", "Namespace", &field(1, b"xx"))[..25];
    for bytes in [
        &b""[..],
        b"{}",
        b"k8s\0\xff",
        truncated,
        b"k8s\0\x0a\xff\xff\xff\xff\x7f",
    ] {
        assert_eq!(decode(bytes).unwrap_err().code / 100, 4, "{bytes:?}");
    }
    assert_eq!(decode(&body("v1", "Pod", b"")).unwrap_err().code, 415);
}
