//! One HTTP request to a BMC: authentication, deadline, redirects on the same BMC, a size limit, and the gate that keeps
//! requests to one BMC apart.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Method, StatusCode, header};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::debug;
use vitistack_fault as fault;
use vitistack_protocol::message::intent::{BmcTrust, Credentials};

use super::address::Address;
use super::error::Error;
use super::tls::{self, Witness};

/// How a BMC is paced and how long it may take.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Between the starts of two requests to one BMC. Bursts have frozen real ones.
    pub gap: Duration,
    /// Between an answer and the next request, however long the answer took.
    pub breath: Duration,
    /// For a connection. Slow BMCs need seconds for a TLS handshake.
    pub connect: Duration,
    /// For a whole request.
    pub request: Duration,
    /// For a power action to become visible.
    pub power: Duration,
    /// Between two looks at a change that was asked for.
    pub poll: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            gap: Duration::from_millis(200),
            breath: Duration::from_millis(50),
            connect: Duration::from_secs(10),
            request: Duration::from_secs(45),
            power: Duration::from_secs(90),
            poll: Duration::from_secs(1),
        }
    }
}

impl Pace {
    /// When the next request may be sent, if the last one began and was answered then.
    fn next(&self, begun: Instant, answered: Instant) -> Instant {
        (begun + self.gap).max(answered + self.breath)
    }
}

/// Lets one request at a time through to a BMC, and holds when the next one may be sent.
#[derive(Debug, Default)]
pub struct Gate(Mutex<Option<Instant>>);

/// No resource that we read is near this; a BMC must not be able to fill the agent's memory.
const LARGEST_ANSWER: usize = 4 << 20;

/// A lookup by name is redirected once to its UUID; more hops are a loop.
const REDIRECTS: usize = 3;

/// One answer with a success status.
#[derive(Debug)]
pub(super) struct Answer {
    /// Path that answered, after redirects.
    pub(super) path: String,
    pub(super) etag: Option<String>,
    /// `Null` if there was no body or none that is JSON.
    pub(super) body: Value,
}

/// HTTP to one BMC.
#[derive(Debug)]
pub(super) struct Wire {
    http: reqwest::Client,
    address: Address,
    witness: Arc<Witness>,
    gate: Arc<Gate>,
    pub(super) pace: Pace,
}

struct Request<'a> {
    method: Method,
    name: &'static str,
    path: &'a str,
    body: Option<&'a Value>,
    if_match: Option<&'a str>,
}

impl Wire {
    pub(super) fn new(
        address: Address,
        trust: &BmcTrust,
        gate: Arc<Gate>,
        pace: Pace,
    ) -> Result<Self, Error> {
        let (tls, witness) = tls::config(trust)?;
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(tls)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            // Several BMCs reset a connection that is used a second time.
            .pool_max_idle_per_host(0)
            .connect_timeout(pace.connect)
            .build()
            .map_err(Error::Prepare)?;
        Ok(Self {
            http,
            address,
            witness,
            gate,
            pace,
        })
    }

    pub(super) fn witness(&self) -> &Witness {
        &self.witness
    }

    pub(super) fn address(&self) -> &Address {
        &self.address
    }

    pub(super) async fn read(
        &self,
        credentials: &Credentials,
        path: &str,
    ) -> Result<Answer, Error> {
        fault::before("agent.bmc.read");
        let answer = self
            .send(
                credentials,
                Request {
                    method: Method::GET,
                    name: "GET",
                    path,
                    body: None,
                    if_match: None,
                },
            )
            .await?;
        fault::after("agent.bmc.read");
        if answer.body.is_object() {
            Ok(answer)
        } else {
            Err(Error::Protocol {
                method: "GET",
                path: path.to_owned(),
                problem: "the answer is not a JSON object".to_owned(),
            })
        }
    }

    /// PATCH with `If-Match` if there is a tag. A weak tag that is refused is tried as a strong one, then without.
    pub(super) async fn patch(
        &self,
        credentials: &Credentials,
        path: &str,
        etag: Option<&str>,
        body: &Value,
    ) -> Result<(), Error> {
        let strong = etag.and_then(|tag| tag.strip_prefix("W/"));
        let mut tags = vec![etag];
        tags.extend(strong.map(Some));
        tags.extend(etag.map(|_| None));
        let mut last = None;
        for if_match in tags {
            let sent = self
                .send(
                    credentials,
                    Request {
                        method: Method::PATCH,
                        name: "PATCH",
                        path,
                        body: Some(body),
                        if_match,
                    },
                )
                .await;
            match sent {
                Ok(_) => return Ok(()),
                Err(error @ Error::Refused { status: 412, .. }) => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| Error::Protocol {
            method: "PATCH",
            path: path.to_owned(),
            problem: "nothing was sent".to_owned(),
        }))
    }

    pub(super) async fn post(
        &self,
        credentials: &Credentials,
        path: &str,
        body: &Value,
    ) -> Result<(), Error> {
        self.send(
            credentials,
            Request {
                method: Method::POST,
                name: "POST",
                path,
                body: Some(body),
                if_match: None,
            },
        )
        .await
        .map(|_| ())
    }

