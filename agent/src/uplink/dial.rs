//! From the hub's configured name to a connection.

use std::time::Duration;

use tokio::time::timeout;
use tracing::debug;
use vitistack_protocol::Chain;
use vitistack_protocol::identity::authority::hub_name;
use vitistack_protocol::identity::name::DEFAULT_TRUST_DOMAIN;
use vitistack_protocol::transport::{Connection, Dialer, Line};

use super::Error;

/// How long a name server may take.
const RESOLVE: Duration = Duration::from_secs(5);

/// Tries every address of `hub` in turn, with a TLS configuration made for each.
pub(super) async fn dial(
    dialer: &mut Dialer,
    hub: &str,
    line: Line,
    tls: impl Fn() -> Result<rustls::ClientConfig, Error>,
) -> Result<Connection, Error> {
    let unresolved = |source| Error::Resolve {
        hub: hub.to_owned(),
        source,
    };
    let addresses = timeout(RESOLVE, tokio::net::lookup_host(hub))
        .await
        .map_err(|_| unresolved(std::io::ErrorKind::TimedOut.into()))?
        .map_err(unresolved)?;
    let name = hub_name(DEFAULT_TRUST_DOMAIN);
    let mut last = Error::NoAddress {
        hub: hub.to_owned(),
    };
    for address in addresses {
        match dialer
            .dial(address, &name, tls()?, line, rand::random())
            .await
        {
            Ok(connection) => return Ok(connection),
            Err(source) => {
                debug!(
                    %address,
                    error = %Chain(&source),
                    "one address of the hub did not answer"
                );
                last = Error::Line {
                    operation: "reach the hub",
                    source,
                };
            }
        }
    }
    Err(last)
}
