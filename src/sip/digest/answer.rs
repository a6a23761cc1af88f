//! The client side: answering a challenge.

use super::{Challenge, Credentials};
use crate::sip::Method;
use compact_str::CompactString;

/// The header value that answers a challenge, the first with its nonce (`nc=00000001`). `cnonce` is the caller's
/// random text; `uri` the Request-URI of the request that carries the answer.
///
/// Whether this realm may see an answer at all is the caller's to decide: credentials go to the configured trunk only.
pub fn answer(
    challenge: &Challenge,
    user: &str,
    password: &str,
    method: &Method,
    uri: &str,
    cnonce: &str,
) -> CompactString {
    let mut credentials = Credentials {
        username: user.into(),
        realm: challenge.realm.clone(),
        nonce: challenge.nonce.clone(),
        uri: uri.into(),
        algorithm: challenge.algorithm,
        cnonce: challenge.qop_auth.then(|| cnonce.into()),
        nonce_count: challenge.qop_auth.then_some(1),
        opaque: challenge.opaque.clone(),
        algorithm_named: true,
        response: CompactString::default(),
    };
    let ha1 = challenge.algorithm.ha1(user, &challenge.realm, password);
    credentials.response = credentials.expected(&ha1, method).into();
    compact_str::format_compact!("{credentials}")
}
