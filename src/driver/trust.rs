//! TLS on connections of ours: whom we trust, which name a certificate must be for, and which certificate we show.
//!
//! RFC 3261 §26.3.1, RFC 5922 §4. A peer that wants to see a certificate of ours (a trunk) gets the one that is configured
//! for it, and nobody else does.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::bind::StartError;
use super::tls::{KeyFiles, TlsOptions, provider, read, roots, wrong};
use crate::engine::{Network, Settings};
use crate::transport::Transport;

/// Names of places that were looked up; more are not remembered, and then the address must be in the certificate.
const MOST_LEARNED: usize = 256;

/// Opens TLS on connections of ours.
#[derive(Clone)]
pub(super) struct Connector {
    trust: SharedTrust,
    /// The names that certificates must be for; a peer that we know by its address only must have that in it.
    names: Arc<[(SocketAddr, String)]>,
    /// Those of look-ups, the last ones; a connection that is being opened has its own copy.
    learned: Vec<(SocketAddr, String)>,
}

/// What connections from now on trust and show; a reload puts another one in.
#[derive(Clone, Debug)]
pub(super) struct SharedTrust(Arc<RwLock<Arc<Trust>>>);

/// What was read of the files.
pub(super) struct Trust {
    /// For whoever asks for no certificate of ours; the last of [`Trust::shown`] by network come before it.
    plain: Manners,
    shown: Vec<(Network, Manners)>,
    unverified: Vec<Network>,
}

/// The two ways to connect.
struct Manners {
    verifying: TlsConnector,
    trusting: TlsConnector,
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trust").finish_non_exhaustive() // keys stay out of logs
    }
}

impl Trust {
    pub(super) fn read(options: &TlsOptions) -> Result<Trust, StartError> {
        let roots = Arc::new(roots(options.ca.as_deref())?);
        for network in &options.unverified {
            tracing::warn!(address = %network.address, prefix = network.prefix, "TLS certificates of this peer are not verified");
        }
        let shown = options.clients.iter().map(|(network, files)| {
            let manners = Manners::new(&roots, Some(files))?;
            Ok((*network, manners))
        });
        Ok(Trust {
            plain: Manners::new(&roots, None)?,
            shown: shown.collect::<Result<_, StartError>>()?,
            unverified: options.unverified.clone(),
        })
    }

    fn connector(&self, remote: SocketAddr) -> TlsConnector {
        let shown = self.shown.iter().find(|(network, _)| network.contains(remote.ip()));
        let manners = shown.map_or(&self.plain, |(_, manners)| manners);
        let trusted = self.unverified.iter().any(|network| network.contains(remote.ip()));
        if trusted {
            manners.trusting.clone()
        } else {
            manners.verifying.clone()
        }
    }
}

impl Manners {
    fn new(roots: &Arc<RootCertStore>, shown: Option<&KeyFiles>) -> Result<Manners, StartError> {
        let place = shown.map_or(Path::new("tls"), |files| &files.certificate);
        let builder = || {
            ClientConfig::builder_with_provider(provider())
                .with_safe_default_protocol_versions()
                .map_err(|error| wrong(place, error))
        };
        let finish = |builder: rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>| match shown {
            None => Ok(builder.with_no_client_auth()),
            Some(files) => {
                let (chain, key) = read(files)?;
                builder
                    .with_client_auth_cert(chain, key)
                    .map_err(|error| wrong(place, error))
            }
        };
        let verifying = finish(builder()?.with_root_certificates(Arc::clone(roots)))?;
        let any = Arc::new(AnyCertificate(provider()));
        let trusting = finish(builder()?.dangerous().with_custom_certificate_verifier(any))?;
        Ok(Manners {
            verifying: TlsConnector::from(Arc::new(verifying)),
            trusting: TlsConnector::from(Arc::new(trusting)),
        })
    }
}

impl SharedTrust {
    fn now(&self) -> Arc<Trust> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Connections from now on are made by this; those that are up stay as they are.
    pub(super) fn replace(&self, trust: Trust) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(trust);
    }
}

impl Connector {
    pub(super) fn new(options: &TlsOptions, settings: &Settings) -> Result<Connector, StartError> {
        let pbx = settings.pbx.iter().map(|pbx| (pbx.address, &pbx.host));
        let routes = settings.routes.iter().map(|route| (route.address, &route.host));
        let bare = |host: &str| host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let named = settings.names.iter().flat_map(|name| {
            let tls = name.places.iter().filter(|place| place.transport == Transport::Tls);
            tls.map(|place| (place.address, name.wanted.host.clone()))
        });
        let written = pbx.chain(routes).map(|(address, host)| (address, bare(host)));
        Ok(Connector {
            trust: SharedTrust(Arc::new(RwLock::new(Arc::new(Trust::read(options)?)))),
            names: named.chain(written).collect(),
            learned: Vec::new(),
        })
    }

    /// What a reload exchanges.
    pub(super) fn trust(&self) -> SharedTrust {
        self.trust.clone()
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
        let connector = self.trust.now().connector(remote);
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
