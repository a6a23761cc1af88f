//! Header names: canonical and compact forms, and how an octet string becomes one.

use super::find::find_in_word;
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
    MaxBreadth = "Max-Breadth";
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

/// A name of up to 23 octets as three words, zeros behind it, in which equal names are equal numbers in any case.
///
/// `| 0x20` folds the case of letters. It also makes `-` of CR, and of nothing else: who reads octets of strangers by
/// it looks for a CR first (`is_bare`), or knows that they are a token.
type Key = [u64; 3];

const FOLD: u64 = 0x2020_2020_2020_2020;
const LONGEST: usize = 23;

const fn key(name: &[u8]) -> Key {
    let mut key = [0; 3];
    let mut at = 0;
    while at < name.len() && at < LONGEST {
        key[at / 8] |= ((name[at] | 0x20) as u64) << (at % 8 * 8);
        at += 1;
    }
    key
}

#[inline]
const fn slot(key: Key) -> usize {
    let mixed = key[0] ^ key[1].rotate_left(29) ^ key[2].rotate_left(13);
    (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - SLOT_BITS)) as usize
}

static KEYS: [(Key, HeaderName); NAMES.len()] = {
    let mut list = [([0; 3], HeaderName::Other); NAMES.len()];
    let mut i = 0;
    while i < NAMES.len() {
        list[i] = (key(NAMES[i].0.as_bytes()), NAMES[i].1);
        i += 1;
    }
    list
};

static TABLE: [u8; SLOTS] = {
    let mut table = [EMPTY; SLOTS];
    let mut i = 0;
    while i < NAMES.len() {
        let mut at = slot(key(NAMES[i].0.as_bytes()));
        while table[at] != EMPTY {
            at = (at + 1) % SLOTS;
        }
        table[at] = i as u8;
        i += 1;
    }
    table
};

#[inline]
fn known(wanted: Key) -> HeaderName {
    let mut at = slot(wanted);
    // The table is more than half empty, so that an empty slot ends every search.
    while let Some((key, id)) = KEYS.get(TABLE[at % SLOTS] as usize) {
        if (key[0] ^ wanted[0]) | (key[1] ^ wanted[1]) | (key[2] ^ wanted[2]) == 0 {
            return *id;
        }
        at += 1;
    }
    HeaderName::Other
}

/// The known name that a line starts with, and where its colon stands. `None` when there is white space or a control
/// before the colon, when the name is not known, or when the line is shorter than any name: then one has to look closer.
#[inline]
pub(crate) fn known_at(line: &[u8]) -> Option<(HeaderName, usize)> {
    let (words, _) = line.first_chunk::<24>()?.as_chunks::<8>();
    let [first, second, third] = words else { return None };
    let (first, second) = (u64::from_le_bytes(*first), u64::from_le_bytes(*second));
    let (wanted, colon) = if let Some((word, at)) = before_colon(first) {
        ([word, 0, 0], at)
    } else if let Some((word, at)) = before_colon(second) {
        ([first | FOLD, word, 0], 8 + at)
    } else {
        let (word, at) = before_colon(u64::from_le_bytes(*third))?;
        ([first | FOLD, second | FOLD, word], 16 + at)
    };
    if (colon >= 8 && is_bare(first)) || (colon >= 16 && is_bare(second)) {
        return None;
    }
    let id = known(wanted);
    (id != HeaderName::Other).then_some((id, colon))
}

/// The octets of a word before its first colon, folded, and how many they are.
#[inline]
fn before_colon(word: u64) -> Option<(u64, usize)> {
    let at = find_in_word(word, b':')?;
    let mask = (1 << (at * 8)) - 1;
    // What is cut away is no control.
    if is_bare((word & mask) | (FOLD & !mask)) {
        return None;
    }
    Some(((word | FOLD) & mask, at))
}

/// Whether an octet of the word is a control: letters have the bit 0x40, and `-` has 0x20. LESSONS 35: a name with a
/// control is another name to the next reader.
#[inline]
fn is_bare(word: u64) -> bool {
    !(word | (word >> 1)) & FOLD != 0
}

impl HeaderName {
    /// The name that these octets spell, in any case, in full or compact form (RFC 3261 §7.3.3, §20).
    pub fn lookup(name: &[u8]) -> HeaderName {
        if name.len() > LONGEST {
            HeaderName::Other
        } else {
            known(key(name))
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
        assert_eq!(HeaderName::lookup(b"Vi"), HeaderName::Other);
        assert_eq!(HeaderName::lookup(&[b'x'; 300]), HeaderName::Other);
        assert!(NAMES.len() < SLOTS / 2 && NAMES.iter().all(|(text, _)| text.len() <= LONGEST));
    }

    /// CR and `-` differ by the bit that folds the case.
    #[test]
    fn a_control_in_a_name_is_never_part_of_a_known_one() {
        let filler = ": something long enough to fill every word";
        for (text, _) in NAMES {
            for at in 0..text.len() {
                for control in (0..b' ').chain([0x7f, 0x80, 0xff]) {
                    let mut line = format!("{text}{filler}").into_bytes();
                    line[at] = control;
                    assert_eq!(known_at(&line), None, "{text} with {control:#x} at {at}");
                }
            }
        }
    }

    #[test]
    fn a_line_tells_its_name_at_once_or_not_at_all() {
        let filler = ": something long enough to fill every word";
        for (text, id) in NAMES {
            assert_eq!(known_at(format!("{text}{filler}").as_bytes()), Some((*id, text.len())));
            assert_eq!(known_at(format!("{text} {filler}").as_bytes()), None);
            assert_eq!(
                known_at(format!("{text}x{filler}").as_bytes()).map(|(id, _)| id.canonical().len()),
                None
            );
        }
        assert_eq!(known_at(b"Via: short"), None);
        assert_eq!(known_at(filler.as_bytes()), None);
    }
}
