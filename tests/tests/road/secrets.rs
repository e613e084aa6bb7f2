//! Secrets that must not be seen: each has a value that occurs nowhere else, one Machine is installed and released with
//! everything logged at trace level, and then every place where people and programs look is searched.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use vitistack_tests::process::{Process, run};
use vitistack_tests::site::BMC_PASSWORD;
use vitistack_tests::world::{BOOT, Dhcp, Hub, Logs, Mode, SOON, World};
use vitistack_tests::{manifest, wait};

const USER_DATA: &str = "user-data-8d1f0c6a5b";
const PLAIN_SECRET: &str = "standalone-secret-73c29e04";

/// A secret, and how it may be written.
struct Canary {
    name: &'static str,
    shapes: Vec<Vec<u8>>,
}

impl Canary {
    fn new(name: &'static str, value: &[u8]) -> Self {
        let mut shapes = vec![
            value.to_vec(),
            hex::encode(value).into_bytes(),
            hex::encode_upper(value).into_bytes(),
        ];
        // Base64 looks different at each of three offsets; of each the part that its neighbours do not touch.
        for offset in 0..3 {
            let text = BASE64_STANDARD.encode([&[0_u8; 2][..offset], value].concat());
            let (first, last) = (if offset == 0 { 0 } else { 4 }, text.len() - 4);
            shapes.push(text.as_bytes()[first..last].to_vec());
        }
        Self { name, shapes }
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        self.shapes.iter().any(|shape| contains(bytes, shape))
    }
}

fn contains(bytes: &[u8], shape: &[u8]) -> bool {
    memchr::memmem::find(bytes, shape).is_some()
}

/// A place that was searched.
struct Place {
    name: String,
    bytes: Vec<u8>,
}

fn place(name: impl Into<String>, bytes: impl Into<Vec<u8>>) -> Place {
    Place {
        name: name.into(),
        bytes: bytes.into(),
    }
}

/// Which canaries are where.
fn found(canaries: &[Canary], places: &[Place]) -> Vec<String> {
    let mut found = Vec::new();
    for place in places {
        for canary in canaries {
            if canary.is_in(&place.bytes) {
                found.push(format!("{} in {}", canary.name, place.name));
            }
        }
    }
    found
}

/// Every file below `dir`.
fn files(dir: &Path) -> Vec<Place> {
    let mut places = Vec::new();
    let mut left: Vec<PathBuf> = vec![dir.to_owned()];
    while let Some(next) = left.pop() {
        for entry in std::fs::read_dir(&next)
            .expect("a directory of ours")
            .flatten()
        {
            let path = entry.path();
            if path.is_dir() {
                left.push(path);
            } else if path.is_file() {
                // sled may take a file away under our hands.
                if let Ok(bytes) = std::fs::read(&path) {
                    places.push(place(path.display().to_string(), bytes));
                }
            }
        }
    }
    assert!(!places.is_empty(), "{} is empty", dir.display());
    places
}

/// Command lines and environments of this world's hub and agent.
fn processes(hub: &Hub) -> Vec<Place> {
    let mut places = Vec::new();
    let mut names = Vec::new();
    let own = hub.path("").display().to_string();
    for entry in std::fs::read_dir("/proc").expect("Linux").flatten() {
        let read = |name: &str| std::fs::read(entry.path().join(name)).unwrap_or_default();
        let command = read("cmdline");
        let program = command.split(|byte| *byte == 0).next().unwrap_or_default();
        let program = String::from_utf8_lossy(program).into_owned();
        let is_ours = ["vitistack-hub", "vitistack-agent"]
            .iter()
            .any(|name| program.ends_with(name));
        if is_ours && contains(&command, own.as_bytes()) {
            let pid = entry.file_name().to_string_lossy().into_owned();
            places.push(place(format!("/proc/{pid}/environ"), read("environ")));
            places.push(place(format!("/proc/{pid}/cmdline"), command));
            names.push(program);
        }
    }
    assert_eq!(names.len(), 2, "hub and agent run: {names:?}");
    places
}

