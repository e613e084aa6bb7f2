use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ring::signature::{Ed25519KeyPair, KeyPair as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use vitistack_installer_wire as wire;
use vitistack_protocol::ids::{OperationId, Uid};
use vitistack_protocol::message::numbered::BootMode;

use super::Server;
use crate::capability::Capability;
use crate::netboot::handle::Handle;
use crate::netboot::slot::{BootUrls, InstallerBoot, Mac, PhonedHome, Purpose, Service, Slot};
use crate::netboot::{interface, table};

const MAC: Mac = Mac([0x52, 0x54, 0, 0x99, 0, 1]);
const MACHINE: Uid = Uid([2; 16]);
const OPERATION: OperationId = OperationId([7; 16]);

/// A service on the loopback address with one installer slot, open to whoever comes first.
struct Site {
    handle: Handle,
    address: SocketAddrV4,
    public_key: String,
    phoned_home: mpsc::Receiver<PhonedHome>,
    _directory: tempfile::TempDir,
    _task: JoinSet<()>,
}

struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

fn segment(digit: char) -> String {
    digit.to_string().repeat(32)
}

fn capability(digit: char) -> Capability {
    Capability::from_segment(&segment(digit)).unwrap()
}

fn site() -> Site {
    site_settled(Instant::now())
}

/// A site whose driver has opened all its slots again at `settled`.
fn site_settled(settled: Instant) -> Site {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("vmlinuz"), b"kernel").unwrap();
    std::fs::write(directory.path().join("secret"), b"secret").unwrap();
    std::fs::write(directory.path().join("disk.raw"), b"0123456789").unwrap();
    let random = ring::rand::SystemRandom::new();
    let key = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
    let key = Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap();
    let public_key = hex::encode(key.public_key());
    let handle = Handle::new(Service::Serving);
    let (sender, phoned_home) = mpsc::channel(1);
    let interface = interface::find("lo").unwrap();
    let assets = directory.path().to_owned();
    let key = Arc::new(key);
    let server = Server::bind(handle.clone(), &interface, 0, assets, key, sender, settled).unwrap();
    let address = server.address();
    let mut task = JoinSet::new();
    task.spawn(async move { server.run().await.map(drop).unwrap() });
    let boot = InstallerBoot {
        operation: OPERATION,
        urls: BootUrls {
            boot: capability('1'),
            plan: capability('2'),
            report: capability('3'),
            image: capability('4'),
        },
        plan: wire::Plan {
            operation: OPERATION.to_string(),
            mac: MAC.to_string(),
            report: String::new(),
            mode: wire::Mode::Install(wire::Install {
                image: String::new(),
                digest: "sha256:00".to_owned(),
                format: wire::Format::Raw,
                root: wire::RootHints::default(),
                allow_wipe: false,
                seed: Vec::new(),
            }),
        },
        image: Some(directory.path().join("disk.raw")),
        phone_home: Some(capability('5')),
    };
    handle
        .open(Slot {
            mac: MAC,
            object: MACHINE,
            boot_mode: BootMode::Uefi,
            purpose: Purpose::Installer(Box::new(boot)),
        })
        .unwrap();
    Site {
        handle,
        address,
        public_key,
        phoned_home,
        _directory: directory,
        _task: task,
    }
}

impl Site {
    async fn ask(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        ask(self.address, method, path, headers, body).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "", b"").await
    }
}

async fn ask(to: SocketAddrV4, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(to).await.unwrap();
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // The service may answer, and close, before it has read a body that is too large.
    drop(stream.write_all(body).await);
    let mut all = Vec::new();
    drop(stream.read_to_end(&mut all).await);
    let end = all
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .unwrap();
    let head = String::from_utf8(all[..end].to_vec())
        .unwrap()
        .to_lowercase();
    Answer {
        status: head[9..12].parse().unwrap(),
        head,
        body: all[end + 4..].to_vec(),
    }
}

fn report(state: wire::State) -> Vec<u8> {
    let report = wire::Report {
        operation: OPERATION.to_string(),
        uptime_ms: 1,
        state,
        inventory: None,
    };
    serde_json::to_vec(&report).unwrap()
}

