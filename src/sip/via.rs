//! One Via value (RFC 3261 §20.42, RFC 3581).

use super::chars::{is_lws, is_token, split_once, trim_text};
use super::error::{ParseError, ParseErrorKind};
use super::find::find;
use super::header_name::HeaderName;
use super::params;
use super::uri::is_host;

/// One Via value, borrowed from its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// The transport as it stands: `UDP`, `TCP`, `TLS`, `WS`, `WSS`, or a token that this edge does not know.
    pub transport: &'a str,
    /// The sent-by host, an IPv6 address with its brackets.
    pub host: &'a str,
    /// The sent-by port.
    pub port: Option<u16>,
    params: &'a str,
}

const BAD: ParseError = ParseError::at(ParseErrorKind::Value, HeaderName::Via);

impl<'a> Via<'a> {
    /// Reads one value; white space and folding may stand around every separator (RFC 3261 §25.1, `wsinv`).
    pub fn parse(text: &'a str) -> Result<Via<'a>, ParseError> {
        let text = trim_text(text);
        let (head, params) = text.split_at(find(text.as_bytes(), b';').unwrap_or(text.len()));
        let rest = match head.strip_prefix("SIP/2.0/") {
            Some(rest) => rest, // as nearly always
            None => after_protocol(head).ok_or(BAD)?,
        };
        let rest = trim_text(rest);
        let (transport, sent_by) = rest.split_at(rest.bytes().position(is_lws).ok_or(BAD)?);
        if !is_token(transport.as_bytes()) {
            return Err(BAD);
        }
        let (host, port) = sent_by_parts(trim_text(sent_by)).ok_or(BAD)?;
        Ok(Via {
            transport,
            host,
            port,
            params,
        })
    }

    /// Whether every parameter can be read (RFC 4475 §3.1.2.1). The branch, if there is one, is known to be a token: a
    /// value that has no other parameter than it and an empty `rport` needs no further look.
    pub(super) fn check_params(&self, branch: &[u8]) -> Result<(), ParseError> {
        let usual = self.params.strip_suffix(";rport").unwrap_or(self.params);
        let is_branch = |text: &str| text.as_bytes() == branch;
        if !branch.is_empty() && usual.strip_prefix(";branch=").is_some_and(is_branch) {
            return Ok(());
        }
        self.params().try_for_each(|param| param.map(drop))
    }

    /// The `branch` parameter, as it stands.
    pub fn branch(&self) -> Option<&'a str> {
        self.param("branch").flatten()
    }

    /// The `received` parameter.
    pub fn received(&self) -> Option<&'a str> {
        self.param("received").flatten()
    }

    /// The `rport` parameter: `Some(None)` asks for it, `Some(Some(port))` answers (RFC 3581 §4).
    pub fn rport(&self) -> Option<Option<u16>> {
        self.param("rport")
            .map(|value| value.and_then(|port| port.parse().ok()))
    }

    /// Any parameter; `Some(None)` when it has no value.
    pub fn param(&self, name: &str) -> Option<Option<&'a str>> {
        params::find(self.params, name)
    }

    /// All parameters, in order; an empty or broken one is an error (RFC 4475 §3.1.2.1).
    pub fn params(&self) -> impl Iterator<Item = Result<(&'a str, Option<&'a str>), ParseError>> + use<'a> {
        params::params(self.params, true).map(|param| param.map_err(|_| BAD))
    }
}

/// What follows `SIP/2.0/` where it is written in another way.
fn after_protocol(head: &str) -> Option<&str> {
    let (name, rest) = split_once(head, b'/')?;
    let (version, rest) = split_once(rest, b'/')?;
    let is_sip = trim_text(name).eq_ignore_ascii_case("SIP") && is_token(trim_text(version).as_bytes());
    is_sip.then_some(rest)
}

/// `host [COLON port]`, with white space around the colon.
pub(crate) fn sent_by_parts(text: &str) -> Option<(&str, Option<u16>)> {
    let host_len = if text.starts_with('[') {
        find(text.as_bytes(), b']')? + 1
    } else {
        (text.bytes().position(|o| o == b':' || is_lws(o))).unwrap_or(text.len())
    };
    let (host, rest) = text.split_at(host_len);
    if !is_host(host) {
        return None;
    }
    let rest = trim_text(rest);
    if rest.is_empty() {
        return Some((host, None));
    }
    let digits = trim_text(rest.strip_prefix(':')?);
    if digits.is_empty() || !digits.bytes().all(|o| o.is_ascii_digit()) {
        return None;
    }
    Some((host, Some(digits.parse().ok()?)))
}
