//! Why a description cannot be used by the edge, and with which status that is said.

/// What stands against a description, or against an endpoint of our own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// More formats in one m-line than [`super::MOST_FORMATS`].
    #[error("Too Many Codecs")]
    TooManyFormats,
    /// Lines of this attribute cannot be read.
    #[error("Bad {0} In Session Description")]
    Line(&'static str),
    /// RTP/SAVP without a key that we can use.
    #[error("No Usable Crypto Line")]
    Key,
    /// DTLS-SRTP without a fingerprint.
    #[error("Fingerprint Missing")]
    Fingerprint,
    /// The fingerprint is none of SHA-256 (RFC 8122 §5).
    #[error("Fingerprint Must Be SHA-256")]
    Hash,
    /// ICE without a user fragment or password, or with one of the wrong length (RFC 8839 §5.4).
    #[error("Bad ICE Credentials")]
    Ice,
    /// Over ICE we have one component only (RFC 8834 §4.5).
    #[error("rtcp-mux Required")]
    Mux,
    /// No audio that is not refused.
    #[error("No Audio")]
    NoAudio,
    /// Both sides have no codec in common, and we cannot transcode.
    #[error("No Codec In Common")]
    NoCodec,
    /// The party spoke another transport protocol before: protection is never given up within a dialog.
    #[error("Transport Protocol Changed")]
    Changed,
    /// `[media] srtp` or that of the peer is `required`.
    #[error("SRTP Required")]
    Required,
    /// All ports are taken.
    #[error("No Media Port Left")]
    NoPort,
    /// The leg has ended.
    #[error("Call Has Ended")]
    Gone,
}

impl Unusable {
    /// The status that an offer is refused with for it.
    pub fn status(&self) -> u16 {
        match self {
            Unusable::Line(_) => 400,
            Unusable::NoPort => 503,
            Unusable::Gone => 481,
            Unusable::TooManyFormats
            | Unusable::Key
            | Unusable::Fingerprint
            | Unusable::Hash
            | Unusable::Ice
            | Unusable::Mux
            | Unusable::NoAudio
            | Unusable::NoCodec
            | Unusable::Changed
            | Unusable::Required => 488,
        }
    }
}
