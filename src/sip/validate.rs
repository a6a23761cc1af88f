//! The rules that a UAS checks after the message could be read: RFC 3261 §8.2, RFC 4475 §3.1.2 and §3.3.

use super::chars::{decimal, trim};
use super::error::{ParseError, ParseErrorKind};
use super::header_name::HeaderName;
use super::index::Start;
use super::message::Message;
use super::method::Method;
use super::name_addr::NameAddr;
use super::params::comma_list;
use super::uri::{Scheme, Shape};
use super::via::Via;

const BAD: ParseError = ParseError::new(ParseErrorKind::Value);

impl Message {
    /// Checks what the index does not: start line against CSeq, the Request-URI, every Via, the parties, Contact and
    /// the numbers. The error's [`ParseError::status`] is the answer; a response that fails is dropped.
    ///
    /// Not here: what depends on what the edge supports (405, 415, 420) and on routing (404, 483).
    pub fn validate(&self) -> Result<(), ParseError> {
        self.check_start()?;
        let mut seen = 0u128;
        for (id, _, value) in self.all_headers() {
            // One value where the grammar has one value.
            let bit = 1u128 << (id as u8);
            if id.is_single() && seen & bit != 0 {
                return Err(ParseError::at(ParseErrorKind::Duplicate, id));
            }
            seen |= bit;
            self.check_line(id, value).map_err(|error| error.within(id))?;
        }
        Ok(())
    }

    fn check_start(&self) -> Result<(), ParseError> {
        let index = self.index();
        match index.start {
            Start::Response { .. } => Ok(()),
            Start::Request { .. } => {
                if index.cseq_method.of(self.bytes()) != self.method().as_str().as_bytes() {
                    return Err(ParseError::at(ParseErrorKind::MethodMismatch, HeaderName::CSeq));
                }
                let uri = self.request_uri().ok_or(ParseError::new(ParseErrorKind::Uri))?;
                let shape = Shape::of(uri)?;
                match shape.scheme {
                    Scheme::Other => return Err(ParseError::new(ParseErrorKind::Scheme)),
                    Scheme::Sip | Scheme::Sips | Scheme::Tel => {}
                }
                // RFC 3261 §19.1.1, table 1: no headers in a Request-URI (RFC 4475 §3.1.2.11).
                if shape.has_headers(uri) {
                    return Err(ParseError::new(ParseErrorKind::Uri));
                }
                Ok(())
            }
        }
    }

    fn check_line(&self, id: HeaderName, value: &[u8]) -> Result<(), ParseError> {
        let index = self.index();
        if id == HeaderName::Via {
            self.check_vias(value)
        } else if id == HeaderName::From {
            NameAddr::check(value, index.from_tag.of(self.bytes())).map(drop)
        } else if id == HeaderName::To {
            let scheme = NameAddr::check(value, index.to_tag.of(self.bytes()))?;
            if *self.method() == Method::Register && !is_dialable(scheme) {
                // RFC 3261 §10.3: an address of record is a SIP or SIPS URI.
                return Err(ParseError::new(ParseErrorKind::Uri));
            }
            Ok(())
        } else if id == HeaderName::Contact {
            self.check_contacts(value)
        } else if id == HeaderName::MaxForwards {
            // RFC 3261 §20.22: 0 to 255.
            match decimal(value) {
                Some(0..=255) => Ok(()),
                Some(_) | None => Err(BAD),
            }
        } else {
            Ok(())
        }
    }

    fn check_vias(&self, line: &[u8]) -> Result<(), ParseError> {
        for value in comma_list(line) {
            // Octets outside UTF-8 may stand in a quoted via-extension only; no such Via has been seen.
            let via = Via::parse(std::str::from_utf8(value).map_err(|_| BAD)?)?;
            via.check_params(self.index().branch.of(self.bytes()))?;
        }
        Ok(())
    }

    fn check_contacts(&self, line: &[u8]) -> Result<(), ParseError> {
        if line.contains(&b'*') && comma_list(line).any(|value| value == b"*") {
            return self.check_all_contacts();
        }
        comma_list(line).try_for_each(|value| NameAddr::check(value, b"").map(drop))
    }

    /// RFC 3261 §10.2.2: `*` stands alone, in a REGISTER, with Expires 0.
    fn check_all_contacts(&self) -> Result<(), ParseError> {
        let alone = self.headers(HeaderName::Contact).flat_map(comma_list).count() == 1;
        let zero = self.header(HeaderName::Expires).map(trim) == Some(b"0");
        if *self.method() == Method::Register && alone && (zero || !self.is_request()) {
            Ok(())
        } else {
            Err(BAD)
        }
    }
}

fn is_dialable(scheme: Scheme) -> bool {
    match scheme {
        Scheme::Sip | Scheme::Sips | Scheme::Tel => true,
        Scheme::Other => false,
    }
}
