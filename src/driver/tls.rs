//! TLS for listeners: which certificate they show, and whom they let in (RFC 3261 §26.3). Connections of ours are in
//! `trust`.
//!
//! TLS 1.2 and 1.3 with the AEAD suites of `ring`. A listener without a certificate gets one that we sign ourselves on
//! the first start and keep, so that phones that pinned it still know us after a restart.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use super::bind::StartError;
use crate::engine::{Network, Settings};

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
    /// What we show to peers that ask for a certificate, the first network that fits.
    pub clients: Vec<(Network, KeyFiles)>,
}

/// A certificate and its key in memory.
pub(super) type Identity = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

pub(super) fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

pub(super) fn wrong(path: &Path, what: impl std::fmt::Display) -> StartError {
    StartError::Certificate {
        path: path.to_owned(),
        what: what.to_string(),
    }
}

/// The acceptor of a listener. A reload puts another one in; connections that are up keep the one they came by.
#[derive(Clone)]
pub(super) struct Acceptor(Arc<RwLock<TlsAcceptor>>);

impl std::fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Acceptor").finish_non_exhaustive() // keys stay out of logs
    }
}

impl Acceptor {
    pub(super) fn new(acceptor: TlsAcceptor) -> Acceptor {
        Acceptor(Arc::new(RwLock::new(acceptor)))
    }

    /// For the next connection.
    pub(super) fn now(&self) -> TlsAcceptor {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn replace(&self, acceptor: TlsAcceptor) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = acceptor;
    }
}

/// What a listener shows: its own files, else those of all, else the self-signed certificate. With `client_ca` it lets in
/// only who shows a certificate of these authorities.
pub(super) fn acceptor(
    own: Option<&KeyFiles>,
    client_ca: Option<&Path>,
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
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(place, error))?;
    let builder = match client_ca {
        None => builder.with_no_client_auth(),
        Some(path) => {
            let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(Some(path))?), provider())
                .build()
                .map_err(|error| wrong(path, error))?;
            builder.with_client_cert_verifier(verifier)
        }
    };
    let config = builder
        .with_single_cert(chain, key)
        .map_err(|error| wrong(place, error))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

pub(super) fn read(files: &KeyFiles) -> Result<Identity, StartError> {
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

pub(super) fn roots(ca: Option<&Path>) -> Result<RootCertStore, StartError> {
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
