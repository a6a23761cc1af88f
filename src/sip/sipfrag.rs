//! `message/sipfrag` as a NOTIFY of a REFER carries it (RFC 3420, RFC 3515 §2.4.5): a Status-Line.

use super::chars::{decimal, trim};
use super::status::reason_phrase;
use compact_str::CompactString;
use std::fmt;

/// The outcome that a NOTIFY reports.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Sipfrag {
    /// Status code, 100 to 699.
    pub status: u16,
    /// Reason phrase; may be empty.
    pub reason: CompactString,
}

impl Sipfrag {
    /// The content type of the body.
    pub const CONTENT_TYPE: &'static str = "message/sipfrag;version=2.0";

    /// A fragment with the usual reason phrase.
    pub fn new(status: u16) -> Sipfrag {
        Sipfrag {
            status,
            reason: CompactString::const_new(reason_phrase(status)),
        }
    }

    /// Reads the Status-Line at the start of a body; `None` when there is none. A line end of any kind ends it, also
    /// the end of the body.
    pub fn parse(body: &[u8]) -> Option<Sipfrag> {
        let body = trim(body);
        let line = body.split(|octet| matches!(octet, b'\r' | b'\n')).next()?;
        let rest = line
            .get(..8)
            .filter(|v| v.eq_ignore_ascii_case(b"SIP/2.0 "))
            .and(line.get(8..))?;
        let rest = trim(rest);
        let code = rest.get(..3)?;
        let status = decimal(code)
            .and_then(|n| u16::try_from(n).ok())
            .filter(|s| (100..=699).contains(s))?;
        let reason = match rest.get(3) {
            None => CompactString::default(),
            Some(b' ' | b'\t') => String::from_utf8_lossy(trim(rest.get(3..)?)).as_ref().into(),
            Some(_) => return None,
        };
        Some(Sipfrag { status, reason })
    }
}

impl fmt::Display for Sipfrag {
    /// The body with its line end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = self.reason.replace(['\r', '\n'], " ");
        write!(f, "SIP/2.0 {} {reason}\r\n", self.status)
    }
}
