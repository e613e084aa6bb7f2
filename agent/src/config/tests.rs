//! What may be typed, and how a refusal reads.

use super::*;

const SMALL: &str = "data_dir = \"/var/lib/vitistack\"\nhub = \"hub.example:7443\"\n";

fn check(text: &str) -> Result<Config, String> {
    parse(Path::new("agent.toml"), text, "Edge-7.example.org").map_err(|error| match error {
        Error::Parse { source, .. } => source.to_string(),
        other => other.to_string(),
    })
}

#[test]
fn two_lines_are_enough() {
    let config = check(SMALL).unwrap();
    assert_eq!(config.name, "edge-7");
    assert_eq!(config.netboot, None);
    assert_eq!(config.store_bytes, 64 << 20);
    assert!(config.key_file.ends_with("identity/seal.key"));
}

#[test]
fn a_boot_network_is_read_whole() {
    let text = format!(
        "{SMALL}name = \"edge-1\"\nmetered = true\n[netboot]\ninterface = \"br0\"\nmode = \"own\"\n\
         range = [\"10.99.0.100\", \"10.99.0.200\"]\nlease_seconds = 600\nhttp_port = 8081\n\
         router_advertisements = \"off\"\nassets = \"/srv/netboot\"\n"
    );
    let config = check(&text).unwrap();
    assert!(config.metered);
    let expected = Netboot {
        interface: "br0".into(),
        mode: Mode::Own {
            range: (Ipv4Addr::new(10, 99, 0, 100), Ipv4Addr::new(10, 99, 0, 200)),
            lease: Duration::from_secs(600),
        },
        http_port: 8081,
        router_advertisements: false,
        assets: "/srv/netboot".into(),
    };
    assert_eq!(config.netboot, Some(expected));
}

#[test]
fn a_refusal_names_key_value_and_what_is_allowed() {
    let netboot = |lines: &str| format!("{SMALL}[netboot]\ninterface = \"br0\"\n{lines}");
    let cases: [(&str, String, &[&str]); 10] = [
        (
            "unknown key",
            format!("{SMALL}metred = true"),
            &["metred", "metered"],
        ),
        (
            "unknown table",
            format!("{SMALL}[netbot]\n"),
            &["netbot", "netboot"],
        ),
        (
            "wrong type",
            format!("{SMALL}metered = \"yes\""),
            &["metered = \"yes\"", "boolean"],
        ),
        ("missing", "hub = \"h:1\"".to_owned(), &["data_dir"]),
        (
            "relative",
            "data_dir = \"x\"\nhub = \"h:1\"".to_owned(),
            &["data_dir = x", "absolute"],
        ),
        (
            "no port",
            "data_dir = \"/x\"\nhub = \"h\"".to_owned(),
            &["hub = h", "host:port"],
        ),
        (
            "mode",
            netboot("mode = \"ours\""),
            &["ours", "own", "proxy", "relay"],
        ),
        (
            "no range",
            netboot("mode = \"own\""),
            &["netboot.range", "own"],
        ),
        (
            "range upside down",
            netboot("mode = \"own\"\nrange = [\"10.0.0.9\", \"10.0.0.1\"]"),
            &["netboot.range", "10.0.0.9", "above"],
        ),
        (
            "short lease",
            netboot("mode = \"own\"\nrange = [\"10.0.0.1\", \"10.0.0.9\"]\nlease_seconds = 5"),
            &["netboot.lease_seconds = 5", "120"],
        ),
    ];
    for (name, text, words) in cases {
        let refusal = check(&text).expect_err(name);
        for word in words {
            assert!(
                refusal.contains(word),
                "{name}: {word:?} is not in {refusal:?}"
            );
        }
    }
}

#[test]
fn a_name_must_be_a_label() {
    for name in ["", "-a", "a-", "A", "a.b", &"a".repeat(64)] {
        let refusal = check(&format!("{SMALL}name = \"{name}\"\n")).expect_err(name);
        assert!(refusal.contains("DNS label"), "{refusal}");
    }
}
