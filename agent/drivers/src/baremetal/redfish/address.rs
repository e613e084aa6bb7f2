//! Where a BMC and the system behind it are: `redfish+https://host[:port]/redfish/v1/Systems/<id>`.

use reqwest::Url;

/// A BMC's origin and the path of one system, parsed once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    /// `http(s)://host[:port]`, path `/`.
    origin: Url,
    /// Path of the system; `None` if the BMC is to have exactly one.
    system: Option<String>,
}

/// The text is not the address of a Redfish BMC.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Another scheme.
    #[error(
        "scheme {0:?} is not supported; allowed: redfish, redfish+https (both TLS), redfish+http"
    )]
    Scheme(String),
    /// Not a URL behind the scheme.
    #[error("it is not a URL of the form redfish+https://host[:port]/redfish/v1/Systems/<id>")]
    Malformed,
    /// Credentials belong into the Secret.
    #[error("it must not hold a user name or password: they belong into the credentials Secret")]
    HoldsCredentials,
}

impl Address {
    /// Reads the address as a `BareMetalHost` spells it.
    ///
    /// # Errors
    /// If it is not the address of a Redfish BMC.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (scheme, rest) = text.split_once("://").ok_or(AddressError::Malformed)?;
        let http = match scheme {
            "redfish" | "redfish+https" => "https",
            "redfish+http" => "http",
            other => return Err(AddressError::Scheme(other.to_owned())),
        };
        let mut origin =
            Url::parse(&format!("{http}://{rest}")).map_err(|_| AddressError::Malformed)?;
        if !origin.username().is_empty() || origin.password().is_some() {
            return Err(AddressError::HoldsCredentials);
        }
        if !origin.has_host() || origin.query().is_some() || origin.fragment().is_some() {
            return Err(AddressError::Malformed);
        }
        let path = origin.path().trim_end_matches('/');
        // A bare `/redfish/v1` names the service, not a system.
        let system = (!path.is_empty() && path != "/redfish/v1").then(|| path.to_owned());
        origin.set_path("/");
        Ok(Self { origin, system })
    }

    /// Path of the system, if the address names one.
    #[must_use]
    pub fn system(&self) -> Option<&str> {
        self.system.as_deref()
    }

    /// What one gentle lane is kept for: two systems behind one BMC share it.
    #[must_use]
    pub fn lane(&self) -> String {
        self.origin.origin().ascii_serialization()
    }

    /// URL of `path` on this BMC. A path that is a whole URL is taken only if it stays on this BMC: credentials are
    /// sent along, and a BMC must not be able to send them elsewhere.
    #[must_use]
    pub fn url(&self, path: &str) -> Option<Url> {
        let url = self.origin.join(path).ok()?;
        (url.origin() == self.origin.origin()).then_some(url)
    }
}
