//! Digest authentication (RFC 3261 §22, RFC 7616, RFC 8760): challenges, credentials, nonces.
//!
//! MD5 and SHA-256, qop `auth`. It knows no users and keeps no state: the caller looks the secret up and keeps the
//! nonce counts. A nonce carries its own time and source under a keyed MAC, so that none needs to be remembered.

mod answer;
mod challenge;
mod credentials;
mod fields;
mod nonce;

pub use answer::answer;
pub use challenge::Challenge;
pub use credentials::{Credentials, Secret};
pub use nonce::{NonceKey, NonceState};

use md5::Md5;
use sha2::{Digest, Sha256};
use std::fmt;

/// The hash of a challenge.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// `MD5`, for phones that know nothing else.
    Md5,
    /// `SHA-256` (RFC 8760).
    Sha256,
}

impl Algorithm {
    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Sha256 => "SHA-256",
        }
    }

    /// Reads the name, in any case; `None` for session variants and everything else.
    pub fn from_name(name: &str) -> Option<Algorithm> {
        [Algorithm::Md5, Algorithm::Sha256]
            .into_iter()
            .find(|a| a.as_str().eq_ignore_ascii_case(name))
    }

    /// Lower-case hexadecimal hash of the parts joined by colons.
    pub(super) fn hash(self, parts: &[&str]) -> String {
        match self {
            Algorithm::Md5 => joined::<Md5>(parts),
            Algorithm::Sha256 => joined::<Sha256>(parts),
        }
    }

    /// `H(user:realm:password)` (RFC 7616 §3.4.2), which may be kept in place of the password.
    pub fn ha1(self, user: &str, realm: &str, password: &str) -> String {
        self.hash(&[user, realm, password])
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn joined<D: Digest>(parts: &[&str]) -> String {
    let mut hash = D::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            hash.update(b":");
        }
        hash.update(part.as_bytes());
    }
    hex(&hash.finalize())
}

fn hex(octets: &[u8]) -> String {
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or('0');
    octets
        .iter()
        .flat_map(|octet| [digit(octet >> 4), digit(octet & 15)])
        .collect()
}

/// The response of RFC 7616 §3.4.1; without qop that of RFC 2069.
fn response(algorithm: Algorithm, ha1: &str, nonce: &str, with_qop: Option<(&str, &str)>, ha2: &str) -> String {
    match with_qop {
        Some((nc, cnonce)) => algorithm.hash(&[ha1, nonce, nc, cnonce, "auth", ha2]),
        None => algorithm.hash(&[ha1, nonce, ha2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::Method;

    #[test]
    fn the_response_of_rfc_2617_section_3_5() {
        let ha1 = Algorithm::Md5.ha1("Mufasa", "testrealm@host.com", "Circle Of Life");
        assert_eq!(ha1, "939e7578ed9e3c518a452acee763bce9");
        let ha2 = Algorithm::Md5.hash(&["GET", "/dir/index.html"]);
        let nonce = "dcd98b7102dd2f0e8b11d0f600bfb0c093";
        let text = response(Algorithm::Md5, &ha1, nonce, Some(("00000001", "0a4f113b")), &ha2);
        assert_eq!(text, "6629fae49393a05397450978507c4ef1");
    }

    #[test]
    fn the_sha_256_response_of_rfc_7616_section_3_9_1() {
        let ha1 = Algorithm::Sha256.ha1("Mufasa", "http-auth@example.org", "Circle of Life");
        let ha2 = Algorithm::Sha256.hash(&["GET", "/dir/index.html"]);
        let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
        let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
        let text = response(Algorithm::Sha256, &ha1, nonce, Some(("00000001", cnonce)), &ha2);
        assert_eq!(text, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");
    }

    #[test]
    fn an_answer_verifies_with_its_password_and_with_nothing_else() {
        for algorithm in [Algorithm::Md5, Algorithm::Sha256] {
            let challenge = Challenge::new("warm.example", "abc123", algorithm);
            let challenge = Challenge::parse(&challenge.to_string()).unwrap();
            let value = answer(
                &challenge,
                "bob",
                "z\"anzibar",
                &Method::Register,
                "sip:warm.example",
                "c0ffee",
            );
            let credentials = Credentials::parse(&value).unwrap();
            assert_eq!(
                (credentials.nonce.as_str(), credentials.nonce_count),
                ("abc123", Some(1))
            );
            assert!(credentials.verify(Secret::Password("z\"anzibar"), &Method::Register));
            assert!(!credentials.verify(Secret::Password("other"), &Method::Register));
            assert!(!credentials.verify(Secret::Password("z\"anzibar"), &Method::Invite));
            let ha1 = algorithm.ha1("bob", "warm.example", "z\"anzibar");
            assert!(credentials.verify(Secret::Ha1(&ha1), &Method::Register));
            let mut other = credentials.clone();
            other.nonce_count = Some(2);
            assert!(!other.verify(Secret::Ha1(&ha1), &Method::Register));
        }
    }

    #[test]
    fn credentials_of_another_scheme_and_doubled_fields_are_refused() {
        assert!(Credentials::parse("NoOneKnowsThisScheme opaque-data=here").is_err());
        let fields = r#"username="a", realm="r", nonce="n", uri="sip:x", response="00""#;
        assert!(Credentials::parse(&format!("Digest {fields}")).is_ok());
        assert!(Credentials::parse(&format!("digest {fields}, nonce=\"m\"")).is_err());
        assert!(Credentials::parse("Digest username=\"a\"").is_err());
        assert!(Credentials::parse("Digest username=\"a").is_err());
    }

    #[test]
    fn the_debug_form_shows_no_secret() {
        let text = r#"Digest username="a", realm="r", nonce="n", uri="sip:x", response="5ec2e7""#;
        assert!(!format!("{:?}", Credentials::parse(text).unwrap()).contains("5ec2e7"));
        assert_eq!(format!("{:?}", Secret::Password("hunter2")), "Secret(..)");
    }
}
