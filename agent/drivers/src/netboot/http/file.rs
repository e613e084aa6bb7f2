//! Files by HTTP: HEAD, GET and Range, streamed from disk in constant memory.

use std::io::SeekFrom;
use std::path::Path;

use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, IF_RANGE, RANGE,
};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::fs::File;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _};
use tokio_util::io::ReaderStream;
use tracing::warn;
use vitistack_protocol::Chain;

use super::range::{self, Part};

/// Read at a time. Small enough for many downloads at once, large enough for a disk.
const CHUNK: usize = 128 * 1024;

/// Answers with the file at `path`. One that is not there is the service's fault, not the client's: it is logged.
pub(crate) async fn serve(path: &Path, method: &Method, headers: &HeaderMap) -> Response {
    let opened = match File::open(path).await {
        Ok(file) => file.metadata().await.map(|metadata| (file, metadata.len())),
        Err(error) => Err(error),
    };
    let (mut file, length) = match opened {
        Ok(opened) => opened,
        Err(error) => {
            let error = Chain(&error);
            warn!(path = %path.display(), %error, "a file of the boot network cannot be read");
            return StatusCode::NOT_FOUND.into_response();
        }
    };
    // We give out no validators, so an If-Range cannot match, and the whole file is the answer.
    let part = headers
        .get(RANGE)
        .filter(|_| !headers.contains_key(IF_RANGE))
        .and_then(|value| value.to_str().ok())
        .map_or(Part::Whole, |value| range::parse(value, length));
    let (first, count, status) = match part {
        Part::Whole => (0, length, StatusCode::OK),
        Part::Bytes { first, last } => (first, last - first + 1, StatusCode::PARTIAL_CONTENT),
        Part::Unsatisfiable => {
            let range = [(CONTENT_RANGE, format!("bytes */{length}"))];
            return (StatusCode::RANGE_NOT_SATISFIABLE, range).into_response();
        }
    };
    let mut response = Response::builder()
        .status(status)
        .header(ACCEPT_RANGES, "bytes")
        .header(CONTENT_TYPE, "application/octet-stream")
        .header(CONTENT_LENGTH, count);
    if let Part::Bytes { first, last } = part {
        response = response.header(CONTENT_RANGE, format!("bytes {first}-{last}/{length}"));
    }
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        if let Err(error) = file.seek(SeekFrom::Start(first)).await {
            let error = Chain(&error);
            warn!(path = %path.display(), %error, "a file of the boot network cannot be read");
            return StatusCode::INTERNAL_SERVER_ERROR.into_response();
        }
        Body::from_stream(ReaderStream::with_capacity(file.take(count), CHUNK))
    };
    response
        .body(body)
        .unwrap_or_else(|_| StatusCode::INTERNAL_SERVER_ERROR.into_response())
}
