//! Requests to an API server as they go over the wire, for what kubectl hides: dry runs by the hundred, status codes.

use std::path::Path;

use axum::http::{Method, Request};
use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::Value;

/// A connection to one API.
pub struct Raw {
    runtime: tokio::runtime::Runtime,
    client: kube::Client,
}

impl Raw {
    /// Connects as `kubeconfig` says.
    ///
    /// # Panics
    /// If that file is not a usable kubeconfig.
    #[must_use]
    pub fn connect(kubeconfig: &Path) -> Self {
        rustls::crypto::ring::default_provider()
            .install_default()
            .ok();
        let runtime = tokio::runtime::Runtime::new().expect("a runtime can be made");
        let client = runtime.block_on(async {
            let file = Kubeconfig::read_from(kubeconfig).expect("the kubeconfig is readable");
            let config = kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default())
                .await
                .expect("the kubeconfig is complete");
            kube::Client::try_from(config).expect("a client can be made")
        });
        Self { runtime, client }
    }

    /// Sends a request; the answer, or the status code and message of the refusal.
    ///
    /// # Errors
    /// Code and message of the `Status` that came back.
    ///
    /// # Panics
    /// If the request is malformed or the line breaks.
    pub fn send(&self, method: Method, path: &str, body: &Value) -> Result<Value, (u16, String)> {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .body(serde_json::to_vec(body).expect("a value is JSON"))
            .expect("the path is a URI");
        match self.runtime.block_on(self.client.request::<Value>(request)) {
            Ok(value) => Ok(value),
            Err(kube::Error::Api(status)) => Err((status.code, status.message.clone())),
            Err(error) => panic!("{path}: {error}"),
        }
    }

    /// A strict dry run of creating `object`.
    ///
    /// # Errors
    /// Code and message of the refusal.
    ///
    /// # Panics
    /// If `object` is not of one of our kinds.
    pub fn dry_run(&self, object: &Value) -> Result<Value, (u16, String)> {
        let kind = object["kind"]
            .as_str()
            .expect("a manifest has a kind")
            .to_lowercase();
        let namespace = object["metadata"]["namespace"]
            .as_str()
            .unwrap_or("default");
        let path = format!(
            "/apis/vitistack.io/v1alpha1/namespaces/{namespace}/{kind}s?dryRun=All&fieldValidation=Strict"
        );
        self.send(Method::POST, &path, object)
    }
}

impl std::fmt::Debug for Raw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Raw")
    }
}
