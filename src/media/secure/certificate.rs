//! The certificate that all endpoints share.

use std::sync::Arc;

use rtc_dtls::config::{ClientAuthType, ConfigBuilder, ExtendedMasterSecretType, HandshakeConfig};
use rtc_dtls::crypto_provider::{RTCCryptoProvider, SignatureScheme, default_provider};
use rtc_dtls::extension::extension_use_srtp::SrtpProtectionProfile;
use sha2::{Digest, Sha256};

use super::super::Fingerprint;

/// GCM first: it is the cheaper one and the stronger one. The second is what RFC 5764 §4.1.2 asks everybody to have.
const PROFILES: [SrtpProtectionProfile; 2] = [
    SrtpProtectionProfile::Srtp_Aead_Aes_128_Gcm,
    SrtpProtectionProfile::Srtp_Aes128_Cm_Hmac_Sha1_80,
];

/// The edge's certificate and key for DTLS, with everything of a handshake that is the same for all endpoints.
///
/// Made outside the core (`driver`), since a key needs randomness; cheap to clone. To rotate it, hand a new one to new endpoints:
/// an endpoint keeps the one it was opened with, because its party knows that fingerprint.
#[derive(Clone)]
pub struct Certificate {
    fingerprint: Fingerprint,
    pub(super) client: Arc<HandshakeConfig>,
    pub(super) server: Arc<HandshakeConfig>,
}

impl std::fmt::Debug for Certificate {
    /// Keys never reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate")
            .field("fingerprint", &self.fingerprint)
            .finish_non_exhaustive()
    }
}

/// A certificate or its key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the DTLS certificate cannot be used: {0}")]
pub struct BadCertificate(String);

impl Certificate {
    /// Takes an X.509 certificate (DER) and its ECDSA P-256 key (PKCS #8, DER).
    ///
    /// # Errors
    ///
    /// When the key is not of that kind.
    pub fn from_der(certificate: Vec<u8>, key: &[u8]) -> Result<Certificate, BadCertificate> {
        Certificate::with_profiles(certificate, key, &PROFILES)
    }

    pub(super) fn with_profiles(
        certificate: Vec<u8>,
        key: &[u8],
        profiles: &[SrtpProtectionProfile],
    ) -> Result<Certificate, BadCertificate> {
        let provider = default_provider().map_err(|error| BadCertificate(error.to_string()))?;
        let signing_key = provider
            .crypto()
            .import_signing_key(SignatureScheme::EcdsaP256Sha256, key)
            .map_err(|error| BadCertificate(error.to_string()))?;
        let fingerprint = Fingerprint(Sha256::digest(&certificate).into());
        let chain = vec![certificate.into()];
        let own = rtc_dtls::crypto::Certificate::from_signing_key(chain, signing_key);
        let build = |client| {
            config(own.clone(), Arc::clone(&provider), profiles)
                .build(client, None)
                .map(Arc::new)
                .map_err(|error| BadCertificate(error.to_string()))
        };
        Ok(Certificate {
            fingerprint,
            client: build(true)?,
            server: build(false)?,
        })
    }

    /// For `a=fingerprint:sha-256` (RFC 8122 §5).
    pub fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

fn config(
    own: rtc_dtls::crypto::Certificate,
    provider: Arc<dyn RTCCryptoProvider>,
    profiles: &[SrtpProtectionProfile],
) -> ConfigBuilder {
    ConfigBuilder::default()
        .with_crypto_provider(provider)
        .with_certificates(vec![own])
        .with_srtp_protection_profiles(profiles.to_vec())
        // RFC 5763 §5: both sides show a certificate. No authority signs it: the fingerprint in the description proves it.
        .with_client_auth(ClientAuthType::RequireAnyClientCert)
        .with_insecure_skip_verify(true)
        .with_extended_master_secret(ExtendedMasterSecretType::Request)
        .with_server_name("warmline".to_owned())
        .with_flight_interval(super::dtls::FLIGHT)
}
