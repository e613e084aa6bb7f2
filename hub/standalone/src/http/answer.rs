//! Builds responses.

use std::convert::Infallible;

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::Response;
use hyper::body::Bytes;
use hyper::header::{
    CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WARNING, WWW_AUTHENTICATE,
};
use serde_json::Value;

use crate::failure::Failure;
use crate::warning::Warnings;

/// A body of either kind: whole, or the stream of a watch.
pub(super) type Body = UnsyncBoxBody<Bytes, Infallible>;

/// JSON with a code.
pub(super) fn json(code: u16, value: &Value) -> Response<Body> {
    bytes(code, Bytes::from(value.to_string()))
}

/// JSON text with a code.
pub(super) fn bytes(code: u16, body: Bytes) -> Response<Body> {
    let mut response = Response::new(Full::new(body).boxed_unsync());
    *response.status_mut() = hyper::StatusCode::from_u16(code).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, private"));
    response
}

/// Plain text.
pub(super) fn text(body: &'static str) -> Response<Body> {
    let mut response = bytes(200, Bytes::from_static(body.as_bytes()));
    let plain = HeaderValue::from_static("text/plain; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

/// A refusal.
pub(super) fn failure(failure: &Failure) -> Response<Body> {
    if failure.code == 404 && failure.details.is_null() {
        // No kind is served there: that is not the API's 404 but the path's.
        let mut response = text("404 page not found\n");
        *response.status_mut() = hyper::StatusCode::NOT_FOUND;
        return response;
    }
    let mut response = json(failure.code, &failure.body());
    if let Some(seconds) = failure.details.get("retryAfterSeconds") {
        let seconds = HeaderValue::from_str(&seconds.to_string());
        response
            .headers_mut()
            .extend(seconds.ok().map(|value| (RETRY_AFTER, value)));
    }
    if failure.code == 401 {
        let scheme = HeaderValue::from_static("Bearer");
        response.headers_mut().insert(WWW_AUTHENTICATE, scheme);
    }
    response
}

/// Adds what the client should know, as `Warning` headers.
pub(super) fn warn(mut response: Response<Body>, told: &Warnings) -> Response<Body> {
    for warning in told.headers() {
        response.headers_mut().append(WARNING, warning);
    }
    response
}
