//! From a token to a certificate.

use std::sync::Arc;
use std::time::Duration;

use vitistack_fault as fault;
use vitistack_protocol::identity::{JoinToken, tls};
use vitistack_protocol::message::control::{Goodbye, Join, Joined};
use vitistack_protocol::transport::{CloseCode, Connection, Dialer, Priority, within};
use zeroize::Zeroizing;

use super::identity::Identity;
use super::{Error, Options, dial};

/// How long the hub may take: it asks its API a few times.
const ANSWER: Duration = Duration::from_secs(30);

/// Redeems the token and puts the identity on disk.
pub(super) async fn join(dialer: &mut Dialer, options: &Options) -> Result<Identity, Error> {
    let token = read_token(options).await?;
    let key = Identity::key_for_joining(&options.identity).await?;
    let wrong = |what| move |source| Error::Identity { what, source };
    let request = Join {
        token: token.to_text().to_string(),
        name: options.name.clone(),
        csr: key.request().map_err(wrong("key"))?,
    };
    let connection = dial::dial(dialer, &options.hub, options.line, || {
        tls::join(&token).map_err(wrong("token"))
    })
    .await?;
    fault::before("agent.join.send");
    let joined = ask(&connection, &request).await;
    fault::after("agent.join.send");
    connection.close(CloseCode::Done, "answered");
    let Joined {
        name: _,
        site: _,
        chain,
        roots,
    } = joined?;
    let identity = Identity::new(Arc::new(key), roots, chain)?;
    identity.save(&options.identity).await?;
    Ok(identity)
}

async fn ask(connection: &Connection, request: &Join) -> Result<Joined, Error> {
    let frame = within(ANSWER, "join", async {
        let (mut send, mut receive) = connection.open(Priority::Control).await?;
        send.send(request).await?;
        send.finish();
        receive.frame().await
    })
    .await
    .map_err(|source| Error::Line {
        operation: "join",
        source,
    })?
    .ok_or(Error::Protocol {
        detail: "it did not answer the join",
    })?;
    let unreadable = |source: vitistack_protocol::codec::Error| Error::Line {
        operation: "read the answer to the join",
        source: source.into(),
    };
    if frame.is::<Goodbye>() {
        let goodbye: Goodbye = frame.decode().map_err(unreadable)?;
        return Err(Error::Refused {
            message: goodbye.message,
        });
    }
    frame.decode().map_err(unreadable)
}

async fn read_token(options: &Options) -> Result<JoinToken, Error> {
    let path = options.token_file.clone().ok_or(Error::NoTokenFile)?;
    let text = match tokio::fs::read_to_string(&path).await {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(Error::NoToken { path });
        }
        Err(source) => {
            return Err(Error::File {
                operation: "read",
                path,
                source,
            });
        }
    };
    JoinToken::parse(&text).map_err(|source| Error::Token { path, source })
}
