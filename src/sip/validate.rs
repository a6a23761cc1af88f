//! The rules that a UAS checks after the message could be read: RFC 3261 §8.2, RFC 4475 §3.1.2 and §3.3.

use super::chars::{decimal, trim};
use super::error::{ParseError, ParseErrorKind};
use super::header_name::HeaderName;
use super::index::Start;
use super::message::Message;
use super::method::Method;
use super::name_addr::NameAddr;
use super::params::comma_list;
use super::uri::{Scheme, Uri};
use super::via::Via;

impl Message {
    /// Checks what the index does not: start line against CSeq, the Request-URI, every Via, the parties, Contact and
    /// the numbers. The error's [`ParseError::status`] is the answer; a response that fails is dropped.
    ///
    /// Not here: what depends on what the edge supports (405, 415, 420) and on routing (404, 483).
    pub fn validate(&self) -> Result<(), ParseError> {
        self.check_start()?;
        self.check_vias()?;
        self.check_party(HeaderName::From, self.from_tag())?;
        let to = self.check_party(HeaderName::To, self.to_tag())?;
        if *self.method() == Method::Register && !is_dialable(to) {
            // RFC 3261 §10.3: an address of record is a SIP or SIPS URI.
            return Err(ParseError::at(ParseErrorKind::Uri, HeaderName::To));
        }
        self.check_contacts()?;
        self.check_numbers()?;
        self.check_single()
    }

    fn check_start(&self) -> Result<(), ParseError> {
        let index = self.index();
        match index.start {
            Start::Response { .. } => Ok(()),
            Start::Request { .. } => {
                if index.cseq_method.of(self.bytes()) != self.method().as_str().as_bytes() {
                    return Err(ParseError::at(ParseErrorKind::MethodMismatch, HeaderName::CSeq));
                }
                let text = self.request_uri().ok_or(ParseError::new(ParseErrorKind::Uri))?;
                let uri = Uri::parse(text)?;
                match uri.scheme() {
                    Scheme::Other => return Err(ParseError::new(ParseErrorKind::Scheme)),
                    Scheme::Sip | Scheme::Sips | Scheme::Tel => {}
                }
                // RFC 3261 §19.1.1, table 1: no headers in a Request-URI (RFC 4475 §3.1.2.11).
                if uri.headers().next().is_some() {
                    return Err(ParseError::new(ParseErrorKind::Uri));
                }
                Ok(())
            }
        }
    }

    fn check_party(&self, name: HeaderName, tag: Option<&str>) -> Result<Scheme, ParseError> {
        let value = self.header(name).ok_or(ParseError::at(ParseErrorKind::Missing, name))?;
        NameAddr::check(value, tag).map_err(|error| error.within(name))
    }

    fn check_vias(&self) -> Result<(), ParseError> {
        let bad = ParseError::at(ParseErrorKind::Value, HeaderName::Via);
        for value in self.headers(HeaderName::Via).flat_map(comma_list) {
            // Octets outside UTF-8 may stand in a quoted via-extension only; no such Via has been seen.
            let via = Via::parse(std::str::from_utf8(value).map_err(|_| bad)?)?;
            for param in via.params() {
                param?;
            }
        }
        Ok(())
    }

    fn check_contacts(&self) -> Result<(), ParseError> {
        let star = self.headers(HeaderName::Contact).any(|line| line.contains(&b'*'))
            && self.has_token(HeaderName::Contact, "*");
        if !star {
            return self
                .headers(HeaderName::Contact)
                .flat_map(comma_list)
                .try_for_each(|value| NameAddr::check(value, None).map(drop))
                .map_err(|error| error.within(HeaderName::Contact));
        }
        // RFC 3261 §10.2.2: `*` stands alone, in a REGISTER, with Expires 0.
        let alone = self.headers(HeaderName::Contact).flat_map(comma_list).count() == 1;
        let zero = self.header(HeaderName::Expires).map(trim) == Some(b"0");
        if *self.method() == Method::Register && alone && (zero || !self.is_request()) {
            Ok(())
        } else {
            Err(ParseError::at(ParseErrorKind::Value, HeaderName::Contact))
        }
    }

    fn check_numbers(&self) -> Result<(), ParseError> {
        // RFC 3261 §20.22: 0 to 255.
        if let Some(value) = self.header(HeaderName::MaxForwards)
            && decimal(value).is_none_or(|hops| hops > 255)
        {
            return Err(ParseError::at(ParseErrorKind::Value, HeaderName::MaxForwards));
        }
        Ok(())
    }

    /// One value where the grammar has one value.
    fn check_single(&self) -> Result<(), ParseError> {
        let mut seen = 0u128;
        for (id, _, _) in self.all_headers() {
            let bit = 1u128 << (id as u8);
            if id.is_single() && seen & bit != 0 {
                return Err(ParseError::at(ParseErrorKind::Duplicate, id));
            }
            seen |= bit;
        }
        Ok(())
    }
}

fn is_dialable(scheme: Scheme) -> bool {
    match scheme {
        Scheme::Sip | Scheme::Sips | Scheme::Tel => true,
        Scheme::Other => false,
    }
}
