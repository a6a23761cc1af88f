//! rsip as the typed vocabulary: conversions that fail rather than lose something.
//!
//! rsip's parsers drop what they do not expect (a host behind `user;par=x@`, URI headers, unknown schemes), so every
//! conversion compares what came out with what went in.

use super::error::{ParseError, ParseErrorKind};
use super::header_name::HeaderName;
use super::message::Message;
use super::method::Method;
use super::name_addr::NameAddr;
use super::uri::{Scheme, Uri};
use rsip::headers::{ToTypedHeader, UntypedHeader};
use rsip::typed;

const BAD: ParseError = ParseError::new(ParseErrorKind::Uri);

impl TryFrom<&Uri> for rsip::Uri {
    type Error = ParseError;

    /// Fails for tel and other schemes, for URI headers, and where rsip would read another user, host or port.
    fn try_from(uri: &Uri) -> Result<rsip::Uri, ParseError> {
        match uri.scheme() {
            Scheme::Sip | Scheme::Sips => {}
            Scheme::Tel | Scheme::Other => return Err(BAD),
        }
        let theirs = rsip::Uri::try_from(uri.as_str()).map_err(|_| BAD)?;
        if same(uri, &theirs) { Ok(theirs) } else { Err(BAD) }
    }
}

impl TryFrom<&rsip::Uri> for Uri {
    type Error = ParseError;

    fn try_from(uri: &rsip::Uri) -> Result<Uri, ParseError> {
        Uri::parse(&uri.to_string())
    }
}

impl TryFrom<&Method> for rsip::Method {
    type Error = ParseError;

    /// Fails for extension methods.
    fn try_from(method: &Method) -> Result<rsip::Method, ParseError> {
        match method {
            Method::Invite => Ok(rsip::Method::Invite),
            Method::Ack => Ok(rsip::Method::Ack),
            Method::Bye => Ok(rsip::Method::Bye),
            Method::Cancel => Ok(rsip::Method::Cancel),
            Method::Register => Ok(rsip::Method::Register),
            Method::Options => Ok(rsip::Method::Options),
            Method::Prack => Ok(rsip::Method::PRack),
            Method::Update => Ok(rsip::Method::Update),
            Method::Subscribe => Ok(rsip::Method::Subscribe),
            Method::Notify => Ok(rsip::Method::Notify),
            Method::Refer => Ok(rsip::Method::Refer),
            Method::Info => Ok(rsip::Method::Info),
            Method::Message => Ok(rsip::Method::Message),
            Method::Publish => Ok(rsip::Method::Publish),
            Method::Extension(_) => Err(ParseError::new(ParseErrorKind::StartLine)),
        }
    }
}

impl From<rsip::Method> for Method {
    fn from(method: rsip::Method) -> Method {
        match method {
            rsip::Method::Invite => Method::Invite,
            rsip::Method::Ack => Method::Ack,
            rsip::Method::Bye => Method::Bye,
            rsip::Method::Cancel => Method::Cancel,
            rsip::Method::Register => Method::Register,
            rsip::Method::Options => Method::Options,
            rsip::Method::PRack => Method::Prack,
            rsip::Method::Update => Method::Update,
            rsip::Method::Subscribe => Method::Subscribe,
            rsip::Method::Notify => Method::Notify,
            rsip::Method::Refer => Method::Refer,
            rsip::Method::Info => Method::Info,
            rsip::Method::Message => Method::Message,
            rsip::Method::Publish => Method::Publish,
        }
    }
}

impl TryFrom<&NameAddr> for typed::From {
    type Error = ParseError;

    fn try_from(party: &NameAddr) -> Result<typed::From, ParseError> {
        let typed = rsip::headers::From::new(party.to_string())
            .into_typed()
            .map_err(|_| bad(HeaderName::From))?;
        agree(party, &typed.uri, HeaderName::From).map(|()| typed)
    }
}

impl TryFrom<&NameAddr> for typed::To {
    type Error = ParseError;

    fn try_from(party: &NameAddr) -> Result<typed::To, ParseError> {
        let typed = rsip::headers::To::new(party.to_string())
            .into_typed()
            .map_err(|_| bad(HeaderName::To))?;
        agree(party, &typed.uri, HeaderName::To).map(|()| typed)
    }
}

impl TryFrom<&NameAddr> for typed::Contact {
    type Error = ParseError;

