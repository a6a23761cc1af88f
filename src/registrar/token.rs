//! Access tokens: a signed statement of who may register, in place of a password (RFC 7519, RFC 7515).
//!
//! A page gives its token to its SIP library as user name *and* as password: the digest then proves that it has the whole
//! token, with the same defence against replay as any password, and needs nothing of the library. The address of record
//! that it speaks for is the token's identity.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use compact_str::CompactString;
use hmac::{Hmac, Mac};
use serde_json::Value;
use sha2::Sha256;

/// Of a token, in octets.
const LONGEST: usize = 4_096;

/// Who may sign tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct TokenKeys {
    /// The account that tokens must be for (`sub`).
    pub account: String,
    /// Names (`iss`) with their secrets.
    pub keys: Vec<(String, String)>,
}

impl std::fmt::Debug for TokenKeys {
    /// Secrets never reach a log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenKeys")
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

impl TokenKeys {
    /// Whom a token speaks for at this moment (`unix`, seconds since 1970); `None`: it is none of ours, or has expired.
    pub(super) fn identity(&self, token: &str, unix: u64) -> Option<CompactString> {
        if token.len() > LONGEST {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let (header, payload) = signed.split_once('.')?;
        let header = json(header)?;
        // No algorithm of the token's own choice: what is not signed is no token.
        if header.get("alg")?.as_str()? != "HS256" {
            return None;
        }
        let payload = json(payload)?;
        let text = |name: &str| payload.get(name).and_then(Value::as_str);
        let issuer = text("iss")?;
        let (_, secret) = self.keys.iter().find(|(name, _)| name == issuer)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
        mac.update(signed.as_bytes());
        mac.verify_slice(&URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
        let time = |name: &str| payload.get(name).and_then(Value::as_u64);
        if text("sub")? != self.account || time("exp")? <= unix || time("nbf").is_some_and(|from| from > unix) {
            return None;
        }
        let grants = payload.get("grants")?;
        grants.get("voice").filter(|voice| voice.is_object())?;
        let identity = grants.get("identity")?.as_str()?;
        let good = |c: char| c.is_ascii_alphanumeric() || "-_.!~*'()&=+$,".contains(c);
        (!identity.is_empty() && identity.chars().all(good)).then(|| identity.into())
    }
}

fn json(part: &str) -> Option<Value> {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> TokenKeys {
        TokenKeys {
            account: "AC1".into(),
            keys: vec![("SK1".into(), "secret".into())],
        }
    }

    fn token(header: &str, payload: &str, secret: &str) -> String {
        let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(payload));
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    const HEADER: &str = r#"{"typ":"JWT","alg":"HS256","cty":"twilio-fpa;v=1"}"#;
    const PAYLOAD: &str = r#"{"jti":"SK1-1","iss":"SK1","sub":"AC1","exp":100,"grants":{"identity":"agent1","voice":{"incoming":{"allow":true}}}}"#;

    #[test]
    fn a_token_speaks_for_its_identity_until_it_expires() {
        let good = token(HEADER, PAYLOAD, "secret");
        assert_eq!(keys().identity(&good, 99).as_deref(), Some("agent1"));
        assert_eq!(keys().identity(&good, 100), None);
    }

    #[test]
    fn what_is_not_signed_by_a_key_of_ours_for_this_account_is_no_token() {
        let unsigned = HEADER.replace("HS256", "none");
        for (header, payload, secret) in [
            (HEADER, PAYLOAD.to_owned(), "other"),
            (unsigned.as_str(), PAYLOAD.to_owned(), "secret"),
            (HEADER, PAYLOAD.replace("\"SK1\"", "\"SK2\""), "secret"),
            (HEADER, PAYLOAD.replace("AC1", "AC2"), "secret"),
            (HEADER, PAYLOAD.replace("\"exp\":100,", ""), "secret"),
            (HEADER, PAYLOAD.replace("voice", "chat"), "secret"),
            (HEADER, PAYLOAD.replace("agent1", "a@b"), "secret"),
            (
                HEADER,
                PAYLOAD.replace("\"exp\":100", "\"exp\":100,\"nbf\":50"),
                "secret",
            ),
        ] {
            assert_eq!(keys().identity(&token(header, &payload, secret), 10), None, "{payload}");
        }
        let good = token(HEADER, PAYLOAD, "secret");
        for bad in [
            "",
            ".",
            "..",
            "agent1",
            &good[..good.len() - 2],
            &format!("{good}x"),
            &"a.".repeat(5_000),
        ] {
            assert_eq!(keys().identity(bad, 10), None);
        }
    }
}
