//! The files that let clients trust the server and the server know its clients: CA, server
//! certificate, bearer token, kubeconfig. All in one directory of mode 0700, each file 0600.
//!
//! The CA and the token are made once and kept, so that a kubeconfig that was handed out stays
//! good. The server's certificate is made anew at each start, since the address may differ.

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use rand::Rng as _;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use sha2::{Digest as _, Sha256};

/// What went wrong with the files or the certificates.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file could not be used.
    #[error("cannot {operation} {path}")]
    File {
        /// What was tried.
        operation: &'static str,
        /// On what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// A certificate could not be made or read.
    #[error("cannot make a certificate for the API")]
    Certificate(#[source] rcgen::Error),
    /// The TLS set-up was refused.
    #[error("cannot set up TLS for the API")]
    Tls(#[source] rustls::Error),
}

/// What was read or made.
pub(crate) struct Identity {
    /// For the listener.
    pub(crate) tls: Arc<rustls::ServerConfig>,
    /// SHA-256 of the bearer token.
    pub(crate) token_digest: [u8; 32],
    ca: String,
    token: String,
}

impl Identity {
    /// Reads what is in `directory` and makes what is missing.
    pub(crate) fn load(directory: &Path, listen: IpAddr) -> Result<Self, Error> {
        private_directory(directory)?;
        let (key_path, ca_path) = (directory.join("ca.key"), directory.join("ca.crt"));
        let token_path = directory.join("token");
        // The certificate is written last: without it the pair is made anew.
        let (key, ca) = match (read(&key_path)?, read(&ca_path)?) {
            (Some(key), Some(ca)) => (key, ca),
            _ => {
                let (key, ca) = make_ca().map_err(Error::Certificate)?;
                write_private(&key_path, &key)?;
                write_private(&ca_path, &ca)?;
                (key, ca)
            }
        };
        let token = match read(&token_path)? {
            Some(token) if !token.trim().is_empty() => token.trim().to_owned(),
            _ => {
                let bytes: [u8; 32] = rand::rng().random();
                let token = hex::encode(bytes);
                write_private(&token_path, &token)?;
                token
            }
        };
        let tls = server_config(&key, &ca, listen)?;
        Ok(Self {
            tls,
            token_digest: digest(&token),
            ca,
            token,
        })
    }

    /// Writes the kubeconfig for a server at `address`.
    pub(crate) fn write_kubeconfig(&self, path: &Path, address: SocketAddr) -> Result<(), Error> {
        let text = kubeconfig(&self.ca, &self.token, reachable(address));
        // A start on a full disk writes nothing that it need not.
        if read(path)?.as_ref() == Some(&text) {
            return Ok(());
        }
        write_private(path, &text)
    }
}

/// SHA-256 of a token.
pub(crate) fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}

/// A wildcard address is reached by way of loopback.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(std::net::Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn kubeconfig(ca: &str, token: &str, address: SocketAddr) -> String {
    let ca = BASE64_STANDARD.encode(ca);
    format!(
        "apiVersion: v1\n\
         kind: Config\n\
         clusters:\n\
         - name: vitistack\n  cluster:\n    server: https://{address}\n    \
         certificate-authority-data: {ca}\n\
         users:\n\
         - name: vitistack\n  user:\n    token: {token}\n\
         contexts:\n\
         - name: vitistack\n  context:\n    cluster: vitistack\n    user: vitistack\n    \
         namespace: default\n\
         current-context: vitistack\n"
    )
}

fn make_ca() -> Result<(String, String), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params
        .distinguished_name
        .push(DnType::CommonName, "vitistack standalone API");
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    // Nobody watches the expiry of a loopback CA, so it does not come.
    params.not_after = rcgen::date_time_ymd(2120, 1, 1);
    let ca = params.self_signed(&key)?;
    Ok((key.serialize_pem(), ca.pem()))
}

fn server_config(
    ca_key: &str,
    ca: &str,
    listen: IpAddr,
) -> Result<Arc<rustls::ServerConfig>, Error> {
    let (certificate, key) = make_server(ca_key, ca, listen).map_err(Error::Certificate)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(Error::Tls)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .map_err(Error::Tls)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn make_server(
    ca_key: &str,
    ca: &str,
    listen: IpAddr,
) -> Result<(rcgen::Certificate, PrivateKeyDer<'static>), rcgen::Error> {
    let issuer = Issuer::from_ca_cert_pem(ca, KeyPair::from_pem(ca_key)?)?;
    let key = KeyPair::generate()?;
    let mut names = vec![
        "localhost".to_owned(),
        "127.0.0.1".to_owned(),
        "::1".to_owned(),
    ];
    let own = listen.to_string();
    if !listen.is_unspecified() && !names.contains(&own) {
        names.push(own);
    }
    let mut params = CertificateParams::new(names)?;
    params
        .distinguished_name
        .push(DnType::CommonName, "vitistack standalone API server");
    params.not_before = rcgen::date_time_ymd(2020, 1, 1);
    params.not_after = rcgen::date_time_ymd(2119, 12, 31);
    params.use_authority_key_identifier_extension = true;
    params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth];
    let certificate = params.signed_by(&key, &issuer)?;
    let der = PrivatePkcs8KeyDer::from(key.serialize_der());
    Ok((certificate, PrivateKeyDer::Pkcs8(der)))
}

fn private_directory(path: &Path) -> Result<(), Error> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(path).map_err(|source| Error::File {
        operation: "create",
        path: path.to_owned(),
        source,
    })
}

fn read(path: &Path) -> Result<Option<String>, Error> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(missing) if missing.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::File {
            operation: "read",
            path: path.to_owned(),
            source,
        }),
    }
}

/// Whole or not at all: written beside, synced, then moved into place.
fn write_private(path: &Path, text: &str) -> Result<(), Error> {
    let error = |source| Error::File {
        operation: "write",
        path: path.to_owned(),
        source,
    };
    let mut beside = path.as_os_str().to_owned();
    beside.push(".new");
    let beside = PathBuf::from(beside);
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&beside)
        .map_err(error)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(error)?;
    std::fs::rename(&beside, path).map_err(error)?;
    match path.parent() {
        Some(parent) => std::fs::File::open(parent)
            .and_then(|d| d.sync_all())
            .map_err(error),
        None => Ok(()),
    }
}