    fn try_from(party: &NameAddr) -> Result<typed::Contact, ParseError> {
        let typed = rsip::headers::Contact::new(party.to_string()).into_typed();
        let typed = typed.map_err(|_| bad(HeaderName::Contact))?;
        agree(party, &typed.uri, HeaderName::Contact).map(|()| typed)
    }
}

fn bad(header: HeaderName) -> ParseError {
    ParseError::at(ParseErrorKind::Value, header)
}

fn agree(party: &NameAddr, theirs: &rsip::Uri, header: HeaderName) -> Result<(), ParseError> {
    if same(&party.uri, theirs) {
        Ok(())
    } else {
        Err(bad(header))
    }
}

/// Same text, and the same idea of user and host.
fn same(ours: &Uri, theirs: &rsip::Uri) -> bool {
    let user = theirs.auth.as_ref().map(|auth| auth.to_string());
    theirs.to_string().eq_ignore_ascii_case(ours.as_str())
        && theirs.host_with_port.to_string().eq_ignore_ascii_case(ours.host_port())
        && user.as_deref() == ours.user()
}

impl Message {
    /// The From header in rsip's form.
    pub fn typed_from(&self) -> Result<typed::From, ParseError> {
        typed::From::try_from(&self.from()?)
    }

    /// The To header in rsip's form.
    pub fn typed_to(&self) -> Result<typed::To, ParseError> {
        typed::To::try_from(&self.to()?)
    }

    /// The top Via in rsip's form.
    pub fn typed_via(&self) -> Result<typed::Via, ParseError> {
        let error = bad(HeaderName::Via);
        let value = self.values(HeaderName::Via).next().ok_or(error)?;
        let typed = rsip::headers::Via::new(value).into_typed().map_err(|_| error)?;
        let ours = self.top_via().ok_or(error)?;
        let same = typed.branch().map(|branch| branch.to_string()).as_deref() == ours.branch()
            && typed.uri.host().to_string().eq_ignore_ascii_case(ours.host);
        if same { Ok(typed) } else { Err(error) }
    }

    /// The status in rsip's vocabulary; `None` for a request.
    pub fn status_code(&self) -> Option<rsip::StatusCode> {
        self.status().map(rsip::StatusCode::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rsip_would_lose_does_not_convert() {
        let ok = Uri::parse("sip:alice@example.com:5070;transport=tcp").unwrap();
        let theirs = rsip::Uri::try_from(&ok).unwrap();
        assert_eq!(theirs.host_with_port.to_string(), "example.com:5070");
        assert_eq!(Uri::try_from(&theirs).unwrap().host(), "example.com");
        // rsip once read the host of this one as `user`; whatever it reads now, it is ours or nothing.
        let odd = Uri::parse("sip:user;par=x@example.com").unwrap();
        assert!(
            rsip::Uri::try_from(&odd).is_ok_and(|theirs| theirs.host_with_port.to_string() == "example.com")
                || rsip::Uri::try_from(&odd).is_err()
        );
        for text in ["tel:+4912345", "sip:a@example.com?Replaces=x", "urn:service:sos"] {
            let uri = Uri::parse(text).unwrap();
            assert!(rsip::Uri::try_from(&uri).is_err(), "{text}");
        }
    }

    #[test]
    fn methods_go_both_ways_and_extensions_do_not() {
        for theirs in rsip::Method::all() {
            let ours = Method::from(theirs);
            assert_eq!(ours.as_str(), theirs.to_string());
            assert_eq!(rsip::Method::try_from(&ours).unwrap(), theirs);
        }
        assert!(rsip::Method::try_from(&Method::parse(b"invite").unwrap()).is_err());
    }

    #[test]
    fn parties_convert() {
        let party = NameAddr::parse("\"Alice\" <sip:alice@example.com>;tag=1").unwrap();
        let from = typed::From::try_from(&party).unwrap();
        assert_eq!(from.tag().map(|tag| tag.to_string()).as_deref(), Some("1"));
        assert!(typed::To::try_from(&NameAddr::parse("<tel:+491>").unwrap()).is_err());
    }

    #[test]
    fn status_names_agree_with_rsip() {
        for code in [100, 180, 200, 302, 401, 404, 486, 487, 503, 603] {
            let theirs = rsip::StatusCode::from(code).to_string();
            let squash = |text: &str| text.replace([' ', '-', '/'], "").to_ascii_lowercase();
            let ours = format!("{code} {}", super::super::reason_phrase(code));
            assert_eq!(squash(&theirs), squash(&ours));
        }
    }
}
