//! The two servers, and how a case is played on one.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use futures::StreamExt as _;
use kube::config::Kubeconfig;
use reqwest::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use vitistack_standalone::Options;
use vitistack_tests::peer::collector::Collector;
use vitistack_tests::peer::{self, ApiServer};

use super::case::{Case, Exchange, Step};

/// How long one answer, or one event of a watch, may take.
const PATIENCE: Duration = Duration::from_secs(8);
/// How long a whole body may take.
const WHOLE: Duration = Duration::from_secs(4);
/// How long a collector may take for what it was asked for.
const SETTLES: Duration = Duration::from_secs(10);
/// Pause before an answer that has not settled is asked for again.
const AGAIN: Duration = Duration::from_millis(20);
/// Bytes of an object of which [`LARGE_ONES`] are more than the standalone API remembers (1 MiB).
const LARGE: usize = 900 << 10;
/// See [`LARGE`].
const LARGE_ONES: usize = 6;
/// Headers that are part of the answer.
const HEADERS: [&str; 3] = ["content-type", "warning", "retry-after"];

/// A server and a client for it.
pub(crate) struct Server {
    base: String,
    token: String,
    client: reqwest::Client,
    // Dropped in this order: the collector's last requests need the server.
    collector: Option<Collector>,
    real: Option<ApiServer>,
    standalone: Option<(CancellationToken, vitistack_standalone::Server)>,
}

impl Server {
    /// A kube-apiserver with our definitions.
    pub(crate) fn real(runtime: &Runtime, dir: &Path) -> Self {
        let api = ApiServer::start(dir);
        let mut server = Self::at(&api.kubeconfig);
        runtime.block_on(server.install());
        server.collector = Some(Collector::start(dir, &api.kubeconfig));
        server.real = Some(api);
        runtime.block_on(server.collects());
        runtime.block_on(server.forget());
        server
    }

    /// The standalone API with the same definitions.
    pub(crate) fn standalone(runtime: &Runtime, dir: &Path) -> Self {
        let mut crds = vitistack_api::crd::crds();
        crds.push(serde_json::from_value(widgets()).expect("the test's definition is one"));
        let ending = CancellationToken::new();
        let options = Options {
            data_dir: dir.to_owned(),
            key_file: dir.with_extension("key"),
            listen: "127.0.0.1:0".parse().expect("an address"),
            crds,
        };
        let started = runtime
            .block_on(options.start(ending.clone()))
            .expect("the standalone API starts");
        let mut server = Self::at(&started.kubeconfig);
        server.standalone = Some((ending, started));
        runtime.block_on(server.forget());
        server
    }

    fn at(kubeconfig: &Path) -> Self {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let file = Kubeconfig::read_from(kubeconfig).expect("the kubeconfig is readable");
        let file = serde_json::to_value(file).expect("a kubeconfig is JSON");
        let text = |pointer: &str| {
            let value = file.pointer(pointer).and_then(Value::as_str);
            value.unwrap_or_else(|| panic!("no {pointer}")).to_owned()
        };
        let client = reqwest::Client::builder()
            .tls_danger_accept_invalid_certs(true)
            .build()
            .expect("a client can be made");
        Self {
            base: text("/clusters/0/cluster/server"),
            token: text("/users/0/user/token"),
            client,
            collector: None,
            real: None,
            standalone: None,
        }
    }

    /// Ends the standalone API in order.
    pub(crate) async fn stop(mut self) {
        if let Some((ending, server)) = self.standalone.take() {
            ending.cancel();
            server
                .join()
                .await
                .expect("the standalone API ends in order");
        }
    }

    async fn install(&self) {
        let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
        let mut definitions: Vec<Value> = vitistack_api::crd::crds()
            .iter()
            .map(|crd| serde_json::to_value(crd).expect("a definition is JSON"))
            .collect();
        definitions.push(widgets());
        for definition in &definitions {
            let made = self
                .send("POST", path, None, None, None, Some(definition.to_string()))
                .await;
            assert!(
                made.status().is_success(),
                "{}",
                made.text().await.unwrap_or_default()
            );
        }
        for definition in &definitions {
            let spec = &definition["spec"];
            let word = |value: &Value| value.as_str().expect("a word").to_owned();
            let (group, plural) = (word(&spec["group"]), word(&spec["names"]["plural"]));
            let version = word(&spec["versions"][0]["name"]);
            let list = format!("/apis/{group}/{version}/{plural}");
            let document = format!("/openapi/v3/apis/{group}/{version}");
            for path in [list, document] {
                self.served(&path, &plural).await;
            }
        }
    }

