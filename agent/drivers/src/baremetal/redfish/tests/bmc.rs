//! A BMC at the wire, with faults that real ones have. It exists for what sushy-tools cannot do: drop or revert a write,
//! refuse a form, lag, throttle, and change its certificate.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use vitistack_protocol::ids::Digest;

/// What is wrong with this BMC.
#[derive(Clone, Debug, Default)]
pub(crate) struct Faults {
    /// PATCH is answered with 204 and forgotten.
    pub(crate) drop_patch: bool,
    /// PATCH is taken, and the mode falls back to Legacy.
    pub(crate) revert_mode: bool,
    /// PATCH of the system is refused; only the settings resource takes it.
    pub(crate) settings_only: bool,
    /// A body with a mode is refused.
    pub(crate) refuse_mode: bool,
    /// Only a PATCH with the strong form of the tag is taken.
    pub(crate) strong_tag_only: bool,
    /// Reset is answered with 204 and forgotten.
    pub(crate) ignore_reset: bool,
    /// Answers are late.
    pub(crate) delay: Duration,
    /// The next answers: 503 with Retry-After.
    pub(crate) throttle: bool,
    /// Reset is refused with this message.
    pub(crate) refuse_reset: Option<&'static str>,
    /// Every answer sends the client to another machine.
    pub(crate) redirect_away: bool,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) faults: Faults,
    pub(crate) power: &'static str,
    pub(crate) target: String,
    pub(crate) enabled: String,
    pub(crate) mode: String,
    pub(crate) manufacturer: &'static str,
    /// `METHOD path body` of each request.
    pub(crate) log: Vec<String>,
    in_flight: usize,
    pub(crate) most_in_flight: usize,
}

/// A running BMC.
pub(crate) struct Bmc {
    pub(crate) address: SocketAddr,
    pub(crate) certificate: Option<(Digest, String)>,
    pub(crate) state: Arc<Mutex<Inner>>,
    _tasks: JoinSet<()>,
}

struct TlsListener {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl axum::serve::Listener for TlsListener {
    type Io = tokio_rustls::server::TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        loop {
            let Ok((stream, peer)) = self.tcp.accept().await else {
                continue;
            };
            if let Ok(stream) = self.acceptor.accept(stream).await {
                return (stream, peer);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.tcp.local_addr()
    }
}

impl Bmc {
    /// Plain HTTP.
    pub(crate) async fn plain() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = new_state();
        let mut tasks = JoinSet::new();
        let app = router(Arc::clone(&state));
        tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            address,
            certificate: None,
            state,
            _tasks: tasks,
        }
    }

    /// TLS 1.2 and nothing newer, as sushy-tools and many BMCs, with a certificate of its own on `address`.
    pub(crate) async fn tls(address: SocketAddr) -> Self {
        let tcp = TcpListener::bind(address).await.unwrap();
        let address = tcp.local_addr().unwrap();
        let key = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
        let der = key.cert.der().clone();
        let certificate = (Digest::of(&der), key.cert.pem());
        let config = rustls::ServerConfig::builder_with_provider(Arc::new(
            rustls::crypto::ring::default_provider(),
        ))
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![der],
            rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap(),
        )
        .unwrap();
        let listener = TlsListener {
            tcp,
            acceptor: TlsAcceptor::from(Arc::new(config)),
        };
        let state = new_state();
        let mut tasks = JoinSet::new();
        let app = router(Arc::clone(&state));
        tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            address,
            certificate: Some(certificate),
            state,
            _tasks: tasks,
        }
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut Inner)) {
        change(&mut self.state.lock().unwrap());
    }

    pub(crate) fn sent(&self, start: &str) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let found = state.log.iter().filter(|line| line.starts_with(start));
        found.cloned().collect()
    }

    /// The methods of all requests so far.
    pub(crate) fn methods(&self) -> Vec<String> {
        let state = self.state.lock().unwrap();
        let methods = state.log.iter().filter_map(|line| line.split(' ').next());
        methods
            .filter(|word| matches!(*word, "GET" | "PATCH" | "POST"))
            .map(str::to_owned)
            .collect()
    }
}

