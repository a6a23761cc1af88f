//! The route set (RFC 3261 §12.1, §12.2.1.1): from Record-Route, into Request-URI and Route.
//!
//! **Owns** the order of the set and the case of a strict router at its head. **Refuses** to be changed within the
//! dialog: it is made once, and once more at the first 2xx (§13.2.2.4).
//!
//! | first URI | Request-URI | Route |
//! |---|---|---|
//! | none | remote target | none |
//! | with `lr` | remote target | the set |
//! | without `lr` | first URI, without what a Request-URI may not have | the rest of the set, then the remote target |
//!
//! ```
//! use warmline::dialog::RouteSet;
//! use warmline::sip::Uri;
//!
//! // The example of RFC 3261 §12.2.1.1.
//! let set: RouteSet = ["<sip:proxy1>", "<sip:proxy2>", "<sip:proxy3;lr>", "<sip:proxy4>"].into_iter().collect();
//! let target = Uri::parse("sip:user@remoteua").expect("a URI");
//! let (request_uri, route) = set.apply(&target);
//! assert_eq!(request_uri, "sip:proxy1");
//! assert_eq!(route.as_deref(), Some("<sip:proxy2>, <sip:proxy3;lr>, <sip:proxy4>, <sip:user@remoteua>"));
//! ```

use crate::sip::{HeaderName, Message, NameAddr, ParseError, Uri};
use compact_str::{CompactString, ToCompactString};
use std::borrow::Cow;

/// The proxies that every request of a dialog goes through, nearest first.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct RouteSet(Vec<NameAddr>);

impl RouteSet {
    /// Of a UAS: the request's Record-Route, in order (RFC 3261 §12.1.1).
    pub fn of_request(request: &Message) -> Result<RouteSet, ParseError> {
        NameAddr::list(request, HeaderName::RecordRoute).map(RouteSet)
    }

    /// Of a UAC: the response's Record-Route, in reverse (RFC 3261 §12.1.2).
    pub fn of_response(response: &Message) -> Result<RouteSet, ParseError> {
        let mut list = NameAddr::list(response, HeaderName::RecordRoute)?;
        list.reverse();
        Ok(RouteSet(list))
    }

    /// Whether requests go straight to the remote target.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The nearest proxy's URI.
    pub fn first(&self) -> Option<&Uri> {
        self.0.first().map(|first| &first.uri)
    }

    /// The values, nearest first.
    pub fn iter(&self) -> impl Iterator<Item = &NameAddr> {
        self.0.iter()
    }

    /// Request-URI and the value of Route for a request to `target` (RFC 3261 §12.2.1.1).
    pub fn apply<'a>(&self, target: &'a Uri) -> (Cow<'a, str>, Option<CompactString>) {
        let Some((first, rest)) = self.0.split_first() else {
            return (Cow::Borrowed(target.as_str()), None);
        };
        if first.uri.param("lr").is_some() {
            return (
                Cow::Borrowed(target.as_str()),
                Some(join(self.0.iter().map(ToCompactString::to_compact_string))),
            );
        }
        // A strict router replaces the Request-URI by the first Route: so it is given the target as the last one.
        let last = NameAddr::new(target.clone()).to_compact_string();
        let route = join(rest.iter().map(ToCompactString::to_compact_string).chain([last]));
        (Cow::Owned(as_request_uri(&first.uri).into()), Some(route))
    }
}

/// A stored route set, read back; what does not parse is left out.
impl<'a> FromIterator<&'a str> for RouteSet {
    fn from_iter<I: IntoIterator<Item = &'a str>>(values: I) -> RouteSet {
        RouteSet(
            values
                .into_iter()
                .filter_map(|value| NameAddr::parse(value).ok())
                .collect(),
        )
    }
}

fn join(values: impl Iterator<Item = CompactString>) -> CompactString {
    let mut line = CompactString::default();
    for value in values {
        if !line.is_empty() {
            line.push_str(", ");
        }
        line.push_str(&value);
    }
    line
}

/// RFC 3261 §19.1.1: a Request-URI has neither headers nor a `method` parameter.
fn as_request_uri(uri: &Uri) -> CompactString {
    let uri = uri.without_headers();
    let text = uri.as_str();
    // A user part may hold `;`.
    let (before, after) = text.split_at(text.find('@').unwrap_or(0));
    let mut kept = CompactString::new(before);
    for (at, part) in after.split(';').enumerate() {
        let is_method = part
            .split('=')
            .next()
            .is_some_and(|name| name.eq_ignore_ascii_case("method"));
        if at == 0 || !is_method {
            if at > 0 {
                kept.push(';');
            }
            kept.push_str(part);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strict_routers_uri_loses_what_a_request_uri_may_not_have() {
        let set: RouteSet = ["<sip:a;method=INVITE@p1;method=INVITE;transport=tcp?Subject=x>"]
            .into_iter()
            .collect();
        let target = Uri::sip(Some("bob"), "b.example");
        let (request_uri, route) = set.apply(&target);
        assert_eq!(request_uri, "sip:a;method=INVITE@p1;transport=tcp");
        assert_eq!(route.as_deref(), Some("<sip:bob@b.example>"));
    }

    #[test]
    fn parameters_of_a_loose_router_are_kept() {
        let set: RouteSet = ["<sip:tok3n@p1;lr;ob;transport=tcp>;x=1"].into_iter().collect();
        let target = Uri::sip(Some("bob"), "b.example");
        let (request_uri, route) = set.apply(&target);
        assert_eq!(request_uri, "sip:bob@b.example");
        assert_eq!(route.as_deref(), Some("<sip:tok3n@p1;lr;ob;transport=tcp>;x=1"));
        assert!(!set.is_empty());
    }
}
