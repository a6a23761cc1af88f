//! Authorization and Proxy-Authorization.

use super::fields::{Fields, Quoted};
use super::{Algorithm, response};
use crate::sip::{HeaderName, Message, Method, ParseError};
use compact_str::CompactString;
use std::fmt;
use subtle::ConstantTimeEq;

/// What the verifier knows of a user.
#[derive(Clone, Copy)]
pub enum Secret<'a> {
    /// The password.
    Password(&'a str),
    /// `H(user:realm:password)` in lower-case hexadecimal, by the algorithm of the credentials.
    Ha1(&'a str),
}

impl fmt::Debug for Secret<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// The credentials of a request.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub username: CompactString,
    /// The realm that the answer is for.
    pub realm: CompactString,
    /// The nonce that was answered.
    pub nonce: CompactString,
    /// The digest-uri. RFC 3261 §22.4: it need not be the Request-URI that arrives here.
    pub uri: CompactString,
    /// The hash; MD5 where none is named.
    pub algorithm: Algorithm,
    /// The client's nonce, with qop `auth`.
    pub cnonce: Option<CompactString>,
    /// The count of requests with this nonce, with qop `auth`. The caller keeps the window.
    pub nonce_count: Option<u32>,
    /// Given back as we sent it.
    pub opaque: Option<CompactString>,
    pub(super) algorithm_named: bool,
    pub(super) response: CompactString,
}

impl Credentials {
    /// Reads one header value; another scheme, an unknown algorithm or a qop other than `auth` is an error.
    pub fn parse(value: &str) -> Result<Credentials, ParseError> {
        let fields = Fields::parse(value, HeaderName::Authorization)?;
        let algorithm = match fields.get("algorithm") {
            None => Algorithm::Md5,
            Some(name) => Algorithm::from_name(name).ok_or(fields.bad())?,
        };
        let (cnonce, nonce_count) = match fields.get("qop") {
            None => (None, None),
            Some(qop) if qop.eq_ignore_ascii_case("auth") => {
                let count = fields.need("nc")?;
                let count = (count.len() == 8)
                    .then(|| u32::from_str_radix(&count, 16).ok())
                    .flatten();
                (Some(fields.need("cnonce")?), Some(count.ok_or(fields.bad())?))
            }
            Some(_) => return Err(fields.bad()),
        };
        Ok(Credentials {
            username: fields.need("username")?,
            realm: fields.need("realm")?,
            nonce: fields.need("nonce")?,
            uri: fields.need("uri")?,
            algorithm,
            cnonce,
            nonce_count,
            opaque: fields.get("opaque").cloned(),
            algorithm_named: fields.get("algorithm").is_some(),
            response: fields.need("response")?,
        })
    }

    /// The credentials for this realm in a request's Authorization or Proxy-Authorization; lines of other schemes and
    /// realms are passed over (RFC 3261 §22.3: a request may carry several).
    pub fn of(message: &Message, name: HeaderName, realm: &str) -> Option<Credentials> {
        let texts = message
            .headers(name)
            .filter_map(|value| std::str::from_utf8(value).ok());
        texts
            .filter_map(|value| Credentials::parse(value).ok())
            .find(|credentials| credentials.realm == realm)
    }

    /// Whether the answer is right for this user's secret and this method. Takes the same time for right and wrong.
    pub fn verify(&self, secret: Secret<'_>, method: &Method) -> bool {
        let ha1 = match secret {
            Secret::Password(password) => self.algorithm.ha1(&self.username, &self.realm, password),
            Secret::Ha1(ha1) => ha1.to_owned(),
        };
        let wanted = self.expected(&ha1, method);
        let given = self.response.to_ascii_lowercase();
        wanted.as_bytes().ct_eq(given.as_bytes()).into()
    }

    pub(super) fn expected(&self, ha1: &str, method: &Method) -> String {
        let ha2 = self.algorithm.hash(&[method.as_str(), &self.uri]);
        let count = format!("{:08x}", self.nonce_count.unwrap_or_default());
        let with_qop = self.cnonce.as_deref().map(|cnonce| (count.as_str(), cnonce));
        response(self.algorithm, ha1, &self.nonce, with_qop, &ha2)
    }
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (user, realm) = (Quoted(&self.username), Quoted(&self.realm));
        let (nonce, uri) = (Quoted(&self.nonce), Quoted(&self.uri));
        write!(
            f,
            "Digest username={user}, realm={realm}, nonce={nonce}, uri={uri}, response=\"{}\"",
            self.response
        )?;
        if self.algorithm_named {
            write!(f, ", algorithm={}", self.algorithm)?;
        }
        if let (Some(cnonce), Some(count)) = (&self.cnonce, self.nonce_count) {
            write!(f, ", qop=auth, nc={count:08x}, cnonce={}", Quoted(cnonce))?;
        }
        if let Some(opaque) = &self.opaque {
            write!(f, ", opaque={}", Quoted(opaque))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shape = f.debug_struct("Credentials");
        shape
            .field("realm", &self.realm)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}
