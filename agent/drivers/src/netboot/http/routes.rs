//! What is answered to which path.
//!
//! A path with a capability is answered only if the capability holds, is for that path, and comes from the address that
//! it is bound to; all else is "not found", so that nothing can be told apart from outside. Capabilities are never
//! logged.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, DefaultBodyLimit, Form, Path, Query, Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use tokio::sync::oneshot;
use tracing::{debug, info, warn};
use vitistack_installer_wire::{BOOT_FILE, BootFile, Instruction, Mode, Report, SignedPlan};
use vitistack_protocol::Chain;

use super::{Context, archive, file, script};
use crate::capability::Capability;
use crate::netboot::slot::{InstallerBoot, Mac, PhonedHome, Purpose};
use crate::netboot::table::{Grant, Received, Use};

/// Largest body. An inventory with hundreds of disks is some 100 KiB.
const BODY: usize = 1024 * 1024;
/// For reading a request and deciding the answer; sending the answer may take longer.
const DEADLINE: Duration = Duration::from_secs(30);
/// How long a guest waits for its phone-home to be on disk. It asks again if that was not enough.
const DURABLE: Duration = Duration::from_secs(10);

/// How long firmware waits at most for a slot that may be about to be opened again. It does not ask a second time.
const HOLD: Duration = Duration::from_secs(20);

/// Everything that clients of the boot network may ask for by name. Compared whole.
const ASSETS: [&str; 4] = ["vmlinuz", "initramfs", "snponly.efi", "undionly.kpxe"];

pub(crate) fn router(context: Context) -> Router {
    let context = Arc::new(context);
    Router::new()
        .route("/boot.ipxe", get(boot_script))
        .route("/assets/{name}", get(asset))
        .route("/c/{capability}/initrd", get(initrd))
        .route("/c/{capability}/plan", get(plan))
        .route("/c/{capability}/report", post(report))
        .route("/c/{capability}/image", get(image))
        .route("/c/{capability}/phone-home", post(phone_home))
        .layer(DefaultBodyLimit::max(BODY))
        .layer(middleware::from_fn_with_state(
            Arc::clone(&context),
            unknown_yet,
        ))
        .layer(middleware::from_fn(within_deadline))
        .with_state(context)
}

/// While the agent has just started, what is not known may be what the driver is about to open again. Firmware is held
/// until that has happened; an installer in the middle of an image has to ask again, where "not found" would end it.
async fn unknown_yet(
    State(context): State<Arc<Context>>,
    request: Request,
    next: Next,
) -> Response {
    if Instant::now() >= context.settled {
        return next.run(request).await;
    }
    let path = request.uri().path();
    let is_capability = path.starts_with("/c/");
    let is_firmware = path == "/boot.ipxe" || is_capability && path.ends_with("/initrd");
    let response = if is_firmware && request.method() == Method::GET {
        held(&context, request, next).await
    } else {
        next.run(request).await
    };
    let is_unknown = is_capability && response.status() == StatusCode::NOT_FOUND;
    if is_unknown && Instant::now() < context.settled {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    }
    response
}

/// The answer once it is another one than "not found", or [`HOLD`] is over, or what is unknown is so for good.
async fn held(context: &Context, request: Request, next: Next) -> Response {
    let (parts, _) = request.into_parts();
    let ask = || {
        next.clone()
            .run(Request::from_parts(parts.clone(), Body::empty()))
    };
    // Before it is asked, so that a slot that is opened in between is not missed.
    let mut opened = context.handle.opened();
    let over = tokio::time::sleep_until(context.settled.min(Instant::now() + HOLD).into());
    tokio::pin!(over);
    loop {
        let response = ask().await;
        if response.status() != StatusCode::NOT_FOUND {
            return response;
        }
        tokio::select! {
            // Cancel-safe: neither takes anything. The sender lives as long as the context.
            () = &mut over => return response,
            _ = opened.changed() => {}
        }
    }
}

async fn within_deadline(
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    request: Request,
    next: Next,
) -> Response {
    let method = request.method().clone();
    let shown = shown(request.uri().path());
    let response = tokio::time::timeout(DEADLINE, next.run(request))
        .await
        .unwrap_or_else(|_| StatusCode::REQUEST_TIMEOUT.into_response());
    debug!(%peer, %method, path = shown, status = response.status().as_u16(), "http");
    response
}

/// A path as it may stand in a log.
fn shown(path: &str) -> String {
    match path
        .strip_prefix("/c/")
        .map(|rest| rest.split_once('/').map_or("", |(_, last)| last))
    {
        Some(last) => format!("/c/-/{last}"),
        None => path.to_owned(),
    }
}

#[derive(Debug, Deserialize)]
struct ScriptQuery {
    mac: String,
}

async fn boot_script(
    State(context): State<Arc<Context>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Query(query): Query<ScriptQuery>,
) -> Response {
    let found = match (query.mac.parse::<Mac>(), ipv4(peer)) {
        (Ok(mac), Some(address)) => context.handle.with(|table| table.script_slot(mac, address)),
        (Err(_), _) | (_, None) => None,
    };
    let Some(slot) = found else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let what = match &slot.purpose {
        Purpose::Local { .. } => "local disk",
        Purpose::Installer(_) => "installer",
    };
    info!(mac = %slot.mac, object = %slot.object, what, "boot script fetched");
    script::render(&slot, context.address).into_response()
}

