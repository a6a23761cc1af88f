//! String identifiers: two letters for the kind, 32 hexadecimal digits that nobody can guess.

use std::fmt;

use serde::{Serialize, Serializer};

/// Names one resource.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Sid(compact_str::CompactString);

impl Sid {
    /// A new one; without random numbers from the system there is none to give out.
    pub(super) fn new(kind: &str) -> Sid {
        let mut octets = [0_u8; 16];
        if let Err(error) = getrandom::fill(&mut octets) {
            // It guards nothing by itself: every request proves who it is. Two that are alike would be seen at once.
            tracing::error!(%error, "no random numbers for an identifier");
        }
        let digits = octets.iter().map(|octet| format!("{octet:02x}"));
        Sid(kind.chars().map(String::from).chain(digits).collect())
    }

    /// What a client wrote, if it has the shape of one of this kind.
    pub(super) fn read(kind: &str, text: &str) -> Option<Sid> {
        let digits = text.strip_prefix(kind)?;
        let good = |octet: u8| octet.is_ascii_digit() || (b'a'..=b'f').contains(&octet);
        (digits.len() == 32 && digits.bytes().all(good)).then(|| Sid(text.into()))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Sid {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_is_read_back_and_nothing_else_is() {
        let sid = Sid::new("CA");
        assert_eq!(Sid::read("CA", sid.as_str()), Some(sid.clone()));
        assert_eq!(sid.as_str().len(), 34);
        assert_ne!(sid, Sid::new("CA"));
        for bad in [
            "",
            "CA",
            "CF00000000000000000000000000000000",
            "CA0000000000000000000000000000000g",
            "CAé",
        ] {
            assert_eq!(Sid::read("CA", bad), None, "{bad}");
        }
    }
}
