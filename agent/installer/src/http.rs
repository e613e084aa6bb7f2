//! HTTP to one server, the agent: plain, by address, one connection a request, a deadline on everything.
//!
//! Small questions and answers are asked here; the one long answer, the image, is read by [`download`].
//!
//! Not reqwest: no names are resolved here, no TLS and no proxy exist, and PID 1 should not carry them.

pub mod download;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::timeout;

/// For a connection, and for the head of an answer.
const ANSWER: Duration = Duration::from_secs(10);
/// For the next piece of a body.
const PIECE: Duration = Duration::from_secs(30);

/// A request that was not answered as hoped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server's address is not `http://address:port`.
    #[error("{0:?} is not of the form http://address:port")]
    Address(String),
    /// Nobody there.
    #[error("connect to {0}")]
    Connect(SocketAddr, #[source] io::Error),
    /// The connection broke before the answer was complete.
    #[error("exchange with {0}")]
    Exchange(SocketAddr, #[source] hyper::Error),
    /// The same, of a long answer.
    #[error("read from {0}")]
    Line(SocketAddr, #[source] io::Error),
    /// What came is no HTTP.
    #[error("{0} does not answer in HTTP")]
    Head(SocketAddr, #[source] httparse::Error),
    /// A long answer whose end could not be told from a broken line.
    #[error("{0} does not say how long its answer is")]
    Length(SocketAddr),
    /// The request cannot be written: a path with forbidden characters.
    #[error("write the request")]
    Request(#[source] hyper::http::Error),
    /// No answer, or no further piece of it, in time.
    #[error("{0} did not answer in time")]
    Timeout(SocketAddr),
    /// An answer, but not the one that was asked for.
    #[error("{0} answered {1}")]
    Status(SocketAddr, StatusCode),
    /// More bytes than anybody should send here.
    #[error("the answer of {0} is too long")]
    TooLong(SocketAddr),
}

impl Error {
    /// Asking again cannot help: the server understood and refused.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Status(_, status) => {
                status.is_client_error()
                    && *status != StatusCode::REQUEST_TIMEOUT
                    && *status != StatusCode::TOO_MANY_REQUESTS
            }
            Self::Address(_)
            | Self::Request(_)
            | Self::TooLong(_)
            | Self::Head(..)
            | Self::Length(_) => true,
            Self::Connect(..) | Self::Exchange(..) | Self::Line(..) | Self::Timeout(_) => false,
        }
    }
}

/// Speaks to one server.
#[derive(Clone, Debug)]
pub struct Client {
    server: SocketAddr,
}

impl Client {
    /// Reads `http://address:port`.
    ///
    /// # Errors
    /// It is something else.
    pub fn new(url: &str) -> Result<Self, Error> {
        let address = url
            .strip_prefix("http://")
            .map(|rest| rest.trim_end_matches('/'));
        let server = address.and_then(|address| address.parse().ok());
        Ok(Self {
            server: server.ok_or_else(|| Error::Address(url.to_owned()))?,
        })
    }

    /// The server's address.
    #[must_use]
    pub fn server(&self) -> SocketAddr {
        self.server
    }

    /// A whole small answer.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn get(&self, path: &str, limit: usize) -> Result<Vec<u8>, Error> {
        let request = self.request(Method::GET, path);
        self.whole(request, Bytes::new(), limit).await
    }

    /// Sends JSON and reads a small answer.
    ///
    /// # Errors
    /// As [`Error`] says.
    pub async fn post(&self, path: &str, json: Vec<u8>, limit: usize) -> Result<Vec<u8>, Error> {
        let request = self
            .request(Method::POST, path)
            .header(CONTENT_TYPE, "application/json");
        self.whole(request, json.into(), limit).await
    }

    fn request(&self, method: Method, path: &str) -> hyper::http::request::Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, self.server.to_string())
    }

    async fn whole(
        &self,
        request: hyper::http::request::Builder,
        body: Bytes,
        limit: usize,
    ) -> Result<Vec<u8>, Error> {
        let (response, _connection) = self.send(request, body).await?;
        let status = response.status();
        if !status.is_success() {
            return Err(Error::Status(self.server, status));
        }
        let mut incoming = response.into_body();
        let mut bytes = Vec::new();
        while let Some(piece) = self.piece(&mut incoming).await? {
            bytes.extend_from_slice(&piece);
            if bytes.len() > limit {
                return Err(Error::TooLong(self.server));
            }
        }
        Ok(bytes)
    }

    async fn send(
        &self,
        request: hyper::http::request::Builder,
        body: Bytes,
    ) -> Result<(Response<Incoming>, JoinSet<()>), Error> {
        let request = request.body(Full::new(body)).map_err(Error::Request)?;
        let late = |_| Error::Timeout(self.server);
        let stream = timeout(ANSWER, TcpStream::connect(self.server))
            .await
            .map_err(late)?
            .map_err(|error| Error::Connect(self.server, error))?;
        let broken = |error| Error::Exchange(self.server, error);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(broken)?;
        let mut tasks = JoinSet::new();
        // Its errors come out of the request and the body as well.
        tasks.spawn(async move { drop(connection.await) });
        let response = timeout(ANSWER, sender.send_request(request))
            .await
            .map_err(late)?
            .map_err(broken)?;
        Ok((response, tasks))
    }

    /// The next piece of a body; `None` at the end.
    async fn piece(&self, incoming: &mut Incoming) -> Result<Option<Bytes>, Error> {
        loop {
            let frame = timeout(PIECE, incoming.frame())
                .await
                .map_err(|_| Error::Timeout(self.server))?;
            match frame {
                None => return Ok(None),
                Some(Err(error)) => return Err(Error::Exchange(self.server, error)),
                Some(Ok(frame)) => {
                    // Trailers are of no interest.
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_address_is_a_server() {
        for (url, expected) in [
            ("http://10.0.0.1:8080", Some("10.0.0.1:8080")),
            ("http://10.0.0.1:8080/", Some("10.0.0.1:8080")),
            ("http://[fd00::1]:80", Some("[fd00::1]:80")),
            ("https://10.0.0.1:8080", None),
            ("http://example:80", None),
            ("10.0.0.1:8080", None),
        ] {
            let server = Client::new(url)
                .ok()
                .map(|client| client.server().to_string());
            assert_eq!(server.as_deref(), expected, "{url}");
        }
    }
}
