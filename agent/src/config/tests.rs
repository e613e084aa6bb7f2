//! What may be typed, and how a refusal reads.

use std::net::Ipv4Addr;
use std::time::Duration;

use vitistack_drivers::netboot::Parameters;

use super::*;

const SMALL: &str = "data_dir = \"/var/lib/vitistack\"\nhub = \"hub.example:7443\"\n";

fn check(text: &str) -> Result<Config, String> {
    parse(Path::new("agent.toml"), text, "Edge-7.example.org", None).map_err(|error| match error {
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
    assert_eq!(config.key_file, Path::new("/var/lib/vitistack.key"));
}

#[test]
fn the_key_is_the_one_named_or_handed_in_and_never_inside_the_data() {
    let of = |more: &str, handed_in: Option<&str>| {
        let text = format!("{SMALL}{more}");
        parse(
            Path::new("agent.toml"),
            &text,
            "edge",
            handed_in.map(Path::new),
        )
        .map(|config| config.key_file)
        .map_err(|error| error.to_string())
    };
    let credential = "/run/credentials/vitistack-agent.service/seal.key";
    assert_eq!(of("", Some(credential)).unwrap(), Path::new(credential));
    let named = "key_file = \"/mnt/key\"\n";
    assert_eq!(of(named, Some(credential)).unwrap(), Path::new("/mnt/key"));
    let refused = of(
        "key_file = \"/var/lib/vitistack/identity/seal.key\"\n",
        None,
    )
    .unwrap_err();
    assert!(
        refused.contains("key_file") && refused.contains("outside data_dir"),
        "{refused}"
    );
}

#[test]
fn a_boot_network_is_read_whole() {
    let text = format!(
        "{SMALL}name = \"edge-1\"\nmetered = true\n[netboot]\ninterface = \"br0\"\nmode = \"own\"\n\
         range = [\"10.99.0.100\", \"10.99.0.200\"]\nlease_seconds = 600\nrouter = \"10.99.0.254\"\n\
         dns = [\"10.99.0.2\", \"9.9.9.9\"]\ndomain = \"edge.example\"\nntp = [\"10.99.0.3\"]\nhttp_port = 8081\n\
         router_advertisements = \"off\"\nassets = \"/srv/netboot\"\n"
    );
    let config = check(&text).unwrap();
    assert!(config.metered);
    let expected = Netboot {
        interface: "br0".into(),
        mode: Mode::Own {
            range: (Ipv4Addr::new(10, 99, 0, 100), Ipv4Addr::new(10, 99, 0, 200)),
            lease: Duration::from_secs(600),
            parameters: Parameters {
                router: Some(Ipv4Addr::new(10, 99, 0, 254)),
                dns: vec![Ipv4Addr::new(10, 99, 0, 2), Ipv4Addr::new(9, 9, 9, 9)],
                domain: Some("edge.example".into()),
                ntp: vec![Ipv4Addr::new(10, 99, 0, 3)],
            },
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
fn a_server_can_use_what_it_is_told_of_its_network() {
    let own = "mode = \"own\"\nrange = [\"10.0.0.1\", \"10.0.0.9\"]\n";
    for (line, words) in [
        ("router = \"0.0.0.0\"", "netboot.router = 0.0.0.0: must be"),
        ("router = \"gw\"", "IPv4"),
        (
            "dns = [\"127.0.0.53\"]",
            "netboot.dns = [127.0.0.53]: must be",
        ),
        (
            "dns = [\"10.0.0.1\", \"10.0.0.2\", \"10.0.0.3\", \"10.0.0.4\", \"10.0.0.5\"]",
            "at most 4",
        ),
        (
            "ntp = [\"224.0.1.1\"]",
            "netboot.ntp = [224.0.1.1]: must be",
        ),
        ("domain = \"\"", "netboot.domain = : must be"),
        ("domain = \"Edge.example\"", "lower-case"),
        (
            "domain = \"edge.example.\"",
            "netboot.domain = edge.example.: must be",
        ),
    ] {
        let text = format!("{SMALL}[netboot]\ninterface = \"br0\"\n{own}{line}\n");
        let refusal = check(&text).expect_err(line);
        assert!(refusal.contains(words), "{line}: {refusal}");
        assert!(
            refusal.contains("agent.toml") || words == "IPv4",
            "{refusal}"
        );
    }
}

#[test]
fn keys_of_the_own_mode_are_refused_where_another_server_gives_addresses() {
    for mode in ["proxy", "relay"] {
        for (key, value) in [
            ("range", "[\"10.0.0.1\", \"10.0.0.9\"]"),
            ("lease_seconds", "600"),
            ("router", "\"10.0.0.1\""),
            ("dns", "[\"10.0.0.1\"]"),
            ("domain", "\"edge.example\""),
            ("ntp", "[\"10.0.0.1\"]"),
        ] {
            let text = format!(
                "{SMALL}[netboot]\ninterface = \"br0\"\nmode = \"{mode}\"\n{key} = {value}\n"
            );
            let refusal = check(&text).expect_err(key);
            let value = value.replace('"', "");
            let start = format!("agent.toml: netboot.{key} = {value}: only mode \"own\"");
            assert!(refusal.starts_with(&start), "{refusal}");
        }
    }
}

#[test]
fn the_example_says_every_key_and_is_valid() {
    let example = include_str!("../../../deploy/examples/agent.toml");
    check(example).unwrap();
    // A key that is commented out stands there with its default or with what it could be.
    let all: String = example
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(key) if key.contains(" = ") => format!("{key}\n"),
            Some(_) | None => format!("{line}\n"),
        })
        .collect();
    let config = check(&all).unwrap();
    let Some(Netboot {
        mode: Mode::Own { parameters, .. },
        ..
    }) = config.netboot
    else {
        panic!("the example shows the mode own");
    };
    assert!(parameters.router.is_some() && parameters.domain.is_some());
    assert!(!parameters.dns.is_empty() && !parameters.ntp.is_empty());
}

#[test]
fn a_name_must_be_a_label() {
    for name in ["", "-a", "a-", "A", "a.b", &"a".repeat(64)] {
        let refusal = check(&format!("{SMALL}name = \"{name}\"\n")).expect_err(name);
        assert!(refusal.contains("DNS label"), "{refusal}");
    }
}