async fn asset(
    State(context): State<Arc<Context>>,
    Path(name): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    match ASSETS.into_iter().find(|asset| *asset == name) {
        Some(name) => file::serve(&context.assets.join(name), &method, &headers).await,
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn initrd(
    State(context): State<Arc<Context>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(capability): Path<String>,
) -> Response {
    let Some(grant) = grant(&context, peer, &capability, Use::Boot) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let Some(boot) = installer(&grant) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let boot_file = BootFile {
        server: format!("http://{}", context.address),
        plan: path(boot.urls.plan, "plan"),
        public_key: context.public_key.clone(),
    };
    match serde_json::to_vec(&boot_file) {
        Ok(json) => archive::render(BOOT_FILE, &json).into_response(),
        Err(error) => unexpected(&error),
    }
}

async fn plan(
    State(context): State<Arc<Context>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(capability): Path<String>,
) -> Response {
    let Some(grant) = grant(&context, peer, &capability, Use::Plan) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let Some(boot) = installer(&grant) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let mut plan = boot.plan.clone();
    plan.report = path(boot.urls.report, "report");
    match &mut plan.mode {
        Mode::Install(install) => install.image = path(boot.urls.image, "image"),
        Mode::Inspect | Mode::Wipe(_) => {}
    }
    match SignedPlan::sign(&plan, &context.key) {
        Ok(signed) => {
            info!(mac = %grant.slot.mac, operation = %boot.operation, "plan fetched");
            Json(signed).into_response()
        }
        Err(error) => unexpected(&error),
    }
}

async fn report(
    State(context): State<Arc<Context>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(capability): Path<String>,
    body: Bytes,
) -> Response {
    let Some(grant) = grant(&context, peer, &capability, Use::Report) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let report: Report = match serde_json::from_slice(&body) {
        Ok(report) => report,
        Err(error) => {
            let error = Chain(&error);
            warn!(mac = %grant.slot.mac, %error, "an installer's report cannot be read");
            return StatusCode::BAD_REQUEST.into_response();
        }
    };
    let mac = grant.slot.mac;
    let received = context
        .handle
        .with(|table| table.reported(mac, report, Instant::now()));
    match received {
        Received::Wake(object) => context.handle.wake(object),
        Received::Kept => {}
        Received::OtherOperation => return StatusCode::NOT_FOUND.into_response(),
    }
    // The driver restarts the server by its BMC once it has seen the final report.
    Json(Instruction::Continue).into_response()
}

async fn image(
    State(context): State<Arc<Context>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(capability): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Response {
    let path: Option<PathBuf> = grant(&context, peer, &capability, Use::Image)
        .and_then(|grant| installer(&grant).and_then(|boot| boot.image.clone()));
    match path {
        Some(path) => file::serve(&path, &method, &headers).await,
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[derive(Debug, Deserialize)]
struct PhoneHomeForm {
    instance_id: String,
}

async fn phone_home(
    State(context): State<Arc<Context>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(capability): Path<String>,
    Form(form): Form<PhoneHomeForm>,
) -> Response {
    let (Some(grant), Some(address)) = (
        grant(&context, peer, &capability, Use::PhoneHome),
        ipv4(peer),
    ) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let operation = match &grant.slot.purpose {
        Purpose::Installer(boot) => boot.operation,
        Purpose::Local {
            phone_home: Some((operation, _)),
        } => *operation,
        Purpose::Local { phone_home: None } => return StatusCode::NOT_FOUND.into_response(),
    };
    info!(mac = %grant.slot.mac, object = %grant.slot.object, %address, "guest phones home");
    let (durable, answer) = oneshot::channel();
    let message = PhonedHome {
        object: grant.slot.object,
        operation,
        address,
        instance_id: form.instance_id,
        durable,
    };
    let delivered = async {
        context.phoned_home.send(message).await.ok()?;
        answer.await.ok()
    };
    match tokio::time::timeout(DURABLE, delivered).await {
        Ok(Some(true)) => StatusCode::OK.into_response(),
        Ok(Some(false)) => StatusCode::NOT_FOUND.into_response(),
        // Busy or going down: cloud-init and our own guests try again.
        Ok(None) | Err(_) => StatusCode::SERVICE_UNAVAILABLE.into_response(),
    }
}

/// The grant of a capability that is used for its own purpose.
fn grant(context: &Context, peer: SocketAddr, segment: &str, purpose: Use) -> Option<Grant> {
    let capability = Capability::from_segment(segment)?;
    let address = ipv4(peer)?;
    context
        .handle
        .with(|table| table.grant(capability, purpose, address))
}

fn installer(grant: &Grant) -> Option<&InstallerBoot> {
    match &grant.slot.purpose {
        Purpose::Installer(boot) => Some(boot),
        Purpose::Local { .. } => None,
    }
}

fn path(capability: Capability, name: &str) -> String {
    format!("/c/{}/{name}", capability.to_segment())
}

fn ipv4(peer: SocketAddr) -> Option<Ipv4Addr> {
    match peer.ip() {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

fn unexpected(error: &(dyn std::error::Error + 'static)) -> Response {
    warn!(error, "a boot document cannot be written");
    StatusCode::INTERNAL_SERVER_ERROR.into_response()
}