/// Keys, tokens and what holds them are their owner's alone.
fn keys_are_private(hub: &Hub) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| {
        let found = std::fs::metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        found.permissions().mode() & 0o777
    };
    let mut keys = vec![hub.path("hub.key"), hub.path("agent.key")];
    for dir in ["hub", "agent"] {
        assert_eq!(mode(&hub.path(dir)), 0o700, "{dir}");
        let private = files(&hub.path(dir)).into_iter().filter_map(|place| {
            let name = place.name.rsplit('/').next().unwrap_or_default();
            let is_key = name.ends_with(".key") || name == "token" || name == "kubeconfig";
            is_key.then(|| PathBuf::from(&place.name))
        });
        keys.extend(private);
    }
    assert!(keys.len() >= 6, "{keys:?}");
    for key in keys {
        assert_eq!(mode(&key), 0o600, "{}", key.display());
    }
}

/// What anybody who may read objects, but no Secrets, can see.
fn objects(hub: &Hub) -> Vec<Place> {
    let kinds =
        "events,configmaps,leases,machines,baremetalhosts,agents,machineproviders,datacenters";
    kinds
        .split(',')
        .map(|kind| place(kind, hub.kubectl(&["get", kind, "-A", "-o", "json"])))
        .collect()
}

fn pages(hub: &Hub) -> Place {
    let http = hub.addresses()["http"].as_str().expect("set").to_owned();
    let metrics = run(Command::new("curl")
        .arg("-sf")
        .arg(format!("http://{http}/metrics")))
    .unwrap_or_else(|error| panic!("{error}"));
    place("/metrics of the hub", metrics)
}

/// Everything on the boot network, as it is on the wire.
fn capture(world: &World, file: &Path) -> Process {
    let mut command = world.site.inside(Path::new("tcpdump"));
    command
        .args(["-i", &world.site.facts.bridge, "-n", "-U", "-s", "0", "-w"])
        .arg(file);
    let capture = Process::start("capture", &world.hub.path("."), &mut command);
    wait::until("tcpdump listens", SOON, || {
        let log = capture.log();
        log.contains("listening on").then_some(()).ok_or(log)
    });
    capture
}

/// The packets of `filter`, as one file.
fn packets(world: &World, capture: &Path, filter: &str) -> Vec<u8> {
    let out = world.hub.path("filtered.pcap");
    run(Command::new("tcpdump")
        .arg("-r")
        .arg(capture)
        .arg("-w")
        .arg(&out)
        .arg(filter))
    .unwrap_or_else(|error| panic!("{error}"));
    std::fs::read(out).expect("tcpdump wrote it")
}

/// The authority's key as its Secret holds it, and the part of it that no other key has.
fn authority(hub: &Hub) -> Canary {
    let secret = hub
        .object("secret", "vitistack-system", "vitistack-ca")
        .unwrap_or_else(|error| panic!("{error}"));
    let encoded = secret["data"]["ca.key"].as_str().expect("the key is there");
    let pem = BASE64_STANDARD.decode(encoded).expect("data is base64");
    let pem = String::from_utf8(pem).expect("PEM is text");
    let body: String = pem
        .lines()
        .filter(|line| !line.starts_with("-----"))
        .collect();
    let der = BASE64_STANDARD.decode(body).expect("PEM is base64");
    // PKCS #8 of a P-256 key: 36 bytes that all such keys share, then the 32 of the secret scalar.
    let scalar = der.get(36..68).expect("a P-256 key in PKCS #8");
    let mut canary = Canary::new("the hub's CA key", scalar);
    let line = pem.lines().nth(2).expect("a PEM of several lines");
    canary.shapes.push(line.as_bytes().to_vec());
    canary
        .shapes
        .push(BASE64_STANDARD.encode(line).as_bytes()[..40].to_vec());
    canary
}

fn secret(name: &str, key: &str, value: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: default}}\nstringData: {{{key}: {value:?}}}\n"
    )
}

fn canaries(world: &World) -> Vec<Canary> {
    let token = std::fs::read_to_string(world.hub.path("token")).expect("the token's file");
    let part = token.trim().split('.').nth(2).expect("vt1.id.secret.hash");
    vec![
        Canary::new("the BMC password", BMC_PASSWORD.as_bytes()),
        Canary::new("user data", USER_DATA.as_bytes()),
        Canary::new("the join token", part.as_bytes()),
        Canary::new("a Secret's value", PLAIN_SECRET.as_bytes()),
        authority(&world.hub),
    ]
}

