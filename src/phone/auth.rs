//! The client side of digest (RFC 7616, RFC 8760), computed apart from the edge's own digest so that they check each other.

use md5::Md5;
use sha2::{Digest, Sha256};

use super::Phone;
use super::request::Request;
use crate::sip::{HeaderName, Message};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Algorithm {
    Md5,
    Sha256,
}

impl Algorithm {
    fn token(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
        }
    }

    fn hash(self, text: &str) -> String {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        match self {
            Algorithm::Md5 => hex(&Md5::digest(text)),
            Algorithm::Sha256 => hex(&Sha256::digest(text)),
        }
    }
}

/// A challenge as far as a phone needs it.
#[derive(Debug, PartialEq, Eq)]
struct Challenge {
    algorithm: Algorithm,
    realm: String,
    nonce: String,
    opaque: Option<String>,
    auth: bool,
}

impl Challenge {
    /// `None`: not Digest, or an algorithm or quality that we do not have.
    fn parse(value: &str) -> Option<Challenge> {
        let (scheme, rest) = value.trim().split_once(char::is_whitespace)?;
        if !scheme.eq_ignore_ascii_case("digest") {
            return None;
        }
        let get = |wanted: &str| {
            parameters(rest)
                .into_iter()
                .find(|(name, _)| name.eq_ignore_ascii_case(wanted))
        };
        let algorithm = match get("algorithm") {
            None => Algorithm::Md5,
            Some((_, name)) if name.eq_ignore_ascii_case("md5") => Algorithm::Md5,
            Some((_, name)) if name.eq_ignore_ascii_case("sha-256") => Algorithm::Sha256,
            Some(_) => return None,
        };
        let qop = get("qop").map(|(_, value)| value);
        let auth = qop
            .as_ref()
            .is_some_and(|qop| qop.split(',').any(|word| word.trim().eq_ignore_ascii_case("auth")));
        if qop.is_some() && !auth {
            return None;
        }
        Some(Challenge {
            algorithm,
            realm: get("realm")?.1,
            nonce: get("nonce")?.1,
            opaque: get("opaque").map(|(_, value)| value),
            auth,
        })
    }

    fn answer(&self, user: &str, password: &str, method: &str, uri: &str, cnonce: &str) -> String {
        let Challenge {
            algorithm,
            realm,
            nonce,
            opaque,
            auth,
        } = self;
        let ha1 = algorithm.hash(&format!("{user}:{realm}:{password}"));
        let ha2 = algorithm.hash(&format!("{method}:{uri}"));
        let (response, quality) = match auth {
            true => (
                algorithm.hash(&format!("{ha1}:{nonce}:00000001:{cnonce}:auth:{ha2}")),
                format!(", qop=auth, nc=00000001, cnonce=\"{cnonce}\""),
            ),
            false => (algorithm.hash(&format!("{ha1}:{nonce}:{ha2}")), String::new()),
        };
        let opaque = opaque
            .as_ref()
            .map(|opaque| format!(", opaque=\"{opaque}\""))
            .unwrap_or_default();
        format!(
            "Digest username=\"{user}\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"{uri}\", response=\"{response}\", \
             algorithm={}{quality}{opaque}",
            algorithm.token()
        )
    }
}

/// `name=value, name="quoted, value"` (RFC 3261 §25.1).
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text.trim_start();
    while let Some((name, after)) = rest.split_once('=') {
        let after = after.trim_start();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_at(after.find(',').unwrap_or(after.len())),
        };
        found.push((name.trim().to_owned(), value.trim().to_owned()));
        rest = next.trim_start().trim_start_matches(',').trim_start();
    }
    found
}

impl Phone {
    /// The header that answers a 401 or 407, by the strongest algorithm it offers; `None` where we cannot.
    pub(super) fn credentials(
        &mut self,
        response: &Message,
        status: u16,
        request: &Request,
    ) -> Option<(HeaderName, String)> {
        let (challenge, credentials) = match status {
            401 => (HeaderName::WwwAuthenticate, HeaderName::Authorization),
            _ => (HeaderName::ProxyAuthenticate, HeaderName::ProxyAuthorization),
        };
        let challenge = response
            .headers(challenge)
            .filter_map(|value| Challenge::parse(std::str::from_utf8(value).ok()?))
            .max_by_key(|challenge| challenge.algorithm)?;
        let cnonce = self.token();
        let (user, password) = (&self.config.user, &self.config.password);
        let value = challenge.answer(user, password, request.method.as_str(), &request.uri, &cnonce);
        Some((credentials, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // RFC 7616 §3.9.1, both of its answers.
    #[test]
    fn the_examples_of_rfc_7616_come_out() {
        let challenge = |algorithm| Challenge {
            algorithm,
            realm: "http-auth@example.org".to_owned(),
            nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v".to_owned(),
            opaque: None,
            auth: true,
        };
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let md5 = challenge(Algorithm::Md5).answer("Mufasa", "Circle of Life", "GET", "/dir/index.html", cnonce);
        assert!(md5.contains("response=\"8ca523f5e9506fed4657c9700eebdbec\""), "{md5}");
        let sha = challenge(Algorithm::Sha256).answer("Mufasa", "Circle of Life", "GET", "/dir/index.html", cnonce);
        let expected = "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1";
        assert!(sha.contains(&format!("response=\"{expected}\"")), "{sha}");
    }

    #[test]
    fn a_challenge_is_read_with_commas_inside_quotes() {
        let read = Challenge::parse("Digest realm=\"a, b\", qop=\"auth,auth-int\", nonce=\"n=1\", algorithm=SHA-256");
        let read = read.expect("a challenge");
        assert_eq!(
            (read.realm.as_str(), read.nonce.as_str(), read.auth),
            ("a, b", "n=1", true)
        );
        assert!(Challenge::parse("Digest realm=\"a\", nonce=\"b\", algorithm=SHA-512-256").is_none());
    }
}
