//! WWW-Authenticate and Proxy-Authenticate.

use super::Algorithm;
use super::fields::{Fields, Quoted};
use crate::sip::{HeaderName, ParseError};
use compact_str::CompactString;
use std::fmt;

/// A challenge. RFC 8760 §2.3: one header line for each algorithm, the one we like best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Protection realm.
    pub realm: CompactString,
    /// The nonce, see [`super::NonceKey`].
    pub nonce: CompactString,
    /// The hash.
    pub algorithm: Algorithm,
    /// Whether qop `auth` is offered; without it the answer is that of RFC 2069.
    pub qop_auth: bool,
    /// The credentials were right but their nonce is too old.
    pub stale: bool,
    /// Given back as it came.
    pub opaque: Option<CompactString>,
}

impl Challenge {
    /// A challenge of ours: with qop, without opaque.
    pub fn new(realm: &str, nonce: &str, algorithm: Algorithm) -> Challenge {
        let (realm, nonce) = (realm.into(), nonce.into());
        Challenge {
            realm,
            nonce,
            algorithm,
            qop_auth: true,
            stale: false,
            opaque: None,
        }
    }

    /// The same, marked stale or not.
    pub fn with_stale(mut self, stale: bool) -> Challenge {
        self.stale = stale;
        self
    }

    /// Reads one header value. An algorithm or a qop that we cannot answer is an error: the caller tries the next
    /// line (RFC 8760 §2.4).
    pub fn parse(value: &str) -> Result<Challenge, ParseError> {
        let fields = Fields::parse(value, HeaderName::WwwAuthenticate)?;
        let algorithm = match fields.get("algorithm") {
            None => Algorithm::Md5,
            Some(name) => Algorithm::from_name(name).ok_or(fields.bad())?,
        };
        let qop_auth = match fields.get("qop") {
            None => false,
            Some(list) if list.split(',').any(|qop| qop.trim().eq_ignore_ascii_case("auth")) => true,
            Some(_) => return Err(fields.bad()),
        };
        Ok(Challenge {
            realm: fields.need("realm")?,
            nonce: fields.need("nonce")?,
            algorithm,
            qop_auth,
            stale: fields
                .get("stale")
                .is_some_and(|value| value.eq_ignore_ascii_case("true")),
            opaque: fields.get("opaque").cloned(),
        })
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (realm, nonce) = (Quoted(&self.realm), Quoted(&self.nonce));
        write!(f, "Digest realm={realm}, nonce={nonce}, algorithm={}", self.algorithm)?;
        if self.qop_auth {
            f.write_str(", qop=\"auth\"")?;
        }
        if self.stale {
            f.write_str(", stale=true")?;
        }
        if let Some(opaque) = &self.opaque {
            write!(f, ", opaque={}", Quoted(opaque))?;
        }
        Ok(())
    }
}
