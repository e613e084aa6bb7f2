//! The look against web servers that resume, do not, refuse, and show a certificate.

use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::{Error, Probe, probe};
use crate::baremetal::redfish::tests::bmc::Bmc;
const DEADLINE: Duration = Duration::from_secs(10);

async fn resuming(headers: HeaderMap) -> Response {
    assert_eq!(headers[header::RANGE], "bytes=0-0");
    let range = [(header::CONTENT_RANGE, "bytes 0-0/12345")];
    (StatusCode::PARTIAL_CONTENT, range, "x").into_response()
}

async fn serve() -> (String, JoinSet<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new()
        .route("/resuming", get(resuming))
        .route("/whole", get(|| async { "all of it" }));
    let mut tasks = JoinSet::new();
    tasks.spawn(async move { axum::serve(listener, app).await.unwrap() });
    (format!("http://{address}"), tasks)
}

#[tokio::test]
async fn length_and_resuming_are_told_without_fetching_the_image() {
    let (url, _tasks) = serve().await;
    let seen = probe(&format!("{url}/resuming"), "", DEADLINE).await;
    let resuming = Probe {
        bytes: Some(12345),
        resumes: true,
    };
    assert_eq!(seen.unwrap(), resuming);
    let seen = probe(&format!("{url}/whole"), "", DEADLINE).await;
    let whole = Probe {
        bytes: Some(9),
        resumes: false,
    };
    assert_eq!(seen.unwrap(), whole);
}

#[tokio::test]
async fn a_url_that_gives_no_image_is_refused_with_the_reason() {
    let (url, _tasks) = serve().await;
    let missing = probe(&format!("{url}/missing"), "", DEADLINE).await;
    assert!(matches!(missing, Err(Error::Status { status: 404, .. })));
    for malformed in ["", "images/os.raw", "ftp://127.0.0.1/os.raw"] {
        let refused = probe(malformed, "", DEADLINE).await.unwrap_err();
        assert!(refused.to_string().contains("http://"), "{refused}");
    }
    let refused = probe(&url, "-----BEGIN CERTIFICATE-----\n", DEADLINE).await;
    assert!(matches!(refused, Err(Error::Unusable { .. })));
}

#[tokio::test]
async fn a_certificate_is_trusted_only_if_its_authority_was_given() {
    let server = Bmc::tls(([127, 0, 0, 1], 0).into()).await;
    let other = Bmc::tls(([127, 0, 0, 1], 0).into()).await;
    let url = format!("https://{}/redfish/v1/", server.address);
    for bundle in ["", &other.certificate.unwrap().1] {
        let refused = probe(&url, bundle, DEADLINE).await.unwrap_err();
        assert!(matches!(refused, Error::Untrusted { .. }), "{refused:?}");
        assert!(refused.to_string().contains("caBundle"), "{refused}");
    }
    let (_, own) = server.certificate.unwrap();
    let seen = probe(&url, &own, DEADLINE).await;
    assert!(
        matches!(seen, Ok(_) | Err(Error::Status { .. })),
        "{seen:?}"
    );
}
