//! `/healthz`, `/readyz` and `/metrics`.
//!
//! Owns the listener for operators. Must not change anything: all three only read.

use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Content type of what `/metrics` answers.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Whether this replica does its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// Not yet, or no more; says why.
    Waiting(&'static str),
    /// Leads, has seen the whole API, and listens for agents.
    Ready,
}

/// Computes gauges of the moment into a registry.
pub(crate) type Gauges = Arc<dyn Fn(&mut Registry) + Send + Sync>;

/// What the handlers read.
#[derive(Clone)]
pub(crate) struct Pages {
    pub(crate) readiness: watch::Receiver<Readiness>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) gauges: watch::Receiver<Option<Gauges>>,
}

/// Serves until `cancel`.
///
/// # Errors
///
/// When the listener breaks.
pub(crate) async fn run(
    listener: TcpListener,
    pages: Pages,
    cancel: CancellationToken,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/healthz", get(|| std::future::ready("ok")))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(pages);
    axum::serve(listener, router)
        .with_graceful_shutdown(cancel.cancelled_owned())
        .await
}

async fn readyz(State(pages): State<Pages>) -> impl IntoResponse {
    match *pages.readiness.borrow() {
        Readiness::Ready => (StatusCode::OK, "ok"),
        Readiness::Waiting(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
    }
}

async fn metrics(State(pages): State<Pages>) -> impl IntoResponse {
    let mut gauges = Registry::default();
    let compute = pages.gauges.borrow().clone();
    if let Some(compute) = compute {
        compute(&mut gauges);
    }
    let mut text = String::new();
    let written = prometheus_client::encoding::text::encode_registry(&mut text, &pages.registry)
        .and_then(|()| prometheus_client::encoding::text::encode(&mut text, &gauges));
    match written {
        Ok(()) => (StatusCode::OK, [(header::CONTENT_TYPE, OPENMETRICS)], text),
        Err(error) => {
            let plain = [(header::CONTENT_TYPE, "text/plain; charset=utf-8")];
            (StatusCode::INTERNAL_SERVER_ERROR, plain, error.to_string())
        }
    }
}