/// Everything but the boot network.
fn everywhere(world: &World) -> Vec<Place> {
    let hub = &world.hub;
    let mut places = vec![
        place("the hub's log", hub.log()),
        place("the agent's log", world.agent_log()),
        place("the server's serial port", world.site.serial(0)),
        pages(hub),
    ];
    let log = std::fs::read(hub.path("images.log")).expect("the image server logs");
    places.push(place("the image server's access log", log));
    places.extend(processes(hub));
    places.extend(objects(hub));
    places.extend(files(&hub.path("hub")));
    places.extend(files(&hub.path("agent")));
    places
}

#[test]
fn nothing_that_people_or_programs_look_at_shows_a_secret() {
    let world = World::start_logging(
        Mode::Standalone,
        Dhcp::Own,
        &["name=s0,firmware=bios"],
        Logs::Trace,
    );
    let wire = world.hub.path("wire.pcap");
    let capture = capture(&world, &wire);
    for manifest in [
        secret(
            "seed",
            "userData",
            &format!("#cloud-config\n# {USER_DATA}\n"),
        ),
        secret("other", "value", PLAIN_SECRET),
    ] {
        world.hub.apply(&manifest).expect("the Secret is accepted");
    }
    world.host_available(0);
    let (url, digest) = manifest::published("tiny");
    let more = "  userDataSecretRef: {name: seed, key: userData}\n";
    world
        .hub
        .apply(&manifest::machine("m1", &url, &digest, more))
        .expect("the Machine is accepted");
    world.wait_running("m1", BOOT);
    let canaries = canaries(&world);

    keys_are_private(&world.hub);

    // The user data did arrive, or its absence would prove nothing.
    let disk = world.site.server(0).disk.display().to_string();
    run(Command::new("grep").args(["-aqF", USER_DATA, &disk]))
        .expect("the user data is on the server's disk");
    let running = found(&canaries, &everywhere(&world));
    assert_eq!(running, Vec::<String>::new(), "while the Machine runs");

    drop(capture);
    let untouched = packets(&world, &wire, "not tcp");
    let served = packets(&world, &wire, "tcp");
    // A network ROM that is iPXE already needs no TFTP, so that a handful of DHCP packets is all that is not TCP.
    assert!(
        untouched.len() > 1_000 && served.len() > 1_000_000,
        "a boot was captured: {} bytes, and {} of TCP",
        untouched.len(),
        served.len()
    );
    assert_eq!(
        found(&canaries, &[place("DHCP, TFTP and the rest", untouched)]),
        Vec::<String>::new()
    );
    // Plain HTTP: what belongs to the server goes to the server, and nothing else does.
    assert_eq!(
        found(&canaries, &[place("HTTP", served)]),
        ["user data in HTTP"],
        "the boot network carries the user data, and no other secret"
    );

    world
        .hub
        .kubectl(&["delete", "machine", "m1", "--wait=false"]);
    world.hub.wait_gone(("machine", "default", "m1"), BOOT);
    let released = found(&canaries, &everywhere(&world));
    assert_eq!(released, Vec::<String>::new(), "after the Machine is gone");

    the_search_bites(&world, &canaries);
}

/// Leaks on purpose, one at a time and in several shapes, must be found.
fn the_search_bites(world: &World, canaries: &[Canary]) {
    let leak = format!("literal=x={PLAIN_SECRET}");
    world
        .hub
        .kubectl(&["create", "configmap", "leak", &format!("--from-{leak}")]);
    std::fs::write(
        world.hub.path("agent/leak"),
        BASE64_STANDARD.encode(format!("?{BMC_PASSWORD}?")),
    )
    .expect("the directory is ours");
    std::fs::write(world.hub.path("hub/leak"), hex::encode(USER_DATA)).expect("writable");
    let leaked = found(canaries, &everywhere(world));
    let agent = world.hub.path("agent/leak").display().to_string();
    let hub = world.hub.path("hub/leak").display().to_string();
    for expected in [
        "a Secret's value in configmaps".to_owned(),
        format!("the BMC password in {agent}"),
        format!("user data in {hub}"),
    ] {
        assert!(leaked.contains(&expected), "{expected}: {leaked:?}");
    }
}