    async fn send(&self, credentials: &Credentials, request: Request<'_>) -> Result<Answer, Error> {
        // The gate is held across the request on purpose: it is the one lane of this BMC.
        let mut next = self.gate.0.lock().await;
        if let Some(next) = *next {
            tokio::time::sleep_until(next).await;
        }
        let begun = Instant::now();
        let answer = tokio::time::timeout(self.pace.request, self.exchange(credentials, &request))
            .await
            .unwrap_or_else(|_| {
                Err(Error::Timeout {
                    method: request.name,
                    path: request.path.to_owned(),
                    after: self.pace.request,
                })
            });
        debug!(
            method = request.name,
            path = request.path,
            ok = answer.is_ok(),
            seconds = begun.elapsed().as_secs_f64(),
            "the BMC answered"
        );
        *next = Some(self.pace.next(begun, Instant::now()));
        answer
    }

    async fn exchange(
        &self,
        credentials: &Credentials,
        request: &Request<'_>,
    ) -> Result<Answer, Error> {
        let protocol = |problem: &str| Error::Protocol {
            method: request.name,
            path: request.path.to_owned(),
            problem: problem.to_owned(),
        };
        let mut url = self
            .address
            .url(request.path)
            .ok_or_else(|| protocol("the path leads away from the BMC"))?;
        for _ in 0..=REDIRECTS {
            let mut builder = self
                .http
                .request(request.method.clone(), url.clone())
                .basic_auth(&credentials.username, Some(&credentials.password))
                .header("OData-Version", "4.0")
                .header(header::ACCEPT, "application/json")
                .header(header::CONNECTION, "close");
            if let Some(tag) = request.if_match {
                builder = builder.header(header::IF_MATCH, tag);
            }
            if let Some(body) = request.body {
                builder = builder.json(body);
            }
            let response = builder
                .send()
                .await
                .map_err(|source| self.broken(request, source))?;
            if !redirects(response.status(), &request.method) {
                return self.judge(request, response).await;
            }
            url = response
                .headers()
                .get(header::LOCATION)
                .and_then(|location| location.to_str().ok())
                .and_then(|location| self.address.url(location))
                .ok_or_else(|| protocol("it redirects away from the BMC"))?;
        }
        Err(protocol("it redirects in a circle"))
    }

    fn broken(&self, request: &Request<'_>, source: reqwest::Error) -> Error {
        if let Some(refusal) = self.witness.take_refusal() {
            return refusal;
        }
        Error::Unreachable {
            method: request.name,
            path: request.path.to_owned(),
            // The address is in the intent; an error that repeats it is noise in a condition.
            source: source.without_url(),
        }
    }

    async fn judge(
        &self,
        request: &Request<'_>,
        response: reqwest::Response,
    ) -> Result<Answer, Error> {
        let status = response.status();
        let header_text = |name: header::HeaderName| {
            response
                .headers()
                .get(name)
                .and_then(|value| value.to_str().ok())
                .map(str::to_owned)
        };
        let etag = header_text(header::ETAG);
        let retry_after = header_text(header::RETRY_AFTER)
            .and_then(|seconds| seconds.trim().parse().ok())
            .map(Duration::from_secs);
        let path = response.url().path().to_owned();
        if matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) {
            return Err(Error::Unauthenticated {
                method: request.name,
                path,
                status: status.as_u16(),
            });
        }
        let bytes = self.body(request, response).await?;
        let body = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        if status.is_success() {
            return Ok(Answer { path, etag, body });
        }
        Err(Error::Refused {
            method: request.name,
            path,
            status: status.as_u16(),
            messages: message_ids(&body),
            retry_after,
        })
    }

    async fn body(
        &self,
        request: &Request<'_>,
        mut response: reqwest::Response,
    ) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        while let Some(chunk) = response
            .chunk()
            .await
            .map_err(|source| self.broken(request, source))?
        {
            if bytes.len() + chunk.len() > LARGEST_ANSWER {
                return Err(Error::Protocol {
                    method: request.name,
                    path: request.path.to_owned(),
                    problem: format!("the answer is longer than {LARGEST_ANSWER} bytes"),
                });
            }
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

/// 307 and 308 keep method and body (RFC 9110, 15.4.8 and 15.4.9); the older ones are followed for reading only.
fn redirects(status: StatusCode, method: &Method) -> bool {
    match status {
        StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
        StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND => method == Method::GET,
        _ => false,
    }
}

/// Last parts of `MessageId` (`Base.1.8.PropertyNotWritable`), at most five and none longer than a name is.
fn message_ids(body: &Value) -> Vec<String> {
    body["error"]["@Message.ExtendedInfo"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|info| info["MessageId"].as_str())
        .filter_map(|id| id.rsplit('.').next())
        .filter(|id| id.len() <= 64)
        .map(str::to_owned)
        .take(5)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_keep_their_distance_from_the_last_start_and_from_the_last_answer() {
        let pace = Pace {
            gap: Duration::from_millis(200),
            breath: Duration::from_millis(50),
            ..Pace::default()
        };
        let begun = Instant::now();
        for (took, after) in [(0, 200), (100, 200), (150, 200), (180, 230), (900, 950)] {
            let next = pace.next(begun, begun + Duration::from_millis(took));
            assert_eq!(next, begun + Duration::from_millis(after), "{took} ms");
        }
    }
}