#[tokio::test]
async fn the_road_of_one_boot() {
    let site = site();
    let mut changes = site.handle.changes();

    let script = site.get("/boot.ipxe?mac=52%3a54%3a00%3A99%3A00%3A01").await;
    assert_eq!(script.status, 200);
    let script = String::from_utf8(script.body).unwrap();
    let initrd = format!("http://{}/c/{}/initrd", site.address, segment('1'));
    assert!(script.contains(&initrd), "{script}");

    let archive = site.get(&format!("/c/{}/initrd", segment('1'))).await;
    let text = String::from_utf8_lossy(&archive.body).into_owned();
    let json = &text[text.find('{').unwrap()..=text.rfind('}').unwrap()];
    let boot: wire::BootFile = serde_json::from_str(json).unwrap();
    assert_eq!(boot.server, format!("http://{}", site.address));
    assert_eq!(boot.public_key, site.public_key);

    let signed: wire::SignedPlan =
        serde_json::from_slice(&site.get(&boot.plan).await.body).unwrap();
    let plan = signed.open(&boot.public_key).unwrap();
    let wire::Mode::Install(install) = plan.mode else {
        panic!("not an installation");
    };
    assert_eq!(site.get(&install.image).await.body, b"0123456789");

    let answer = site
        .ask("POST", &plan.report, "", &report(wire::State::Started))
        .await;
    assert_eq!(answer.status, 200);
    let instruction: wire::Instruction = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(instruction, wire::Instruction::Continue);
    assert_eq!(changes.recv().await, Ok(MACHINE));
    let seen = site.handle.seen(MAC, MACHINE).installer.unwrap();
    assert_eq!(seen.state, wire::State::Started);
}

#[tokio::test]
async fn images_answer_head_and_range() {
    let site = site();
    let path = format!("/c/{}/image", segment('4'));
    let table = [
        ("GET", "", 200, "content-length: 10", "0123456789"),
        ("HEAD", "", 200, "content-length: 10", ""),
        (
            "GET",
            "range: bytes=4-\r\n",
            206,
            "content-range: bytes 4-9/10",
            "456789",
        ),
        (
            "GET",
            "range: bytes=2-3\r\n",
            206,
            "content-length: 2",
            "23",
        ),
        (
            "GET",
            "range: bytes=10-\r\n",
            416,
            "content-range: bytes */10",
            "",
        ),
        (
            "GET",
            "range: bytes=4-\r\nif-range: \"x\"\r\n",
            200,
            "content-length: 10",
            "0123456789",
        ),
    ];
    for (method, headers, status, header, body) in table {
        let answer = site.ask(method, &path, headers, b"").await;
        assert_eq!(answer.status, status, "{method} {headers}");
        assert!(
            answer.head.contains(header),
            "{method} {headers}: {}",
            answer.head
        );
        assert_eq!(answer.body, body.as_bytes(), "{method} {headers}");
    }
}

#[tokio::test]
async fn everything_else_is_not_found() {
    let site = site();
    let paths = [
        format!("/c/{}/plan", segment('1')),
        format!("/c/{}/initrd", segment('4')),
        format!("/c/{}/image", segment('2')),
        format!("/c/{}/initrd", segment('6')),
        "/c/1/initrd".to_owned(),
        "/assets/secret".to_owned(),
        "/assets/..%2fsecret".to_owned(),
        "/assets/initramfs".to_owned(),
        "/boot.ipxe?mac=52:54:00:99:00:02".to_owned(),
        "/boot.ipxe?mac=x".to_owned(),
        "/".to_owned(),
    ];
    for path in paths {
        assert_eq!(site.get(&path).await.status, 404, "{path}");
    }
    assert_eq!(site.get("/assets/vmlinuz").await.body, b"kernel");
}

#[tokio::test]
async fn after_a_start_an_unknown_capability_is_to_be_asked_for_again() {
    let site = site_settled(Instant::now() + Duration::from_secs(600));
    for (path, status) in [
        (format!("/c/{}/image", segment('9')), 503),
        (format!("/c/{}/plan", segment('2')), 200),
        ("/assets/secret".to_owned(), 404),
    ] {
        assert_eq!(site.get(&path).await.status, status, "{path}");
    }
}

