//! Makes the certificate that all browser legs share: here, because a key needs randomness.

use crate::media::secure::Certificate;

/// A new key (ECDSA P-256, RFC 8827 §6.5) with a certificate that it signed itself; both live in memory only.
///
/// A party trusts it by the fingerprint in the description, so there is nothing in it to be checked by name, and a new one
/// with each start costs nothing: a leg that outlives a process is given a new description anyway.
///
/// # Errors
///
/// When the system has no randomness.
pub fn dtls_certificate() -> Result<Certificate, DtlsCertificateError> {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
    let mut params = rcgen::CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    // RFC 8827 §4.1 asks for one that tells nothing about who made it.
    params.distinguished_name.push(rcgen::DnType::CommonName, "edge");
    let certificate = params.self_signed(&key)?;
    Ok(Certificate::from_der(certificate.der().to_vec(), &key.serialize_der())?)
}

/// The DTLS certificate could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DtlsCertificateError {
    /// Its key or its signature.
    #[error("no DTLS certificate: {0}")]
    Making(#[from] rcgen::Error),
    /// What was made does not serve.
    #[error(transparent)]
    Unusable(#[from] crate::media::secure::BadCertificate),
}
