use super::{Place, Target, parse};

fn place(group: &str, version: &str, namespace: Option<&str>, plural: &str) -> Place {
    Place {
        group: group.to_owned(),
        version: version.to_owned(),
        plural: plural.to_owned(),
        namespace: namespace.map(str::to_owned),
    }
}

fn object(place: Place, name: &str, sub: Option<&str>) -> Target {
    Target::Object {
        place,
        name: name.to_owned(),
        sub: sub.map(str::to_owned),
    }
}

#[test]
fn paths_lead_where_kubernetes_puts_things() {
    let machines = |namespace| place("vitistack.io", "v1alpha1", namespace, "machines");
    let cases = [
        ("/version", Some(Target::Version)),
        ("/readyz", Some(Target::Health)),
        ("/api", Some(Target::Core)),
        ("/apis/", Some(Target::Groups)),
        (
            "/apis/vitistack.io",
            Some(Target::Group("vitistack.io".to_owned())),
        ),
        (
            "/apis/vitistack.io/v1alpha1/machines",
            Some(Target::Collection(machines(None))),
        ),
        (
            "/apis/vitistack.io/v1alpha1/namespaces/ns/machines",
            Some(Target::Collection(machines(Some("ns")))),
        ),
        (
            "/apis/vitistack.io/v1alpha1/namespaces/ns/machines/a%2Eb",
            Some(object(machines(Some("ns")), "a.b", None)),
        ),
        (
            "/apis/vitistack.io/v1alpha1/namespaces/ns/machines/m/status",
            Some(object(machines(Some("ns")), "m", Some("status"))),
        ),
        (
            "/api/v1/namespaces/ns",
            Some(object(place("", "v1", None, "namespaces"), "ns", None)),
        ),
        (
            "/api/v1/namespaces/ns/status",
            Some(object(
                place("", "v1", None, "namespaces"),
                "ns",
                Some("status"),
            )),
        ),
        (
            "/api/v1/namespaces/ns/secrets",
            Some(Target::Collection(place("", "v1", Some("ns"), "secrets"))),
        ),
        ("/", None),
        ("/metrics", None),
        ("/api/v1/namespaces/a/b/c/d/e", None),
        ("/api/v1/%ff", None),
    ];
    for (path, expected) in cases {
        assert_eq!(parse(path), expected, "{path}");
    }
}