#[tokio::test]
async fn after_a_start_firmware_is_held_until_its_slot_is_open_again() {
    let site = site_settled(Instant::now() + Duration::from_secs(600));
    let slot = site
        .handle
        .with(|table| table.script_slot(MAC, Ipv4Addr::LOCALHOST));
    let slot = slot.expect("the site has one");
    for path in [
        format!("/boot.ipxe?mac={MAC}"),
        format!("/c/{}/initrd", segment('1')),
    ] {
        site.handle.close(MAC, MACHINE);
        let again = async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            site.handle
                .open(slot.as_ref().clone())
                .expect("nobody else has it");
        };
        let (answer, ()) = tokio::join!(site.get(&path), again);
        assert_eq!(answer.status, 200, "{path}");
    }
}

#[tokio::test]
async fn firmware_that_nobody_waits_for_is_not_found_once_everything_is_open() {
    let site = site_settled(Instant::now() + Duration::from_millis(200));
    for path in [
        "/boot.ipxe?mac=52:54:00:99:00:02".to_owned(),
        format!("/c/{}/initrd", segment('9')),
    ] {
        assert_eq!(site.get(&path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_lease_binds_the_urls_of_the_boot() {
    let site = site();
    let other = Ipv4Addr::new(10, 0, 0, 7);
    site.handle
        .with(|table: &mut table::Table| table.leased(MAC, other));
    let paths = [
        format!("/boot.ipxe?mac={MAC}"),
        format!("/c/{}/initrd", segment('1')),
        format!("/c/{}/plan", segment('2')),
        format!("/c/{}/image", segment('4')),
    ];
    for path in paths {
        assert_eq!(site.get(&path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn urls_end_with_the_slot() {
    let site = site();
    let path = format!("/c/{}/plan", segment('2'));
    assert_eq!(site.get(&path).await.status, 200);
    site.handle.close(MAC, MACHINE);
    assert_eq!(site.get(&path).await.status, 404);
}

#[tokio::test]
async fn a_report_that_is_wrong_is_refused() {
    let site = site();
    let path = format!("/c/{}/report", segment('3'));
    assert_eq!(site.ask("POST", &path, "", b"{").await.status, 400);
    let other = String::from_utf8(report(wire::State::Started))
        .unwrap()
        .replace(&OPERATION.to_string(), &"8".repeat(32));
    assert_eq!(
        site.ask("POST", &path, "", other.as_bytes()).await.status,
        404
    );
    assert_eq!(site.get(&path).await.status, 405);
    let large = vec![b' '; 1024 * 1024 + 1];
    assert_eq!(site.ask("POST", &path, "", &large).await.status, 413);
    assert!(site.handle.seen(MAC, MACHINE).installer.is_none());
}

#[tokio::test]
async fn a_guest_is_answered_as_the_executor_decides() {
    const FORM: &str = "content-type: application/x-www-form-urlencoded\r\n";
    let mut site = site();
    let path = format!("/c/{}/phone-home", segment('5'));
    for (durable, status) in [(Some(true), 200), (Some(false), 404), (None, 503)] {
        let address = site.address;
        let path = path.clone();
        let mut guest = JoinSet::new();
        guest.spawn(async move {
            let form = b"pub_key_rsa=x&instance_id=abc-def&hostname=a%20b";
            ask(address, "POST", &path, FORM, form).await.status
        });
        let message = site.phoned_home.recv().await.unwrap();
        assert_eq!(message.object, MACHINE);
        assert_eq!(message.operation, OPERATION);
        assert_eq!(message.address, Ipv4Addr::LOCALHOST);
        assert_eq!(message.instance_id, "abc-def");
        match durable {
            Some(durable) => message.durable.send(durable).unwrap(),
            None => drop(message),
        }
        assert_eq!(
            guest.join_next().await.unwrap().unwrap(),
            status,
            "{durable:?}"
        );
    }
}

#[tokio::test]
async fn a_client_that_sends_no_request_is_cut_off() {
    let site = site();
    let mut stream = TcpStream::connect(site.address).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    let begin = Instant::now();
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "still open after {:?}", begin.elapsed());
}
