//! One binding: an address of record, a contact, and the flow on which it is reached.

use std::time::Instant;

use compact_str::CompactString;

use crate::sip::{NameAddr, Uri};
use crate::transport::Flow;

/// Who keeps a binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// The edge: its word counts.
    Local,
    /// The PBX: the edge only remembers the flow of what passed through.
    Through,
}

impl Kept {
    /// `local` or `through`, as the API says it.
    pub fn as_str(self) -> &'static str {
        match self {
            Kept::Local => "local",
            Kept::Through => "through",
        }
    }
}

/// A registered contact.
#[derive(Clone, Debug)]
pub struct Binding {
    /// The address of record as a URI without parameters: `sip:alice@example.com`.
    pub aor: CompactString,
    /// The contact as registered, without its `expires` parameter.
    pub contact: NameAddr,
    /// Where it registered from: its requests go there and nowhere else (RFC 5626 §5.3).
    pub flow: Flow,
    /// From this moment on it does not exist.
    pub expires: Instant,
    /// Call-ID of the REGISTER that made or refreshed it.
    pub call_id: CompactString,
    /// CSeq number of that REGISTER.
    pub cseq: u32,
    /// Who keeps it.
    pub kept: Kept,
    /// `+sip.instance` without its quotes (RFC 5626 §4.1).
    pub instance: Option<CompactString>,
    /// `reg-id`, where it was given with an instance over a flow that keeps an outbound registration (RFC 5626 §6).
    pub reg_id: Option<u32>,
    /// Preference in thousandths, 0 to 1,000 (RFC 3261 §20.10); 1,000 where none was given.
    pub q: u16,
    /// The Path of the REGISTER, top first: the Route of requests to this contact (RFC 3327 §5.3).
    pub path: Vec<CompactString>,
    /// Restored from an earlier process, whose connection to the phone is gone: not to be dialled until it comes back.
    pub waiting: bool,
    /// Names the binding over its refreshes; a higher one was made later, or moved to a new flow later.
    pub(super) id: u64,
}

impl Binding {
    /// Seconds until it expires, rounded up: what `expires` in a response says.
    pub fn expires_in(&self, now: Instant) -> u64 {
        let left = self.expires.saturating_duration_since(now);
        left.as_secs() + u64::from(left.subsec_nanos() > 0)
    }

    /// Whether a REGISTER's contact names this binding: the same instance and reg-id (RFC 5626 §6), or equal URIs.
    pub(super) fn is_named_by(&self, contact: &NameAddr, outbound: Option<&Outbound>) -> bool {
        match (outbound, &self.instance, self.reg_id) {
            (Some(new), Some(instance), Some(reg_id)) => new.instance == *instance && new.reg_id == reg_id,
            (Some(_), _, _) | (None, _, _) => equal(&self.contact.uri, &contact.uri),
        }
    }
}

/// The name of an outbound registration: it survives changes of address and connection (RFC 5626 §4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outbound {
    pub(super) instance: CompactString,
    pub(super) reg_id: u32,
}

impl Outbound {
    /// Of a contact whose REGISTER says `Supported: outbound`. Every flow has its keepalive here: CRLF over streams and
    /// WebSocket (RFC 5626 §4.4.1, RFC 7118 §6), STUN over UDP (RFC 5626 §4.4.2).
    pub(super) fn of(contact: &NameAddr) -> Option<Outbound> {
        Some(Outbound {
            instance: contact.param_unquoted("+sip.instance")?,
            // RFC 5626 §4.2: reg-id is 1 to 2^31 - 1.
            reg_id: contact
                .param("reg-id")??
                .parse()
                .ok()
                .filter(|id| (1..=0x7fff_ffff).contains(id))?,
        })
    }
}

/// RFC 3261 §19.1.4: scheme, user, host and port are the same; a parameter that both have has the same value; and
/// `user`, `ttl`, `method`, `maddr` and `transport` stand in both or in neither.
pub(super) fn equal(a: &Uri, b: &Uri) -> bool {
    let same = |(name, value): (&str, &str), other: &Uri| match parameters(other)
        .find(|(n, _)| n.eq_ignore_ascii_case(name))
    {
        Some((_, theirs)) => value.eq_ignore_ascii_case(theirs),
        None => !["user", "ttl", "method", "maddr", "transport"]
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known)),
    };
    a.scheme() == b.scheme()
        && a.same_user(b)
        && a.port() == b.port()
        && parameters(a).all(|one| same(one, b))
        && parameters(b).all(|one| same(one, a))
}

/// The URI's parameters with their values, in order; one without a value has an empty one.
fn parameters(uri: &Uri) -> impl Iterator<Item = (&str, &str)> {
    let text = uri.as_str();
    let text = text.split_once('?').map_or(text, |(front, _)| front);
    // `;` may stand in the user part; no `@` stands behind the host.
    let behind_user = text.rsplit_once('@').map_or(text, |(_, behind)| behind);
    behind_user
        .split(';')
        .skip(1)
        .filter(|part| !part.is_empty())
        .map(|part| part.split_once('=').unwrap_or((part, "")))
}

/// Preference of a contact in thousandths. What is no qvalue (RFC 3261 §25.1) counts as not given.
pub(super) fn preference(contact: &NameAddr) -> u16 {
    let read = |text: &str| {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        if fraction.len() > 3 || !fraction.bytes().all(|digit| digit.is_ascii_digit()) {
            return None;
        }
        let thousandths: u16 = format!("{fraction:0<3}").parse().ok()?;
        match whole {
            "0" => Some(thousandths),
            "1" if thousandths == 0 => Some(1_000),
            _ => None,
        }
    };
    contact.param("q").flatten().and_then(read).unwrap_or(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> Uri {
        Uri::parse(text).unwrap()
    }

    #[test]
    fn contacts_are_compared_by_rfc_3261_19_1_4() {
        for (a, b) in [
            (
                "sip:%61lice@Atlanta.com;transport=TCP",
                "sip:alice@AtlanTa.CoM;Transport=tcp",
            ),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;newparam=5"),
        ] {
            assert!(equal(&uri(a), &uri(b)), "{a} {b}");
        }
        for (a, b) in [
            ("sip:ALICE@AtlanTa.CoM", "sip:alice@AtlanTa.CoM"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            (
                "sip:carol@chicago.com;security=on",
                "sip:carol@chicago.com;security=off",
            ),
            ("sip:bob@192.0.2.4:5060;ob", "sip:bob@192.0.2.4:5062;ob"),
            ("sip:bob@biloxi.com", "sips:bob@biloxi.com"),
        ] {
            assert!(!equal(&uri(a), &uri(b)), "{a} {b}");
        }
    }

    #[test]
    fn a_preference_that_is_none_counts_as_not_given() {
        let q = |text: &str| preference(&NameAddr::parse(&format!("<sip:a@b>;q={text}")).unwrap());
        assert_eq!(
            (q("0.7"), q("0"), q("1.000"), q("0.25"), q("0.125")),
            (700, 0, 1_000, 250, 125)
        );
        assert_eq!(
            (q("1.001"), q("7"), q("0.1234"), q("0.x"), q("-1")),
            (1_000, 1_000, 1_000, 1_000, 1_000)
        );
        assert_eq!(preference(&NameAddr::parse("<sip:a@b>").unwrap()), 1_000);
    }
}
