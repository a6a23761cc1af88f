//! Header names: canonical and compact forms, and how an octet string becomes one.

use std::fmt;

macro_rules! header_names {
    ($($variant:ident = $text:literal $(, $compact:literal)?;)*) => {
        /// The name of a header field that this edge knows by its number.
        ///
        /// The order has a meaning: the fields that the scanner reads come first.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum HeaderName {
            $(#[doc = concat!("`", $text, "`" $(, ", compact `", $compact, "`")?)] $variant,)*
            /// A field that is not in this list; it passes through byte for byte.
            Other,
        }

        static CANONICAL: &[&str] = &[$($text,)* ""];
        const NAMES: &[(&str, HeaderName)] = &[
            $(($text, HeaderName::$variant), $(($compact, HeaderName::$variant),)?)*
        ];
    };
}

header_names! {
    Via = "Via", "v";
    From = "From", "f";
    To = "To", "t";
    CallId = "Call-ID", "i";
    CSeq = "CSeq";
    ContentLength = "Content-Length", "l";
    Contact = "Contact", "m";
    ContentType = "Content-Type", "c";
    MaxForwards = "Max-Forwards";
    Route = "Route";
    RecordRoute = "Record-Route";
    Require = "Require";
    ProxyRequire = "Proxy-Require";
    Supported = "Supported", "k";
    Unsupported = "Unsupported";
    Allow = "Allow";
    Expires = "Expires";
    MinExpires = "Min-Expires";
    Authorization = "Authorization";
    ProxyAuthorization = "Proxy-Authorization";
    WwwAuthenticate = "WWW-Authenticate";
    ProxyAuthenticate = "Proxy-Authenticate";
    AuthenticationInfo = "Authentication-Info";
    Replaces = "Replaces";
    Join = "Join";
    ReferTo = "Refer-To", "r";
    ReferredBy = "Referred-By", "b";
    ReferSub = "Refer-Sub";
    TargetDialog = "Target-Dialog";
    Event = "Event", "o";
    AllowEvents = "Allow-Events", "u";
    SubscriptionState = "Subscription-State";
    Path = "Path";
    ServiceRoute = "Service-Route";
    SessionExpires = "Session-Expires", "x";
    MinSe = "Min-SE";
    Reason = "Reason";
    PAssertedIdentity = "P-Asserted-Identity";
    PPreferredIdentity = "P-Preferred-Identity";
    Privacy = "Privacy";
    RAck = "RAck";
    RSeq = "RSeq";
    RetryAfter = "Retry-After";
    Warning = "Warning";
    Accept = "Accept";
    AcceptEncoding = "Accept-Encoding";
    AcceptLanguage = "Accept-Language";
    AcceptContact = "Accept-Contact", "a";
    RejectContact = "Reject-Contact", "j";
    RequestDisposition = "Request-Disposition", "d";
    AlertInfo = "Alert-Info";
    CallInfo = "Call-Info";
    ErrorInfo = "Error-Info";
    Subject = "Subject", "s";
    UserAgent = "User-Agent";
    Server = "Server";
    Date = "Date";
    Timestamp = "Timestamp";
    ContentEncoding = "Content-Encoding", "e";
    ContentDisposition = "Content-Disposition";
    ContentLanguage = "Content-Language";
    ContentId = "Content-ID";
    MimeVersion = "MIME-Version";
    Diversion = "Diversion";
    HistoryInfo = "History-Info";
    UserToUser = "User-to-User";
    SessionId = "Session-ID";
    InfoPackage = "Info-Package";
    RecvInfo = "Recv-Info";
    SipEtag = "SIP-ETag";
    SipIfMatch = "SIP-If-Match";
    Identity = "Identity", "y";
    InReplyTo = "In-Reply-To";
    Organization = "Organization";
    Priority = "Priority";
    ReplyTo = "Reply-To";
    FlowTimer = "Flow-Timer";
    Geolocation = "Geolocation";
    ReferEventsAt = "Refer-Events-At";
    PAccessNetworkInfo = "P-Access-Network-Info";
    PAssociatedUri = "P-Associated-URI";
    PCalledPartyId = "P-Called-Party-ID";
    PChargingVector = "P-Charging-Vector";
    RemotePartyId = "Remote-Party-ID";
}

const SLOTS: usize = 512;
const EMPTY: u8 = u8::MAX;

/// Length, first, middle and last octet tell nearly all names apart; `| 0x20` folds the case of letters.
const fn slot(name: &[u8]) -> usize {
    let len = name.len();
    if len == 0 {
        return 0;
    }
    let first = (name[0] | 0x20) as usize;
    let middle = (name[len / 2] | 0x20) as usize;
    let last = (name[len - 1] | 0x20) as usize;
    (len * 67 + first * 5 + middle * 31 + last * 11) % SLOTS
}

const fn table() -> [u8; SLOTS] {
    let mut table = [EMPTY; SLOTS];
    let mut i = 0;
    while i < NAMES.len() {
        let mut at = slot(NAMES[i].0.as_bytes());
        while table[at] != EMPTY {
            at = (at + 1) % SLOTS;
        }
        table[at] = i as u8;
        i += 1;
    }
    table
}

static TABLE: [u8; SLOTS] = table();

impl HeaderName {
    /// The name that these octets spell, in any case, in full or compact form (RFC 3261 §7.3.3, §20).
    pub fn lookup(name: &[u8]) -> HeaderName {
        let mut at = slot(name);
        loop {
            let entry = TABLE.get(at).copied().unwrap_or(EMPTY);
            match NAMES.get(entry as usize) {
                None => return HeaderName::Other,
                Some((text, id)) if text.as_bytes() == name || text.as_bytes().eq_ignore_ascii_case(name) => {
                    return *id;
                }
                Some(_) => at = (at + 1) % SLOTS,
            }
        }
    }

    /// The full name with the capitals of its RFC; empty for [`HeaderName::Other`].
    pub fn canonical(self) -> &'static str {
        CANONICAL.get(self as usize).copied().unwrap_or_default()
    }

    /// Whether the field's grammar is one value, so that a second line is an error (RFC 3261 §7.3.1).
    pub fn is_single(self) -> bool {
        matches!(
            self,
            HeaderName::From
                | HeaderName::To
                | HeaderName::CallId
                | HeaderName::CSeq
                | HeaderName::MaxForwards
                | HeaderName::ContentType
                | HeaderName::Expires
                | HeaderName::MinExpires
                | HeaderName::Replaces
                | HeaderName::Join
                | HeaderName::ReferTo
                | HeaderName::ReferredBy
                | HeaderName::ReferSub
                | HeaderName::TargetDialog
                | HeaderName::Event
                | HeaderName::SubscriptionState
                | HeaderName::SessionExpires
                | HeaderName::MinSe
                | HeaderName::RAck
                | HeaderName::RSeq
        )
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.canonical())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case_and_in_its_compact_form() {
        for (text, id) in NAMES {
            assert_eq!(HeaderName::lookup(text.as_bytes()), *id);
            assert_eq!(HeaderName::lookup(text.to_ascii_uppercase().as_bytes()), *id);
            assert_eq!(HeaderName::lookup(text.to_ascii_lowercase().as_bytes()), *id);
        }
        assert_eq!(HeaderName::lookup(b"v"), HeaderName::Via);
        assert_eq!(HeaderName::lookup(b"C%6Fntact"), HeaderName::Other);
        assert_eq!(HeaderName::lookup(b""), HeaderName::Other);
        assert_eq!(HeaderName::lookup(b"X-Anything"), HeaderName::Other);
    }
}
