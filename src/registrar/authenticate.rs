//! Digest: who sends this request (RFC 3261 §22, RFC 7616, RFC 8760).
//!
//! A challenge carries its nonce sealed with time and source, so that it costs no memory. Both challenges of a response
//! have the same nonce; the favourite algorithm stands first, because RFC 8760 §2.3 has the phone take the first that it
//! knows.

use std::time::{Duration, Instant};

use compact_str::CompactString;

use super::Registrar;
use crate::sip::digest::{Challenge, Credentials, NonceKey, NonceState, Secret};
use crate::sip::{Algorithm, Draft, HeaderName, Message, Method};
use crate::transport::Flow;

/// How long a nonce is good.
const NONCE_LIVES: Duration = Duration::from_secs(60);

/// What credentials are worth.
enum Verdict {
    /// This user's, for this request.
    Right,
    /// This user's, but the nonce is of no use: too old, used before with this count, or sealed for another source.
    /// Said as `stale=true`, so that the phone answers the new nonce and asks nobody for a password (RFC 7616 §3.3). It
    /// tells a stranger nothing: without the password he never comes here.
    Unusable,
    /// Not.
    Wrong,
}

impl Registrar {
    /// The user who sent this request; `None` where the domain is open. Otherwise the challenge to send: 401, or 407
    /// when the edge stands between the phone and somebody else (`as_proxy`, RFC 3261 §22.3).
    ///
    /// Every method that a stranger can send is asked about, and neither ACK nor CANCEL, which cannot be challenged
    /// (RFC 3261 §22.1). That the user speaks for the request's From is the caller's to check.
    pub fn authenticate(
        &mut self,
        now: Instant,
        flow: Flow,
        request: &Message,
        as_proxy: bool,
    ) -> Result<Option<CompactString>, Box<Draft>> {
        if self.config.open {
            return Ok(None);
        }
        let name = if as_proxy {
            HeaderName::ProxyAuthorization
        } else {
            HeaderName::Authorization
        };
        let Some(credentials) = Credentials::of(request, name, &self.config.domain) else {
            return Err(self.challenge(now, flow, request, as_proxy, false));
        };
        if !self.config.digest.contains(&credentials.algorithm) {
            return Err(self.challenge(now, flow, request, as_proxy, false));
        }
        match self.judge(now, flow, &credentials, request.method()) {
            Verdict::Right => Ok(Some(self.token(now, &credentials).unwrap_or(credentials.username))),
            Verdict::Unusable => Err(self.challenge(now, flow, request, as_proxy, true)),
            Verdict::Wrong => Err(self.challenge(now, flow, request, as_proxy, false)),
        }
    }

    /// Whom the token speaks for that stands in place of a user's name, if one does.
    fn token(&self, now: Instant, credentials: &Credentials) -> Option<CompactString> {
        let unix = self.unix_time(now)?;
        self.tokens.as_ref()?.identity(&credentials.username, unix)
    }

    /// The same steps for a user that exists and for one that does not: nobody learns the users by a clock, and both get
    /// the same response.
    fn judge(&mut self, now: Instant, flow: Flow, credentials: &Credentials, method: &Method) -> Verdict {
        // A token is its own password: who has all of it may say so.
        let is_token = self.token(now, credentials).is_some();
        let password = self
            .passwords
            .get(&credentials.username)
            .map(|password| password.0.as_str());
        let password = if is_token {
            Some(credentials.username.as_str())
        } else {
            password
        };
        let known = password.is_some();
        let secret = Secret::Password(password.unwrap_or("no password is this one"));
        let right = credentials.verify(secret, method) && known;
        let time = self.nonce_time(now);
        let lives = u64::try_from(NONCE_LIVES.as_nanos()).unwrap_or(u64::MAX);
        let state = self.nonce_key().check(&credentials.nonce, time, &source(flow), lives);
        let proven = flow.transport.is_reliable() || matches!(state, NonceState::Fresh | NonceState::Stale);
        self.wrong |= !right && proven;
        match (right, credentials.nonce_count, state) {
            (false, _, _) => Verdict::Wrong,
            // We offered qop, so RFC 7616 §3.4 has the phone use it. Without a count there is no defence against replay.
            (true, None, _) => Verdict::Wrong,
            (true, Some(_), NonceState::Stale | NonceState::Forged) => Verdict::Unusable,
            (true, Some(count), NonceState::Fresh) => {
                if self.nonces.take(now, &credentials.nonce, count, NONCE_LIVES) {
                    Verdict::Right
                } else {
                    Verdict::Unusable
                }
            }
        }
    }

    fn challenge(&mut self, now: Instant, flow: Flow, request: &Message, as_proxy: bool, stale: bool) -> Box<Draft> {
        // No two challenges share a nonce: two phones behind one NAT would use up each other's counts.
        self.last_nonce = self.nonce_time(now).saturating_add(1);
        let nonce = self.nonce_key().seal(self.last_nonce, &source(flow));
        let (status, name) = if as_proxy {
            (407, HeaderName::ProxyAuthenticate)
        } else {
            (401, HeaderName::WwwAuthenticate)
        };
        let challenge = |algorithm| Challenge::new(&self.config.domain, &nonce, algorithm).with_stale(stale);
        // RFC 8760 §2.3: the favourite first; a phone answers the first that it knows.
        let answer = self.answer(request, status);
        let add = |answer: Draft, algorithm: &Algorithm| answer.header(name, challenge(*algorithm));
        Box::new(self.config.digest.iter().fold(answer, add))
    }

    /// The time in nonces, in nanoseconds: never before that of a nonce that was given out.
    fn nonce_time(&self, now: Instant) -> u64 {
        u64::try_from(self.age(now).as_nanos())
            .unwrap_or(u64::MAX)
            .max(self.last_nonce)
    }

    fn nonce_key(&self) -> NonceKey {
        NonceKey::new(self.config.key)
    }
}

/// A nonce is good for the address that asked for it. The port is left out: NATs change it, and a phone that comes over
/// a new connection has another one.
fn source(flow: Flow) -> String {
    flow.remote.ip().to_canonical().to_string()
}
