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

/// Slots of the look-up table, and how many bits name one.
const SLOTS: usize = 1 << SLOT_BITS;
const SLOT_BITS: u32 = 9;
const EMPTY: u8 = u8::MAX;

/// A name of up to 24 octets as three words in which equal names are equal numbers, whatever their case.
///
/// `| 0x20` folds the case of letters. It also makes `-` of CR, and of nothing else: a name with a CR in it is
/// refused by the scanner as a bare line end.
type Key = (u64, u64, u64);

const FOLD: u64 = 0x2020_2020_2020_2020;

#[inline]
const fn word(name: &[u8], at: usize) -> u64 {
    match name.split_at_checked(at) {
        Some((_, rest)) => match rest.first_chunk::<8>() {
            Some(octets) => u64::from_le_bytes(*octets) | FOLD,
            None => 0,
        },
        None => 0,
    }
}

#[inline]
const fn half(name: &[u8], at: usize) -> u64 {
    match name.split_at_checked(at) {
        Some((_, rest)) => match rest.first_chunk::<4>() {
            Some(octets) => (u32::from_le_bytes(*octets) | FOLD as u32) as u64,
            None => 0,
        },
        None => 0,
    }
}

/// The key of a name and its length; 0 for a name that is too long to be known.
#[inline]
const fn key(name: &[u8]) -> Key {
    match name {
        [] => (0, 0, 0),
        [a] => ((*a | 0x20) as u64, 0, 0),
        [a, b] => ((*a | 0x20) as u64, (*b | 0x20) as u64, 0),
        [a, b, c] => ((*a | 0x20) as u64, (*b | 0x20) as u64, (*c | 0x20) as u64),
        [_, _, _, _] | [_, _, _, _, _] | [_, _, _, _, _, _] | [_, _, _, _, _, _, _] => {
            (half(name, 0), half(name, name.len() - 4), 0)
        }
        [..] if name.len() <= 16 => (word(name, 0), word(name, name.len() - 8), 0),
        [..] if name.len() <= 24 => (word(name, 0), word(name, name.len() - 8), word(name, 8)),
        [..] => (0, 0, 0),
    }
}

#[inline]
const fn slot(key: Key, len: usize) -> usize {
    let mixed = key.0 ^ key.1.rotate_left(29) ^ ((len as u64) << 59) ^ (len as u64);
    (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - SLOT_BITS)) as usize
}

#[derive(Clone, Copy)]
struct Known {
    key: Key,
    len: u8,
    id: HeaderName,
}

const KNOWN: [Known; NAMES.len()] = {
    let mut list = [Known {
        key: (0, 0, 0),
        len: 0,
        id: HeaderName::Other,
    }; NAMES.len()];
    let mut i = 0;
    while i < NAMES.len() {
        let name = NAMES[i].0.as_bytes();
        list[i] = Known {
            key: key(name),
            len: name.len() as u8,
            id: NAMES[i].1,
        };
        i += 1;
    }
    list
};

static KNOWN_NAMES: [Known; NAMES.len()] = KNOWN;

static TABLE: [u8; SLOTS] = {
    let mut table = [EMPTY; SLOTS];
    let mut i = 0;
    while i < NAMES.len() {
        let mut at = slot(KNOWN[i].key, KNOWN[i].len as usize);
        while table[at] != EMPTY {
            at = (at + 1) % SLOTS;
        }
        table[at] = i as u8;
        i += 1;
    }
    table
};

impl HeaderName {
    /// The name that these octets spell, in any case, in full or compact form (RFC 3261 §7.3.3, §20).
    #[inline]
    pub fn lookup(name: &[u8]) -> HeaderName {
        let wanted = key(name);
        let mut at = slot(wanted, name.len());
        // The table is more than half empty, so that an empty slot ends every search.
        while let Some(known) = KNOWN_NAMES.get(TABLE[at % SLOTS] as usize) {
            if known.key == wanted && known.len as usize == name.len() {
                return known.id;
            }
            at += 1;
        }
        HeaderName::Other
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
        assert_eq!(HeaderName::lookup(b"Vi"), HeaderName::Other);
        assert_eq!(HeaderName::lookup(&[b'x'; 300]), HeaderName::Other);
        assert!(NAMES.len() < SLOTS / 2 && NAMES.iter().all(|(text, _)| text.len() <= 24));
    }
}
