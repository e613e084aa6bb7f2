//! One look at an image's URL: whether it can be fetched from here, without fetching it.

#[cfg(test)]
mod tests;

use std::time::Duration;

use reqwest::{StatusCode, Url, header};

use super::download::{Error, broken, client, within};

/// What a server says of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Its length, if the server says one.
    pub bytes: Option<u64>,
    /// Whether a download that broke goes on where it stopped.
    pub resumes: bool,
}

/// Asks for the first byte of `url` with the trust of a download: the built-in roots, and the authorities of `ca_bundle`
/// (PEM, empty if there are none).
///
/// # Errors
/// As a download would fail, but for the digest and the space.
pub async fn probe(url: &str, ca_bundle: &str, deadline: Duration) -> Result<Probe, Error> {
    let is_web = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
    if !Url::parse(url).is_ok_and(|url| is_web(&url)) {
        return Err(Error::Unusable {
            url: url.to_owned(),
            problem: "it is not a URL that begins with http:// or https://".to_owned(),
        });
    }
    // GET and not HEAD: signed URLs of object stores are good for one method.
    let request = client(url, ca_bundle, deadline)?
        .get(url)
        .header(header::RANGE, "bytes=0-0");
    let response = within(deadline, url, request.send())
        .await?
        .map_err(broken(url))?;
    let status = response.status();
    if !status.is_success() {
        return Err(Error::Status {
            url: url.to_owned(),
            status: status.as_u16(),
        });
    }
    let resumes = status == StatusCode::PARTIAL_CONTENT;
    let bytes = if resumes {
        response
            .headers()
            .get(header::CONTENT_RANGE)
            .and_then(|range| range.to_str().ok())
            .and_then(|range| range.rsplit('/').next()?.parse().ok())
    } else {
        response.content_length()
    };
    Ok(Probe { bytes, resumes })
}
