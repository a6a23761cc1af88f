//! TLS for listeners and for connections of ours: certificates, trust, names (RFC 3261 §26.3, RFC 5922).
//!
//! TLS 1.2 and 1.3 with the AEAD suites of `ring`. A listener without a certificate gets one that we sign ourselves on
//! the first start and keep, so that phones that pinned it still know us after a restart.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::bind::StartError;
use crate::engine::{Network, Settings};
use crate::transport::Transport;

/// Where Debian and its kin keep the roots that everybody trusts.
const SYSTEM_ROOTS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A certificate chain and its key, as PEM files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFiles {
    /// The chain, the listener's own certificate first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Certificates and trust.
#[derive(Clone, Debug, Default)]
pub struct TlsOptions {
    /// For listeners that name none; `None`: one that we sign ourselves.
    pub identity: Option<KeyFiles>,
    /// The folder in which the self-signed one is kept; `None`: it lasts as long as the process.
    pub state: Option<PathBuf>,
    /// Roots for connections of ours; `None`: those of the system.
    pub ca: Option<PathBuf>,
    /// Peers whose certificates are taken as they are.
    pub unverified: Vec<Network>,
}

/// Names of places that were looked up; more are not remembered, and then the address must be in the certificate.
const MOST_LEARNED: usize = 256;

/// A certificate and its key in memory.
type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn wrong(path: &Path, what: impl std::fmt::Display) -> StartError {
    StartError::Certificate {
        path: path.to_owned(),
        what: what.to_string(),
    }
}

/// What a listener shows: its own files, else those of all, else the self-signed certificate.
pub(super) fn acceptor(
    own: Option<&KeyFiles>,
    options: &TlsOptions,
    settings: &Settings,
) -> Result<TlsAcceptor, StartError> {
    let (chain, key) = match own.or(options.identity.as_ref()) {
        Some(files) => read(files)?,
        None => self_signed(options.state.as_deref(), settings)?,
    };
    let place = own
        .or(options.identity.as_ref())
        .map_or(Path::new("self-signed"), |files| &files.certificate);
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| wrong(place, error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn read(files: &KeyFiles) -> Result<Identity, StartError> {
    let chain = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(&files.certificate, error))?;
    if chain.is_empty() {
        return Err(wrong(&files.certificate, "no certificate in it"));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| wrong(&files.key, error))?;
    Ok((chain, key))
}

fn self_signed(state: Option<&Path>, settings: &Settings) -> Result<Identity, StartError> {
    let Some(folder) = state else {
        let (certificate, key) = make(settings).map_err(|error| wrong(Path::new("self-signed"), error))?;
        return parse(&certificate, &key).map_err(|error| wrong(Path::new("self-signed"), error));
    };
    let files = KeyFiles {
        certificate: folder.join("self-signed.pem"),
        key: folder.join("self-signed.key"),
    };
    if !files.certificate.exists() || !files.key.exists() {
        let (certificate, key) = make(settings).map_err(|error| wrong(&files.certificate, error))?;
        fs::create_dir_all(folder).map_err(|error| wrong(folder, error))?;
        keep(&files.key, &key, 0o600).map_err(|error| wrong(&files.key, error))?;
        keep(&files.certificate, &certificate, 0o644).map_err(|error| wrong(&files.certificate, error))?;
        tracing::warn!(certificate = %files.certificate.display(), "no certificate configured: signed one myself; phones must trust it or skip the check");
    } else {
        tracing::info!(certificate = %files.certificate.display(), "no certificate configured: using the self-signed one");
    }
    read(&files)
}

fn make(settings: &Settings) -> Result<(String, String), rcgen::Error> {
    let mut names = vec![settings.domain.clone(), "localhost".to_owned()];
    names.extend(
        settings
            .listeners
            .iter()
            .map(|listener| listener.advertised.ip().to_string()),
    );
    names.sort();
    names.dedup();
    let key = rcgen::KeyPair::generate()?;
    let mut params = rcgen::CertificateParams::new(names)?;
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, settings.domain.as_str());
    let certificate = params.self_signed(&key)?;
    Ok((certificate.pem(), key.serialize_pem()))
}

fn parse(certificate: &str, key: &str) -> Result<Identity, rustls::pki_types::pem::Error> {
    let chain = CertificateDer::pem_slice_iter(certificate.as_bytes()).collect::<Result<_, _>>()?;
    Ok((chain, PrivateKeyDer::from_pem_slice(key.as_bytes())?))
}

/// Written whole and with the right mode from the start, or not at all.
fn keep(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let fresh = path.with_extension("new");
    fs::remove_file(&fresh).ok(); // left by a start that was cut short
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}

/// Opens TLS on connections of ours.
#[derive(Clone)]
pub(super) struct Connector {
    verifying: TlsConnector,
    trusting: TlsConnector,
    unverified: Arc<[Network]>,
    /// The names that certificates must be for; a peer that we know by its address only must have that in it.
    names: Arc<[(SocketAddr, String)]>,
    /// Those of look-ups, the last ones; a connection that is being opened has its own copy.
    learned: Vec<(SocketAddr, String)>,
}

impl Connector {
    pub(super) fn new(options: &TlsOptions, settings: &Settings) -> Result<Connector, StartError> {
        let builder = || {
            ClientConfig::builder_with_provider(provider())
                .with_safe_default_protocol_versions()
                .map_err(|error| wrong(Path::new("tls"), error))
        };
        let verifying = builder()?
            .with_root_certificates(roots(options.ca.as_deref())?)
            .with_no_client_auth();
        let trusting = builder()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider())))
            .with_no_client_auth();
        for network in &options.unverified {
            tracing::warn!(address = %network.address, prefix = network.prefix, "TLS certificates of this peer are not verified");
        }
        let pbx = settings.pbx.iter().map(|pbx| (pbx.address, &pbx.host));
        let routes = settings.routes.iter().map(|route| (route.address, &route.host));
        let named = settings.names.iter().flat_map(|name| {
            let tls = name.places.iter().filter(|place| place.transport == Transport::Tls);
            tls.map(|place| (place.address, name.wanted.host.clone()))
        });
        let bare = |host: &str| host.trim_start_matches('[').trim_end_matches(']').to_owned();
        Ok(Connector {
            verifying: TlsConnector::from(Arc::new(verifying)),
            trusting: TlsConnector::from(Arc::new(trusting)),
            unverified: options.unverified.clone().into(),
            names: named
                .chain(pbx.chain(routes).map(|(address, host)| (address, bare(host))))
                .collect(),
            learned: Vec::new(),
        })
    }

    /// A look-up of this name has led to this address.
    pub(super) fn learn(&mut self, address: SocketAddr, host: &str) {
        self.learned.retain(|(known, _)| *known != address);
        if self.learned.len() >= MOST_LEARNED {
            self.learned.remove(0);
        }
        self.learned.push((address, host.to_owned()));
    }

    pub(super) async fn connect(
        &self,
        stream: TcpStream,
        remote: SocketAddr,
    ) -> io::Result<tokio_rustls::client::TlsStream<TcpStream>> {
        let trusted = self.unverified.iter().any(|network| network.contains(remote.ip()));
        let connector = if trusted { &self.trusting } else { &self.verifying };
        connector.connect(self.name(remote), stream).await
    }

    fn name(&self, remote: SocketAddr) -> ServerName<'static> {
        // What is configured comes first: nobody else's name for the same address may take its place.
        let mut known = self.names.iter().chain(self.learned.iter().rev());
        let known = known.find(|(address, _)| *address == remote);
        known
            .and_then(|(_, name)| ServerName::try_from(name.clone()).ok())
            .unwrap_or_else(|| remote.ip().into())
    }
}

fn roots(ca: Option<&Path>) -> Result<RootCertStore, StartError> {
    let mut store = RootCertStore::empty();
    let path = ca.unwrap_or(Path::new(SYSTEM_ROOTS));
    if ca.is_none() && !path.exists() {
        return Ok(store); // nobody is trusted then, and each refusal says so
    }
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| wrong(path, error))?;
    let (added, _) = store.add_parsable_certificates(certificates);
    if ca.is_some() && added == 0 {
        return Err(wrong(path, "no usable certificate in it"));
    }
    Ok(store)
}

/// `verify = false`: any certificate will do, as long as the other side holds its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _certificate: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
