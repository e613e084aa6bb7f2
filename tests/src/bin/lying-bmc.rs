//! A wire proxy before a Redfish service that lies about boot overrides: it answers 204 to the PATCH and drops it, or
//! takes it back. Everything else passes unchanged.
//!
//! `lying-bmc LISTEN UPSTREAM drop|revert`

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::Response;

struct Proxy {
    upstream: String,
    client: reqwest::Client,
    lie: Lie,
}

#[derive(Clone, Copy)]
enum Lie {
    Drop,
    Revert,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [listen, upstream, lie] = args.as_slice() else {
        anyhow::bail!("say: lying-bmc LISTEN UPSTREAM drop|revert");
    };
    let lie = match lie.as_str() {
        "drop" => Lie::Drop,
        "revert" => Lie::Revert,
        other => anyhow::bail!("{other}: allowed are drop and revert"),
    };
    rustls::crypto::ring::default_provider()
        .install_default()
        .ok();
    let client = reqwest::Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .build()?;
    let proxy = Arc::new(Proxy {
        upstream: upstream.clone(),
        client,
        lie,
    });
    let listener = tokio::net::TcpListener::bind(listen).await?;
    axum::serve(listener, Router::new().fallback(pass).with_state(proxy)).await?;
    Ok(())
}

async fn pass(State(proxy): State<Arc<Proxy>>, request: Request) -> Result<Response, StatusCode> {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 1 << 20)
        .await
        .map_err(|_| StatusCode::BAD_REQUEST)?;
    let path = parts
        .uri
        .path_and_query()
        .map_or("/", |path| path.as_str())
        .to_owned();
    let is_override = parts.method == Method::PATCH
        && String::from_utf8_lossy(&body).contains("BootSourceOverride");
    let authorization: HeaderMap = parts
        .headers
        .into_iter()
        .filter_map(|(name, value)| Some((name?, value)))
        .filter(|(name, _)| name == header::AUTHORIZATION || name == header::CONTENT_TYPE)
        .collect();
    if !is_override {
        return proxy
            .forward(parts.method, &path, &authorization, body)
            .await;
    }
    match proxy.lie {
        Lie::Drop => {}
        Lie::Revert => {
            let before = proxy.boot(&path, &authorization).await?;
            proxy
                .forward(Method::PATCH, &path, &authorization, body)
                .await?;
            proxy
                .forward(Method::PATCH, &path, &authorization, before)
                .await?;
        }
    }
    Response::builder()
        .status(StatusCode::NO_CONTENT)
        .body(Body::empty())
        .map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
}

impl Proxy {
    async fn forward(
        &self,
        method: Method,
        path: &str,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Response, StatusCode> {
        let answer = self
            .client
            .request(method, format!("{}{path}", self.upstream))
            .headers(headers.clone())
            .body(body)
            .send()
            .await
            .map_err(|_| StatusCode::BAD_GATEWAY)?;
        let mut response = Response::builder().status(answer.status());
        if let Some(kind) = answer.headers().get(header::CONTENT_TYPE) {
            response = response.header(header::CONTENT_TYPE, kind);
        }
        let body = answer.bytes().await.map_err(|_| StatusCode::BAD_GATEWAY)?;
        response
            .body(Body::from(body))
            .map_err(|_| StatusCode::BAD_GATEWAY)
    }

    /// A PATCH body that sets the boot override to what it is now.
    async fn boot(&self, path: &str, headers: &HeaderMap) -> Result<Bytes, StatusCode> {
        let system: serde_json::Value = self
            .client
            .get(format!("{}{path}", self.upstream))
            .headers(headers.clone())
            .send()
            .await
            .map_err(|_| StatusCode::BAD_GATEWAY)?
            .json()
            .await
            .map_err(|_| StatusCode::BAD_GATEWAY)?;
        let target = &system["Boot"]["BootSourceOverrideTarget"];
        let body = serde_json::json!({"Boot": {"BootSourceOverrideTarget": target}});
        Ok(Bytes::from(body.to_string()))
    }
}