fn new_state() -> Arc<Mutex<Inner>> {
    Arc::new(Mutex::new(Inner {
        faults: Faults::default(),
        power: "Off",
        target: "None".to_owned(),
        enabled: "Disabled".to_owned(),
        mode: "UEFI".to_owned(),
        manufacturer: "Example",
        log: Vec::new(),
        in_flight: 0,
        most_in_flight: 0,
    }))
}

type Shared = State<Arc<Mutex<Inner>>>;

fn router(state: Arc<Mutex<Inner>>) -> Router {
    Router::new()
        .route("/redfish/v1/", get(root))
        .route("/redfish/v1/Systems", get(systems))
        .route("/redfish/v1/Systems/{id}", get(system).patch(patch))
        .route(
            "/redfish/v1/Systems/1/Settings",
            get(settings).patch(patch_settings),
        )
        .route(
            "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset",
            post(reset),
        )
        .route("/redfish/v1/Systems/1/EthernetInterfaces", get(interfaces))
        .route("/redfish/v1/Systems/1/EthernetInterfaces/eth0", get(eth0))
        .layer(axum::middleware::from_fn_with_state(
            Arc::clone(&state),
            gatekeeper,
        ))
        .with_state(state)
}

async fn gatekeeper(
    State(state): Shared,
    request: axum::extract::Request,
    next: axum::middleware::Next,
) -> Response {
    let faults = {
        let mut state = state.lock().unwrap();
        state.in_flight += 1;
        state.most_in_flight = state.most_in_flight.max(state.in_flight);
        let line = format!("{} {}", request.method(), request.uri().path());
        state.log.push(line);
        state.faults.clone()
    };
    tokio::time::sleep(faults.delay).await;
    let response = if faults.throttle {
        let wait = [(header::RETRY_AFTER, "7")];
        (StatusCode::SERVICE_UNAVAILABLE, wait).into_response()
    } else if faults.redirect_away {
        let to = [(header::LOCATION, "http://192.0.2.1/redfish/v1/Systems/1")];
        (StatusCode::TEMPORARY_REDIRECT, to).into_response()
    } else if authorised(request.headers()) {
        next.run(request).await
    } else {
        StatusCode::UNAUTHORIZED.into_response()
    };
    state.lock().unwrap().in_flight -= 1;
    response
}

fn authorised(headers: &HeaderMap) -> bool {
    let wanted = base64::engine::general_purpose::STANDARD.encode("admin:password");
    headers
        .get(header::AUTHORIZATION)
        .is_some_and(|given| given == &format!("Basic {wanted}"))
}

fn refusal(status: StatusCode, id: &str) -> Response {
    let body =
        json!({"error": {"@Message.ExtendedInfo": [{"MessageId": format!("Base.1.8.{id}")}]}});
    (status, Json(body)).into_response()
}

async fn root() -> Json<Value> {
    Json(json!({"Systems": {"@odata.id": "/redfish/v1/Systems"}}))
}

async fn systems() -> Json<Value> {
    Json(json!({"Members": [{"@odata.id": "/redfish/v1/Systems/1"}]}))
}

