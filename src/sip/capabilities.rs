//! What the edge says that it can do: the one list behind every `Allow`, `Supported` and `Accept` that it writes.
//!
//! A method or option tag stands here only when a room handles it: a peer acts on these headers, and a capability that is
//! advertised and not handled breaks its calls (LESSONS 9). Who teaches the edge a new one adds it here in the same
//! commit.
//!
//! **Refuses**: to say what a *peer* can do; that is [`Message::has_token`] on the peer's own headers.
//!
//! RFC 3261 §20.5 (Allow), §20.37 (Supported), §8.2.2.3 and §16.3 (Require, Proxy-Require) · RFC 3891 §6.2
//! (`replaces`) · RFC 4488 §7 (`norefersub`) · RFC 7614 §4 (`nosub`) · RFC 4538 §8 (`tdialog`) · RFC 3327 §4 (`path`)
//! · RFC 4028 §3 (`timer`) · RFC 3262 §7 (`100rel`) · RFC 3311 §4 (UPDATE).
//!
//! ```
//! use warmline::sip::{ALLOW, Method, SUPPORTED, is_allowed};
//!
//! assert!(ALLOW.contains("REFER") && is_allowed(&Method::Refer));
//! assert!(!is_allowed(&Method::Publish));
//! assert!(SUPPORTED.contains("replaces"));
//! ```

use super::{HeaderName, Message, Method};

/// Value of `Allow` in INVITE, in its 2xx, in 405 and in the answer to OPTIONS (RFC 3261 §20.5).
pub const ALLOW: &str = "INVITE, ACK, BYE, CANCEL, OPTIONS, REGISTER, REFER, NOTIFY, INFO, MESSAGE, UPDATE, PRACK";

/// Value of `Supported` in requests and 2xx responses (RFC 3261 §20.37). RFC 3891 §6.2 makes `replaces` a MUST.
pub const SUPPORTED: &str = "100rel, replaces, join, norefersub, nosub, tdialog, path, timer";

/// [`SUPPORTED`] in an INVITE that offers nothing: no provisional answer may make an offer (RFC 3262 §5).
pub const SUPPORTED_UNRELIABLE: &str = "replaces, join, norefersub, nosub, tdialog, path, timer";

/// Value of `Accept` in the answer to OPTIONS and in 415 (RFC 3261 §11.2): bodies that the edge itself reads.
pub const ACCEPT: &str = "application/sdp, message/sipfrag";

/// Option tags that a proxy understands (RFC 3261 §20.29). `path` asks nothing of a proxy that does not add Path already.
const PROXY_SUPPORTED: &str = "path";

/// Whether `method` is one of [`ALLOW`]. A known method that is not gets 405, an unknown one 501 (RFC 3261 §8.2.1).
pub fn is_allowed(method: &Method) -> bool {
    tokens(ALLOW).any(|allowed| allowed == method.as_str())
}

/// The option tags of `Require` that the edge does not handle, as they came and in their order; none: go on. A UAS
/// answers them with 420 and the same tags in `Unsupported` (RFC 3261 §8.2.2.3). ACK and CANCEL are exempt there, and
/// yield none here.
pub fn unsupported(request: &Message) -> Vec<String> {
    match request.method() {
        Method::Ack | Method::Cancel => Vec::new(),
        Method::Invite
        | Method::Bye
        | Method::Register
        | Method::Options
        | Method::Prack
        | Method::Update
        | Method::Subscribe
        | Method::Notify
        | Method::Refer
        | Method::Info
        | Method::Message
        | Method::Publish
        | Method::Extension(_) => missing(request, HeaderName::Require, SUPPORTED),
    }
}

/// The option tags of `Proxy-Require` that the edge as a proxy does not handle (RFC 3261 §16.3 step 5).
pub fn unsupported_by_proxy(request: &Message) -> Vec<String> {
    missing(request, HeaderName::ProxyRequire, PROXY_SUPPORTED)
}

fn missing(request: &Message, name: HeaderName, supported: &'static str) -> Vec<String> {
    // RFC 3261 §7.3.1: tokens are compared without regard to case.
    request
        .values(name)
        .filter(|tag| !tag.is_empty() && !tokens(supported).any(|ours| ours.eq_ignore_ascii_case(tag)))
        .map(str::to_owned)
        .collect()
}

fn tokens(list: &'static str) -> impl Iterator<Item = &'static str> {
    list.split(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(method: &str, lines: &str) -> Message {
        let text = format!(
            "{method} sip:a SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: <sip:b>;tag=f\r\nTo: <sip:a>\r\n\
             Call-ID: c\r\nCSeq: 1 {method}\r\n{lines}\r\n"
        );
        Message::parse(text.into()).unwrap()
    }

    #[test]
    fn every_method_that_is_listed_is_allowed_and_known() {
        for name in tokens(ALLOW) {
            let method = Method::parse(name.as_bytes()).unwrap();
            assert!(is_allowed(&method) && !matches!(method, Method::Extension(_)), "{name}");
        }
        assert!(!is_allowed(&Method::Publish));
        assert!(!is_allowed(&Method::Extension("INVITE, ACK".into())));
    }

    #[test]
    fn option_tags_are_compared_without_case_and_given_back_as_they_came() {
        let lines = "Require: Replaces, Precondition, 100Rel\r\nRequire: sec-agree, Timer\r\n";
        assert_eq!(unsupported(&request("INVITE", lines)), ["Precondition", "sec-agree"]);
        assert!(unsupported(&request("INVITE", "")).is_empty());
        assert!(unsupported(&request("ACK", lines)).is_empty() && unsupported(&request("CANCEL", lines)).is_empty());
        assert_eq!(
            unsupported_by_proxy(&request("REGISTER", "Proxy-Require: PATH, privacy\r\n")),
            ["privacy"]
        );
    }
}