    /// Waits until `path` answers with what names `plural`: definitions are taken up one after the other.
    async fn served(&self, path: &str, plural: &str) {
        let asked = async {
            loop {
                let answer = self.send("GET", path, None, None, None, None).await;
                let good = answer.status().is_success();
                let text = answer.text().await.unwrap_or_default();
                if good && (text.contains(plural) || text.contains("\"items\"")) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(PATIENCE * 2, asked)
            .await
            .unwrap_or_else(|_| panic!("{path} is not served"));
    }

    /// Waits until an object whose owner does not exist is collected: then the collector knows the kinds.
    async fn collects(&mut self) {
        let path = "/apis/test.vitistack.io/v1/namespaces/default/widgets";
        let owner = json!({ "apiVersion": "test.vitistack.io/v1", "kind": "Widget", "name": "none",
                            "uid": "00000000-0000-4000-8000-000000000000" });
        let object = json!({ "apiVersion": "test.vitistack.io/v1", "kind": "Widget", "spec": { "size": 1 },
                             "metadata": { "name": "canary", "ownerReferences": [owner] } });
        let made = self
            .send("POST", path, None, None, None, Some(object.to_string()))
            .await;
        assert!(made.status().is_success(), "the canary: {}", made.status());
        let end = Instant::now() + PATIENCE * 5;
        let canary = format!("{path}/canary");
        while self
            .send("GET", &canary, None, None, None, None)
            .await
            .status()
            != 404
        {
            if let Some(Err(why)) = self.collector.as_mut().map(Collector::alive) {
                panic!("{why}");
            }
            assert!(Instant::now() < end, "the canary is not collected");
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// Makes the server forget what was before: etcd is compacted; more is written than the standalone API remembers.
    async fn forget(&self) {
        let path = "/api/v1/namespaces/default/configmaps";
        // Of text that does not pack: it is packed text that counts.
        let digest = |count: usize| hex::encode(Sha256::digest(count.to_be_bytes()));
        let large: String = (0..LARGE / 64).map(digest).collect();
        for count in 0..LARGE_ONES {
            let name = format!("large-{count}");
            let object = json!({ "apiVersion": "v1", "kind": "ConfigMap", "data": { "x": large },
                                 "metadata": { "name": name } });
            let object = Some(object.to_string());
            let made = self.send("POST", path, None, None, None, object).await;
            assert!(made.status().is_success(), "{name}: {}", made.status());
            let gone = format!("{path}/{name}");
            let gone = self.send("DELETE", &gone, None, None, None, None).await;
            assert!(gone.status().is_success(), "{name}: {}", gone.status());
        }
        let Some(real) = &self.real else {
            return;
        };
        let list = self.send("GET", path, None, None, None, None).await;
        let list: Value = list.json().await.expect("a list is JSON");
        let revision = list.pointer("/metadata/resourceVersion");
        let compacted = self
            .client
            .post(format!("{}/v3/kv/compaction", real.etcd_url))
            .json(&json!({ "revision": revision, "physical": true }))
            .send()
            .await
            .expect("etcd answers");
        assert!(compacted.status().is_success(), "{}", compacted.status());
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        media: Option<&str>,
        accept: Option<&str>,
        agent: Option<&str>,
        body: Option<String>,
    ) -> reqwest::Response {
        let method = method.parse().expect("a method");
        let mut request = self
            .client
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.token)
            .header(ACCEPT, accept.unwrap_or("application/json"))
            .header(USER_AGENT, agent.unwrap_or("conformance/1.0 (suite)"));
        if let Some(body) = body {
            request = request
                .header(CONTENT_TYPE, media.unwrap_or("application/json"))
                .body(body);
        }
        tokio::time::timeout(PATIENCE, request.send())
            .await
            .unwrap_or_else(|_| panic!("{path} does not answer"))
            .unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Sends the requests of a case in a new namespace.
    pub(crate) async fn play(&self, case: &Case, namespace: &str) -> Vec<Exchange> {
        let object =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } });
        let made = self
            .send(
                "POST",
                "/api/v1/namespaces",
                None,
                None,
                None,
                Some(object.to_string()),
            )
            .await;
        assert!(
            made.status().is_success(),
            "namespace {namespace}: {}",
            made.status()
        );
        let mut names = BTreeMap::new();
        let core = format!("/api/v1/namespaces/{namespace}");
        let own = format!("/apis/vitistack.io/v1alpha1/namespaces/{namespace}");
        for (name, value) in [
            ("ns", namespace.to_owned()),
            ("m", format!("{own}/machines")),
            ("hosts", format!("{own}/baremetalhosts")),
            ("dc", format!("{own}/datacenters")),
            ("own", own),
            (
                "w",
                format!("/apis/test.vitistack.io/v1/namespaces/{namespace}/widgets"),
            ),
            ("cm", format!("{core}/configmaps")),
            ("secrets", format!("{core}/secrets")),
            ("events", format!("{core}/events")),
            (
                "newevents",
                format!("/apis/events.k8s.io/v1/namespaces/{namespace}/events"),
            ),
            (
                "leases",
                format!("/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"),
            ),
        ] {
            names.insert(name.to_owned(), value);
        }
        let mut exchanges = Vec::new();
        for step in &case.steps {
            let mut exchange = self.step(step, &names).await;
            let end = Instant::now() + SETTLES;
            while !exchange.settled && Instant::now() < end {
                tokio::time::sleep(AGAIN).await;
                exchange = self.step(step, &names).await;
            }
            for count in 1..step.repeat.unwrap_or(1) {
                names.insert("i".to_owned(), count.to_string());
                exchange = self.step(step, &names).await;
            }
            for (name, pointer) in &step.save {
                let found = exchange.body.pointer(pointer).map(|value| match value {
                    Value::String(text) => text.clone(),
                    other => other.to_string(),
                });
                // The comparison says what came instead.
                names.insert(name.clone(), found.unwrap_or_else(|| "nothing".to_owned()));
            }
            exchanges.push(exchange);
        }
        exchanges
    }

    async fn step(&self, step: &Step, names: &BTreeMap<String, String>) -> Exchange {
        let request = fill(&step.request, names);
        let (method, path) = request.split_once(' ').expect("a method and a path");
        let body = step
            .body
            .as_ref()
            .map(Value::to_string)
            .or_else(|| step.text.clone());
        let body = body.map(|body| fill(&body, names));
        let media = step.content_type.as_deref().map(|short| match short {
            "json" => "application/json-patch+json",
            "merge" => "application/merge-patch+json",
            "strategic" => "application/strategic-merge-patch+json",
            "apply" => "application/apply-patch+yaml",
            whole => whole,
        });
        let accept = step.accept.as_deref().map(|short| match short {
            "table" => "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
            "metadata" => "application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io",
            "metadata-list" => "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io",
            whole => whole,
        });
        let answer = self
            .send(method, path, media, accept, step.agent.as_deref(), body)
            .await;
        let code = answer.status().as_u16();
        let headers = HEADERS
            .iter()
            .flat_map(|name| {
                answer
                    .headers()
                    .get_all(*name)
                    .iter()
                    .map(move |value| (*name, value))
            })
            .map(|(name, value)| {
                (
                    name.to_owned(),
                    String::from_utf8_lossy(value.as_bytes()).into_owned(),
                )
            })
            .collect();
        let body = match step.events {
            Some(count) if code == 200 => events(answer, count).await,
            _ => {
                // A stream where the other server refuses would never end.
                let text = tokio::time::timeout(WHOLE, answer.text()).await;
                let text = text.map_or_else(|_| "a stream".to_owned(), Result::unwrap_or_default);
                serde_json::from_str(&text).unwrap_or(Value::String(text))
            }
        };
        let settled = step.until.iter().all(|(pointer, wanted)| {
            let found = body.pointer(pointer).unwrap_or(&Value::Null);
            found == wanted
        });
        Exchange {
            code,
            headers,
            body,
            settled,
        }
    }
}

/// Reads so many events of a watch. Plain bookmarks come when they come, and do not count.
async fn events(answer: reqwest::Response, count: usize) -> Value {
    let mut stream = answer.bytes_stream();
    let mut rest = Vec::new();
    let mut found = Vec::new();
    while found.len() < count {
        // Fewer events than were expected differ from those of the other server.
        let Ok(Some(chunk)) = tokio::time::timeout(PATIENCE, stream.next()).await else {
            break;
        };
        rest.extend_from_slice(&chunk.expect("the stream holds"));
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            let event: Value = serde_json::from_slice(&line).expect("an event is JSON");
            let plain =
                event["type"] == "BOOKMARK" && event["object"]["metadata"]["annotations"].is_null();
            if !plain && found.len() < count {
                found.push(event);
            }
        }
    }
    Value::Array(found)
}

/// `text` with `$name` replaced by what the name stands for, the longest name first.
fn fill(text: &str, names: &BTreeMap<String, String>) -> String {
    let mut filled = text.replace("$i", names.get("i").map_or("0", String::as_str));
    let mut ordered: Vec<_> = names.iter().filter(|(name, _)| *name != "i").collect();
    ordered.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
    for (name, value) in ordered {
        filled = filled.replace(&format!("${name}"), value);
    }
    filled
}

/// A kind with one of everything that our own do not have.
fn widgets() -> Value {
    let path = peer::root().join("tests/tests/conformance/widgets.yaml");
    let text = std::fs::read_to_string(&path).expect("the definition is UTF-8");
    serde_saphyr::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}