async fn system(State(state): Shared, Path(id): Path<String>) -> Response {
    match id.as_str() {
        "by-name" => {
            let to = [(header::LOCATION, "/redfish/v1/Systems/1")];
            return (StatusCode::TEMPORARY_REDIRECT, to).into_response();
        }
        "1" => {}
        _ => return StatusCode::NOT_FOUND.into_response(),
    }
    let state = state.lock().unwrap();
    let mut body = json!({
        "PowerState": state.power,
        "Manufacturer": state.manufacturer,
        "Model": "M1", "SerialNumber": "SN-1",
        "UUID": "11111111-2222-3333-4444-000000000001", "BiosVersion": "1.2",
        "ProcessorSummary": {"Count": "2", "Model": "x"},
        "MemorySummary": {"TotalSystemMemoryGiB": 1.5},
        "EthernetInterfaces": {"@odata.id": "/redfish/v1/Systems/1/EthernetInterfaces"},
        "Boot": {
            "BootSourceOverrideTarget": state.target,
            "BootSourceOverrideEnabled": state.enabled,
            "BootSourceOverrideMode": state.mode,
            "BootSourceOverrideTarget@Redfish.AllowableValues": ["Pxe", "Hdd", "Cd"]
        },
        "Actions": {"#ComputerSystem.Reset": {
            "target": "/redfish/v1/Systems/1/Actions/ComputerSystem.Reset",
            "ResetType@Redfish.AllowableValues": ["On", "ForceOff", "GracefulShutdown"]
        }}
    });
    if state.faults.settings_only {
        body["@Redfish.Settings"] =
            json!({"SettingsObject": {"@odata.id": "/redfish/v1/Systems/1/Settings"}});
    }
    ([(header::ETAG, "W/\"5\"")], Json(body)).into_response()
}

async fn patch(State(state): Shared, headers: HeaderMap, Json(body): Json<Value>) -> Response {
    let mut state = state.lock().unwrap();
    state.log.push(format!("BODY {body}"));
    if state.faults.strong_tag_only
        && headers
            .get(header::IF_MATCH)
            .is_none_or(|tag| tag != "\"5\"")
    {
        return StatusCode::PRECONDITION_FAILED.into_response();
    }
    if state.faults.settings_only {
        return refusal(StatusCode::BAD_REQUEST, "PropertyNotWritable");
    }
    if state.faults.refuse_mode && body["Boot"]["BootSourceOverrideMode"].is_string() {
        return refusal(StatusCode::BAD_REQUEST, "PropertyUnknown");
    }
    take(&mut state, &body);
    StatusCode::NO_CONTENT.into_response()
}

async fn settings() -> Response {
    ([(header::ETAG, "\"settings\"")], Json(json!({}))).into_response()
}

async fn patch_settings(
    State(state): Shared,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    if headers
        .get(header::IF_MATCH)
        .is_none_or(|tag| tag != "\"settings\"")
    {
        return StatusCode::PRECONDITION_FAILED.into_response();
    }
    take(&mut state.lock().unwrap(), &body);
    StatusCode::OK.into_response()
}

fn take(state: &mut Inner, body: &Value) {
    if state.faults.drop_patch {
        return;
    }
    let boot = &body["Boot"];
    let text = |value: &Value| value.as_str().map(str::to_owned);
    if let Some(target) = text(&boot["BootSourceOverrideTarget"]) {
        state.target = target;
    }
    if let Some(enabled) = text(&boot["BootSourceOverrideEnabled"]) {
        state.enabled = enabled;
    }
    if let Some(mode) = text(&boot["BootSourceOverrideMode"]) {
        state.mode = mode;
    }
    if state.faults.revert_mode {
        "Legacy".clone_into(&mut state.mode);
        "Disabled".clone_into(&mut state.enabled);
    }
}

async fn reset(State(state): Shared, Json(body): Json<Value>) -> Response {
    let mut state = state.lock().unwrap();
    let wanted = body["ResetType"].as_str().unwrap_or_default().to_owned();
    state.log.push(format!("RESET {wanted}"));
    if let Some(id) = state.faults.refuse_reset {
        return refusal(StatusCode::CONFLICT, id);
    }
    if !state.faults.ignore_reset {
        match wanted.as_str() {
            "On" => state.power = "On",
            "ForceOff" => state.power = "Off",
            _ => {}
        }
    }
    StatusCode::NO_CONTENT.into_response()
}

async fn interfaces() -> Json<Value> {
    Json(json!({"Members": [
        {"@odata.id": "/redfish/v1/Systems/1/EthernetInterfaces/eth0"}
    ]}))
}

async fn eth0() -> Json<Value> {
    Json(json!({"Id": "eth0", "MACAddress": "52:54:00:99:00:01", "SpeedMbps": 1000}))
}
