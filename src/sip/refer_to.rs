//! Refer-To (RFC 3515 §2.1): whom a REFER asks to call, and in place of which dialog.

use super::error::{ParseError, ParseErrorKind};
use super::escape::unescape_text;
use super::header_name::HeaderName;
use super::message::Message;
use super::method::Method;
use super::name_addr::NameAddr;
use super::params::comma_list;
use super::replaces::Replaces;

/// A Refer-To value, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferTo {
    /// The target, its URI without headers. Of the URI's headers only Replaces is taken: the others would be orders
    /// from a stranger.
    pub target: NameAddr,
    /// The dialog at the target that the new call replaces.
    pub replaces: Option<Replaces>,
    /// The `method` parameter of the URI; `None` means INVITE.
    pub method: Option<Method>,
}

impl ReferTo {
    /// Reads the Refer-To of a REFER. Missing, twice (RFC 3515 §2.4.2), or bad is an error.
    pub fn of(message: &Message) -> Result<ReferTo, ParseError> {
        let mut values = message.headers(HeaderName::ReferTo).flat_map(comma_list);
        let value = values
            .next()
            .ok_or(ParseError::at(ParseErrorKind::Missing, HeaderName::ReferTo))?;
        if values.next().is_some() {
            return Err(ParseError::at(ParseErrorKind::Duplicate, HeaderName::ReferTo));
        }
        let text =
            std::str::from_utf8(value).map_err(|_| ParseError::at(ParseErrorKind::Value, HeaderName::ReferTo))?;
        ReferTo::parse(text)
    }

    /// Reads one value.
    pub fn parse(value: &str) -> Result<ReferTo, ParseError> {
        let bad = ParseError::at(ParseErrorKind::Value, HeaderName::ReferTo);
        let mut target = NameAddr::parse(value).map_err(|error| error.within(HeaderName::ReferTo))?;
        let replaces = Replaces::in_refer_to(&target.uri)?;
        let method = match target.uri.param("method") {
            Some(Some(name)) => {
                let name = unescape_text(name).ok_or(bad)?;
                Some(Method::parse(name.as_bytes()).map_err(|_| bad)?)
            }
            Some(None) => return Err(bad),
            None => None,
        };
        target.uri = target.uri.without_headers();
        Ok(ReferTo {
            target,
            replaces,
            method,
        })
    }
}
